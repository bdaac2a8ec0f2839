"""What notification remembers of a dossier: how to reach the applicant (sealed), which notices are owed, in order, and
what became of them.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Literal
from uuid import UUID

from pydantic import Field

from shared.events import intake as filed
from shared.events import notification as said
from shared.events import payment as paid
from shared.events.base import Event, Model, Sealed, UnknownWord
from shared.runtime.kernel.decider import Evolve, Message
from shared.wording import Language, told_in

EMAIL = "email"
"""The way of reaching somebody (`shared/law/ways.py`) that mails need."""


class Facts(Model):
    """What a notice tells besides the code: only what is not personal."""

    respond_by: datetime | None = None
    papers: tuple[str, ...] = ()
    correct_applicant: bool = False
    fields: tuple[str, ...] = ()
    request: UUID | None = None
    amount_vnd: int | None = None
    pay_url: str | None = None
    due_at: datetime | None = None
    reason: str | None = None
    accept_by: datetime | None = None
    refused: bool = False
    at: datetime | None = None
    basis: str | None = None
    claim_unmet: paid.ClaimUnmet | UnknownWord | None = None
    failed: int = 0
    transaction_no: str | None = None
    handover: Literal["counter", "online", "postal"] | UnknownWord | None = None


class Owed(Model):
    """A notice that an event owes to the applicant; `note` is what the officer wrote, sealed (`note`). `at` (UTC) is
    when the event was said; what earlier releases have put down has none, and a task of its own.
    """

    notice: said.NoticeKind | UnknownWord
    about: UUID
    facts: Facts
    note: Sealed | None = None
    at: datetime | None = None


class Recipient(Model):
    """The applicant, as the newest data say, and the application itself."""

    code: str
    procedure: str
    agency: str
    submitted_at: datetime
    applicant_version: int
    locale: Literal["vi", "en"] | UnknownWord
    full_name: Sealed
    email: Sealed
    by_email: bool = True

    @property
    def language(self) -> Language:
        """In which they are told."""
        return told_in(self.locale)


class Desk(Model):
    """What the desk has said: the notices that it owes, whom they go to, the request for a supplement that stands
    (`asked`, its event), and of what an officer has told them otherwise.
    """

    recipient: Recipient | None = None
    refused: bool = False
    due_at: datetime | None = None
    owed: tuple[Owed, ...] = ()
    asked: UUID | None = None
    told: tuple[UUID, ...] = ()


class Money(Model):
    """What payment has said: the notices that it owes (told later where the application is not heard yet), and what a
    later one tells besides: the basis of a reduction, why a claim changes nothing, attempts that failed. `asked` is the
    request for payment that stands, unless it is `settled`.
    """

    owed: tuple[Owed, ...] = ()
    basis: str | None = None
    claim_unmet: paid.ClaimUnmet | UnknownWord | None = None
    failed: int = 0
    failure_told_at: datetime | None = None
    asked: UUID | None = None
    settled: bool = False


_NO_MONEY, _NO_DESK = Money(), Desk()


class Sent(Model):
    """What we have said: `done` is sent or cancelled; of the undeliverable and the delayed ones, by which state of the
    applicant's data (event → `applicant_version`).
    """

    done: tuple[UUID, ...] = ()
    undeliverable: Mapping[UUID, int] = Field(default_factory=dict)
    delayed: Mapping[UUID, int] = Field(default_factory=dict)


class State(Model):
    """A dossier as notification sees it."""

    intake: Desk = Field(default_factory=Desk)
    payment: Money = Field(default_factory=Money)
    notification: Sent = Field(default_factory=Sent)

    @property
    def recipient(self) -> Recipient | None:
        """To whom a notice goes now."""
        return self.intake.recipient

    @property
    def applicant_version(self) -> int:
        """Which state of the applicant's data is the newest; 0 while they are not known."""
        return self.intake.recipient.applicant_version if self.intake.recipient else 0


def _submitted(state: State, event: Message[filed.DossierSubmitted]) -> State:
    body = event.body
    recipient = Recipient(
        code=body.code, procedure=body.procedure, agency=body.agency, submitted_at=body.submitted_at,
        applicant_version=body.applicant_version,
        locale=body.applicant.locale, full_name=body.applicant.full_name, email=body.applicant.email,
        by_email=EMAIL in body.applicant.ways,
    )  # fmt: skip
    return _desk(state, event, recipient=recipient)


