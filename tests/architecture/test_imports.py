"""Who may use whom: pure rooms stay pure, services do not know each other, simulators are strangers."""

import ast
import sys
from collections.abc import Iterator

import pytest

from tests.architecture.source import Module, called, modules, snippet, under

PURE_LIBRARY = {
    "abc", "bisect", "collections", "dataclasses", "datetime", "decimal", "enum", "fractions", "functools", "hashlib",
    "itertools", "json", "math", "operator", "re", "string", "textwrap", "types", "typing", "unicodedata", "uuid",
}  # fmt: skip
"""Of Python's own library, what computes and touches nothing."""
PURE_PACKAGES = {
    "pydantic",
    "pydantic_core",
    "holidays",
    "orjson",
    "asyncpg.pgproto.pgproto.UUID",
    "aiokafka.partitioner.murmur2",
}
PURE_SHARED = {"shared.cleaning", "shared.events", "shared.law", "shared.errors", "shared.ids", "shared.lifecycle",
               "shared.topics", "shared.forms", "shared.registry", "shared.schedule", "shared.services",
               "shared.wording"}  # fmt: skip
KERNEL = "shared.runtime.kernel"

PURE_FILES = {
    "shared/cleaning.py",
    "shared/errors.py",
    "shared/ids.py",
    "shared/lifecycle.py",
    "shared/topics.py",
    "shared/forms.py",
    "shared/registry.py",
    "shared/schedule.py",
    "shared/services.py",
    "shared/wording.py",
}
OUTSIDE_LAW = {"shared/law/loader.py", "shared/law/__main__.py", "shared/events/__main__.py"}
"""The loader of catalogue files, and the command lines."""
IMPURE = ("now", "utcnow", "today", "uuid1", "uuid4", "open", "print", "input", "exec", "eval", "__import__",
          "read_text", "read_bytes", "write_text", "getenv", "urandom")  # fmt: skip


PURE_ROOMS = ("rules", "state", "acts", "commands", "waiting", "answers", "supplements")


def pure_rooms() -> list[Module]:
    return [module for module in modules("services", "shared") if _is_pure(module.path)]


def _is_pure(path: str) -> bool:
    folder, _, file = path.rpartition("/")
    if folder.startswith("services/"):
        return file.removesuffix(".py") in PURE_ROOMS
    if path in OUTSIDE_LAW:
        return False
    return folder in ("shared/law", "shared/events", "shared/runtime/kernel") or path in PURE_FILES


def impure_uses(module: Module) -> Iterator[str]:
    """What a pure room does that touches the world, or might: an import beyond the list, or a call of a clock."""
    allowed = PURE_LIBRARY | PURE_PACKAGES | PURE_SHARED | {KERNEL} | _own_pure_rooms(module)
    for line, name in module.imports():
        if not under(name, allowed) or under(
            name, {entry.removesuffix(".py").replace("/", ".") for entry in OUTSIDE_LAW}
        ):
            yield module.at(line, f"imports {name}")
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and called(node.func).rpartition(".")[2] in IMPURE:
            yield module.at(node.lineno, f"calls {called(node.func)}")


def _own_pure_rooms(module: Module) -> set[str]:
    folder = module.name.rpartition(".")[0]
    return {f"{folder}.{room}" for room in PURE_ROOMS} if folder.startswith("services.") else set()


def test_decisions_states_law_and_events_do_no_input_or_output() -> None:
    rooms = pure_rooms()

    assert len(rooms) > 25
    assert [fault for room in rooms for fault in impure_uses(room)] == []


@pytest.mark.parametrize(
    "line",
    [
        "import asyncio", "import os", "import time", "import random", "import logging", "import socket",
        "from pathlib import Path", "import aiohttp", "from asyncpg import connect", "import structlog",
        "import shared.runtime.store.sql", "from shared.runtime.engine import engine", "from shared.law import loader",
        "from shared.law.loader import shipped_catalogue", "from services.payment import gateways",
        "from services.payment.tasks import kinds", "from . import api", "def rule():\n    import secrets",
        "at = datetime.now(UTC)", "at = datetime.datetime.utcnow()", "day = date.today()", "id = uuid4()",
        "text = open('x').read()", "print('said')",
    ],
)  # fmt: skip
def test_a_clock_a_file_or_a_network_in_a_pure_room_is_found(line: str) -> None:
    assert list(impure_uses(snippet("services/payment/rules.py", line)))


