"""Which events owe the applicant a notice, and that each is sent once, to the newest address."""

from datetime import timedelta
from uuid import UUID

import pytest

from services.notification.rules import SendMail
from services.notification.state import Facts, Owed, Recipient
from shared.events.base import Event
from shared.runtime.decider import Message, Task
from tests.controls import (
    AT,
    EVENTS,
    FEE_VND,
    MESSAGE,
    PAY_URL,
    applicant,
    applicant_corrected,
    dossier_accepted,
    dossier_refused,
    dossier_submitted,
    duplicate_payment_found,
    fee_assessed,
    fee_paid,
    fee_reduced,
    fee_waived,
    mail_refused,
    mail_taken,
    message,
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
    supplement_received,
    supplement_requested,
)
from tests.deciders import NOTIFICATION
from tests.given import given

RECIPIENT = recipient()
NOTE = dossier_refused().note
FIRST, SECOND = UUID(int=1), UUID(int=2)

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
_TOLD = {type(dossier_submitted()), *(type(event) for event, *_ in OWING)}
QUIET = (*(event for event in EVENTS if type(event) not in _TOLD), fee_assessed(), fee_assessed(claim_unmet="not-less"))


def _mail(notice: str, facts: Facts, about: UUID = MESSAGE, to: Recipient = RECIPIENT) -> Task:
    note = NOTE if notice in ("supplement", "refusal") else None
    owed = Owed.model_validate({"notice": notice, "about": about, "facts": facts, "note": note})
    return Task("send-mail", SendMail(owed=owed, recipient=to))


SUBMISSION = Facts(accept_by=dossier_submitted().accept_by)


def test_the_application_is_confirmed_with_the_limit_of_its_acceptance() -> None:
    given(NOTIFICATION).when(dossier_submitted()).then(tasks=[_mail("submission", SUBMISSION)])


def test_the_confirmation_names_the_papers_that_lack() -> None:
    lacking = dossier_submitted(papers=(paper(),), missing_papers=("residence-papers",))
    facts = SUBMISSION.model_copy(update={"papers": ("residence-papers",)})
    given(NOTIFICATION).when(lacking).then(tasks=[_mail("submission", facts)])


@pytest.mark.parametrize(("event", "notice", "facts"), OWING)
def test_what_the_applicant_must_know_is_told_once(event: Event, notice: str, facts: Facts) -> None:
    given(NOTIFICATION, [dossier_submitted()]).when(event).then(tasks=[_mail(notice, facts)])


@pytest.mark.parametrize("event", QUIET, ids=lambda event: type(event).__name__)
def test_nothing_else_makes_a_mail(event: Event) -> None:
    given(NOTIFICATION, [dossier_submitted()]).when(event).then_nothing()


def test_a_notice_goes_to_the_newest_address_in_the_newest_language() -> None:
    moved = applicant(full_name=sealed("M"), email=sealed("F"), locale="en")
    corrected = given(NOTIFICATION, [dossier_submitted(), applicant_corrected(applicant=moved)])
    newest = recipient(full_name=sealed("M"), email=sealed("F"), locale="en", applicant_version=2)
    corrected.when(dossier_refused()).then(tasks=[_mail("refusal", Facts(reason="not-competent"), to=newest)])


def _early(event: Event, message_id: UUID) -> Message[Event]:
    return message(event, at=AT, message_id=message_id)


def test_a_payment_heard_before_the_application_is_told_when_the_applicant_is_known() -> None:
    asked, paid = _early(payment_requested(), FIRST), _early(fee_paid(), SECOND)
    early = given(NOTIFICATION).when(asked).then_nothing().when(paid).then_nothing()
    early.when(dossier_submitted()).then(
        tasks=[
            _mail("submission", SUBMISSION),
            _mail("payment-due", Facts(amount_vnd=FEE_VND, pay_url=PAY_URL), FIRST),
            _mail("payment-received", Facts(amount_vnd=FEE_VND), SECOND),
        ]
    )


def test_what_was_owed_early_is_not_told_a_second_time() -> None:
    known = given(NOTIFICATION, [_early(payment_requested(), FIRST), dossier_submitted()])
    known.when(fee_paid()).then(tasks=[_mail("payment-received", Facts(amount_vnd=FEE_VND))])


def test_a_notice_that_is_out_is_not_sent_again_when_its_cause_is_heard_again_in_another_order() -> None:
    """After a restore: what we have said is taken back before what we had heard is heard again."""
    known = given(NOTIFICATION, [notice_sent(notice="payment-due", about=FIRST), _early(payment_requested(), FIRST)])
    known.when(dossier_submitted()).then(tasks=[_mail("submission", SUBMISSION)])


REFUSED = [dossier_submitted(), dossier_refused()]
LATE = Facts(amount_vnd=FEE_VND, refused=True)


def test_a_refused_applicant_is_not_asked_for_a_fee_any_more() -> None:
    given(NOTIFICATION, REFUSED).when(payment_requested()).then_nothing()


