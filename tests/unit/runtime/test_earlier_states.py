"""States as earlier releases have stored them: each is read, decided on and shown today.

`tests/data/states` is what they wrote, and is never written anew: the first one in every status, the second a desk's
state with notices.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from services.intake.acts import possible
from services.intake.limits import limit
from services.intake.timeline import timeline
from shared.events.base import Event
from shared.events.catalogue import SAID_BY
from shared.runtime.kernel.stored import as_stored
from tests import controls
from tests.deciders import DECIDERS, INTAKE, LAW
from tests.given import Situation, as_message

FOLDER = Path(__file__).parents[2] / "data/states"
STORED: dict[str, dict[str, Any]] = json.loads((FOLDER / "first.json").read_text(encoding="utf-8"))
STATES = [(service, stage) for service, states in STORED.items() for stage in states]
STATUSES = {
    "registered": 1, "asked": 1, "paid": 1, "waived": 1, "supplement": 5, "supplied": 1, "refused": 3, "accepted": 2,
    "started": 4, "returned": 10,
}  # fmt: skip


def stored(service: str, stage: str) -> Any:
    """The state, read as the engine reads it."""
    return type(DECIDERS[service].empty).model_validate_json(json.dumps(STORED[service][stage]))


@pytest.mark.parametrize(("service", "stage"), STATES)
def test_every_state_is_read_and_whatever_is_heard_next_is_decided(service: str, stage: str) -> None:
    decider = DECIDERS[service]
    situation = Situation(decider, stored(service, stage))
    for event in (*controls.EVENTS, controls.payment_failed(), controls.applicant_corrected()):
        if type(event) in decider.folds or type(event) in decider.rules:
            assert isinstance(event, Event)
            after = situation.when(event)
            _ = after.decision
            assert type(decider.empty).model_validate_json(after.state.model_dump_json()) == after.state


@pytest.mark.parametrize(("stage", "status"), STATUSES.items())
def test_the_desk_shows_every_dossier_where_it_stood(stage: str, status: int) -> None:
    state = stored("intake", stage)
    shown = timeline(LAW, state)
    assert (shown["status"], shown["notices"]) == (status, [])
    assert [step["event"] for step in shown["events"]][0] == "DossierSubmitted"
    assert (limit(LAW, state) is None) == (status in (3, 5, 10) or stage == "asked")
    assert "tell" not in [act.name for act in possible(state, controls.officer())]


def test_notices_whose_steps_were_kept_apart_are_read_as_what_their_events_come_to() -> None:
    kept = json.loads((FOLDER / "second.json").read_text(encoding="utf-8"))["intake"]["told"]
    state = type(INTAKE.empty).model_validate_json(json.dumps(kept))
    known = {step.event for step in state.intake.steps}
    folded = INTAKE.empty
    for event in controls.EVENTS:
        if (
            type(event) not in SAID_BY["intake"] or event.TYPE in known
        ):  # what that release did not say yet is none of it
            folded = INTAKE.evolve(folded, as_message(event))
    assert state == folded
    assert [(step.name, str(step.id)) for step in state.notification.steps] == [
        (step["event"], step["id"]) for step in kept["notification"]["steps"]
    ]
    assert type(state).model_validate_json(as_stored(state)) == state
