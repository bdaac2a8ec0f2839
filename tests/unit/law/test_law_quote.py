"""`python -m shared.law`: the 400 synthetic applications, and files with bad lines."""

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from shared.law.__main__ import main
from shared.law.application import Application
from shared.law.calendar import vietnam_date
from shared.law.faults import examine
from shared.law.loader import shipped_catalogue

APPLICATIONS = Path(__file__).parents[2] / "data" / "applications.jsonl"
CATALOGUE = shipped_catalogue()
ROWS: list[dict[str, Any]] = [json.loads(line) for line in APPLICATIONS.read_text(encoding="utf-8").splitlines()]

Run = Callable[..., tuple[int, list[dict[str, Any]], list[str]]]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    """Run `quote` on a file; returns exit code, the lines printed, the lines complained."""

    def quote(path: Path) -> tuple[int, list[dict[str, Any]], list[str]]:
        code = main(["quote", str(path)])
        printed, complained = capfd.readouterr()
        return code, [json.loads(line) for line in printed.splitlines()], complained.splitlines()

    return quote


@pytest.fixture
def file(tmp_path: Path) -> Callable[[bytes], Path]:
    """Write a file of applications."""

    def write(content: bytes) -> Path:
        path = tmp_path / "applications.jsonl"
        path.write_bytes(content)
        return path

    return write


def line(**changes: Any) -> bytes:
    return json.dumps({**ROWS[0], **changes}).encode()


def test_fee_and_limits_of_all_400_applications_are_as_expected(run: Run) -> None:
    code, quotes, complaints = run(APPLICATIONS)
    assert (code, len(quotes), complaints) == (0, 400, [])
    for row, quote in zip(ROWS, quotes, strict=True):
        expected = row["expect"]
        assert quote["idempotency_key"] == row["idempotency_key"]
        assert (quote["fee_vnd"], quote["fee_kind"]) == (expected["fee_vnd"], expected["fee_kind"]), row
        for limit in ("accept_by", "due_if_accepted_at_submission"):
            assert datetime.fromisoformat(quote[limit]) == datetime.fromisoformat(expected[limit]), (limit, row)
            assert quote[limit].endswith("+07:00")


@pytest.mark.parametrize("row", ROWS[:40], ids=lambda row: str(row["idempotency_key"]))
def test_what_is_expected_plays_no_part(row: dict[str, Any], run: Run, file: Callable[[bytes], Path]) -> None:
    falsified = {**row, "expect": {"fee_vnd": -1, "fee_kind": "gift", "accept_by": None}}
    without = {name: value for name, value in row.items() if name != "expect"}
    content = b"\n".join(json.dumps(each).encode() for each in (row, falsified, without))
    code, quotes, _ = run(file(content))
    assert code == 0
    assert quotes[0] == quotes[1] == quotes[2]


def test_missing_papers_of_all_400_applications_are_as_expected() -> None:
    for row in ROWS:
        application = examine({name: value for name, value in row.items() if name != "expect"}, CATALOGUE)
        assert isinstance(application, Application)
        assert application.submitted_at is not None
        procedure = CATALOGUE.procedure(application.procedure, vietnam_date(application.submitted_at))
        submitted = frozenset(paper.code for paper in application.papers)
        assert list(procedure.missing_papers(submitted)) == row["expect"]["missing_papers"]


@pytest.mark.parametrize(
    ("submitted_at", "changes", "fee"),
    [
        ("2025-12-31T16:59:59Z", {"procedure": "1.001193", "case": "late", "agency": "H49.12.03"}, 50_000),
        ("2025-12-31T17:30:00Z", {"procedure": "1.001193", "case": "late", "agency": "H49.12.03"}, 0),
        ("2023-02-04T16:59:59Z", {"procedure": "1.004194", "channel": "online"}, 0),
        ("2023-02-04T17:00:00Z", {"procedure": "1.004194", "channel": "online"}, 7_000),
        ("2023-12-31T23:59:59+07:00", {"procedure": "1.001456", "channel": "direct"}, 0),
        ("2023-12-31T17:00:00Z", {"procedure": "1.001456", "channel": "direct"}, 200_000),
    ],
)
def test_the_day_of_filing_is_the_day_in_vietnam(
    submitted_at: str, changes: dict[str, Any], fee: int, run: Run, file: Callable[[bytes], Path]
) -> None:
    _, quotes, complaints = run(file(line(submitted_at=submitted_at, **changes)))
    assert complaints == []
    assert quotes[0]["fee_vnd"] == fee


def test_the_day_of_filing_is_not_moved_to_a_working_day(run: Run, file: Callable[[bytes], Path]) -> None:
    # Sunday 5 February 2023 is the first day of the tariff; both clocks start on Monday.
    sunday = line(procedure="1.004194", channel="online", submitted_at="2023-02-05T08:00:00+07:00")
    saturday = line(procedure="1.004194", channel="online", submitted_at="2023-02-04T08:00:00+07:00")
    _, quotes, _ = run(file(sunday + b"\n" + saturday))
    assert [quote["fee_vnd"] for quote in quotes] == [7_000, 0]
    assert quotes[0]["accept_by"] == quotes[1]["accept_by"] == "2023-02-06T17:00:00+07:00"


def test_bad_lines_are_named_by_number_with_every_fault_and_the_rest_is_done(
    run: Run, file: Callable[[bytes], Path]
) -> None:
    lines = [
        b"\xef\xbb\xbf" + line(),
        b"{not json",
        b"",
        line(copies=0, agency="H99"),
        b'{"full_name": "\xff"}',
        line(submitted_at=None),
        line(idempotency_key="x" * 300_000),
        b"[" * 100_000,
        b"3",
        line(idempotency_key="last"),
    ]
    code, quotes, complaints = run(file(b"\r\n".join(lines)))
    assert code == 1
    assert [quote["idempotency_key"] for quote in quotes] == [ROWS[0]["idempotency_key"], "last"]
    assert [complaint.split(":")[0] for complaint in complaints] == [f"line {n}" for n in (2, 4, 5, 6, 7, 8, 9)]
    assert "unknown-agency" in complaints[1]
    assert "out-of-range" in complaints[1]
    assert "/submitted_at" in complaints[3]


def test_a_line_cannot_steer_the_terminal(run: Run, file: Callable[[bytes], Path]) -> None:
    _, _, complaints = run(file(line(**{"\x1b[2J\nline 99": 1})))
    assert len(complaints) == 1
    assert complaints[0].isprintable()


def test_an_unreadable_file_ends_with_a_sentence(run: Run, tmp_path: Path) -> None:
    for path in (tmp_path / "absent.jsonl", tmp_path):
        code, quotes, complaints = run(path)
        assert (code, quotes) == (2, [])
        assert complaints[0].startswith(f"{path} cannot be read")


def test_the_catalogue_is_printed_with_its_legal_basis(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["catalogue"]) == 0
    printed = capfd.readouterr().out
    assert "Đăng ký khai sinh" in printed
    assert "2.000488-reduced-2017" in printed
    assert "Thông tư 244/2016/TT-BTC" in printed
