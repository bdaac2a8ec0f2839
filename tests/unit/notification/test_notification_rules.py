"""Which events owe the applicant a notice; that each goes once, in order, looked at when it is sent, to the newest
address.
"""

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from services.notification.rules import (
    GIVEN_UP,
    SEND,
    SEND_AGAIN,
    MailDiscarded,
    MailLeft,
    MailNeedless,
    SendMail,
    given_up,
    now,
)
from services.notification.state import Facts, Owed, State
from services.notification.waiting import waiting
from shared.events.base import Event, Model
from shared.runtime.kernel.decider import Message, Task, task_id
from tests.controls import (
    AT,
    EVENTS,
    FEE_VND,
    PAY_URL,
    applicant,
    applicant_corrected,
    applicant_told,
    dossier_accepted,
    dossier_refused,
    dossier_submitted,
    duplicate_payment_found,
    fee_assessed,
    fee_paid,
    fee_reduced,
    fee_waived,
    mail_deferred,
    mail_needless,
    mail_refused,
    mail_taken,
    message,
    notice_cancelled,
    notice_delayed,
    notice_sent,
    notice_undeliverable,
    paper,
    payment_failed,
    payment_requested,
    processing_started,
    recipient,
    result_issued,
    result_returned,
    sealed,
    supplement_lapsed,
    supplement_received,
    supplement_reminder_due,
    supplement_requested,
)
from tests.deciders import NOTIFICATION
from tests.given import Given, Situation, given

NOTE = dossier_refused().note
S, A, B, C, D = (UUID(int=n) for n in (10, 11, 12, 13, 14))
"""Ids of events; S is the application's."""

OWING: tuple[tuple[Event, str, Facts], ...] = (
    (
        supplement_requested(correct_applicant=True, fields=("date_of_birth",)),
        "supplement",
        Facts(
            papers=("residence-papers",),
            correct_applicant=True,
            fields=("date_of_birth",),
            respond_by=supplement_requested().respond_by,
        ),
    ),  # fmt: skip
    (
        supplement_lapsed(),
        "supplement-lapsed",
        Facts(respond_by=supplement_lapsed().respond_by, request=supplement_lapsed().request),
    ),
    (supplement_received(), "supplement-received", Facts(papers=("residence-papers",), at=AT)),
    (dossier_accepted(), "acceptance", Facts(due_at=dossier_accepted().due_at)),
    (processing_started(), "processing", Facts(at=AT)),
    (dossier_refused(), "refusal", Facts(reason="not-competent")),
    (result_issued(), "result", Facts()),
    (result_returned(), "returned", Facts(at=AT, handover="online")),
    (fee_waived(), "waiver", Facts(at=AT, basis="TT 75/2022/TT-BTC")),
    (fee_assessed(kind="none", lines=(), total_vnd=0, claim_unmet="no-fee"), "no-fee", Facts()),
    (payment_failed(), "payment-failed", Facts(at=AT)),
    (
        duplicate_payment_found(),
        "payment-duplicate",
        Facts(at=AT, amount_vnd=FEE_VND, transaction_no=duplicate_payment_found().transaction_no),
    ),
    (payment_requested(), "payment-due", Facts(amount_vnd=FEE_VND, pay_url=PAY_URL)),
    (fee_paid(), "payment-received", Facts(amount_vnd=FEE_VND)),
)
_TOLD = {type(dossier_submitted()), type(supplement_reminder_due()), *(type(event) for event, *_ in OWING)}
QUIET = (*(event for event in EVENTS if type(event) not in _TOLD), fee_assessed(), fee_assessed(claim_unmet="not-less"))
ASKED = Facts(amount_vnd=FEE_VND, pay_url=PAY_URL)
SUBMISSION = Facts(accept_by=dossier_submitted().accept_by)


def of(event_id: UUID, event: Event, minutes: int = 0) -> Message[Event]:
    """An event under this id, so long after the application."""
    return message(event, at=AT + timedelta(minutes=minutes), message_id=event_id)


