"""Until when an officer must act: 8 working hours, which start again at payment, waiver and supplement (C4)."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import uuid5

from services.intake.limits import acceptance_limit, limit
from shared.events.base import Event
from shared.lifecycle import Status
from tests.controls import (
    AT,
    MESSAGE,
    applicant_corrected,
    citizen_verified,
    dossier_accepted,
    dossier_submitted,
    fee_assessed,
    fee_paid,
    fee_waived,
    message,
    payment_failed,
    payment_requested,
    processing_started,
    result_issued,
    supplement_received,
    supplement_requested,
)
from tests.deciders import INTAKE, LAW
from tests.given import Given, given
from tests.unit.intake.stages import STAGES

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def _at(event: Event, at: datetime) -> Given:
    return message(event, at=at, message_id=uuid5(MESSAGE, type(event).__name__))


def _limit(events: Sequence[Given]) -> datetime | None:
    return acceptance_limit(LAW, given(INTAKE, events).state)


def test_an_officer_has_eight_working_hours_from_submission() -> None:
    assert _limit([dossier_submitted()]) == AT + DAY


def test_a_dossier_that_costs_nothing_keeps_its_first_limit() -> None:
    free = fee_assessed(kind="none", lines=(), total_vnd=0)
    assert _limit([dossier_submitted(), citizen_verified(), _at(free, AT + HOUR)]) == AT + DAY


def test_the_hours_do_not_run_while_a_requested_fee_is_unpaid() -> None:
    asked = [dossier_submitted(), fee_assessed(), payment_requested()]
    assert _limit(asked) is None
    assert _limit([*asked, payment_failed()]) is None


def test_the_eight_hours_start_again_when_the_fee_is_paid() -> None:
    paid = [dossier_submitted(), fee_assessed(), payment_requested(), _at(fee_paid(), AT + 2 * HOUR)]
    assert _limit(paid) == AT + DAY + 2 * HOUR


def test_the_eight_hours_start_again_when_the_fee_is_waived() -> None:
    waived = [dossier_submitted(), fee_assessed(kind="waiver", total_vnd=0), _at(fee_waived(), AT + HOUR)]
    assert _limit(waived) == AT + DAY + HOUR


def test_a_fee_paid_after_hours_starts_them_at_the_next_opening() -> None:
    evening = AT + 12 * HOUR  # 20:30
    paid = [dossier_submitted(), fee_assessed(), payment_requested(), _at(fee_paid(), evening)]
    assert _limit(paid) == AT.replace(hour=10, minute=0) + DAY  # 17:00 of the next day


def test_the_eight_hours_start_again_when_a_supplement_has_come() -> None:
    answered = [dossier_submitted(), supplement_requested(), _at(supplement_received(), AT + 7 * DAY)]
    assert _limit(answered) == AT + 8 * DAY


def test_of_payment_and_supplement_the_later_one_counts() -> None:
    paid, answered = _at(fee_paid(), AT + HOUR), _at(supplement_received(), AT + 2 * HOUR)
    filed = [dossier_submitted(), payment_requested()]
    assert _limit([*filed, paid, supplement_requested(), answered]) == AT + DAY + 2 * HOUR
    assert _limit([*filed, supplement_requested(), _at(supplement_received(), AT), paid]) == AT + DAY + HOUR


def test_a_correction_that_nobody_asked_for_does_not_move_the_limit() -> None:
    assert _limit([dossier_submitted(), _at(applicant_corrected(), AT + HOUR)]) == AT + DAY


def test_no_officer_has_anything_to_answer_before_submission_while_papers_are_awaited_or_after_acceptance() -> None:
    assert _limit([]) is None
    assert [status for status, events in STAGES.items() if _limit(events) is not None] == [Status.REGISTERED]


def test_from_acceptance_until_the_result_is_issued_the_limit_is_the_due_date() -> None:
    events: list[Given] = [dossier_submitted(), fee_assessed(kind="none", lines=(), total_vnd=0)]
    limits = [limit(LAW, given(INTAKE, events).state)]
    for event in (dossier_accepted(), processing_started(), result_issued()):
        events.append(event)
        limits.append(limit(LAW, given(INTAKE, events).state))
    assert limits == [AT + DAY, dossier_accepted().due_at, dossier_accepted().due_at, None]
