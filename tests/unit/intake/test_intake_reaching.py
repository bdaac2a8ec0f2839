"""Who must be told otherwise: what no mail could tell, until an officer or a later mail has told it."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, get_args
from uuid import UUID

import pytest

from services.intake.reaching import NOTICES, REASONS, told_of
from services.intake.state import State
from services.intake.timeline import timeline
from services.intake.views import unreached
from shared.events.base import Event
from shared.events.notification import NoticeKind
from shared.law.synthetic import AGENCY as SYNTHETIC
from tests.controls import (
    AGENCY,
    AT,
    MESSAGE,
    applicant,
    applicant_told,
    dossier_accepted,
    dossier_refused,
    dossier_submitted,
    fee_paid,
    message,
    notice_sent,
    notice_undeliverable,
    officer,
    result_returned,
    supplement_lapsed,
    supplement_received,
    supplement_requested,
    tell_applicant,
)
from tests.deciders import INTAKE, LAW
from tests.given import given
from tests.unit.intake.stages import PROCESSED

OTHER = UUID(int=7)
LOST = [dossier_submitted(), notice_undeliverable()]


def _left(*events: Event) -> list[UUID]:
    return [notice.about for notice in given(INTAKE, events).state.unreached]


def _place(*events: Event) -> Mapping[str, Any] | None:
    state: State = given(INTAKE, events).state
    return unreached(state)


def test_an_undeliverable_notice_puts_the_dossier_on_the_list_of_its_unit() -> None:
    assert _place(dossier_submitted()) is None
    assert _place(dossier_submitted(), notice_sent()) is None
    assert _place(*LOST) == {"unit": AGENCY, "since": AT, "notices": 1}
    assert _place(*LOST, notice_undeliverable(about=OTHER)) == {"unit": AGENCY, "since": AT, "notices": 2}


def test_it_waits_since_the_first_that_still_waits() -> None:
    later = message(notice_undeliverable(about=OTHER), at=AT + timedelta(hours=1))
    both = given(INTAKE, [*LOST, later])
    assert unreached(both.state) == {"unit": AGENCY, "since": AT, "notices": 2}
    told = both.when(applicant_told(MESSAGE)).state
    assert unreached(told) == {"unit": AGENCY, "since": later.at, "notices": 1}


def test_a_synthetic_dossier_is_on_no_list() -> None:
    assert _place(dossier_submitted(agency=SYNTHETIC), notice_undeliverable()) is None


def test_what_was_heard_before_the_application_waits_once_that_is_heard() -> None:
    assert _place(notice_undeliverable()) is None
    assert _place(notice_undeliverable(), dossier_submitted()) == {"unit": AGENCY, "since": AT, "notices": 1}


@pytest.mark.parametrize(
    "settling",
    [notice_sent(), applicant_told()],
    ids=["delivered later", "told by an officer"],
)
def test_a_later_mail_and_an_officer_settle_it(settling: Event) -> None:
    assert _left(*LOST, settling) == []
    assert _left(*LOST, notice_undeliverable(about=OTHER), settling) == [OTHER]


def test_what_an_officer_has_told_does_not_wait_again() -> None:
    assert _left(*LOST, applicant_told(), notice_undeliverable()) == []


@pytest.mark.parametrize("notice", ["payment-due", "payment-failed"])
@pytest.mark.parametrize("settling", [fee_paid(), dossier_refused()])
def test_nobody_has_to_be_told_of_a_fee_that_is_not_due_any_more(notice: str, settling: Event) -> None:
    lost = [dossier_submitted(), notice_undeliverable(notice=notice)]
    assert _left(*lost) == [MESSAGE]
    assert _left(*lost, settling) == []


ASKING = ("supplement", "supplement-reminder")


@pytest.mark.parametrize("notice", ASKING)
def test_nobody_has_to_be_told_of_a_request_that_is_answered(notice: str) -> None:
    lost = [dossier_submitted(), supplement_requested(), notice_undeliverable(notice=notice)]
    assert _left(*lost) == [MESSAGE]
    assert _left(*lost, supplement_received()) == []
    assert _left(*lost, supplement_lapsed()) == []


@pytest.mark.parametrize("notice", set(get_args(NoticeKind)) - {"payment-due", "payment-failed", *ASKING})
def test_what_only_tells_waits_to_the_end(notice: str) -> None:
    assert _left(*PROCESSED, result_returned(), notice_undeliverable(notice=notice)) == [MESSAGE]


def test_an_officer_says_that_the_applicant_was_told_of_all_that_waits_or_of_what_is_named() -> None:
    both = given(INTAKE, [*LOST, notice_undeliverable(about=OTHER)])
    both.when(tell_applicant()).then(applicant_told(MESSAGE, OTHER))
    named = both.when(tell_applicant(OTHER, OTHER, how="post")).then(applicant_told(OTHER, how="post"))
    assert [notice.about for notice in named.state.unreached] == [MESSAGE]


def test_what_does_not_wait_is_not_told() -> None:
    delivered = given(INTAKE, [dossier_submitted(), notice_sent()])
    delivered.when(tell_applicant()).then_refused("DOS-INT-016")
    delivered.when(tell_applicant(MESSAGE)).then_refused("DOS-INT-016", "/about")
    given(INTAKE, LOST).when(tell_applicant(MESSAGE, OTHER)).then_refused("DOS-INT-016", "/about")


@pytest.mark.parametrize("unit", ["H26.33.05", None])
def test_only_the_units_own_officers_say_so(unit: str | None) -> None:
    given(INTAKE, LOST).when(tell_applicant(by=officer(unit=unit))).then_refused("DOS-SEC-002")


def test_telling_moves_no_status_and_is_a_step_of_the_timeline_with_its_officer() -> None:
    told = given(INTAKE, [*LOST, dossier_accepted(), applicant_told()]).state
    assert told.intake.status == 2
    step = next(step for step in timeline(LAW, told)["events"] if step["event"] == "ApplicantTold")
    assert step["by"]["unit"] == AGENCY


def test_a_timeline_shows_notices_with_their_channel_and_what_to_do_and_no_address() -> None:
    sent = message(notice_sent(about=OTHER), at=AT)
    shown = timeline(LAW, given(INTAKE, [*LOST, sent]).state)["notices"]
    assert [(one["notice"], one["outcome"], one["channel"]) for one in shown] == [
        ("submission", "undeliverable", "email"),
        ("submission", "sent", "email"),
    ]
    assert (shown[0]["reason"], shown[0]["waiting"]) == ("smtp-550", True)
    assert "tell" in shown[0]["to_do"]
    assert applicant().email not in str(shown)


def test_every_notice_has_a_name_and_every_reason_a_text() -> None:
    assert set(NOTICES) == set(get_args(NoticeKind))
    for reason in [*REASONS, "smtp-550"]:
        (shown,) = told_of(given(INTAKE, [dossier_submitted(), notice_undeliverable(reason=reason)]).state)
        assert shown["why"]
        assert shown["to_do"]
