"""Which events owe the applicant a notice, and that each is sent once, to the newest address."""

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
    fee_paid,
    mail_refused,
    mail_taken,
    message,
    notice_sent,
    notice_undeliverable,
    paper,
    payment_requested,
    recipient,
    result_issued,
    sealed,
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
    (dossier_accepted(), "acceptance", Facts(due_at=dossier_accepted().due_at)),
    (dossier_refused(), "refusal", Facts(reason="not-competent")),
    (result_issued(), "result", Facts()),
    (payment_requested(), "payment-due", Facts(amount_vnd=FEE_VND, pay_url=PAY_URL)),
    (fee_paid(), "payment-received", Facts(amount_vnd=FEE_VND)),
)
_TOLD = {type(dossier_submitted()), *(type(event) for event, *_ in OWING)}
QUIET = tuple(event for event in EVENTS if type(event) not in _TOLD)


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