def test_a_pure_room_may_compute() -> None:
    fine = """
        from datetime import datetime, timedelta
        from services.payment.state import State
        from shared.events import payment
        from shared.law.clock import due_at
        from shared.runtime.kernel.decider import Decision
        def rule(at: datetime) -> datetime:
            return at + timedelta(days=1)
    """
    assert list(impure_uses(snippet("services/payment/rules.py", fine))) == []


def strangers(module: Module) -> Iterator[str]:
    """Imports across a border: service to service, shared to services, product to deploy or tests."""
    folder = module.path.split("/")
    for line, name in module.imports():
        for reason in _border(folder, name):
            yield module.at(line, f"imports {name}: {reason}")
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and called(node.func).rpartition(".")[2] in ("import_module", "__import__"):
            yield module.at(node.lineno, "imports by a name made at run time")


def _border(folder: list[str], name: str) -> Iterator[str]:
    if under(name, ("deploy", "tests")):
        yield "the product does not know how it is deployed or tested"
    if folder[0] == "shared" and under(name, ("services",)):
        yield "what is shared knows no service"
    if folder[0] == "services" and under(name, ("services",)) and not under(name, (f"services.{folder[1]}",)):
        yield "services talk only through Kafka"


def test_no_service_imports_another_and_the_product_imports_neither_deploy_nor_tests() -> None:
    assert [fault for module in modules("services", "shared") for fault in strangers(module)] == []


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("services/intake/api.py", "from services.payment.rules import HEARS"),
        ("services/intake/api.py", "from services import payment"),
        ("services/intake/api.py", "from ..payment import state"),
        ("services/intake/api.py", "def late():\n    import services.audit.verify"),
        ("services/intake/api.py", "import deploy.stack"),
        ("services/intake/__main__.py", "from deploy.simulators import vnpay"),
        ("shared/runtime/engine/engine.py", "from services.intake.state import State"),
        ("shared/runtime/engine/engine.py", "from tests import controls"),
        ("shared/runtime/engine/engine.py", "importlib.import_module('services.intake')"),
    ],
)
def test_an_import_across_a_border_is_found(path: str, line: str) -> None:
    assert list(strangers(snippet(path, line)))


def familiars(module: Module) -> Iterator[str]:
    """What a simulator takes from the product: nothing, or it would prove only that the product agrees with itself."""
    for line, name in module.imports():
        if under(name, ("services", "shared", "tests")):
            yield module.at(line, f"imports {name}")


def test_simulators_know_nothing_of_the_product() -> None:
    rooms = modules("deploy/simulators")

    assert rooms
    assert [fault for room in rooms for fault in familiars(room)] == []


@pytest.mark.parametrize("line", ["from shared.law import codes", "import services.payment.gateways"])
def test_a_simulator_that_borrows_from_the_product_is_found(line: str) -> None:
    assert list(familiars(snippet("deploy/simulators/bank.py", line)))


def cycles(rooms: tuple[Module, ...]) -> list[str]:
    """Pure packages that lean on the runtime, so that the kernel could not be read alone."""
    return [
        room.at(line, f"imports {name}")
        for room in rooms
        for line, name in room.imports()
        if under(name, ("shared.runtime",))
    ]


def test_law_and_events_know_nothing_of_the_runtime() -> None:
    assert cycles(modules("shared/law", "shared/events")) == []


def test_an_event_that_leans_on_the_runtime_is_found() -> None:
    assert cycles((snippet("shared/events/intake.py", "from shared.runtime.keys.sealing import seal"),))


def test_the_list_of_pure_parts_names_only_pythons_own_library() -> None:
    assert set(sys.stdlib_module_names) >= PURE_LIBRARY