def test_who_has_paid_for_a_refused_dossier_is_told_so_and_nothing_of_acceptance() -> None:
    asked = [dossier_submitted(), payment_requested(), dossier_refused()]
    given(NOTIFICATION, asked).when(fee_paid()).then(tasks=[_mail("payment-received", LATE)])


def test_a_refusal_is_not_forgotten_when_corrected_data_are_heard() -> None:
    newest = recipient(full_name=sealed("M"), applicant_version=2)
    corrected = given(NOTIFICATION, [*REFUSED, applicant_corrected()])
    corrected.when(fee_paid()).then(tasks=[_mail("payment-received", LATE, to=newest)])


def test_a_correction_of_an_applicant_whom_nobody_knows_makes_no_recipient() -> None:
    given(NOTIFICATION, [applicant_corrected()]).when(dossier_accepted()).then_nothing()


def test_a_mail_that_the_server_has_taken_is_said_to_be_sent() -> None:
    sent = given(NOTIFICATION, [dossier_submitted()]).when(mail_taken()).then(notice_sent())
    assert sent.state.notification.done == (MESSAGE,)


def test_a_mail_that_cannot_be_delivered_is_said_with_its_reason() -> None:
    lost = given(NOTIFICATION, [dossier_submitted()]).when(mail_refused(reason="key-destroyed"))
    assert lost.then(notice_undeliverable(reason="key-destroyed")).state.notification.done == (MESSAGE,)


LATER = AT + timedelta(minutes=59)
ASKED = Facts(amount_vnd=FEE_VND, pay_url=PAY_URL)


def test_a_failed_attempt_is_told_with_the_page_on_which_to_pay() -> None:
    failed = given(NOTIFICATION, [dossier_submitted(), payment_requested()]).when(payment_failed())
    failed.then(tasks=[_mail("payment-failed", ASKED.model_copy(update={"at": AT}))])


def test_attempts_that_fail_within_an_hour_make_one_mail_and_the_receipt_counts_them() -> None:
    asked = [dossier_submitted(), payment_requested(), payment_failed()]
    again = given(NOTIFICATION, asked).when(payment_failed(), at=LATER).then_nothing()
    again.when(fee_paid()).then(tasks=[_mail("payment-received", Facts(amount_vnd=FEE_VND, failed=2))])


def test_an_attempt_that_fails_an_hour_after_the_one_that_was_told_is_told_again() -> None:
    asked = [dossier_submitted(), payment_requested(), payment_failed()]
    late = AT + timedelta(hours=1)
    told = given(NOTIFICATION, asked).when(payment_failed(), at=LATER).then_nothing().when(payment_failed(), at=late)
    told.then(tasks=[_mail("payment-failed", ASKED.model_copy(update={"at": late}))])


def test_a_reduction_and_a_claim_that_does_not_apply_are_told_with_the_request_for_payment() -> None:
    reduced = given(NOTIFICATION, [dossier_submitted()]).when(fee_reduced()).then_nothing()
    reduced.when(payment_requested()).then(
        tasks=[_mail("payment-due", ASKED.model_copy(update={"basis": "TT 75/2022/TT-BTC"}))]
    )
    unmet = given(NOTIFICATION, [dossier_submitted()]).when(fee_assessed(claim_unmet="not-listed")).then_nothing()
    unmet.when(payment_requested()).then(
        tasks=[_mail("payment-due", ASKED.model_copy(update={"claim_unmet": "not-listed"}))]
    )


def test_the_beginning_of_the_work_is_told_with_the_date_of_the_result() -> None:
    accepted = given(NOTIFICATION, [dossier_submitted(), dossier_accepted()])
    facts = Facts(at=AT, due_at=dossier_accepted().due_at)
    accepted.when(processing_started()).then(tasks=[_mail("processing", facts)])


@pytest.mark.parametrize(
    "event", [payment_failed(), fee_waived(), fee_assessed(kind="none", total_vnd=0, claim_unmet="no-fee")]
)
def test_a_refused_applicant_is_told_of_no_fee_that_is_not_asked_for_any_more(event: Event) -> None:
    given(NOTIFICATION, REFUSED).when(event).then_nothing()


def test_a_second_payment_is_told_of_a_refused_dossier_too() -> None:
    asked = [dossier_submitted(), payment_requested(), fee_paid(), dossier_refused()]
    facts = Facts(at=AT, amount_vnd=FEE_VND, transaction_no=duplicate_payment_found().transaction_no)
    given(NOTIFICATION, asked).when(duplicate_payment_found()).then(tasks=[_mail("payment-duplicate", facts)])


@pytest.mark.parametrize(
    "event",
    [fee_waived(), payment_failed(), duplicate_payment_found(),
     fee_assessed(kind="none", total_vnd=0, claim_unmet="no-fee")],
)  # fmt: skip
def test_whatever_payment_said_before_the_application_was_heard_is_told_when_it_is(event: Event) -> None:
    early = given(NOTIFICATION).when(_early(event, FIRST)).then_nothing()
    tasks = early.when(dossier_submitted()).decision.tasks
    assert [task.payload.owed.about for task in tasks] == [MESSAGE, FIRST]  # type: ignore[attr-defined]
