"""The same rooms in every service, small functions, and a sentence about everything that others may use."""

import ast
import statistics
from collections.abc import Iterable, Iterator
from pathlib import PurePath

import pytest

from services.intake.acts import ACTS
from shared.services import SERVICES
from tests.architecture.source import Function, Module, modules, snippet, tracked

ALWAYS = {"README.md", "__init__.py", "__main__.py", "settings.py", "rules.py", "state.py"}
AT_NEED = {"tasks.py", "gateways.py", "api.py", "views.py", "migrations"}
OF_ITS_OWN = {
    "intake": {
        "acts.py", "answers.py", "commands.py", "finding.py", "limits.py", "operations.py", "reaching.py",
        "supplements.py", "timeline.py",
    },
    "notification": {"answers.py", "phrases.py", "texts.py", "waiting.py", "words.py"},
    "audit": {
        "comparison.py", "differences.py", "keys.py", "ordering.py", "reading.py", "report.py", "settling.py",
        "trail.py", "trail_store.py", "verify.py",
    },
    "verification": {"reading.py"},
}  # fmt: skip
"""Rooms that only one service has. A new one is a decision, so it is written here."""

LONGEST = 45
MEDIAN = 10


def misplaced(service: str, rooms: Iterable[str]) -> Iterator[str]:
    """Rooms that the service lacks, and rooms that no rule foresees."""
    present = set(rooms)
    yield from (f"{service} lacks {room}" for room in sorted(ALWAYS - present))
    foreseen = ALWAYS | AT_NEED | OF_ITS_OWN.get(service, set())
    yield from (f"{service} has an unforeseen room {room}" for room in sorted(present - foreseen))


def _rooms(service: str) -> set[str]:
    inside = f"services/{service}/"
    return {PurePath(name.removeprefix(inside)).parts[0] for name in tracked() if name.startswith(inside)}


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_has_the_same_rooms(service: str) -> None:
    assert list(misplaced(service, _rooms(service))) == []


def test_every_service_of_the_table_has_a_folder_and_no_other_has() -> None:
    found = {PurePath(name).parts[1] for name in tracked() if name.startswith("services/") and name.count("/") > 1}

    assert found == set(SERVICES)


def test_a_missing_and_an_unforeseen_room_are_found() -> None:
    assert list(misplaced("payment", (ALWAYS | {"utils.py"}) - {"state.py"})) == [
        "payment lacks state.py",
        "payment has an unforeseen room utils.py",
    ]


def speechless(module: Module) -> Iterator[str]:
    """Public classes, functions and methods without a docstring, and files with code but without one.

    A method of a Protocol that is only `...` may be silent: its class and its adapter speak for it.
    """
    if module.tree.body and not ast.get_docstring(module.tree):
        yield module.at(1, "the file says nothing about itself")
    yield from _speechless(module, module.tree.body)


def _speechless(module: Module, body: Iterable[ast.stmt]) -> Iterator[str]:
    for node in body:
        if not isinstance(node, Function | ast.ClassDef) or node.name.startswith("_"):
            continue
        if not ast.get_docstring(node) and not _is_a_stub(node):
            yield module.at(node.lineno, f"{node.name} has no docstring")
        if isinstance(node, ast.ClassDef):
            yield from _speechless(module, node.body)


def _is_a_stub(node: ast.stmt) -> bool:
    return isinstance(node, Function) and [ast.unparse(line) for line in node.body] == ["..."]


def test_everything_public_says_what_it_is() -> None:
    assert [fault for module in modules("services", "shared") for fault in speechless(module)] == []


@pytest.mark.parametrize(
    "text",
    [
        "x = 1",
        '"""A file."""\ndef rule(): return 1',
        '"""A file."""\nasync def rule(): return 1',
        '"""A file."""\nclass Rule: ...',
        '"""A file."""\nclass Rule:\n    """A rule."""\n    def decide(self): return 1',
    ],
)
def test_a_public_thing_without_a_docstring_is_found(text: str) -> None:
    assert list(speechless(snippet("services/intake/api.py", text)))


def test_private_things_and_stubs_of_ports_may_be_silent() -> None:
    text = '"""A file."""\ndef _inner(): return 1\nclass Port:\n    """A port."""\n    def ask(self) -> int: ...'
    assert not list(speechless(snippet("services/intake/gateways.py", text)))


TABLES = {"services/intake/acts.py": frozenset(act.name for act in ACTS)}
"""A table that is the only one of its kind, and what stands in it."""
SOME = 3
"""So many of a table's words in one literal are a list of them."""


def second_lists(module: Module) -> Iterator[str]:
    """Literals that name again what a table names."""
    for table, words in TABLES.items():
        for node in ast.walk(module.tree) if module.path != table else ():
            if not isinstance(node, ast.Dict | ast.Set | ast.List | ast.Tuple):
                continue
            parts = node.keys if isinstance(node, ast.Dict) else node.elts
            named = {one.value for one in parts if isinstance(one, ast.Constant)} & words
            if len(named) >= SOME:
                yield module.at(node.lineno, f"lists {', '.join(sorted(map(str, named)))} beside {table}")


def test_there_is_one_table_of_acts() -> None:
    assert [fault for module in modules("services", "shared") for fault in second_lists(module)] == []


@pytest.mark.parametrize(
    "line",
    [
        "x = {'accept': 1, 'refuse': 2, 'start': 3}",
        "x = ('accept', 'refuse', 'tell')",
        "{'accept', 'x', 'refuse', 'tell'}",
    ],
)
def test_a_second_table_of_acts_is_found(line: str) -> None:
    assert len(list(second_lists(snippet("services/intake/api.py", line)))) == 1
    assert not list(second_lists(snippet("services/intake/acts.py", line)))


def lengths(rooms: Iterable[Module]) -> list[tuple[int, str]]:
    """Lines of every function, with its place."""
    return [
        ((function.end_lineno or function.lineno) - function.lineno + 1, room.at(function.lineno, function.name))
        for room in rooms
        for function in room.functions()
    ]


def too_long(rooms: Iterable[Module]) -> list[tuple[int, str]]:
    """Functions that do not fit on a screen."""
    return [(lines, place) for lines, place in lengths(rooms) if lines > LONGEST]


def test_no_function_is_longer_than_a_screen_and_most_are_short() -> None:
    rooms = modules("services", "shared", "deploy")

    assert too_long(rooms) == []
    assert statistics.median(lines for lines, _ in lengths(rooms)) <= MEDIAN


def test_a_function_longer_than_a_screen_is_found() -> None:
    short = snippet("services/intake/api.py", "def short():\n" + "    pass\n" * (LONGEST - 1))
    long = snippet("services/intake/api.py", "async def long():\n" + "    pass\n" * LONGEST)

    assert too_long([short]) == []
    assert too_long([long]) == [(LONGEST + 1, "services/intake/api.py:1: long")]