SUBMITTED: Given = of(S, dossier_submitted())
TOLD: list[Given] = [SUBMITTED, notice_sent(about=S)]
"""An applicant whose application is confirmed; nothing is under way."""


def mail(about: UUID, version: int = 1) -> Task:
    return Task(SEND, SendMail(about=about, applicant_version=version))


def sending(known: Sequence[Given], about: UUID, version: int = 1, *, told: bool = False) -> object:
    """What the task of a notice finds when it begins: the notice as it is sent now, or why it is not."""
    found = now(given(NOTIFICATION, known).state, SendMail(about=about, applicant_version=version, told=told))
    return found if isinstance(found, MailLeft | MailNeedless) else found[0]


def _owed(notice: str, facts: Facts, about: UUID, at: object = AT) -> Owed:
    note = NOTE if notice in ("supplement", "refusal") else None
    return Owed.model_validate({"notice": notice, "about": about, "facts": facts, "note": note, "at": at})


# What is owed


def test_the_application_is_confirmed_with_the_limit_of_its_acceptance() -> None:
    given(NOTIFICATION).when(SUBMITTED).then(tasks=[mail(S)])
    assert sending([SUBMITTED], S) == _owed("submission", SUBMISSION, S)


def test_the_confirmation_names_the_papers_that_lack_until_an_officer_has_asked_for_them() -> None:
    lacking = of(S, dossier_submitted(papers=(paper(),), missing_papers=("residence-papers",)))
    facts = SUBMISSION.model_copy(update={"papers": ("residence-papers",)})
    assert sending([lacking], S) == _owed("submission", facts, S)
    assert sending([lacking, of(A, supplement_requested())], S) == _owed("submission", SUBMISSION, S)


@pytest.mark.parametrize(("event", "notice", "facts"), OWING)
def test_what_the_applicant_must_know_is_told_once(event: Event, notice: str, facts: Facts) -> None:
    given(NOTIFICATION, TOLD).when(of(A, event)).then(tasks=[mail(A)])
    assert sending([*TOLD, of(A, event)], A) == _owed(notice, facts, A)


@pytest.mark.parametrize("event", QUIET, ids=lambda event: type(event).__name__)
def test_nothing_else_makes_a_mail(event: Event) -> None:
    given(NOTIFICATION, TOLD).when(event).then_nothing()


REMINDED = [*TOLD, of(A, supplement_requested("photo")), notice_sent(about=A)]
"""A supplement is asked for, and the reminder is due."""


def _reminder(request: UUID | None = A) -> Message[Event]:
    return of(B, supplement_reminder_due(request=request), 1)


@pytest.mark.parametrize("request_id", [A, None], ids=["known", "of before ids were kept"])
def test_a_reminder_and_a_lapse_are_told_with_what_was_asked_for(request_id: UUID | None) -> None:
    given(NOTIFICATION, REMINDED).when(_reminder()).then(tasks=[mail(B)])
    facts = Facts(papers=("photo",), respond_by=supplement_reminder_due().respond_by, request=request_id)
    at = AT + timedelta(minutes=1)
    assert sending([*REMINDED, _reminder(request_id)], B) == _owed("supplement-reminder", facts, B, at)
    lapsed = of(C, supplement_lapsed(request=request_id), 1)
    assert sending([*REMINDED, lapsed], C) == _owed("supplement-lapsed", facts, C, at)


@pytest.mark.parametrize(
    ("since", "reason"),
    [
        ((supplement_received(),), "settled"),
        ((supplement_lapsed(request=A),), "settled"),
        ((dossier_refused(),), "refused"),
        ((supplement_received(), supplement_requested()), "replaced"),
        ((applicant_told(B),), "told"),
    ],
    ids=["answered", "lapsed", "refused", "asked anew", "told"],
)
def test_nobody_is_reminded_of_what_is_over(since: Sequence[Event], reason: str) -> None:
    later = [of(UUID(int=100 + n), event, 2 + n) for n, event in enumerate(since)]
    assert sending([*REMINDED, _reminder(), *later], B) == MailNeedless(
        notice="supplement-reminder", about=B, reason=reason
    )


