"""The packages of the runtime stand one on the other: none uses one above it, and so none is part of a circle."""

from collections.abc import Iterator, Sequence

import pytest

from tests.architecture.source import Module, modules, snippet

PACKAGES = (
    "aio", "observe", "kernel", "store", "kafka.patches", "kafka", "keys", "engine", "publishing", "tasks", "http",
    "service", "recovery", "process", "admin",
)  # fmt: skip
"""From the ground up."""
RUNTIME = "shared.runtime."


def package_of(name: str) -> str | None:
    """The package of the runtime that a dotted name lies in; None for what lies in none."""
    inner = name.removeprefix(RUNTIME)
    if inner == name:
        return None
    fitting = [package for package in PACKAGES if f"{inner}.".startswith(f"{package}.")]
    return max(fitting, key=len, default="")


def upward(rooms: Sequence[Module]) -> Iterator[str]:
    """Imports of a package that stands above the one that imports it, or of no package of the list."""
    for room in rooms:
        own = package_of(room.name)
        for line, name in room.imports():
            used = package_of(name)
            if own and used is not None and (not used or PACKAGES.index(used) > PACKAGES.index(own)):
                yield room.at(line, f"{own} imports {name}")


def test_every_module_of_the_runtime_lies_in_a_package_of_the_list() -> None:
    rooms = [room for room in modules("shared") if room.path.startswith("shared/runtime/")]
    assert len(rooms) > 60
    homeless = [room.path for room in rooms if package_of(room.name) == "" or package_of(room.name) is None]
    assert homeless == ["shared/runtime/__init__.py"]


def test_no_package_of_the_runtime_uses_one_above_it() -> None:
    assert list(upward(modules("shared"))) == []


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("shared/runtime/aio/deadline.py", "from shared.runtime.engine import engine"),
        ("shared/runtime/store/sql.py", "from shared.runtime.kafka.clients import Broker"),
        ("shared/runtime/kafka/patches/record_sets.py", "from shared.runtime.kafka.clients import Broker"),
        ("shared/runtime/process/run.py", "def late():\n    from shared.runtime.admin.cli import main"),
        ("shared/runtime/process/run.py", "from shared.runtime.misc import helper"),
    ],
)
def test_an_arrow_upward_is_found(path: str, line: str) -> None:
    assert list(upward([snippet(path, line)]))


def test_an_arrow_downward_is_fine() -> None:
    assert not list(upward([snippet("shared/runtime/process/run.py", "from shared.runtime.aio import crash")]))
