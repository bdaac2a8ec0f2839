"""The lifecycle's one table, and early, on time or late by date (C9)."""

from datetime import UTC, datetime, timedelta

import pytest

from services.intake.timeline import timeline
from shared.events import intake as said
from shared.events.base import Event, Model
from shared.lifecycle import FINAL, Status, after, allowed
from tests.controls import (
    AT,
    accept_dossier,
    applicant,
    dossier_accepted,
    dossier_refused,
    dossier_submitted,
    issue_result,
    officer,
    processing_started,
    refuse_dossier,
    request_supplement,
    result_issued,
    result_returned,
    return_result,
    start_processing,
    supplement_received,
    supplement_requested,
    supply_dossier,
)
from tests.deciders import INTAKE, LAW
from tests.given import given
from tests.unit.intake.stages import ACCEPTED, ALARMS, IN_PROCESS, PROCESSED, STAGES

STEPS: tuple[tuple[Model, Event], ...] = (
    (accept_dossier(), dossier_accepted()),
    (refuse_dossier(), dossier_refused()),
    (request_supplement(), supplement_requested()),
    (supply_dossier(), supplement_received()),
    (start_processing(), processing_started()),
    (issue_result(), result_issued(ended_at=AT)),
    (return_result(), result_returned()),
)
OFFICERS_STEPS = tuple(asked for asked, _ in STEPS if not isinstance(asked, type(supply_dossier())))
DUE = AT + timedelta(days=5)  # Monday 21 September, 08:30


@pytest.mark.parametrize("status", STAGES)
@pytest.mark.parametrize(("asked", "event"), STEPS, ids=lambda one: type(one).__name__)
def test_a_step_is_taken_exactly_where_the_table_allows_it(status: Status, asked: Model, event: Event) -> None:
    situation = given(INTAKE, STAGES[status]).when(asked)
    if allowed(status, type(event)):
        tasks = ALARMS if isinstance(event, said.SupplementRequested) else ()
        assert situation.then(event, tasks=tasks).state.intake.status is after(status, type(event))
    else:
        situation.then_refused("DOS-INT-010", "/status")


@pytest.mark.parametrize("status", STAGES)
def test_the_events_of_a_stage_bring_a_dossier_to_its_status(status: Status) -> None:
    assert given(INTAKE, STAGES[status]).state.intake.status is status


@pytest.mark.parametrize("status", FINAL & set(STAGES))
@pytest.mark.parametrize("event", [said.ApplicantCorrected, *(type(event) for _, event in STEPS)])
def test_a_final_status_has_no_step_that_leads_out_of_it(status: Status, event: type[Event]) -> None:
    assert not allowed(status, event)
    assert after(status, event) is status


@pytest.mark.parametrize("asked", OFFICERS_STEPS, ids=lambda one: type(one).__name__)
@pytest.mark.parametrize("unit", ["H26.33.05", None])
def test_an_officer_of_another_unit_can_do_nothing(asked: Model, unit: str | None) -> None:
    foreign = asked.model_copy(update={"by": officer(unit=unit)})
    for events in STAGES.values():
        given(INTAKE, events).when(foreign).then_refused("DOS-SEC-002")


def test_a_dossier_is_refused_at_the_door_with_its_reason() -> None:
    refusal = given(INTAKE, [dossier_submitted()]).when(refuse_dossier(reason="incomplete"))
    refusal.then(dossier_refused(reason="incomplete"))


@pytest.mark.parametrize(
    ("locale", "text"),
    [
        ("vi", "Hồ sơ không thuộc thẩm quyền giải quyết của cơ quan này."),
        ("en", "This agency is not competent for the application."),
    ],
)
def test_the_timeline_says_why_a_dossier_was_refused_and_keeps_the_officers_note(locale: str, text: str) -> None:
    filed = dossier_submitted(applicant=applicant(locale=locale))
    assert timeline(LAW, given(INTAKE, [filed]).state)["refusal"] is None
    shown = timeline(LAW, given(INTAKE, [filed, dossier_refused()]).state)
    assert shown["refusal"] == {"reason": "not-competent", "text": text, "basis": "Nghị định 118/2025/NĐ-CP"}
    assert str(dossier_refused().note) not in str(shown)


def test_a_dossier_is_refused_although_its_fee_is_not_paid() -> None:
    given(INTAKE, [dossier_submitted()]).when(refuse_dossier()).then(dossier_refused())


@pytest.mark.parametrize(
    ("ended_at", "verdict"),
    [
        (datetime(2026, 9, 20, 16, 59, 59, tzinfo=UTC), "early"),  # 23:59:59 of the 20th in Vietnam
        (datetime(2026, 9, 20, 17, 0, tzinfo=UTC), "on-time"),  # midnight
        (DUE, "on-time"),
        (datetime(2026, 9, 21, 16, 59, 59, tzinfo=UTC), "on-time"),  # after the hour that was due, the same day
        (datetime(2026, 9, 21, 17, 0, tzinfo=UTC), "late"),
    ],
)
def test_a_result_is_early_on_time_or_late_by_its_date_in_vietnam(ended_at: datetime, verdict: str) -> None:
    issued = result_issued(ended_at=ended_at, verdict=verdict)
    given(INTAKE, IN_PROCESS).when(issue_result(), at=ended_at).then(issued)


def test_a_whole_life_is_told_step_by_step_with_who_did_it() -> None:
    state = given(INTAKE, [*PROCESSED, result_returned()]).state
    told = [(step.event, step.by and step.by.role) for step in state.intake.steps]
    assert told == [
        ("vn.gov.dossier.dossier-submitted.v1", "citizen"),
        ("vn.gov.dossier.dossier-accepted.v1", "officer"),
        ("vn.gov.dossier.processing-started.v1", "officer"),
        ("vn.gov.dossier.result-issued.v1", "officer"),
        ("vn.gov.dossier.result-returned.v1", "officer"),
    ]
    assert [step.name for step in state.verification.steps] == ["CitizenVerified"]
    assert [step.name for step in state.payment.steps] == ["FeeAssessed", "PaymentRequested", "FeePaid"]


def test_the_pay_page_is_shown_until_the_fee_is_paid() -> None:
    assert given(INTAKE, ACCEPTED[:-2]).state.payment.pay_url is not None
    assert given(INTAKE, ACCEPTED).state.payment.pay_url is None