@pytest.mark.parametrize("since", [dossier_refused(), supplement_requested()])
def test_a_lapse_is_told_whatever_has_happened_since(since: Event) -> None:
    known = [*REMINDED, of(C, supplement_lapsed(request=A), 2), of(D, since, 3)]
    assert isinstance(sending(known, C), Owed)


def test_a_failed_attempt_is_told_with_the_page_on_which_to_pay() -> None:
    failed = of(B, payment_failed(), 1)
    told = ASKED.model_copy(update={"at": failed.at})
    assert sending([*TOLD, of(A, payment_requested()), failed], B) == _owed("payment-failed", told, B, failed.at)


def test_a_failed_attempt_is_told_with_the_page_of_the_request_that_stands() -> None:
    newer = payment_requested(amount_vnd=FEE_VND + 1, pay_url=f"{PAY_URL}&r=2")
    known = [*TOLD, of(A, payment_requested()), of(B, newer, 1), notice_sent(about=A), notice_sent(about=B)]
    facts = Facts(at=AT + timedelta(minutes=2), amount_vnd=FEE_VND + 1, pay_url=f"{PAY_URL}&r=2")
    assert sending([*known, of(C, payment_failed(), 2)], C) == _owed(
        "payment-failed", facts, C, AT + timedelta(minutes=2)
    )


def test_attempts_that_fail_within_an_hour_make_one_mail_and_the_receipt_counts_them() -> None:
    asked = [*TOLD, of(A, payment_requested()), notice_sent(about=A), of(B, payment_failed()), notice_sent(about=B)]
    again = given(NOTIFICATION, asked).when(of(C, payment_failed(), 59)).then_nothing()
    paid = again.when(of(D, fee_paid())).then(tasks=[mail(D)])
    found = now(paid.state, SendMail(about=D, applicant_version=1))
    assert found[0].facts == Facts(amount_vnd=FEE_VND, failed=2)  # type: ignore[index]


def test_an_attempt_that_fails_an_hour_after_the_one_that_was_told_is_told_again() -> None:
    asked = [*TOLD, of(A, payment_requested()), notice_sent(about=A), of(B, payment_failed()), notice_sent(about=B)]
    within = given(NOTIFICATION, asked).when(of(C, payment_failed(), 59)).then_nothing()
    within.when(of(D, payment_failed(), 60)).then(tasks=[mail(D)])


@pytest.mark.parametrize(
    ("favour", "facts"),
    [
        (fee_reduced(), {"basis": "TT 75/2022/TT-BTC"}),
        (fee_assessed(claim_unmet="not-listed"), {"claim_unmet": "not-listed"}),
    ],
)
def test_a_reduction_and_a_claim_that_does_not_apply_are_told_with_the_request_for_payment(
    favour: Event, facts: dict[str, str]
) -> None:
    known = given(NOTIFICATION, TOLD).when(favour).then_nothing().when(of(A, payment_requested())).then(tasks=[mail(A)])
    found = now(known.state, SendMail(about=A, applicant_version=1))
    assert found[0].facts == ASKED.model_copy(update=facts)  # type: ignore[index]


def test_the_beginning_of_the_work_is_told_with_the_date_of_the_result() -> None:
    facts = Facts(at=AT, due_at=dossier_accepted().due_at)
    known = [*TOLD, of(A, dossier_accepted()), of(B, processing_started())]
    assert sending(known, B) == _owed("processing", facts, B)


# In order


