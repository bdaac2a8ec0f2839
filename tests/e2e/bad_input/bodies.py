"""Rows of bodies that are no proper JSON, say things twice, hide control characters, or have values of a wrong type."""

import json

from tests.e2e.bad_input.answers import FAULTS, MARK, NOT_JSON, OTHER_TYPE, TOO_LARGE
from tests.e2e.bad_input.applications import DROP, GOOD, but
from tests.e2e.bad_input.rows import Row, wrong

BIG = 256 * 1024 + 1


def text_of(pointer: str, value: str) -> bytes:
    """The application with `value` written into its JSON as it is, unescaped and unchecked."""
    return json.dumps(but({pointer: "@@"})).replace('"@@"', value).encode("utf-8", "surrogateescape")


BODIES = (
    Row("a body that is not JSON", *NOT_JSON, body=b'{"procedure": "1.002755", ' + MARK.encode(), marks=(MARK,)),
    Row("an empty body", *NOT_JSON, body=b""),
    Row("JSON with something behind it", *NOT_JSON, body=json.dumps(GOOD).encode() + b"{}"),
    Row("single quotes", *NOT_JSON, body=str(GOOD).encode()),
    Row("UTF-16", *NOT_JSON, body=json.dumps(GOOD).encode("utf-16")),
    Row("two byte order marks", *NOT_JSON, body=b"\xef\xbb\xbf" * 2 + json.dumps(GOOD).encode()),
    Row("invalid UTF-8", *NOT_JSON, body=text_of("/applicant/full_name", '"Nguy\udcff\udcfe"')),
    Row("UTF-8 of a surrogate", *NOT_JSON, body=but({"/applicant/full_name": "Nguyễn \ud800"})),
    Row("an escaped lone surrogate", *NOT_JSON, body=text_of("/applicant/full_name", '"Binh \\ud83d"')),
    Row("NaN", *NOT_JSON, body=text_of("/copies", "NaN")),
    Row("Infinity", *NOT_JSON, body=text_of("/copies", "-Infinity")),
    Row("a number beyond all bounds", *NOT_JSON, body=text_of("/copies", "1e999")),
    Row("an integer of 400 digits", *NOT_JSON, body=text_of("/copies", "9" * 400)),
    Row("256 KiB and one byte", *TOO_LARGE, body=b'"' + b"x" * (BIG - 2) + b'"'),
    Row("256 KiB and one byte in chunks", *TOO_LARGE, body=b'"' + b"x" * (BIG - 2) + b'"', chunked=True),
    Row("8 MiB", *TOO_LARGE, body=b" " * (8 << 20)),
    Row("33 levels", *NOT_JSON, ("/papers" + "/0" * 31 + " too-deep",),
        but({"/papers": json.loads("[" * 32 + "]" * 32)})),
    Row("100,000 levels", *NOT_JSON, body=b"[" * 100_000 + b"]" * 100_000),
    Row("another content type", *OTHER_TYPE, headers={"content-type": "text/plain"}),
    Row("a form", *OTHER_TYPE, headers={"content-type": "application/x-www-form-urlencoded"}, body=b"procedure=1"),
    Row("no content type", *OTHER_TYPE, headers={"content-type": ""}),
    Row("a compressed body", *OTHER_TYPE, headers={"content-encoding": "gzip"}),
    Row("a list", *FAULTS, (" wrong-type",), [GOOD]),
    Row("null", *FAULTS, (" wrong-type",), None),
    Row("a text", *FAULTS, (" wrong-type",), MARK),
    Row("a number", *FAULTS, (" wrong-type",), 42),
    Row(
        "a name twice", *FAULTS, ("/applicant/full_name duplicate-field",),
        text_of("/applicant/full_name", f'"Mai", "full_name": "{MARK}"'), marks=(MARK,),
    ),
    Row("a name twice in a list", *FAULTS, ("/papers/0/size duplicate-field",),
        text_of("/papers/0/size", '1, "size": 1')),
)  # fmt: skip

CONTROL = tuple(
    Row(f"{name} in a text", *FAULTS, ("/applicant/email control-character", "/applicant/email malformed"),
        but({"/applicant/email": f"a{bad}@b.vn"}))
    for name, bad in (("NUL", "\0"), ("ESC", "\x1b[31m"), ("DEL", "\x7f"), ("C1", "\x9b31m"))
) + (
    Row("NUL in a name", *FAULTS, (" control-character", "/a\ufffdb unknown-field"), {**GOOD, "a\0b": 1}),
    Row("ESC in an inner name", *FAULTS,
        ("/applicant control-character", "/applicant/\ufffd[2J unknown-field"), but({"/applicant/\x1b[2J": "x"})),
    Row("a line end in a person's name", *FAULTS, ("/applicant/full_name control-character",),
        but({"/applicant/full_name": "Trần\nBcc: all@example.com"})),
    Row("an override of writing direction", *FAULTS, ("/applicant/full_name control-character",),
        but({"/applicant/full_name": "Trần \u202eMẫu Đơn"})),
)  # fmt: skip


TYPES = (
    wrong("a number as a text", "/copies", "3", "wrong-type"),
    wrong("true as a number", "/copies", True, "wrong-type"),
    wrong("a broken number", "/copies", 1.5, "wrong-type"),
    wrong("a number of 31 digits", "/copies", 10**30, "wrong-type"),
    wrong("no copies at all", "/copies", 0, "out-of-range"),
    wrong("too many copies", "/copies", 1001, "out-of-range"),
    wrong("a list for an object", "/applicant", [], "wrong-type"),
    wrong("an object for a list", "/papers", {}, "wrong-type"),
    wrong("a text for an object", "/papers/0", MARK, "wrong-type"),
    wrong("null for a text", "/applicant/full_name", None, "wrong-type"),
    wrong("a number for a text", "/applicant/id_number", 22095999123, "wrong-type"),
    wrong("a channel in capitals", "/channel", "ONLINE", "unknown-value"),
    wrong("a size of 0", "/papers/0/size", 0, "out-of-range"),
    wrong("an unknown locale", "/applicant/locale", "fr", "malformed"),
    wrong("a bad e-mail address", "/applicant/email", "x@y@example.com", "malformed"),
    wrong("a bad phone", "/applicant/phone", "09009991234567890", "malformed"),
    wrong("a name without letters", "/applicant/full_name", "1234 5678", "no-name"),
    wrong("a name of 101 letters", "/applicant/full_name", "Đ" * 101, "too-long"),
    wrong("a field too few", "/case", DROP, "missing"),
    wrong("a field too many", "/nickname", MARK, "unknown-field"),
    wrong("51 papers", "/papers", [{**GOOD["papers"][0], "code": f"paper-{n}"} for n in range(51)], "too-many"),
    wrong("a paper twice", "/papers", [GOOD["papers"][0]] * 2, "duplicate-paper"),
)
