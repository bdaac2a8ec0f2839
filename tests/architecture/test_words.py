"""No forgotten work, no `print` where logs belong, and nothing that is true on one machine only."""

import ast
import re
from collections.abc import Iterator

import pytest

from tests.architecture.source import ROOT, Module, called, modules, snippet, tracked

SPOKEN_TO = ("/__main__.py", "/cli.py", "/operator.py", "/report.py", "/operations.py")
"""Command lines: their reader is a person at a terminal."""

UNFINISHED = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "X" + "XX", "HA" + "CK")) + r")\b")
ELSEWHERE = re.compile(r"(?<![\w.:/-])/(work|home|root|Users)/\w|(?<!\]\()\.\./" + "shared")
"""A path that exists on one machine, or a folder beside the repository. Where a page's link leads is another law's."""


def printed(module: Module) -> Iterator[str]:
    """Calls of `print`."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and called(node.func) in ("print", "pprint", "sys.stdout.write"):
            yield module.at(node.lineno, "prints")


def test_services_log_and_do_not_print() -> None:
    running = [module for module in modules("services", "shared") if not module.path.endswith(SPOKEN_TO)]

    assert [fault for module in running for fault in printed(module)] == []


@pytest.mark.parametrize(
    "line", ["print('here')", "def f():\n    print(state, file=sys.stderr)", "sys.stdout.write('x')"]
)
def test_a_print_is_found(line: str) -> None:
    assert list(printed(snippet("services/intake/api.py", line)))


def unfinished(path: str, text: str) -> Iterator[str]:
    """Notes of work that was left for later."""
    for number, line in enumerate(text.splitlines(), 1):
        if UNFINISHED.search(line):
            yield f"{path}:{number}: {line.strip()}"


def elsewhere(path: str, text: str) -> Iterator[str]:
    """References to a place outside the repository that another machine does not have."""
    for number, line in enumerate(text.splitlines(), 1):
        if ELSEWHERE.search(line):
            yield f"{path}:{number}: {line.strip()}"


def _texts() -> Iterator[tuple[str, str]]:
    for name in tracked():
        content = (ROOT / name).read_bytes()
        if b"\0" not in content:
            yield name, content.decode()


def test_nothing_was_left_for_later() -> None:
    assert [fault for path, text in _texts() for fault in unfinished(path, text)] == []


def test_nothing_refers_to_a_place_that_only_one_machine_has() -> None:
    assert [fault for path, text in _texts() for fault in elsewhere(path, text)] == []


@pytest.mark.parametrize("word", ["TO" + "DO", "FIX" + "ME", "X" + "XX", "HA" + "CK"])
def test_a_note_for_later_is_found(word: str) -> None:
    assert list(unfinished("a.py", f"x = 1  # {word}: later"))
    assert not list(unfinished("a.py", f"x = 1  # pre{word}post is another word"))


@pytest.mark.parametrize(
    "line",
    ["DATA = '/wo" + "rk/main/data'", "cd /ho" + "me/me/dossier", "see ../sha" + "red/law.md", "at /ro" + "ot/x"],
)
def test_a_path_of_one_machine_is_found(line: str) -> None:
    assert list(elsewhere("a.md", line))


@pytest.mark.parametrize(
    "line", ["https://example.org/home/page", "GET /v1/dossiers", "/var/lib/postgresql", "./work/x"]
)
def test_an_address_or_a_path_of_the_system_is_fine(line: str) -> None:
    assert not list(elsewhere("a.md", line))
