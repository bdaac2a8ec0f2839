"""`python -m shared.law quote FILE.jsonl` and `python -m shared.law catalogue`."""

import argparse
import sys
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from shared.command import run_command
from shared.errors import Fault
from shared.forms import NotJson, read_json
from shared.law.application import Application
from shared.law.catalogue import Catalogue, CatalogueError
from shared.law.faults import examine
from shared.law.loader import load_catalogue
from shared.law.quote import quote
from shared.law.table import catalogue_table

MAX_LINE = 256 * 1024  # as much as the HTTP door takes
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def main(arguments: list[str]) -> int:
    """Run a command line; 0 if all went well, 1 if a line was bad, 2 if a file or the catalogue cannot be used."""
    asked = _parser().parse_args(arguments)
    try:
        catalogue = load_catalogue()
        if asked.command == "quote":
            return _quote_file(asked.file, catalogue)
        sys.stdout.buffer.write(catalogue_table(catalogue).encode())
    except CatalogueError as wrong:
        print(wrong, file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m shared.law", description="What the law says about an application.")
    commands = parser.add_subparsers(dest="command", required=True)
    quoting = commands.add_parser("quote", help="fee, acceptance limit and due date of every application in a file")
    quoting.add_argument("file", type=Path, help="applications, one JSON object a line")
    commands.add_parser("catalogue", help="procedures, fee rules, papers and reasons for refusals")
    return parser


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
        result = _quote_line(line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line, catalogue)
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
