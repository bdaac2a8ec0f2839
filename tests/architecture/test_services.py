"""What the table of services says of one is what its rooms do: no more is granted, made or published for it."""

import ast
from collections.abc import Iterator
from typing import Any

import pytest

from deploy.secrets import NEEDS
from shared.events.base import Event
from shared.events.catalogue import SAID_BY, WRITER
from shared.runtime.kernel.decider import Decider
from shared.runtime.service.settings import DoorSettings
from shared.services import SERVICES, Keys, ServiceRow
from tests.architecture.source import Module, modules, snippet
from tests.deciders import composed

OPERATORS = frozenset({"auditor_db_password"})
"""Read by commands that an operator types, not by a process."""

HEARD_FOR_LATER = {"notification": {"verification"}}
"""What is heard without a rule yet: of what verification says no mail is sent so far."""


def used(decider: Decider[Any]) -> set[str]:
    """The other services whose words a service has a rule for, or remembers."""
    words = [key for key in (*decider.rules, *decider.folds) if issubclass(key, Event)]
    return {WRITER[word] for word in words} - {decider.name}


@pytest.mark.parametrize("row", [row for row in SERVICES.values() if not row.keeps_trail], ids=lambda row: row.name)
def test_a_service_hears_whom_it_has_a_rule_or_a_memory_for_and_nobody_else(row: ServiceRow) -> None:
    later = HEARD_FOR_LATER.get(row.name, set())
    assert used(composed(row.name).decider) == set(row.hears) - later
    assert len(row.hears) == len(set(row.hears))


@pytest.mark.parametrize("row", SERVICES.values(), ids=lambda row: row.name)
def test_a_service_has_a_door_and_keys_where_its_rooms_use_them(row: ServiceRow) -> None:
    made = composed(row.name)
    assert (made.api is not None, issubclass(made.settings, DoorSettings)) == (bool(row.door), bool(row.door))
    assert opens_sealed_data(modules(f"services/{row.name}")) == (row.keys is not Keys.NONE)


def opens_sealed_data(rooms: tuple[Module, ...]) -> bool:
    """Whether rooms of a service reach for the ring of data keys that its process lends them."""
    attributes = [node for room in rooms for node in ast.walk(room.tree) if isinstance(node, ast.Attribute)]
    return any(node.attr == "keys" and ast.unparse(node.value).endswith("resources") for node in attributes)


def strange_secrets(name: str, rooms: tuple[Module, ...]) -> Iterator[str]:
    """Secrets that rooms of a service read and that its row does not name."""
    for room in rooms:
        for node in ast.walk(room.tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "secret":
                for word in (str(one.value) for one in node.args if isinstance(one, ast.Constant)):
                    if word not in NEEDS[name] | OPERATORS:
                        yield room.at(node.lineno, f"{name} reads {word}")


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_reads_no_secret_that_its_row_does_not_name(name: str) -> None:
    assert list(strange_secrets(name, modules(f"services/{name}"))) == []


def test_another_services_secret_and_an_unused_ring_of_keys_are_found() -> None:
    borrowed = snippet("services/verification/__main__.py", "settings.secret('vnpay_secret')")
    assert list(strange_secrets("verification", (borrowed,)))
    assert not list(strange_secrets("payment", (borrowed,)))
    assert opens_sealed_data((snippet("services/payment/tasks.py", "kinds(resources.keys)"),))
    assert not opens_sealed_data((snippet("services/payment/tasks.py", "{}.keys()"),))


def listings(module: Module) -> Iterator[str]:
    """Places where most of the services are listed by hand."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Tuple | ast.List | ast.Set):
            words = {one.value for one in node.elts if isinstance(one, ast.Constant)}
            if len(words & SERVICES.keys()) >= len(SERVICES) - 1:
                yield module.at(node.lineno, "lists the services: take them from shared/services.py")


def test_the_services_are_listed_in_one_place() -> None:
    files = modules("shared", "services", "deploy", "tests")
    assert len(files) > 500
    assert [fault for module in files for fault in listings(module)] == []
    assert list(listings(snippet("deploy/stack.py", f"ALL = {tuple(SERVICES)}")))


def test_every_service_says_something_and_nobody_else_does() -> None:
    assert list(SAID_BY) == list(SERVICES)
    assert all(SAID_BY.values())


def test_what_must_be_one_services_own_is() -> None:
    rows = SERVICES.values()
    doors = [port for row in rows if row.door for port in (row.door, row.door + 1)]
    own = [secret for row in rows for secret in row.secrets]
    for named in ([row.area for row in rows], [row.name for row in rows], doors, own):
        assert len(named) == len(set(named)), named
    assert [row.name for row in rows if row.keys is Keys.MAKES] == ["intake"]
    assert {writer for row in rows for writer in row.hears} <= SERVICES.keys()
