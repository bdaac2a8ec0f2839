"""Acceptance: refused until identity, papers and fee are in order (C4); the due date runs from acceptance (C5)."""

from datetime import UTC, datetime, timedelta

import pytest

from services.intake.timeline import timeline
from shared.errors import Refused
from shared.events.base import Event
from tests.controls import (
    AT,
    accept_dossier,
    applicant_corrected,
    citizen_mismatched,
    citizen_not_found,
    citizen_verified,
    dossier_accepted,
    dossier_submitted,
    fee_abandoned,
    fee_assessed,
    fee_paid,
    fee_reduced,
    fee_waived,
    officer,
    paper,
    payment_failed,
    payment_requested,
    supplement_received,
    supplement_requested,
    verification_abandoned,
    verification_delayed,
)
from tests.deciders import INTAKE, LAW
from tests.given import given
from tests.unit.intake.stages import ACCEPTABLE, PAID

FREE = fee_assessed(kind="none", lines=(), total_vnd=0)
LACKING = dossier_submitted(papers=(paper(),), missing_papers=("residence-papers", "photo"))

SETTLED: tuple[tuple[Event, ...], ...] = (
    (FREE,),
    (fee_assessed(kind="waiver", total_vnd=0), fee_waived()),
    PAID,
    (fee_assessed(kind="reduction"), fee_reduced(), payment_requested(), fee_paid()),
    (fee_assessed(), payment_requested(), payment_failed(), fee_paid()),
)
UNSETTLED: tuple[tuple[Event, ...], ...] = (
    (),
    (fee_assessed(),),
    (fee_assessed(), payment_requested()),
    (fee_assessed(), payment_requested(), payment_failed()),
    (fee_assessed(kind="waiver", total_vnd=0),),
    (fee_assessed(kind="reduction"), fee_reduced(), payment_requested()),
    (fee_abandoned(),),
)
UNVERIFIED: tuple[tuple[Event, ...], ...] = (
    (),
    (citizen_mismatched(),),
    (citizen_not_found(),),
    (verification_delayed(),),
    (verification_abandoned(),),
)


@pytest.mark.parametrize("money", SETTLED)
def test_a_verified_complete_dossier_is_accepted_once_its_fee_is_settled(money: tuple[Event, ...]) -> None:
    given(INTAKE, [dossier_submitted(), citizen_verified(), *money]).when(accept_dossier()).then(dossier_accepted())


@pytest.mark.parametrize("money", UNSETTLED)
def test_a_dossier_is_not_accepted_before_its_fee_is_settled(money: tuple[Event, ...]) -> None:
    filed = given(INTAKE, [dossier_submitted(), citizen_verified(), *money])
    filed.when(accept_dossier()).then_refused("DOS-INT-011", "/fee")


@pytest.mark.parametrize("identity", UNVERIFIED)
def test_a_dossier_is_not_accepted_unless_the_register_knows_the_applicant(identity: tuple[Event, ...]) -> None:
    filed = given(INTAKE, [dossier_submitted(), *identity, *PAID])
    filed.when(accept_dossier()).then_refused("DOS-INT-011", "/applicant")


def test_corrected_data_must_be_verified_again() -> None:
    corrected = given(INTAKE, [*ACCEPTABLE, applicant_corrected()])
    corrected.when(accept_dossier()).then_refused("DOS-INT-011", "/applicant")
    again = given(INTAKE, [*ACCEPTABLE, applicant_corrected(), citizen_verified(applicant_version=2)])
    again.when(accept_dossier()).then(dossier_accepted())


@pytest.mark.parametrize("old", [*UNVERIFIED, (citizen_verified(),)])
def test_while_corrected_data_are_looked_up_nothing_is_told_of_what_the_register_said_of_the_old_ones(
    old: tuple[Event, ...],
) -> None:
    corrected = given(INTAKE, [dossier_submitted(), *old, *PAID, applicant_corrected()])
    with pytest.raises(Refused) as refused:
        _ = corrected.when(accept_dossier()).decision
    assert [fault.message for fault in refused.value.faults] == ["the newest data are not looked up yet"]
    told = timeline(LAW, corrected.state)["identity"]
    assert (told["outcome"], told["mismatched_fields"], told["current_version"]) == (None, (), 2)


def test_a_late_answer_about_replaced_data_changes_nothing() -> None:
    events = [*ACCEPTABLE, applicant_corrected(), citizen_verified(applicant_version=2), citizen_mismatched()]
    given(INTAKE, events).when(accept_dossier()).then(dossier_accepted())


def test_a_refused_acceptance_names_every_condition_that_is_not_met() -> None:
    given(INTAKE, [LACKING]).when(accept_dossier()).then_refused(
        "DOS-INT-011", "/papers", "/papers", "/applicant", "/fee"
    )


def test_a_paper_that_came_is_missing_no_more_and_another_still_is() -> None:
    ready = [LACKING, citizen_verified(), *PAID]
    part = given(INTAKE, [*ready, supplement_requested("photo"), supplement_received("photo")])
    part.when(accept_dossier()).then_refused("DOS-INT-011", "/papers")


def test_nothing_is_accepted_while_a_supplement_is_awaited() -> None:
    asked = given(INTAKE, [*ACCEPTABLE, supplement_requested()])
    asked.when(accept_dossier()).then_refused("DOS-INT-010", "/status")


@pytest.mark.parametrize("by", [officer(unit="H26.33.05"), officer(unit=None)])
def test_another_units_officer_does_not_learn_that_the_dossier_exists(by: object) -> None:
    given(INTAKE, ACCEPTABLE).when(accept_dossier(by=by)).then_refused("DOS-SEC-002")


def test_the_due_date_runs_from_acceptance_and_not_from_submission() -> None:
    later = AT + timedelta(days=2, hours=2)  # Friday 10:30
    due = datetime(2026, 9, 23, 3, 30, tzinfo=UTC)  # three working days on: Wednesday 10:30
    given(INTAKE, ACCEPTABLE).when(accept_dossier(), at=later).then(dossier_accepted(accepted_at=later, due_at=due))


def test_a_dossier_accepted_in_the_evening_is_due_as_if_accepted_the_next_morning() -> None:
    evening = datetime(2026, 9, 16, 11, 0, tzinfo=UTC)  # Wednesday 18:00
    due = datetime(2026, 9, 21, 10, 0, tzinfo=UTC)  # Thursday, Friday, Monday until 17:00
    given(INTAKE, ACCEPTABLE).when(accept_dossier(), at=evening).then(dossier_accepted(accepted_at=evening, due_at=due))