def test_a_second_notice_of_a_dossier_waits_for_the_first() -> None:
    waits = given(NOTIFICATION, [SUBMITTED]).when(of(A, dossier_accepted(), 1)).then_nothing()
    last = waits.when(of(B, result_issued(), 2)).then_nothing()
    out = last.when(mail_taken(about=S)).then(notice_sent(about=S), tasks=[mail(A)])
    out = out.when(mail_taken(notice="acceptance", about=A)).then(
        notice_sent(notice="acceptance", about=A), tasks=[mail(B)]
    )
    out.when(mail_taken(notice="result", about=B)).then(notice_sent(notice="result", about=B))


def test_a_payment_heard_before_the_application_is_told_after_its_confirmation() -> None:
    early = given(NOTIFICATION).when(of(A, payment_requested(), 1)).then_nothing()
    early = early.when(of(B, dossier_accepted(), 2)).then_nothing()
    known = early.when(SUBMITTED).then(tasks=[mail(S)])
    known.when(mail_taken(about=S)).then(notice_sent(about=S), tasks=[mail(A)])


def test_what_cannot_be_delivered_or_is_not_to_be_said_any_more_lets_the_next_one_go() -> None:
    waits = given(NOTIFICATION, [SUBMITTED, of(A, payment_requested()), of(B, fee_paid(), 1)])
    lost = waits.when(mail_refused(about=S)).then(notice_undeliverable(about=S), tasks=[mail(A)])
    over = lost.when(mail_needless(about=A)).then(notice_cancelled(about=A), tasks=[mail(B)])
    over.when(mail_taken(notice="payment-received", about=B)).then(notice_sent(notice="payment-received", about=B))


def test_notices_of_the_same_moment_go_as_their_source_said_them() -> None:
    said = [SUBMITTED, of(D, dossier_accepted()), of(B, processing_started()), of(C, result_issued())]
    waits, order = given(NOTIFICATION, said), [S, D, B, C]
    for about, following in zip(order, order[1:], strict=False):
        waits = waits.when(mail_taken(about=about)).then(notice_sent(about=about), tasks=[mail(following)])


def test_a_deferred_notice_holds_the_next_ones_of_its_dossier() -> None:
    waits = given(NOTIFICATION, [SUBMITTED, of(A, dossier_accepted(), 1)])
    later = SendMail(about=S, applicant_version=1, since=AT, told=True)
    held = waits.when(mail_deferred(about=S)).then(
        notice_delayed(about=S), tasks=[Task(SEND_AGAIN, later, after=AT + timedelta(minutes=1))]
    )
    held.when(of(B, result_issued(), 2)).then_nothing()


def test_what_waits_behind_a_notice_that_is_given_up_is_not_tried_for_as_long_again() -> None:
    known = given(NOTIFICATION, [SUBMITTED, of(A, supplement_requested(), 1), of(B, fee_paid(), 2)])
    lost, too = ({"about": S}, {"about": A, "notice": "supplement"})
    given_up = {"reason": "expired", "since": AT}
    once = [Task(SEND_AGAIN, SendMail(about=about, applicant_version=1, since=AT)) for about in (A, B)]
    behind = known.when(mail_refused(**lost, **given_up)).then(
        notice_undeliverable(**lost, reason="expired"), tasks=once[:1]
    )
    behind.when(mail_refused(**too, **given_up)).then(notice_undeliverable(**too, reason="expired"), tasks=once[1:])
    behind.when(mail_taken(**too)).then(notice_sent(**too), tasks=[mail(B)])


def test_a_delay_is_told_once_and_not_at_all_while_nothing_was_tried() -> None:
    first = given(NOTIFICATION, [SUBMITTED])
    aside = first.when(mail_deferred(about=S, quiet=True)).then(tasks=[SEND_AGAIN])
    told = aside.when(mail_deferred(about=S)).then(notice_delayed(about=S), tasks=[SEND_AGAIN])
    told.when(mail_deferred(about=S, told=True)).then(tasks=[SEND_AGAIN])


