"""`python -m shared.events schemas [--check]` and `python -m shared.events release`."""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

from shared.command import run_command
from shared.events.schema import DIGESTS, digest, edited, listed, released, schemas

FOLDER = Path(__file__).parent / "schemas"


def main(arguments: list[str], folder: Path = FOLDER) -> int:
    """Run a command line; 0 if all is well, 1 if a schema is not as it should be."""
    asked = _parser().parse_args(arguments)
    if asked.command == "release":
        return _release(folder)
    return _check(folder) if asked.check else _write(folder)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m shared.events", description="The JSON Schemas of all events.")
    commands = parser.add_subparsers(dest="command", required=True)
    drawing = commands.add_parser("schemas", help="write the schema of every event in its present version")
    drawing.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file is missing or differs")
    commands.add_parser("release", help=f"note the present schemas in {DIGESTS}: from then on they are not edited")
    return parser


def _write(folder: Path) -> int:
    frozen = _released(folder)
    changed = {name: text for name, text in schemas().items() if _text(folder / name) != text}
    forbidden = [name for name in changed if name in frozen]
    if forbidden:
        return _complain(forbidden, "is released and says something else; raise VERSION of the event instead")
    for name, text in changed.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
        print(name)
    return 0


def _check(folder: Path) -> int:
    stale = [name for name, text in schemas().items() if _text(folder / name) != text]
    broken = edited(present(folder), _released(folder))
    _complain(stale, "is not up to date: python -m shared.events schemas")
    _complain(broken, "is released, and was edited or removed")
    return 1 if stale or broken else 0


def _release(folder: Path) -> int:
    if _check(folder):
        return 1
    digests = {name: digest(text) for name, text in present(folder).items()}
    (folder / DIGESTS).write_text(listed({**digests, **_released(folder)}))
    return 0


def present(folder: Path) -> Mapping[str, str]:
    """Path → text of every schema file that lies in `folder`."""
    return {str(file.relative_to(folder)): file.read_text() for file in sorted(folder.rglob("*.json"))}


def _released(folder: Path) -> Mapping[str, str]:
    return released(_text(folder / DIGESTS) or "")


def _text(file: Path) -> str | None:
    return file.read_text() if file.exists() else None


def _complain(names: list[str] | tuple[str, ...], what: str) -> int:
    for name in names:
        print(f"{name} {what}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    run_command(lambda: main(sys.argv[1:]))
