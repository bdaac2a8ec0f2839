"""What the desk does about words that it does not know: nothing is accepted for them, and what is shown is true."""

from typing import Any

import pytest

from services.intake.acts import possible
from services.intake.answers import Timeline
from services.intake.state import Notice, State, Step
from services.intake.timeline import timeline
from shared.errors import Refused
from shared.events.base import UnknownWord
from shared.lifecycle import Status
from tests import controls
from tests.controls import AT, MESSAGE, citizen_mismatched, citizen_verified, dossier_submitted, fee_assessed
from tests.deciders import INTAKE, LAW
from tests.given import given
from tests.tomorrow import WORD

OTHER = UnknownWord(WORD)


def test_a_fee_of_an_unknown_kind_is_not_settled_so_nothing_is_accepted() -> None:
    filed = given(INTAKE, [dossier_submitted(), citizen_verified(), fee_assessed(kind=OTHER)])
    filed.when(controls.accept_dossier()).then_refused("DOS-INT-011", "/fee")
    assert timeline(LAW, filed.state)["fee"]["settled"] is False


def test_an_answer_of_a_kind_that_is_not_known_verifies_nobody() -> None:
    state = given(INTAKE, [dossier_submitted(), citizen_verified(), fee_assessed(kind="none", lines=())]).state
    doubtful = state.model_copy(update={"verification": state.verification.model_copy(update={"outcome": OTHER})})
    asked = given(INTAKE).decider.decide
    with pytest.raises(Refused, match="DOS-INT-011") as refused:
        asked(doubtful, controls.message(controls.accept_dossier()))
    assert [fault.message for fault in refused.value.faults] == ["the data are not confirmed to match"]


def test_a_field_that_only_verification_has_a_name_for_is_asked_for_by_that_name() -> None:
    filed = given(INTAKE, [dossier_submitted(), citizen_mismatched("full_name", OTHER)])
    asked = filed.when(controls.request_supplement(correct_applicant=True)).decision.events
    assert [getattr(event, "fields", None) for event in asked] == [("full_name", WORD)]


def test_steps_and_notices_of_tomorrow_stand_in_the_timeline_under_a_neutral_name() -> None:
    state = given(INTAKE, [dossier_submitted(applicant=controls.applicant(locale=UnknownWord("fr")))]).state
    filed = state.intake.model_copy(update={"steps": (*state.intake.steps, Step(event="MoonLanded", at=AT))})
    read = Notice(id=MESSAGE, about=MESSAGE, notice=OTHER, at=AT, outcome=UnknownWord("read"))
    told = state.notification.model_copy(update={"notices": (read,)})
    later = state.model_copy(update={"intake": filed, "notification": told})
    kept = State.model_validate_json(later.model_dump_json())
    shown = timeline(LAW, kept)
    assert kept == later
    assert {step["label"] for step in shown["events"]} == {"Nộp hồ sơ", "Bước khác của hồ sơ"}
    assert [(one["label"], one["outcome"]) for one in shown["notices"]] == [("thông báo khác", "read")]
    Timeline.model_validate_json(Timeline.model_validate(shown, strict=False).model_dump_json())


def test_in_a_status_of_tomorrow_nothing_is_legal_and_nobody_is_named() -> None:
    stored = given(INTAKE, [dossier_submitted()]).state.model_dump_json().replace('"status":1', '"status":11')
    state = State.model_validate_json(stored)
    shown = timeline(LAW, state)
    assert (shown["status"], shown["status_label"], shown["held_by"], shown["accept_by"]) == (
        11, "Trạng thái khác", None, None
    )  # fmt: skip
    assert possible(state, controls.officer()) == possible(state, controls.citizen()) == ()
    with pytest.raises(Refused, match="DOS-INT-010"):
        given(INTAKE).decider.decide(state, controls.message(controls.accept_dossier()))
    assert given(INTAKE).decider.evolve(state, controls.message(controls.dossier_accepted())).intake.status == 11
    assert state.model_dump_json() == stored
    assert list(Status) == list(range(1, 11))


@pytest.mark.parametrize("ill", ["1", 1.5, None])
def test_what_is_no_number_is_no_status(ill: Any) -> None:
    with pytest.raises(ValueError, match="is not a valid Status"):
        Status(ill)
