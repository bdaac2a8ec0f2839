"""What notification remembers of a dossier: how to reach the applicant (sealed), and which notices are owed and
gone.
"""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Literal
from uuid import UUID

from pydantic import Field

from shared.events import intake as filed
from shared.events import notification as said
from shared.events import payment as paid
from shared.events.base import Event, Model, Sealed
from shared.runtime.decider import Evolve, Message


class Facts(Model):
    """What a notice tells besides the code: only what is not personal."""

    respond_by: datetime | None = None
    papers: tuple[str, ...] = ()
    correct_applicant: bool = False
    fields: tuple[str, ...] = ()
    amount_vnd: int | None = None
    pay_url: str | None = None
    due_at: datetime | None = None
    reason: str | None = None
    accept_by: datetime | None = None
    refused: bool = False


class Owed(Model):
    """A notice that an event owes to the applicant; `note` is what the officer wrote, sealed (`note`)."""

    notice: said.NoticeKind
    about: UUID
    facts: Facts
    note: Sealed | None = None


class Recipient(Model):
    """The applicant, as the newest data say, and the application itself."""

    code: str
    procedure: str
    agency: str
    submitted_at: datetime
    applicant_version: int
    locale: Literal["vi", "en"]
    full_name: Sealed
    email: Sealed


class Desk(Model):
    """What the desk has said."""

    recipient: Recipient | None = None
    refused: bool = False


class Money(Model):
    """Notices owed by what payment said before the application was heard."""

    owed: tuple[Owed, ...] = ()


class Sent(Model):
    """What we have said."""

    done: tuple[UUID, ...] = ()


class State(Model):
    """A dossier as notification sees it."""

    intake: Desk = Field(default_factory=Desk)
    payment: Money = Field(default_factory=Money)
    notification: Sent = Field(default_factory=Sent)

    @property
    def recipient(self) -> Recipient | None:
        """To whom a notice goes now."""
        return self.intake.recipient


def _submitted(state: State, event: Message[filed.DossierSubmitted]) -> State:
    body = event.body
    recipient = Recipient(
        code=body.code, procedure=body.procedure, agency=body.agency, submitted_at=body.submitted_at,
        applicant_version=body.applicant_version,
        locale=body.applicant.locale, full_name=body.applicant.full_name, email=body.applicant.email,
    )  # fmt: skip
    return _desk(state, recipient=recipient)


def _desk(state: State, **changes: object) -> State:
    return state.model_copy(update={"intake": state.intake.model_copy(update=changes)})


def _corrected(state: State, event: Message[filed.ApplicantCorrected]) -> State:
    body, before = event.body, state.intake.recipient
    if before is None:
        return state
    recipient = before.model_copy(
        update={
            "applicant_version": body.applicant_version,
            "locale": body.applicant.locale,
            "full_name": body.applicant.full_name,
            "email": body.applicant.email,
        }
    )
    return _desk(state, recipient=recipient)


def _refused(state: State, event: Message[filed.DossierRefused]) -> State:
    return _desk(state, refused=True)


def owed_by(event: Message[Event], *, refused: bool = False) -> Owed | None:
    """The notice that an event owes, if any: one table of what people are told.

    `refused`: the dossier's refusal was heard before. Then no fee is asked for any more (the desk refuses while
    payment, which has not heard it yet, signs a page), and what comes in all the same does not lead to acceptance.
    """
    body = event.body
    match body:
        case filed.DossierSubmitted():
            facts = Facts(accept_by=body.accept_by, papers=body.missing_papers)
            return Owed(notice="submission", about=event.id, facts=facts)
        case filed.SupplementRequested():
            facts = Facts(
                papers=body.papers, correct_applicant=body.correct_applicant, fields=body.fields,
                respond_by=body.respond_by,
            )  # fmt: skip
            return Owed(notice="supplement", about=event.id, facts=facts, note=body.note)
        case filed.DossierAccepted():
            return Owed(notice="acceptance", about=event.id, facts=Facts(due_at=body.due_at))
        case filed.DossierRefused():
            return Owed(notice="refusal", about=event.id, facts=Facts(reason=body.reason), note=body.note)
        case filed.ResultIssued():
            return Owed(notice="result", about=event.id, facts=Facts())
        case paid.PaymentRequested() if not refused:
            facts = Facts(amount_vnd=body.amount_vnd, pay_url=body.pay_url)
            return Owed(notice="payment-due", about=event.id, facts=facts)
        case paid.FeePaid():
            facts = Facts(amount_vnd=body.amount_vnd, refused=refused)
            return Owed(notice="payment-received", about=event.id, facts=facts)
    return None


def _money(state: State, event: Message[paid.PaymentRequested | paid.FeePaid]) -> State:
    owed = owed_by(event)
    if owed is None:
        return state
    return state.model_copy(update={"payment": Money(owed=(*state.payment.owed, owed))})


def _told(state: State, event: Message[said.NoticeSent | said.NoticeUndeliverable]) -> State:
    return state.model_copy(update={"notification": Sent(done=(*state.notification.done, event.body.about))})


EVOLVES: Mapping[type[Event], Evolve] = MappingProxyType(
    {
        filed.DossierSubmitted: _submitted,
        filed.ApplicantCorrected: _corrected,
        filed.DossierRefused: _refused,
        paid.PaymentRequested: _money,
        paid.FeePaid: _money,
        said.NoticeSent: _told,
        said.NoticeUndeliverable: _told,
    }
)
