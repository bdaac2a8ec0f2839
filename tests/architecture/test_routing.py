"""What a service hears and says is what the page of topics promises."""

import ast
import importlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pytest

from services.intake.commands import AcceptDossier
from services.payment.rules import FeeFound
from shared.events import audit, intake, payment, verification
from shared.events.base import Event, Model
from shared.events.catalogue import SAID_BY, WRITER
from shared.runtime.kernel.decider import Command, Outcome
from shared.services import SERVICES
from shared.topics import heard_by
from tests.architecture.source import Module, called, modules, snippet


def _module(service: str, room: str) -> Any:
    return importlib.import_module(f"services.{service}.{room}")


def unheard(service: str, table: Iterable[type[Model]], own: bool) -> Iterator[str]:
    """Keys of a table that cannot reach the service: events of a topic that it does not hear (or its own), others."""
    writers = {topic.writer for topic in heard_by(service)} | ({service} if own else set())
    for key in table:
        if issubclass(key, Event) and WRITER[key] not in writers:
            yield f"{service} does not hear {WRITER[key]}, which says {key.__name__}"
        elif not issubclass(key, Event | Command | Outcome):
            yield f"{key.__name__} is neither event, command nor outcome"


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_has_rules_only_for_what_can_reach_it(service: str) -> None:
    assert list(unheard(service, _module(service, "rules").HEARS, own=False)) == []


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_remembers_only_what_it_hears_or_says(service: str) -> None:
    assert list(unheard(service, _module(service, "state").EVOLVES, own=True)) == []


def test_a_rule_for_an_event_that_is_not_heard_is_found() -> None:
    assert list(unheard("verification", [payment.FeePaid], own=False))
    assert list(unheard("payment", [payment.FeePaid], own=False))
    assert list(unheard("payment", [Model], own=False))
    assert not list(unheard("payment", [intake.DossierSubmitted, FeeFound], own=False))
    assert not list(unheard("intake", [AcceptDossier], own=False))
    assert not list(unheard("payment", [payment.FeePaid], own=True))


def borrowed_words(module: Module, names: Mapping[str, Any], service: str) -> Iterator[str]:
    """Events that a file makes and that are another service's to say."""
    for line, event in _made(module, names):
        if WRITER[event] != service:
            yield module.at(line, f"{service} says {event.__name__}, a word of {WRITER[event]}")


def _made(module: Module, names: Mapping[str, Any]) -> Iterator[tuple[int, type[Event]]]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call):
            thing = _named(node.func, names)
            if isinstance(thing, type) and issubclass(thing, Event):
                yield node.lineno, thing


def _named(node: ast.expr, names: Mapping[str, Any]) -> Any:
    if isinstance(node, ast.Attribute):
        return getattr(_named(node.value, names), node.attr, None)
    return names.get(node.id) if isinstance(node, ast.Name) else None


def _files(service: str) -> tuple[Module, ...]:
    return modules(f"services/{service}")


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_says_only_its_own_words(service: str) -> None:
    for module in _files(service):
        assert list(borrowed_words(module, vars(importlib.import_module(module.name)), service)) == []


@pytest.mark.parametrize("service", SERVICES)
def test_every_word_of_a_service_is_said_by_one_of_its_rules(service: str) -> None:
    rooms = {f"services.{service}.rules", *(rule.__module__ for rule in _module(service, "rules").HEARS.values())}
    rules = [module for module in _files(service) if module.name in rooms]
    said = {event for room in rules for _, event in _made(room, vars(importlib.import_module(room.name)))}
    carried = {found.__name__ for found in _carried(service)}

    assert {event.__name__ for event in said} | carried == {event.__name__ for event in SAID_BY[service]}


def _carried(service: str) -> Iterator[type[Event]]:
    """Events that a task's outcome brings ready-made, and those that say what an act's command says."""
    rules = _module(service, "rules")
    yield from (act.event for act in getattr(rules, "ACTS", ()) if act.command not in rules.HEARS)
    for key in rules.HEARS:
        for field in key.model_fields.values() if issubclass(key, Outcome) else ():
            if isinstance(field.annotation, type) and issubclass(field.annotation, Event):
                yield field.annotation


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("said.FeePaid(reference=1)", {"said": payment}),
        ("Decision((CitizenVerified(applicant_version=1),))", {"CitizenVerified": verification.CitizenVerified}),
        ("def deep():\n    return lambda: said.DiscrepancyFound()", {"said": audit}),
    ],
)
def test_a_word_of_another_service_is_found(text: str, names: Mapping[str, Any]) -> None:
    assert list(borrowed_words(snippet("services/intake/rules.py", text), names, "intake"))


def test_naming_anothers_event_without_making_it_is_hearing() -> None:
    text = "HEARS = {said.FeePaid: on_paid}\nisinstance(event, said.FeePaid)"
    assert not list(borrowed_words(snippet("services/intake/rules.py", text), {"said": payment}, "intake"))


@pytest.mark.parametrize("service", SERVICES)
def test_every_task_that_a_rule_names_has_its_function_and_every_function_is_asked_for(service: str) -> None:
    asked = {name for module in _files(service) for name in task_names(module)}
    known = {name for module in _files(service) for name in task_functions(module)}

    assert asked <= known
    if service != "audit":  # its alarm is set where records are stored, not by a rule
        assert asked == known


def task_names(module: Module) -> Iterator[str]:
    """First arguments of `Task(...)`, where they are written out."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and called(node.func) == "Task" and isinstance(node.args[0], ast.Constant):
            yield str(node.args[0].value)


def task_functions(module: Module) -> Iterator[str]:
    """Keys under which a `TaskKind(...)` stands."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and isinstance(value, ast.Call) and called(value.func) == "TaskKind":
                    yield str(key.value)


def test_tasks_are_read_off_the_rule_that_names_them_and_the_table_that_runs_them() -> None:
    rule = snippet("rules.py", "Decision(tasks=(Task('send-mail', body),))")
    table = snippet("tasks.py", "kinds = {'send-mail': TaskKind(SendMail, send_mail), 'other': 1}")

    assert list(task_names(rule)) == ["send-mail"]
    assert list(task_functions(table)) == ["send-mail"]
