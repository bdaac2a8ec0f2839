"""`python -m shared.law`: `quote FILE.jsonl`, `catalogue` and `calendar YEAR`."""

import argparse
import csv
import sys
from argparse import ArgumentTypeError, Namespace
from collections.abc import Iterable
from datetime import datetime
from io import StringIO
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from shared.command import run_command
from shared.errors import Fault
from shared.forms import NotJson, read_json
from shared.law.application import Application
from shared.law.calendar import FIRST_YEAR, LAST_YEAR
from shared.law.catalogue import Catalogue, CatalogueError
from shared.law.faults import examine
from shared.law.loader import load_catalogue
from shared.law.quote import quote
from shared.law.table import catalogue_table
from shared.law.year import remarkable_days, year_table

MAX_LINE = 256 * 1024  # as much as the HTTP door takes


def main(arguments: list[str]) -> int:
    """Run a command line; 0 if all went well, 1 if a line was bad, 2 if a file or the catalogue cannot be used."""
    asked = _parser().parse_args(arguments)
    try:
        catalogue = load_catalogue()
        if asked.command == "calendar" and asked.agency not in (None, *catalogue.agencies):
            print("the catalogue has no such agency; it has", ", ".join(catalogue.agencies), file=sys.stderr)
            return 2
        if asked.command == "quote":
            return _quote_file(asked.file, catalogue)
        sys.stdout.buffer.write(_printed(asked, catalogue).encode())
        sys.stdout.flush()
    except CatalogueError as wrong:
        print(wrong, file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m shared.law", description="What the law says about an application.")
    commands = parser.add_subparsers(dest="command", required=True)
    quoting = commands.add_parser("quote", help="fee, acceptance limit and due date of every application in a file")
    quoting.add_argument("file", type=Path, help="applications, one JSON object a line")
    commands.add_parser("catalogue", help="procedures, fee rules, units, papers and reasons for refusals")
    year = commands.add_parser(
        "calendar", help="a year month by month: each day off and each worked Saturday, with why"
    )
    year.add_argument("year", type=_year, help=f"{FIRST_YEAR} to {LAST_YEAR}")
    year.add_argument("--agency", metavar="CODE", help="with the hours of this agency")
    year.add_argument("--csv", action="store_true", help="the days alone, as CSV")
    return parser


def _year(text: str) -> int:
    if not (text.isdecimal() and FIRST_YEAR <= int(text) <= LAST_YEAR):
        raise ArgumentTypeError(f"the working calendar is known from {FIRST_YEAR} to {LAST_YEAR}")
    return int(text)


def _printed(asked: Namespace, catalogue: Catalogue) -> str:
    if asked.command == "catalogue":
        return catalogue_table(catalogue)
    return year_csv(catalogue, asked.year) if asked.csv else year_table(catalogue, asked.year, asked.agency)


def year_csv(catalogue: Catalogue, year: int) -> str:
    """The days of `remarkable_days` as CSV (RFC 4180) with a head; a date is ISO 8601."""
    out = StringIO()
    lines = csv.writer(out)
    lines.writerow(("date", "weekday", "state", "reason", "source"))
    days = remarkable_days(catalogue, year)
    lines.writerows((one.day, f"{one.day:%A}", one.state, one.reason, one.source) for one in days)
    return out.getvalue()


def _quote_file(path: Path, catalogue: Catalogue) -> int:
    try:
        with path.open("rb") as lines:
            return _quote_lines(lines, catalogue, sys.stdout.buffer)
    except BrokenPipeError:
        raise
    except OSError as wrong:
        print(f"{path} cannot be read: {wrong.strerror}.", file=sys.stderr)
        return 2


def _quote_lines(lines: Iterable[bytes], catalogue: Catalogue, out: BinaryIO) -> int:
    worst = 0
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        result = _quote_line(line, catalogue)
        if isinstance(result, dict):
            out.write(orjson.dumps(result) + b"\n")
        else:
            worst = 1
            _complain(number, result)
    out.flush()
    return worst


def _complain(number: int, wrong: Iterable[Fault]) -> None:
    said = "; ".join(f"{fault.pointer or 'the whole'}: {fault.message} ({fault.code})" for fault in wrong)
    # A client may have named a field so that it would steer a terminal.
    print(f"line {number}:", said.encode("unicode_escape").decode(), file=sys.stderr)


def _quote_line(line: bytes, catalogue: Catalogue) -> dict[str, Any] | tuple[Fault, ...]:
    if len(line) > MAX_LINE:
        return (Fault("", "too-long.line", (str(MAX_LINE),)),)
    try:
        body, ill_written = read_json(line)
    except NotJson as wrong:
        return wrong.faults or (Fault("", "not-json"),)
    if isinstance(body, dict):
        # The files state what must become of each application; the law does not look.
        body.pop("expect", None)
    result = examine(body, catalogue)
    other = (*_unsaid(body), *ill_written)
    if isinstance(result, Application) and isinstance(result.submitted_at, datetime) and not other:
        return quote(result, catalogue, result.submitted_at)
    return (result if isinstance(result, tuple) else ()) + other


def _unsaid(body: object) -> tuple[Fault, ...]:
    """What a line in a file must say, though a client at the door need not."""
    if not isinstance(body, dict):
        return ()
    required = ("idempotency_key", "submitted_at")
    return tuple(Fault(f"/{name}", "missing") for name in required if body.get(name) is None)


if __name__ == "__main__":
    run_command(lambda: main(sys.argv[1:]))
