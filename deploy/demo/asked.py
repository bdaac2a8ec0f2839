"""What the demonstration is asked on its command line, and the applications and people that it is given with that."""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from deploy.demo.data import Line, generate, read_lines, write_lines
from deploy.local.machine import ROOT
from deploy.simulators.people import Person

BUILD = ROOT / "build"
DEFAULT_COUNT = 400
_NAMED = 20
"""So many bad lines are named; who has more has another file in hand than they thought."""

People = Mapping[str, Mapping[str, Any]]
"""Persons by their number."""


@dataclass(frozen=True, slots=True)
class Given:
    """The applications to play, and the people of the register, which lie in the file `register` too; `fault` names
    the lines that were no person.
    """

    lines: Sequence[Line]
    people: People
    register: Path
    fault: str = ""


def arguments(typed: Sequence[str]) -> argparse.Namespace:
    """What was typed. Ends the process with 2 and a sentence where nothing could be shown with that."""
    parser = argparse.ArgumentParser("deploy.demo", description="Dossiers through all services, audited.")
    add = parser.add_argument
    add("--count", type=_number, help=f"how many applications (default {DEFAULT_COUNT}, or all of --input)")
    add("--input", type=Path, help="applications, one JSON object a line (default: made up)")
    add("--register", type=Path, help="the population register's people, one a line (with --input)")
    add("--replicas", type=_number, default=1, help="processes of each service")
    add("--seed", type=int, default=1, help="of made-up data")
    add("--stay", action="store_true", help="start everything and stay up")
    add("--folder", type=Path, help="data, secrets, logs and mails (default .local/demo or .local/run)")
    add("--build", type=Path, default=BUILD, help="where demo.json and dossiers.jsonl are written")
    asked = parser.parse_args(typed)
    if (asked.input is None) != (asked.register is None):
        parser.error("--input and --register go together")
    for path in (asked.input, asked.register):
        if path is not None and not path.is_file():
            parser.error(f"{path}: no such file")
    if asked.input is not None and next(read_lines(asked.input), None) is None:
        parser.error(f"{asked.input}: not one application in it")
    return asked


def _number(typed: str) -> int:
    if not (typed.isascii() and typed.isdigit() and int(typed) >= 1):
        raise argparse.ArgumentTypeError(f"{typed}: a whole number, at least 1, is wanted")
    return int(typed)


def given(asked: argparse.Namespace, folder: Path) -> Given:
    """The files that were named, or made-up ones written to `folder`. Raises OSError."""
    if asked.input is not None:
        return _from_files(asked, folder)
    data = generate(asked.count or DEFAULT_COUNT, datetime.now(UTC), asked.seed)
    applications = write_lines(folder / "applications.jsonl", data.applications)
    register = write_lines(folder / "register.jsonl", data.register)
    return Given(list(read_lines(applications)), {one["id_number"]: one for one in data.register}, register)


def _from_files(asked: argparse.Namespace, folder: Path) -> Given:
    people: dict[str, dict[str, Any]] = {}
    bad: list[str] = []
    for number, found in _persons(asked.register):
        if isinstance(found, str):
            bad.append(f"{number} ({found})")
        else:
            people[found.id_number] = found.model_dump(mode="json")
    # Real people may be among them: they lie where the outside systems keep theirs, and go with these.
    register = write_lines(folder / "outside" / "register-given.jsonl", list(people.values()))
    return Given(list(read_lines(asked.input))[: asked.count], people, register, _fault(asked.register, bad))


def _persons(register: Path) -> Iterator[tuple[int, Person | str]]:
    """Number of each line, and its person or what is wrong with it: fields, never values."""
    for line in read_lines(register):
        if line.application is None:
            yield line.number, line.fault
            continue
        try:
            yield line.number, Person.model_validate(line.application)
        except ValidationError as wrong:
            yield line.number, f"wrong: {', '.join(sorted({str(each['loc'][0]) for each in wrong.errors()}))}"


def _fault(register: Path, bad: Sequence[str]) -> str:
    if not bad:
        return ""
    more = f" and {len(bad) - _NAMED} more" if len(bad) > _NAMED else ""
    return f"{register}: no person in line {', '.join(bad[:_NAMED])}{more}; the register has the others"