@pytest.mark.parametrize(
    "event",
    [fee_waived(), payment_failed(), duplicate_payment_found(),
     fee_assessed(kind="none", total_vnd=0, claim_unmet="no-fee")],
)  # fmt: skip
def test_whatever_payment_said_before_the_application_was_heard_is_told_when_it_is(event: Event) -> None:
    early = given(NOTIFICATION).when(of(A, event)).then_nothing()
    known = early.when(SUBMITTED).then(tasks=[mail(S)])
    known.when(mail_taken(about=S)).then(notice_sent(about=S), tasks=[mail(A)])


# Looked at when it is sent


@pytest.mark.parametrize(
    ("since", "why"),
    [
        ([of(B, fee_paid())], "settled"),
        ([of(B, fee_waived())], "settled"),
        ([of(B, dossier_refused())], "refused"),
        ([of(B, payment_requested())], "replaced"),
        ([of(B, fee_paid()), of(C, dossier_refused())], "refused"),
    ],
)  # fmt: skip
def test_a_fee_is_not_asked_for_that_is_settled_refused_or_asked_for_anew(since: list[Given], why: str) -> None:
    asked = [*TOLD, of(A, payment_requested())]
    assert isinstance(sending(asked, A), Owed)
    assert sending([*asked, *since], A) == MailNeedless(notice="payment-due", about=A, reason=why)


@pytest.mark.parametrize(
    ("since", "why"),
    [
        ([of(B, supplement_received())], "settled"),
        ([of(B, dossier_accepted())], "settled"),
        ([of(B, dossier_refused())], "refused"),
        ([of(B, supplement_received()), of(C, supplement_requested())], "replaced"),
    ],
)
def test_a_supplement_is_not_asked_for_that_has_come_or_is_not_wanted_any_more(since: list[Given], why: str) -> None:
    asked = [*TOLD, of(A, supplement_requested())]
    assert isinstance(sending(asked, A), Owed)
    assert sending([*asked, *since], A) == MailNeedless(notice="supplement", about=A, reason=why)


@pytest.mark.parametrize(
    ("event", "since", "why"),
    [
        (payment_failed(), fee_paid(), "settled"),
        (payment_failed(), dossier_refused(), "refused"),
        (fee_waived(), dossier_refused(), "refused"),
        (fee_assessed(kind="none", total_vnd=0, claim_unmet="no-fee"), dossier_refused(), "refused"),
    ],
)
def test_what_says_what_is_to_be_paid_is_not_said_of_a_fee_that_is_not_asked_for_any_more(
    event: Event, since: Event, why: str
) -> None:
    (notice,) = [kind for one, kind, _ in OWING if type(one) is type(event)]
    assert sending([*TOLD, of(A, event), of(B, since)], A) == MailNeedless.model_validate(
        {"notice": notice, "about": A, "reason": why}
    )


@pytest.mark.parametrize(
    "event",
    [dossier_accepted(), dossier_refused(), result_issued(), fee_paid(), duplicate_payment_found(), fee_waived(),
     supplement_received(), processing_started(), result_returned()],
)  # fmt: skip
def test_what_has_happened_is_told_whatever_has_happened_since(event: Event) -> None:
    since = [of(B, supplement_received()), of(C, fee_waived()), of(D, payment_failed())]
    assert isinstance(sending([*TOLD, of(A, event), *since], A), Owed)


def test_who_has_paid_for_a_refused_dossier_is_told_so_whichever_was_heard_first() -> None:
    paid, refused = of(A, fee_paid()), of(B, dossier_refused())
    late = _owed("payment-received", Facts(amount_vnd=FEE_VND, refused=True), A)
    assert sending([*TOLD, paid, refused], A) == sending([*TOLD, refused, paid], A) == late


def test_a_notice_that_is_out_is_sent_by_no_other_task() -> None:
    assert sending(TOLD, S) == MailLeft()
    given(NOTIFICATION, TOLD).when(MailLeft()).then_nothing()
    for late in (mail_taken(about=S), mail_refused(about=S), mail_deferred(about=S), mail_needless(about=S)):
        given(NOTIFICATION, TOLD).when(late).then_nothing()


