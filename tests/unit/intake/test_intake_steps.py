"""A step that is illegal now is refused together with those that are possible, for whoever asks."""

from collections.abc import Mapping, Sequence

import pytest

from services.intake.acts import possible
from services.intake.state import State
from shared.errors import Refused
from shared.events.base import Actor, Model
from shared.lifecycle import Status
from tests.controls import (
    citizen,
    correct_applicant,
    dossier_submitted,
    officer,
    return_result,
    start_processing,
    supplement_requested,
)
from tests.deciders import INTAKE
from tests.given import given
from tests.unit.intake.stages import ACCEPTABLE, STAGES

COLLEAGUE = officer(name="officer-b")
POSSIBLE: Mapping[Status, tuple[Sequence[str], Sequence[str]]] = {
    Status.REGISTERED: (["correction"], ["request-supplement", "accept", "refuse"]),
    Status.SUPPLEMENT_REQUESTED: (["supplement"], []),
    Status.NOT_ACCEPTED: ([], []),
    Status.ACCEPTED: ([], ["start"]),
    Status.IN_PROCESS: ([], ["issue-result"]),
    Status.PROCESSED: ([], ["return-result"]),
    Status.RETURNED: ([], []),
}
"""What the filer may do, and what officers of the unit may do."""


def _possible(state: State, by: Actor) -> list[str]:
    return [act.name for act in possible(state, by)]


def _steps(status: Status, by: Actor) -> list[str]:
    return _possible(given(INTAKE, STAGES[status]).state, by)


@pytest.mark.parametrize("status", STAGES)
def test_the_filer_and_the_units_officers_have_their_own_steps(status: Status) -> None:
    filers, officers = POSSIBLE[status]
    assert _steps(status, citizen()) == filers
    assert _steps(status, officer()) == officers


@pytest.mark.parametrize("status", STAGES)
@pytest.mark.parametrize("by", [citizen(name="another-app"), officer(unit="H26.33.05")], ids=["filer", "officer"])
def test_whoever_has_nothing_to_do_with_a_dossier_has_no_step(status: Status, by: Actor) -> None:
    assert _steps(status, by) == []


def test_an_officer_who_took_the_application_in_at_the_counter_has_both() -> None:
    at_the_counter = given(INTAKE, [dossier_submitted(by=officer())]).state
    assert set(_possible(at_the_counter, officer())) == {"correction", "request-supplement", "accept", "refuse"}


def test_every_officer_of_a_unit_has_the_filers_steps_of_what_a_colleague_took_in_at_the_counter() -> None:
    at_the_counter = [dossier_submitted(by=officer())]
    filed = given(INTAKE, at_the_counter).state
    awaited = given(INTAKE, [*at_the_counter, supplement_requested()]).state
    assert set(_possible(filed, COLLEAGUE)) == {"correction", "request-supplement", "accept", "refuse"}
    assert _possible(awaited, COLLEAGUE) == ["supplement"]


@pytest.mark.parametrize(
    "by",
    [
        officer(unit="H26.33.05"),
        officer(name="officer-b", unit="H26.33.05"),
        citizen(name=officer().name),
        citizen(),
        citizen(role="importer"),
    ],
    ids=["moved away", "another unit's", "a client of the same name", "a citizen", "an importer"],
)
def test_nobody_outside_the_unit_has_a_step_of_what_was_taken_in_at_its_counter(by: Actor) -> None:
    assert _possible(given(INTAKE, [dossier_submitted(by=officer())]).state, by) == []


def test_the_refusal_of_a_correction_names_the_supplement_that_may_carry_it() -> None:
    with pytest.raises(Refused) as refused:
        _ = given(INTAKE, STAGES[Status.SUPPLEMENT_REQUESTED]).when(correct_applicant()).decision
    assert refused.value.facts == {"possible": ("supplement",)}
    (fault,) = refused.value.faults
    assert fault.said("vi") == "hồ sơ đang ở trạng thái “Yêu cầu bổ sung giấy tờ”"
    assert fault.said("en") == "the dossier is in the status “Supplement requested”"


@pytest.mark.parametrize("asked", [start_processing(), return_result()], ids=["start", "return"])
def test_the_refusal_of_an_officers_step_names_what_an_officer_may_do(asked: Model) -> None:
    with pytest.raises(Refused) as refused:
        _ = given(INTAKE, ACCEPTABLE).when(asked).decision
    assert refused.value.facts == {"possible": ("request-supplement", "accept", "refuse")}
