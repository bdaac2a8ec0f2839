"""An act is one row, from which all else about it is drawn: tried on those that there are, and on one made up."""

import inspect
from collections.abc import Mapping
from dataclasses import replace
from operator import attrgetter
from types import SimpleNamespace
from typing import Any, Literal
from uuid import UUID

import orjson
import pytest
from starlette.applications import Starlette

from services.intake import rules as rooms
from services.intake.acts import ACTS, FILER, Act, possible
from services.intake.api import routes
from services.intake.commands import PERSONAL, ActCommand
from services.intake.rules import HEARS, rules
from services.intake.state import EVOLVES, State, _acted
from shared.errors import Refused
from shared.events.base import Actor, Event, Model
from shared.events.intake import DossierSubmitted, SupplementLapsed, SupplementReminderDue
from shared.lifecycle import LIFECYCLE, Status
from shared.registry import CODES
from shared.runtime.http.door import Body as Sent
from shared.runtime.http.door import Client, Clients, parse
from shared.runtime.http.observed import observed
from shared.runtime.http.openapi import document
from shared.runtime.kernel.decider import Decider
from shared.runtime.keys.sealing import Kek, Keks
from shared.runtime.observe.metrics import Metrics
from tests.asgi import ask
from tests.controls import AT, DOSSIER, applicant, citizen, officer, sealed
from tests.deciders import INTAKE, LAW
from tests.given import given
from tests.made_up import DESK, VISIT, WITH, VisitAgreed, visit
from tests.unit.intake.stages import ACCEPTED, IN_PROCESS, STAGES

NAME = attrgetter("name")
CLIENTS = Clients(
    [
        Client(name="citizen-app", role="citizen", token="c" * 32),
        Client(name="officer-h26-33-04", role="officer", unit="H26.33.04", token="o" * 32),
    ]
)


def door(acts: tuple[Act, ...]) -> Starlette:
    """The desk's door, to which whoever has a role is let in; behind it nothing is."""

    class Rows:
        async def fetchrow(self, *words: Any) -> Mapping[str, float]:
            return {"granted": 1000, "tokens": 0.0}

    told = SimpleNamespace(
        kek=lambda: Keks([Kek(bytes(32), "kek-1")]), key=lambda name: bytes(32), clients=lambda: CLIENTS,
        client_rate=50.0,
    )  # fmt: skip
    lent: Any = SimpleNamespace(settings=told, door=None, pool=Rows(), readable=lambda: None, metrics=None)
    return observed(routes(lent, LAW, acts), Metrics("intake"))


def test_the_made_up_act_is_done_and_remembered() -> None:
    after = given(DESK, ACCEPTED).when(visit()).then(VisitAgreed(at=AT, where="counter", note=None, by=officer()))
    assert after.state.intake.steps[-1].event == "vn.gov.dossier.visit-agreed.v1"
    assert after.state.intake.status is Status.ACCEPTED


def test_its_own_rule_may_refuse_what_the_row_allows() -> None:
    nameless = given(DESK, ACCEPTED).state
    nameless = nameless.model_copy(update={"intake": nameless.intake.model_copy(update={"code": ""})})
    given(DESK, ACCEPTED).when(visit(where="home")).then(VisitAgreed)
    replace(given(DESK, ACCEPTED), state=nameless).when(visit(where="home")).then_refused("DOS-INT-013")


def test_it_is_among_the_possible_steps_of_its_party_in_its_statuses_only() -> None:
    for status, events in STAGES.items():
        state = given(DESK, events).state
        assert (VISIT in possible(state, officer(), WITH)) is (status in (Status.ACCEPTED, Status.IN_PROCESS))
        assert VISIT not in possible(state, citizen(), WITH)
        assert VISIT not in possible(state, officer(unit="H26.33.05"), WITH)


@pytest.mark.parametrize("by", [officer(unit="H26.33.05"), officer(unit=None), citizen()], ids=["unit", "none", "role"])
def test_whoever_is_not_of_its_party_does_not_learn_of_the_dossier(by: Actor) -> None:
    for events in ((), *STAGES.values()):
        given(DESK, events).when(visit(by=by)).then_refused("DOS-SEC-002")


def test_in_another_status_it_is_refused_with_what_is_possible_and_others_are_refused_with_it() -> None:
    given(DESK, STAGES[Status.REGISTERED]).when(visit()).then_refused("DOS-INT-010", "/status")
    with pytest.raises(Refused) as refused:
        _ = given(DESK, ACCEPTED).when(_asked("accept")).decision
    assert refused.value.facts == {"possible": ("start", "visit")}


async def test_it_has_an_address_to_which_only_its_roles_are_let_in() -> None:
    path, head = f"/v1/dossiers/{DOSSIER}/visit", {"content-type": "application/json", "idempotency-key": "k"}
    for token, status, code in (("c", 403, "DOS-SEC-003"), ("x", 401, "DOS-SEC-001")):
        answer = await ask(door(WITH), "POST", path, {**head, "authorization": f"Bearer {token * 32}"}, b"{}")
        assert (answer.status, answer.content["code"]) == (status, code)
    answer = await ask(door(WITH), "POST", path, {"authorization": f"Bearer {'o' * 32}"}, b"{}")
    assert answer.content["code"] == "DOS-INT-008", "an officer is let in, and must say what the body is"
    assert (await ask(door(tuple(ACTS)), "POST", path, head, b"{}")).status == 404