# Corrected


MOVED = applicant(full_name=sealed("M"), email=sealed("F"), locale="en")
CORRECTED = applicant_corrected(applicant=MOVED)
NEWEST = recipient(full_name=sealed("M"), email=sealed("F"), locale="en", applicant_version=2)


def test_a_notice_that_is_under_way_goes_to_the_newest_address_in_the_newest_language() -> None:
    after = given(NOTIFICATION, [SUBMITTED]).when(CORRECTED).then_nothing()
    found = now(after.state, SendMail(about=S, applicant_version=1))
    assert isinstance(found, tuple)
    assert found[1] == NEWEST


@pytest.mark.parametrize("outcome", [mail_refused(about=S), mail_deferred(about=S)])
def test_a_no_to_an_address_that_was_corrected_meanwhile_is_no_word_about_the_new_one(outcome: Event) -> None:
    given(NOTIFICATION, [SUBMITTED, CORRECTED]).when(outcome).then(tasks=[mail(S, 2)])


def test_what_is_undeliverable_goes_to_the_new_address_in_order() -> None:
    lost = [SUBMITTED, notice_undeliverable(about=S), of(A, dossier_accepted(), 1), notice_undeliverable(about=A)]
    begun = given(NOTIFICATION, lost).when(CORRECTED).then(tasks=[mail(S, 2)])
    begun.when(mail_taken(about=S)).then(notice_sent(about=S), tasks=[mail(A, 2)])


def test_what_is_delayed_goes_to_the_new_address_at_once_and_its_old_task_leaves_it_alone() -> None:
    delayed = [SUBMITTED, notice_delayed(about=S)]
    begun = given(NOTIFICATION, delayed).when(CORRECTED).then(tasks=[mail(S, 2)])
    assert now(begun.state, SendMail(about=S, applicant_version=1, since=AT, told=True)) == MailLeft()
    assert isinstance(now(begun.state, SendMail(about=S, applicant_version=2)), tuple)
    for old in (mail_refused(about=S, told=True), mail_deferred(about=S, told=True)):
        begun.when(old).then_nothing()


def test_what_the_new_address_does_not_take_either_is_told_of_it_anew() -> None:
    known = given(NOTIFICATION, [SUBMITTED, notice_delayed(about=S), CORRECTED])
    held = known.when(mail_deferred(about=S, applicant_version=2)).then(
        notice_delayed(about=S, applicant_version=2), tasks=[SEND_AGAIN]
    )
    held.when(mail_refused(about=S, applicant_version=2, told=True, reason="expired")).then(
        notice_undeliverable(about=S, applicant_version=2, reason="expired")
    )


def test_what_is_out_is_not_sent_again_to_a_new_address() -> None:
    given(NOTIFICATION, TOLD).when(CORRECTED).then_nothing()


def test_an_undeliverable_request_that_is_settled_is_not_sent_to_the_new_address() -> None:
    lost = [
        *TOLD,
        of(A, payment_requested()),
        notice_undeliverable(about=A),
        of(B, fee_paid(), 1),
        notice_sent(about=B),
    ]
    begun = given(NOTIFICATION, lost).when(CORRECTED).then(tasks=[mail(A, 2)])
    assert now(begun.state, SendMail(about=A, applicant_version=2)) == MailNeedless(
        notice="payment-due", about=A, reason="settled"
    )


def test_a_correction_of_an_applicant_whom_nobody_knows_makes_no_recipient() -> None:
    given(NOTIFICATION, [applicant_corrected()]).when(dossier_accepted()).then_nothing()


# After a discarded failure, a restore, an upgrade


def test_a_mail_that_an_operator_gives_up_is_told_and_holds_up_nobody() -> None:
    failed = given(NOTIFICATION, [SUBMITTED, of(A, dossier_accepted(), 1)])
    failed.when(MailDiscarded()).then(notice_undeliverable(about=S, reason="discarded"), tasks=[mail(A)])
    given(NOTIFICATION, TOLD).when(MailDiscarded()).then_nothing()


