"""Rows of applications that the law does not know, that say what is not theirs to say, or have many faults at once;
and of an officer's request that names a paper twice.
"""

import json

from tests.e2e.bad_input.answers import FAULTS, MARK, OFFICER
from tests.e2e.bad_input.applications import CLAIM, DROP, GOOD, but
from tests.e2e.bad_input.rows import Row, act, wrong

LAW = (
    wrong("a key in the body", "/idempotency_key", "k-1", "unknown-field"),
    wrong("an unknown procedure", "/procedure", "9.999999", "unknown-procedure"),
    wrong("a malformed procedure", "/procedure", "../../etc/passwd", "malformed"),
    wrong("an unknown case", "/case", "very-late", "unknown-case"),
    wrong("an unknown agency", "/agency", "H99.01", "unknown-agency"),
    Row("an unknown group", *FAULTS, ("/waiver_claim/group unknown-group",),
        but({"/waiver_claim": {**CLAIM, "group": "millionaire"}})),
    wrong("an impossible century digit", "/applicant/id_number", "022295999123", "identity-century"),
    wrong("a year against the birth date", "/applicant/id_number", "022094999123", "identity-year"),
    wrong("both at once", "/applicant/id_number", "003294999123", "identity-century", "identity-year"),
    wrong("eleven digits", "/applicant/id_number", "02209599912", "malformed"),
    wrong("digits of another script", "/applicant/id_number", "٠٢٢٠٩٥٩٩٩١٢٣", "malformed"),
    wrong("a telephone number for a paper", "/papers/0/code", "0912345678", "unknown-paper"),
    wrong("a telephone number in a media type", "/papers/0/media_type", "application/0912345678", "unknown-value"),
    wrong("a digest in capitals", "/papers/0/sha256", "3F" * 32, "malformed"),
    wrong("a digest too short", "/papers/0/sha256", "3f" * 31, "malformed"),
    wrong("a birth before 1900", "/applicant/date_of_birth", "1899-12-31", "out-of-range"),
    wrong("a birth on no day", "/applicant/date_of_birth", "1995-02-29", "no-such-day"),
    wrong("a birth of year 0", "/applicant/date_of_birth", "0000-00-00", "no-such-day"),
    wrong("a birth as a time stamp", "/applicant/date_of_birth", 813283200, "wrong-type"),
    Row("a birth in the future", *FAULTS, ("/applicant/date_of_birth in-the-future",),
        but({"/applicant/date_of_birth": "2095-10-10", "/applicant/id_number": "022295999123"})),
    Row("no pages where it costs by the page", *FAULTS, ("/pages pages-required",),
        but({"/procedure": "2.000815", "/channel": "direct"})),
    Row("no pages and two other faults", *FAULTS,
        ("/applicant/phone malformed", "/copies out-of-range", "/pages pages-required"),
        but({"/procedure": "2.000815", "/channel": "direct", "/copies": -1, "/applicant/phone": "1"})),
)  # fmt: skip

ADDRESSES = tuple(
    wrong(f"an e-mail address that {name}", "/applicant/email", address, "malformed")
    for name, address in (
        ("is an encoded word of nothing", "=?utf-8?b??=@example.com"),
        ("hides a line end in an encoded word", "=?utf-8?b?YQ0KQmNjOiB4QHkudm4NCg==?=@example.com"),
        ("decodes to another", "=?utf-8?q?a?=@example.com"),
    )
)

ASKED = (
    Row("a request for a paper twice", *FAULTS, ("/papers duplicate-paper",), {"papers": ["photo", "photo"]}, OFFICER,
        path=act("request-supplement", "registered")),
)  # fmt: skip

RECEIPT = (
    Row("a citizen who states the receipt", *FAULTS, ("/submitted_at not-yours",),
        but({"/submitted_at": "2026-03-02T08:00:00+07:00"})),
    Row("an officer who states the receipt", *FAULTS, ("/submitted_at not-yours",),
        but({"/submitted_at": "2026-03-02T08:00:00+07:00"}), client=OFFICER),
    *(
        Row(f"an importer who states {name}", *FAULTS, (f"/submitted_at {code}",), but({"/submitted_at": stated}),
            client="importer")
        for name, stated, code in (
            ("the future", "2097-01-04T08:00:00+07:00", "in-the-future"),
            ("no time zone", "2026-03-02T08:00:00", "malformed"),
            ("the year 1999", "1999-12-31T23:59:59+07:00", "out-of-range"),
            ("the year 1", "0001-01-01T00:00:00+14:00", "out-of-range"),
            ("an hour that is none", "2026-03-02T24:01:00+07:00", "no-such-time"),
            ("an offset that is none", "2026-03-02T08:00:00+99:00", "no-such-time"),
            ("a number", 1772413200, "wrong-type"),
        )
    ),
    Row("an importer who states year 9999", *FAULTS, ("/submitted_at in-the-future", "/submitted_at out-of-range"),
        but({"/submitted_at": "9999-12-31T23:59:59-12:00"}), client="importer"),
)  # fmt: skip

MANY = (
    Row(
        "ten faults at once", *FAULTS,
        (
            "/agency unknown-agency", "/applicant/date_of_birth no-such-day", "/applicant/full_name missing",
            "/applicant/id_number malformed", "/channel unknown-value", "/copies wrong-type",
            "/extra unknown-field", "/papers/0/sha256 malformed", "/procedure unknown-procedure",
            "/waiver_claim/group unknown-group",
        ),
        but({
            "/agency": "H99.01", "/applicant/date_of_birth": "1995-13-01", "/applicant/full_name": DROP,
            "/applicant/id_number": "00309599912", "/channel": "by pigeon", "/copies": "three",
            "/extra": MARK, "/papers/0/sha256": "none", "/procedure": "9.999999",
            "/waiver_claim": {**CLAIM, "group": "millionaire"},
        }),
    ),
    Row("faults of the JSON, of the form and of the content", *FAULTS,
        ("/agency unknown-agency", "/applicant/phone control-character", "/applicant/phone malformed",
         "/case duplicate-field", "/copies wrong-type"),
        json.dumps(but({"/agency": "H99.01", "/applicant/phone": "0900999123\0", "/copies": "3"})).encode()
        .replace(b'"case":', b'"case": "late", "case":')),
    Row("300 unknown fields", *FAULTS, tuple(f"/field-{n:03} unknown-field" for n in range(100)),
        {**GOOD, **{f"field-{n:03}": f"{MARK} {n}" for n in range(300)}}),
    Row("an unknown field with a name of 5,000 characters", *FAULTS, ("/" + "n" * 64 + " unknown-field",),
        {**GOOD, "n" * 5000: 1}),
)  # fmt: skip
