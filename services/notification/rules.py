"""What notification decides: each event that owes a notice makes one mail, once the applicant is known. Pure."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal
from uuid import UUID

from services.notification.state import Owed, Recipient, State, after_refusal, owed_by
from shared.events import intake as filed
from shared.events import notification as said
from shared.events import payment as paid
from shared.events.base import Event, Model, Word
from shared.runtime.decider import NOTHING, Decision, Message, Outcome, Rule, Task


class SendMail(Model):
    """The task: one notice to the applicant, by e-mail."""

    owed: Owed
    recipient: Recipient


class MailTaken(Outcome):
    """The mail server has answered 250."""

    notice: said.NoticeKind
    about: UUID
    locale: Literal["vi", "en"]
    message_id: str


class MailRefused(Outcome):
    """The mail server has said a final no, or the address can no longer be opened."""

    notice: said.NoticeKind
    about: UUID
    reason: Word


def on_submitted(state: State, event: Message[filed.DossierSubmitted]) -> Decision:
    """Confirm the application; and send what payment made us owe before we had heard of it."""
    owed = owed_by(event)
    first = (owed,) if owed is not None else ()
    return _mails(state, (*first, *state.payment.owed))


def on_owing(state: State, event: Message[Event]) -> Decision:
    """Send the notice that this event of the desk owes."""
    owed = owed_by(event, desk=state.intake)
    return NOTHING if owed is None else _mails(state, (owed,))


def on_money(state: State, event: Message[Event]) -> Decision:
    """Send the notice that this event of payment owes, as it stands after a refusal if there was one; if the applicant
    is not known yet, it is sent when they are.
    """
    owed = next((one for one in state.payment.owed if one.about == event.id), None)
    if owed is not None and state.intake.refused:
        owed = after_refusal(owed)
    return NOTHING if owed is None else _mails(state, (owed,))


def _mails(state: State, owed: tuple[Owed, ...]) -> Decision:
    recipient = state.recipient
    if recipient is None:
        return NOTHING
    # What is out already was sent before a restore: heard again in another order, it would bear another task's id.
    left = [one for one in owed if one.about not in state.notification.done]
    return Decision(tasks=tuple(Task("send-mail", SendMail(owed=one, recipient=recipient)) for one in left))


def on_taken(state: State, outcome: Message[MailTaken]) -> Decision:
    """The notice is out."""
    body = outcome.body
    return Decision(
        (
            said.NoticeSent(
                notice=body.notice,
                about=body.about,
                channel="email",
                locale=body.locale,
                message_id=body.message_id,
            ),
        )
    )


def on_refused(state: State, outcome: Message[MailRefused]) -> Decision:
    """The notice cannot reach the applicant by mail."""
    body = outcome.body
    return Decision(
        (said.NoticeUndeliverable(notice=body.notice, about=body.about, channel="email", reason=body.reason),)
    )


HEARS: Mapping[type[Model], Rule] = MappingProxyType(
    {
        filed.DossierSubmitted: on_submitted,
        filed.SupplementRequested: on_owing,
        filed.SupplementReceived: on_owing,
        filed.DossierAccepted: on_owing,
        filed.DossierRefused: on_owing,
        filed.ProcessingStarted: on_owing,
        filed.ResultIssued: on_owing,
        filed.ResultReturned: on_owing,
        paid.FeeAssessed: on_money,
        paid.FeeWaived: on_money,
        paid.PaymentRequested: on_money,
        paid.PaymentFailed: on_money,
        paid.FeePaid: on_money,
        paid.DuplicatePaymentFound: on_money,
        MailTaken: on_taken,
        MailRefused: on_refused,
    }
)