def _desk(state: State, event: Message[Event], **changes: object) -> State:
    """What the desk has said, with the notice that it owes."""
    owed = owed_by(event, desk=state.intake)
    if owed is not None:
        changes["owed"] = (*state.intake.owed, owed)
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
            "by_email": EMAIL in body.applicant.ways,
        }
    )
    return _desk(state, event, recipient=recipient)


def _asked(state: State, event: Message[filed.SupplementRequested]) -> State:
    return _desk(state, event, asked=event.id)


def _supplied(state: State, event: Message[filed.SupplementReceived]) -> State:
    return _desk(state, event, asked=None)


def _lapsed(state: State, event: Message[filed.SupplementLapsed]) -> State:
    return _desk(state, event, asked=None)


def _accepted(state: State, event: Message[filed.DossierAccepted]) -> State:
    return _desk(state, event, due_at=event.body.due_at, asked=None)


def _told_otherwise(state: State, event: Message[filed.ApplicantTold]) -> State:
    return _desk(state, event, told=tuple(dict.fromkeys((*state.intake.told, *event.body.about))))


def _refused(state: State, event: Message[filed.DossierRefused]) -> State:
    return _desk(state, event, refused=True)


FAILURES_APART = timedelta(hours=1)
"""Attempts to pay that fail within this time of one that was told make no mail of their own (the bank's page has said
so); the receipt counts them.
"""


def owed_by(event: Message[Event], money: Money = _NO_MONEY, desk: Desk = _NO_DESK) -> Owed | None:
    """The notice that an event owes, if any: one table of what people are told. `money` and `desk` are what the same
    source had said before.

    A reduction, and a claim that does not apply, are told with the request for payment that follows from them.
    """
    found = (
        _owed_at_the_door(event)
        or _owed_by_a_deadline(event, desk)
        or _owed_in_process(event, desk)
        or _owed_by_payment(event, money)
    )
    if found is None:
        return None
    notice, facts = found
    return Owed(notice=notice, about=event.id, facts=facts, note=getattr(event.body, "note", None), at=event.at)


_Notice = tuple[said.NoticeKind, Facts] | None


def _owed_at_the_door(event: Message[Event]) -> _Notice:
    body = event.body
    match body:
        case filed.DossierSubmitted():
            return "submission", Facts(accept_by=body.accept_by, papers=body.missing_papers)
        case filed.SupplementRequested():
            return "supplement", Facts(
                papers=body.papers, correct_applicant=body.correct_applicant, fields=body.fields,
                respond_by=body.respond_by,
            )  # fmt: skip
        case filed.SupplementReceived():
            return "supplement-received", Facts(papers=tuple(paper.code for paper in body.papers), at=event.at)
        case filed.DossierAccepted():
            return "acceptance", Facts(due_at=body.due_at)
        case filed.DossierRefused():
            return "refusal", Facts(reason=body.reason)
    return None


def _owed_by_a_deadline(event: Message[Event], desk: Desk) -> _Notice:
    """Told with what was asked for, where the request itself is known."""
    body = event.body
    if not isinstance(body, filed.SupplementReminderDue | filed.SupplementLapsed):
        return None
    asked = next((one.facts for one in reversed(desk.owed) if one.notice == "supplement"), Facts())
    facts = asked.model_copy(update={"respond_by": body.respond_by, "request": body.request})
    return "supplement-reminder" if isinstance(body, filed.SupplementReminderDue) else "supplement-lapsed", facts


def _owed_in_process(event: Message[Event], desk: Desk) -> _Notice:
    body = event.body
    match body:
        case filed.ProcessingStarted():
            return "processing", Facts(at=event.at, due_at=desk.due_at)
        case filed.ResultIssued():
            return "result", Facts()
        case filed.ResultReturned():
            return "returned", Facts(at=event.at, handover=body.handover)
    return None


