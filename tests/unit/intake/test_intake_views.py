"""The officers' queue: one row a dossier, of what its state says."""

from collections.abc import Mapping
from typing import Any

import pytest

from services.intake.limits import acceptance_limit, limit
from services.intake.state import State
from services.intake.timeline import holder
from services.intake.views import APPLICANT, UNIT, queued
from shared.events.base import Event
from shared.law.synthetic import AGENCY as SYNTHETIC
from shared.lifecycle import FINAL, Status
from tests import controls
from tests.controls import AGENCY, AT, CODE, PROCEDURE, dossier_submitted, fee_assessed, payment_requested
from tests.deciders import INTAKE, LAW
from tests.given import given
from tests.unit.intake.stages import STAGES

UNPAID = (dossier_submitted(), fee_assessed(), payment_requested())


def _state(*events: Event) -> State:
    state: State = given(INTAKE, events).state
    return state


def _row(*events: Event) -> Mapping[str, Any]:
    row = queued(LAW, _state(*events))
    assert row is not None
    return row


def test_what_is_filed_waits_for_its_unit_until_the_acceptance_limit() -> None:
    row = _row(dossier_submitted())
    accept_by = acceptance_limit(LAW, _state(dossier_submitted()))
    assert row == {
        "unit": AGENCY, "status": 1, "procedure": PROCEDURE, "channel": "online", "filed_at": AT,
        "accept_by": accept_by, "due_at": None, "urgent_at": accept_by, "awaited": UNIT,
        "fee_settled": False, "identity": None, "code": CODE,
    }  # fmt: skip


def test_while_money_is_awaited_nothing_is_urgent_for_the_unit() -> None:
    row = _row(*UNPAID)
    assert (row["awaited"], row["accept_by"], row["urgent_at"]) == (APPLICANT, None, None)
    paid = _row(*UNPAID, controls.fee_paid())
    assert (paid["awaited"], paid["fee_settled"], paid["urgent_at"]) == (UNIT, True, paid["accept_by"])
    assert paid["accept_by"] is not None


@pytest.mark.parametrize("status", STAGES)
def test_a_row_says_what_the_limits_and_the_holder_say(status: Status) -> None:
    state, row = _state(*STAGES[status]), _row(*STAGES[status])
    assert (row["accept_by"] or row["due_at"]) == limit(LAW, state)
    assert row["awaited"] == {None: None, "applicant": APPLICANT, AGENCY: UNIT}[holder(state)]
    assert (row["urgent_at"] is not None) == (row["awaited"] == UNIT), "whatever waits for the unit has its place"
    assert (row["awaited"] is None) == (status in FINAL)


def test_a_result_that_is_there_is_to_be_handed_over_by_the_day_that_was_promised() -> None:
    row = _row(*STAGES[Status.PROCESSED])
    assert (row["due_at"], row["awaited"]) == (None, UNIT)
    assert row["urgent_at"] == _state(*STAGES[Status.PROCESSED]).intake.due_at


def test_the_newest_word_of_the_register_stands_in_the_row() -> None:
    found = _row(dossier_submitted(), controls.citizen_mismatched())
    assert found["identity"] == "mismatched"
    assert _row(dossier_submitted(), controls.citizen_mismatched(), controls.applicant_corrected())["identity"] is None


def test_what_is_synthetic_or_not_filed_has_no_row() -> None:
    assert queued(LAW, _state(dossier_submitted(agency=SYNTHETIC))) is None
    assert queued(LAW, _state(controls.citizen_verified())) is None
    assert queued(LAW, State()) is None