def test_it_is_told_in_the_reference_with_its_body_its_words_and_its_refusals() -> None:
    told = document("desk", door(WITH).routes)
    operation = told["paths"]["/v1/dossiers/{dossier}/visit"]["post"]
    assert operation["operationId"] == "visit"
    assert operation["summary"] == VISIT.does.en
    assert VISIT.does.vi in operation["description"]
    assert operation["description"].endswith("For: officer.")
    body = operation["requestBody"]["content"]["application/json"]
    assert body["example"] == {"where": "counter"}
    assert body["schema"] == {"$ref": "#/components/schemas/VisitBody"}
    assert told["components"]["schemas"]["VisitBody"]["properties"]["where"]["enum"] == ["counter", "home"]
    refusals = " ".join(answer["description"] for answer in operation["responses"].values())
    assert {"DOS-INT-010", "DOS-INT-013", "DOS-SEC-002", "DOS-SEC-003"} <= {*refusals.replace(":", " ").split()}


def test_an_act_without_a_rule_says_what_its_command_says() -> None:
    class PraiseBody(Model):
        where: Literal["counter", "home"]

    class Praised(Event):
        TYPE = "vn.gov.dossier.praised.v1"
        where: Literal["counter", "home"]
        by: Actor

    class Praise(PraiseBody, ActCommand):
        """Praise."""

    row = replace(
        VISIT, name="praise", who=FILER, command=Praise, body=PraiseBody, event=Praised, statuses=frozenset(Status)
    )
    desk = Decider("intake", State(), rules(LAW, (*ACTS, row)), {**EVOLVES, Praised: _acted})
    praised = given(desk, IN_PROCESS).when(Praise(where="home", by=citizen()))
    praised.then(Praised(where="home", by=citizen()))
    given(desk, IN_PROCESS).when(Praise(where="home", by=officer())).then_refused("DOS-SEC-002")


# What holds of every act


def _asked(name: str, **changes: Any) -> ActCommand:
    """The command of an act, as its example comes to it, by whoever may."""
    act = next(act for act in WITH if act.name == name)
    body = parse(act.body, Sent(dict(act.example))).model_dump()
    hidden: dict[str, Any] = dict.fromkeys(_personal(act), sealed())
    hidden |= {"applicant": applicant()} if "applicant" in body else {}
    by = citizen() if act.who is FILER else officer()
    return act.command.model_validate({**body, **hidden, "by": by, **changes})


def _personal(act: Act) -> set[str]:
    return {name for name, field in act.body.model_fields.items() if PERSONAL in field.metadata}


@pytest.mark.parametrize("act", ACTS, ids=NAME)
def test_every_act_has_words_in_both_languages_an_example_that_its_body_takes_and_registered_refusals(act: Act) -> None:
    assert all(text.vi and text.en and text.vi != text.en for text in (act.label, act.does, act.done))
    assert act.does.vi.endswith(".") and act.does.en.endswith(".")
    parse(act.body, Sent(dict(act.example)))
    assert set(act.refused) <= set(CODES)


@pytest.mark.parametrize("act", ACTS, ids=NAME)
def test_a_body_comes_to_a_command_field_by_field_and_without_a_rule_to_its_event(act: Act) -> None:
    assert {*act.body.model_fields, "by"} == set(act.command.model_fields)
    if act.command not in HEARS:
        assert set(act.command.model_fields) == set(act.event.model_fields)


@pytest.mark.parametrize("act", ACTS, ids=NAME)
def test_what_a_body_marks_as_personal_is_all_that_its_command_keeps_sealed(act: Act) -> None:
    kept = act.command.model_json_schema()["properties"]
    assert {name for name, told in kept.items() if "^sealed" in str(told)} == _personal(act)


@pytest.mark.parametrize("act", ACTS, ids=NAME)
def test_an_act_is_refused_or_possible_as_its_row_says_whoever_asks_in_every_status(act: Act) -> None:
    everybody = (citizen(), officer(), officer(unit="H26.33.05"), citizen(name="another-app"))
    for status, events in STAGES.items():
        state = given(INTAKE, events).state
        for by in everybody:
            legal = act.who.has(state, by) and act.legal(status)
            assert (act in possible(state, by)) is (legal and act.offered(state))
            asked = given(INTAKE, events).when(_asked(act.name, by=by))
            if legal:
                continue
            with pytest.raises(Refused) as refused:
                _ = asked.decision
            assert refused.value.code == ("DOS-INT-010" if act.who.has(state, by) else "DOS-SEC-002")


@pytest.mark.parametrize("act", ACTS, ids=NAME)
def test_a_row_that_names_its_statuses_names_none_that_the_lifecycle_forbids(act: Act) -> None:
    cells = {status for status, event in LIFECYCLE if event is act.event}
    assert act.statuses is None or not cells or act.statuses <= cells
    assert act.statuses is not None or cells, "otherwise it would never be legal"


def test_every_step_of_the_lifecycle_but_the_first_and_those_of_a_deadline_is_an_act() -> None:
    by_itself = {DossierSubmitted, SupplementReminderDue, SupplementLapsed}
    assert {event for _, event in LIFECYCLE} - {act.event for act in ACTS} == by_itself


def test_no_two_acts_share_a_name_a_command_an_event_or_a_label() -> None:
    for of in ("name", "command", "event", "label"):
        assert len({getattr(act, of) for act in ACTS}) == len(ACTS), of


def test_no_rule_looks_again_at_who_asks_or_in_which_status() -> None:
    text = inspect.getsource(rooms)
    assert "DOS-SEC-002" not in text
    assert "DOS-INT-010" not in text


def test_a_dossier_that_is_not_there_is_nobodys() -> None:
    for act in ACTS:
        given(INTAKE, ()).when(_asked(act.name)).then_refused("DOS-SEC-002")
        assert possible(State(dossier_id=UUID(int=1)), citizen()) == ()


def test_examples_can_be_sent_as_they_are_shown() -> None:
    for act in ACTS:
        assert orjson.loads(orjson.dumps(act.example)) == act.example