def _owed_by_payment(event: Message[Event], money: Money) -> _Notice:
    body = event.body
    match body:
        case paid.FeeAssessed() if body.claim_unmet == "no-fee":
            return "no-fee", Facts()
        case paid.FeeWaived():
            return "waiver", Facts(at=event.at, basis=body.favour.basis)
        case paid.PaymentRequested():
            return "payment-due", Facts(
                amount_vnd=body.amount_vnd, pay_url=body.pay_url, basis=money.basis, claim_unmet=money.claim_unmet
            )
        case paid.PaymentFailed() if not _told_lately(event, money):
            asked = next((one.facts for one in reversed(money.owed) if one.notice == "payment-due"), Facts())
            return "payment-failed", Facts(at=event.at, amount_vnd=asked.amount_vnd, pay_url=asked.pay_url)
        case paid.FeePaid():
            return "payment-received", Facts(amount_vnd=body.amount_vnd, failed=money.failed)
        case paid.DuplicatePaymentFound():
            return "payment-duplicate", Facts(
                amount_vnd=body.amount_vnd, at=event.at, transaction_no=body.transaction_no
            )
    return None


def _told_lately(event: Message[Event], money: Money) -> bool:
    return money.failure_told_at is not None and event.at < money.failure_told_at + FAILURES_APART


_Money = (
    paid.FeeAssessed
    | paid.FeeReduced
    | paid.FeeWaived
    | paid.PaymentRequested
    | paid.PaymentFailed
    | paid.FeePaid
    | paid.DuplicatePaymentFound
)


def _money(state: State, event: Message[_Money]) -> State:
    money, body = state.payment, event.body
    owed = owed_by(event, money)
    changes: dict[str, object] = {} if owed is None else {"owed": (*money.owed, owed)}
    match body:
        case paid.FeeAssessed():
            changes["claim_unmet"] = body.claim_unmet
        case paid.FeeReduced():
            changes["basis"] = body.favour.basis
        case paid.PaymentFailed():
            changes["failed"] = money.failed + 1
            changes["failure_told_at"] = money.failure_told_at if owed is None else event.at
        case paid.PaymentRequested():
            changes["asked"] = event.id
        case paid.FeePaid() | paid.FeeWaived():
            changes["settled"] = True
    return state.model_copy(update={"payment": money.model_copy(update=changes)})


def _told(state: State, **changes: object) -> State:
    return state.model_copy(update={"notification": state.notification.model_copy(update=changes)})


def _done(state: State, event: Message[said.NoticeSent | said.NoticeCancelled]) -> State:
    return _told(state, done=(*state.notification.done, event.body.about))


def _undeliverable(state: State, event: Message[said.NoticeUndeliverable]) -> State:
    """Over, until the applicant's data are corrected; if an earlier release did not say by which data: over."""
    body = event.body
    if body.applicant_version is None:
        return _told(state, done=(*state.notification.done, body.about))
    return _told(state, undeliverable={**state.notification.undeliverable, body.about: body.applicant_version})


def _delayed(state: State, event: Message[said.NoticeDelayed]) -> State:
    return _told(state, delayed={**state.notification.delayed, event.body.about: event.body.applicant_version})


EVOLVES: Mapping[type[Event], Evolve] = MappingProxyType(
    {
        filed.DossierSubmitted: _submitted,
        filed.ApplicantCorrected: _corrected,
        filed.SupplementRequested: _asked,
        filed.SupplementReminderDue: _desk,
        filed.SupplementReceived: _supplied,
        filed.SupplementLapsed: _lapsed,
        filed.DossierAccepted: _accepted,
        filed.DossierRefused: _refused,
        filed.ApplicantTold: _told_otherwise,
        filed.ProcessingStarted: _desk,
        filed.ResultIssued: _desk,
        filed.ResultReturned: _desk,
        paid.FeeAssessed: _money,
        paid.FeeReduced: _money,
        paid.FeeWaived: _money,
        paid.PaymentRequested: _money,
        paid.PaymentFailed: _money,
        paid.FeePaid: _money,
        paid.DuplicatePaymentFound: _money,
        said.NoticeSent: _done,
        said.NoticeCancelled: _done,
        said.NoticeUndeliverable: _undeliverable,
        said.NoticeDelayed: _delayed,
    }
)
