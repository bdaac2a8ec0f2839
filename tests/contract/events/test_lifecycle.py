"""The one table of a dossier's life: complete, reachable, and without a way out of its ends."""

import pytest

from shared.events import intake
from shared.events.base import Event
from shared.events.catalogue import SAID_BY, WRITER
from shared.lifecycle import FINAL, LABELS, LIFECYCLE, Status, after, allowed
from tests.controls import (
    applicant_corrected,
    citizen_verified,
    dossier_accepted,
    dossier_refused,
    dossier_submitted,
    fee_paid,
    processing_started,
    result_issued,
    result_returned,
    supplement_received,
    supplement_requested,
)

NO_STEPS: set[type[Event]] = {intake.ApplicantTold}
"""Said in any status, and moving none."""
LATER = {Status.FINANCIAL_OBLIGATION, Status.WITHDRAWN, Status.STOPPED}
"""Statuses of the national portal that no event of this catalogue leads to yet."""


def _story(*events: Event) -> list[Status | None]:
    """The statuses that these events go through; each must be allowed."""
    status: Status | None = None
    passed = []
    for event in events:
        assert allowed(status, type(event)), (status, event)
        status = after(status, type(event))
        passed.append(status)
    return passed


def test_statuses_bear_the_national_portals_codes_and_two_names() -> None:
    assert [int(status) for status in Status] == list(range(1, 11))
    assert set(LABELS) == set(Status)
    assert all(vietnamese and english for vietnamese, english in LABELS.values())


def test_an_accepted_dossier_ends_with_its_result_returned() -> None:
    way = (dossier_submitted(), dossier_accepted(), processing_started(), result_issued(), result_returned())

    assert _story(*way) == [1, 2, 4, 9, 10]


def test_a_dossier_may_be_completed_and_corrected_before_it_is_accepted() -> None:
    way = (
        dossier_submitted(),
        applicant_corrected(),
        supplement_requested(correct_applicant=True),
        applicant_corrected(applicant_version=3),
        supplement_received(),
        dossier_accepted(),
    )

    assert _story(*way) == [1, 1, 5, 5, 1, 2]


def test_a_dossier_may_be_refused_at_the_door() -> None:
    assert _story(dossier_submitted(), dossier_refused()) == [1, 3]


def test_every_event_of_intake_that_is_a_step_stands_in_the_table() -> None:
    assert {event for _, event in LIFECYCLE} == set(SAID_BY["intake"]) - NO_STEPS


def test_only_what_intake_says_moves_the_status() -> None:
    assert {WRITER[event] for _, event in LIFECYCLE} == {"intake"}
    for event in (citizen_verified(), fee_paid()):
        assert all(after(status, type(event)) is status for status in Status)
        assert not any(allowed(status, type(event)) for status in Status)


def test_every_status_is_reached_save_those_that_come_later() -> None:
    assert set(LIFECYCLE.values()) == set(Status) - LATER


def test_a_dossier_begins_once_and_by_submission_only() -> None:
    assert [event for status, event in LIFECYCLE if status is None] == [intake.DossierSubmitted]
    assert [status for status, event in LIFECYCLE if event is intake.DossierSubmitted] == [None]


def test_there_is_no_way_out_of_a_final_status() -> None:
    assert not [cell for cell in LIFECYCLE if cell[0] in FINAL]


def test_there_is_a_way_out_of_every_other_status_to_a_final_one() -> None:
    ends = set(FINAL)
    for _ in Status:
        ends |= {before for (before, _), then in LIFECYCLE.items() if then in ends and before is not None}

    assert ends >= set(Status) - LATER


@pytest.mark.parametrize("event", SAID_BY["intake"])
def test_a_step_outside_the_table_changes_nothing(event: type[Event]) -> None:
    outside = [status for status in Status if not allowed(status, event)]

    assert outside
    assert all(after(status, event) is status for status in outside)