EARLIER = of(B, payment_failed(), -5)
"""Heard after what it was said before."""


def test_it_is_the_notice_of_the_task_that_failed_that_is_given_up() -> None:
    failed = given(NOTIFICATION, [*TOLD, of(A, dossier_accepted(), 1), EARLIER])
    assert [one.about for one in waiting(failed.state, 1)] == [B, A]
    failed.when(MailDiscarded(about=A)).then(
        notice_undeliverable(notice="acceptance", about=A, reason="discarded"), tasks=[mail(B)]
    )
    failed.when(MailDiscarded(about=B)).then(
        notice_undeliverable(notice="payment-failed", about=B, reason="discarded"), tasks=[mail(A)]
    )


@pytest.mark.parametrize(
    "over", [notice_sent(about=A), notice_cancelled(about=A), notice_undeliverable(about=A)], ids=lambda one: one.TYPE
)
def test_a_mail_that_is_given_up_once_its_notice_is_over_takes_no_other_with_it(over: Event) -> None:
    given(NOTIFICATION, [*TOLD, of(A, dossier_accepted(), 1), EARLIER, over]).when(
        MailDiscarded(about=A)
    ).then_nothing()


def test_a_mail_to_an_address_that_was_corrected_meanwhile_is_given_up_for_the_one_that_has_taken_its_place() -> None:
    corrected = [*TOLD, of(A, dossier_accepted(), 1), notice_delayed(about=A), CORRECTED]
    given(NOTIFICATION, corrected).when(MailDiscarded(about=A, applicant_version=1, told=True)).then_nothing()
    given(NOTIFICATION, corrected).when(MailDiscarded(about=A, applicant_version=2)).then(
        notice_undeliverable(notice="acceptance", about=A, reason="discarded", applicant_version=2)
    )


def test_what_an_earlier_release_has_ordered_is_given_up_alone() -> None:
    before = Owed(notice="payment-due", about=A, facts=Facts(amount_vnd=FEE_VND, pay_url=PAY_URL))
    old = State.model_validate(
        {"intake": {"recipient": recipient().model_dump()}, "payment": {"owed": [before.model_dump()]}}
    )
    known = Situation(NOTIFICATION, old).when(of(B, dossier_accepted())).then(tasks=[mail(B)])
    known.when(MailDiscarded(owed=before)).then(notice_undeliverable(notice="payment-due", about=A, reason="discarded"))


@pytest.mark.parametrize(
    "kept",
    [
        SendMail(about=A, applicant_version=2, told=True),
        mail_refused(about=A, applicant_version=2, told=True),
        mail_deferred(about=A, applicant_version=2, told=True),
        MailDiscarded(about=A, applicant_version=2, told=True),
    ],
    ids=lambda one: type(one).__name__,
)
def test_a_task_and_what_it_came_to_tell_which_mail_is_given_up(kept: Model) -> None:
    task = given_up(json.loads(kept.model_dump_json()))
    assert task == Task(GIVEN_UP, MailDiscarded(about=A, applicant_version=2, told=True))


@pytest.mark.parametrize("kept", [mail_taken(about=A), mail_needless(about=A)], ids=lambda one: type(one).__name__)
def test_an_outcome_that_knows_no_address_tells_which_mail_it_was(kept: Model) -> None:
    assert given_up(json.loads(kept.model_dump_json())) == Task(GIVEN_UP, MailDiscarded(about=A))


def test_of_what_cannot_be_read_nobody_knows_which_mail_it_was() -> None:
    assert given_up({}) == Task(GIVEN_UP, MailDiscarded())


def test_what_was_ordered_by_an_outcome_that_is_taken_back_is_ordered_again() -> None:
    state = given(NOTIFICATION, [SUBMITTED, of(A, dossier_accepted(), 1), notice_sent(about=S)]).state
    last = message(notice_sent(about=S), at=AT, message_id=task_id(S, 1))
    assert NOTIFICATION.owed(state, last) == (mail(A),)
    assert NOTIFICATION.owed(given(NOTIFICATION, TOLD).state, last) == ()


