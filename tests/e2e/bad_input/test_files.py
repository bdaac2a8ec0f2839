"""Bad lines in a file of applications: each is named by its number, the rest is done, and the exit code is 1."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.bad_input.applications import DROP, GOOD, but
from tests.e2e.bad_input.operators import Ended, typed

pytestmark = pytest.mark.e2e

MARK = "Nguyễn Thị Dấu Vết"
LINE: dict[str, Any] = {**GOOD, "idempotency_key": "k-1", "submitted_at": "2026-09-16T08:30:00+07:00"}
GOOD_LINE = json.dumps(LINE).encode()


def _line(changes: dict[str, Any]) -> bytes:
    return json.dumps(but(changes, LINE)).encode()


BAD = {
    "not JSON": (b'{"procedure": ' + MARK.encode(), "not-json"),
    "not UTF-8": (GOOD_LINE.replace(b"Tr", b"\xff\xfe", 1), "not-json"),
    "NaN": (GOOD_LINE.replace(b'"copies": 1', b'"copies": NaN'), "not-json"),
    "a list": (b"[1, 2]", "wrong-type"),
    "nested 100,000 deep": (b"[" * 100_000 + b"]" * 100_000, "not-json"),
    "nested 33 deep": (b"[" * 33 + b"]" * 33, "too-deep"),
    "over 256 KiB": (b'"' + b"x" * 262_144 + b'"', "too-long"),
    "a field twice": (GOOD_LINE.replace(b'"copies": 1', b'"copies": 1, "copies": 2'), "/copies: .* (duplicate-field)"),
    "no key": (_line({"/idempotency_key": DROP}), "/idempotency_key: .* (missing)"),
    "no time of receipt": (_line({"/submitted_at": DROP}), "/submitted_at: .* (missing)"),
    "an unknown procedure": (_line({"/procedure": "9.999999"}), "/procedure: .* (unknown-procedure)"),
    "an impossible person": (
        _line({"/applicant/id_number": "003295999123"}),
        "/applicant/id_number: .* (identity-century)",
    ),
    "a name that would steer a terminal": (_line({"/\x1b[2J": MARK}), "unknown-field"),
}


async def quote(folder: Path, *lines: bytes) -> Ended:
    """What `quote` makes of a file of these lines."""
    file = folder / "applications.jsonl"
    file.write_bytes(b"\n".join(lines) + b"\n")
    return await typed({"PATH": os.environ["PATH"]}, "shared.law", "quote", str(file))


async def test_every_bad_line_is_named_by_its_number_and_the_rest_is_done(tmp_path: Path) -> None:
    bad = [line for line, _ in BAD.values()]
    ended = await quote(tmp_path, GOOD_LINE, *(piece for line in bad for piece in (line, GOOD_LINE)))
    assert ended.code == 1
    assert [json.loads(line)["idempotency_key"] for line in ended.out.splitlines()] == ["k-1"] * (len(bad) + 1)
    told = ended.err.splitlines()
    assert [line.split(":")[0] for line in told] == [f"line {2 * n + 2}" for n in range(len(bad))]
    for (name, (_, wanted)), line in zip(BAD.items(), told, strict=True):
        assert all(part in line for part in wanted.split(".*")), name


async def test_no_complaint_quotes_what_a_line_said(tmp_path: Path) -> None:
    ended = await quote(tmp_path, *(line for line, _ in BAD.values()))
    assert (ended.code, ended.out) == (1, "")
    for text in (MARK, "003295999123", "9.999999", "\x1b", "Traceback"):
        assert text not in ended.err


async def test_all_faults_of_a_line_are_told_together(tmp_path: Path) -> None:
    ended = await quote(tmp_path, _line({"/copies": "3", "/agency": "H99.01", "/submitted_at": DROP}))
    assert ended.code == 1
    assert ended.err.count("line 1:") == 1
    assert all(place in ended.err for place in ("/copies", "/agency", "/submitted_at"))


@pytest.mark.parametrize("file", ["nowhere.jsonl", "."])
async def test_a_file_that_cannot_be_read_is_named_and_ends_with_2(file: str, tmp_path: Path) -> None:
    ended = await typed({"PATH": os.environ["PATH"]}, "shared.law", "quote", str(tmp_path / file))
    assert ended.code == 2
    assert str(tmp_path / file) in ended.err
    assert "Traceback" not in ended.err


async def test_an_empty_file_is_no_fault(tmp_path: Path) -> None:
    ended = await quote(tmp_path)
    assert (ended.code, ended.out, ended.err) == (0, "", "")