def test_a_notice_that_is_out_is_not_sent_again_when_its_cause_is_heard_again_in_another_order() -> None:
    """After a restore: what we have said is taken back before what we had heard is heard again."""
    known = given(NOTIFICATION, [notice_sent(notice="payment-due", about=A), of(A, payment_requested())])
    known.when(SUBMITTED).then(tasks=[mail(S)])


def test_what_an_earlier_release_has_ordered_is_sent_as_it_was_and_holds_up_nobody() -> None:
    before = Owed(notice="payment-due", about=A, facts=Facts(amount_vnd=FEE_VND, pay_url=PAY_URL))
    old = State.model_validate(
        {"intake": {"recipient": recipient().model_dump()}, "payment": {"owed": [before.model_dump()]}}
    )
    asked = SendMail(owed=before, recipient=recipient())
    assert now(old, asked) == (before, recipient())
    known = Situation(NOTIFICATION, old).when(of(B, dossier_accepted())).then(tasks=[mail(B)])
    taken = known.when(mail_taken(notice="payment-due", about=A))
    assert taken.decision.events == (notice_sent(notice="payment-due", about=A),)


OLD = Owed(notice="payment-due", about=A, facts=ASKED)
ITS_TASK = {"owed": OLD, "recipient": recipient()}
"""What an earlier release has ordered, and what a task of it and its outcomes bear."""


def before_the_upgrade(*since: Given) -> Situation[State]:
    """A dossier as an earlier release has left it, its mail not out yet, and what was heard since."""
    kept = {"intake": {"recipient": recipient().model_dump()}, "payment": {"owed": [OLD.model_dump()]}}
    known = Situation(NOTIFICATION, State.model_validate(kept))
    for heard in since:
        known = Situation(NOTIFICATION, known.when(heard).state)
    return known


def test_what_an_earlier_release_has_ordered_and_a_mailbox_does_not_take_yet_is_tried_again() -> None:
    deferred = mail_deferred(notice="payment-due", about=A, **ITS_TASK)
    again = SendMail(about=A, applicant_version=1, since=deferred.since, told=True, **ITS_TASK)
    known = (
        before_the_upgrade()
        .when(deferred)
        .then(notice_delayed(notice="payment-due", about=A), tasks=[Task(SEND_AGAIN, again, after=deferred.again_at)])
    )
    assert now(known.state, again) == (OLD, recipient())


@pytest.mark.parametrize("outcome", [mail_refused, mail_deferred])
def test_what_an_earlier_release_has_ordered_goes_to_an_address_that_was_corrected_meanwhile(outcome: Any) -> None:
    known = before_the_upgrade(CORRECTED)
    again = Task(SEND, SendMail(about=A, applicant_version=2, **ITS_TASK))
    known.when(outcome(notice="payment-due", about=A, told=True, **ITS_TASK)).then(tasks=[again])


@pytest.mark.parametrize(
    "outcome", [mail_taken(notice="payment-due", about=A), mail_refused(notice="payment-due", about=A, **ITS_TASK)]
)
def test_what_an_earlier_release_has_ordered_orders_no_second_task_of_what_is_under_way(outcome: Event) -> None:
    assert before_the_upgrade(of(B, dossier_accepted())).when(outcome).decision.tasks == ()


def test_what_an_earlier_release_has_kept_for_an_applicant_who_was_not_known_is_sent() -> None:
    before = Owed(notice="payment-due", about=A, facts=Facts(amount_vnd=FEE_VND, pay_url=PAY_URL))
    old = State.model_validate({"payment": {"owed": [before.model_dump()]}})
    own = Task(SEND, SendMail(owed=before, recipient=recipient()))
    Situation(NOTIFICATION, old).when(SUBMITTED).then(tasks=[mail(S), own])
