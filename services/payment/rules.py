"""What payment decides: assess once after the first identity answer; ask for money, waive or reduce once verified.
Pure.

The group of a waiver claim is sealed, so the lines of the fee (F1, F2) are found by a task whose outcome carries rules
and amounts only; the bank's page is signed by another. A failure is never final: a later success wins (F5).
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Literal

from services.payment.state import Filing, State
from shared.errors import Refused
from shared.events import intake as filed
from shared.events import payment as said
from shared.events import verification as verified
from shared.events.base import Model, UnknownWord
from shared.runtime.kernel.decider import NOTHING, Command, Decision, Message, Outcome, Rule, Task


class AssessFee(Model):
    """The task: find the lines of the fee."""

    filing: Filing


class FeeFound(Outcome):
    """What the catalogue says the fee is."""

    fee: said.FeeAssessed


class ClaimKeyGone(Outcome):
    """The claim can no longer be opened."""


class Settle(Outcome):
    """The alarm for what follows from a fee of a kind that only a later release knows; that one rings it."""

    kind: said.FeeKind | UnknownWord


class OpenPayment(Model):
    """The task: sign a payment page for this amount under this reference."""

    reference: str
    amount_vnd: int
    code: str
    locale: Literal["vi", "en"] | UnknownWord
    asked_at: datetime


class PaymentOpened(Outcome):
    """The page is there."""

    reference: str
    amount_vnd: int
    pay_url: str


class ReportPayment(Command):
    """The bank tells, under its signature, what became of a payment. It may tell of parts of a đồng, which fit no
    request, and leave out when it was paid.
    """

    reference: str
    amount_vnd: int | Decimal
    currency: str
    success: bool
    response_code: str
    transaction_no: str
    bank: str
    paid_at: datetime | None

    @property
    def names_a_transaction(self) -> bool:
        """Whether the number is one: 0 stands for none, and whoever repeats such a report is known by all it says."""
        return bool(self.transaction_no.strip("0"))


def on_filing_or_answer(
    state: State,
    event: Message[filed.DossierSubmitted | verified.CitizenMismatched | verified.CitizenNotFound],
) -> Decision:
    """Assess once the application and a first identity answer are both known, whichever came first."""
    return _next(state)


def on_verified(state: State, event: Message[verified.CitizenVerified]) -> Decision:
    """Assess if that has not been done; otherwise say what is to be paid, unless the data were replaced meanwhile."""
    if state.payment.kind is None:
        return _next(state)
    return _settle(state, event) if state.identity_verified else NOTHING


def _next(state: State) -> Decision:
    """The task of assessing. It may be asked for twice; FeeAssessed is said once (`on_fee_found`)."""
    account = state.payment
    answered = state.verification.applicant_version > 0
    if state.intake is None or not answered or account.kind is not None or account.abandoned:
        return NOTHING
    return Decision(tasks=(Task("assess-fee", AssessFee(filing=state.intake)),))


def on_fee_found(state: State, outcome: Message[FeeFound]) -> Decision:
    """Say the fee, once; if the citizen is verified by now, also what follows from it."""
    fee = outcome.body.fee
    if state.payment.kind is not None:
        return NOTHING
    if not state.identity_verified:
        return Decision((fee,))
    follows = _settle(state.assessed(fee), outcome)
    return Decision((fee, *follows.events), follows.tasks)


def _settle(state: State, message: Message[Any]) -> Decision:
    """Nothing to pay, a waiver (F2; F3: no residue), or a request for payment after any reduction; each said once, and
    nothing of a dossier that was refused meanwhile. The page may be signed twice; it is told once.
    """
    account, filing = state.payment, state.intake
    if filing is None or filing.refused or account.kind == "none":
        return NOTHING
    if account.settled or account.reference:
        return NOTHING
    if isinstance(account.kind, UnknownWord):
        return Decision(tasks=(Task("settle-fee", Settle(kind=account.kind)),))
    favour, claim = account.favour, filing.waiver_claim
    if account.kind == "waiver" and favour is not None and claim is not None:
        return Decision((said.FeeWaived(favour=favour, evidence_sha256=claim.evidence_sha256),))
    pay = _open_payment(account.total_vnd, filing, message)
    if account.kind == "reduction" and not account.reduced and favour is not None and claim is not None:
        reduced = said.FeeReduced(favour=favour, evidence_sha256=claim.evidence_sha256, total_vnd=account.total_vnd)
        return Decision((reduced,), (pay,))
    return Decision(tasks=(pay,))


def on_settle(state: State, alarm: Message[Settle]) -> Decision:
    """What an earlier release did not know how to do, once the citizen is verified, as when a fee is found."""
    return _settle(state, alarm) if state.identity_verified else NOTHING


def owed(state: State, last: Message[Any]) -> tuple[Task, ...]:
    """The page that an assessed fee waits for: it is ordered by the outcome of a task, which nobody tells twice."""
    if state.payment.kind is None or not state.identity_verified:
        return ()
    return _settle(state, last).tasks


def _open_payment(amount_vnd: int, filing: Filing, message: Message[Any]) -> Task:
    """The reference names the dossier and the request (r1; a new request gets r2), so a callback finds its dossier."""
    page = OpenPayment(
        reference=f"{message.dossier_id.hex}r1",
        amount_vnd=amount_vnd,
        code=filing.code,
        locale=filing.locale,
        asked_at=message.at,
    )
    return Task("open-payment", page)


def on_payment_opened(state: State, outcome: Message[PaymentOpened]) -> Decision:
    """Tell where to pay, once."""
    body = outcome.body
    refused = state.intake is not None and state.intake.refused
    if refused or state.payment.reference is not None or state.payment.settled is not None:
        return NOTHING
    return Decision(
        (said.PaymentRequested(reference=body.reference, amount_vnd=body.amount_vnd, pay_url=body.pay_url),)
    )


def on_claim_key_gone(state: State, outcome: Message[ClaimKeyGone]) -> Decision:
    """Nobody can assess this fee any more: said once, and not of a fee that was assessed in time."""
    if state.payment.kind is not None or state.payment.abandoned:
        return NOTHING
    return Decision((said.FeeAbandoned(reason="key-destroyed"),))


def on_report(state: State, asked: Message[ReportPayment]) -> Decision:
    """Take the bank's word. Unknown reference, another amount or currency: refused (F6), and the door records what was
    asked for. A second payment: recorded (F4).
    """
    body, account = asked.body, state.payment
    if account.reference is None or account.reference != body.reference:
        raise Refused("DOS-PAY-002")
    if body.amount_vnd != account.total_vnd:
        raise Refused("DOS-PAY-003", facts={"asked_vnd": account.total_vnd})
    if body.currency != "VND":
        raise Refused("DOS-PAY-005", facts={"asked_vnd": account.total_vnd})
    if body.names_a_transaction and body.transaction_no in account.transactions:
        raise Refused("DOS-PAY-004")
    if not body.success:
        return _failed(state, body)
    if account.settled == "paid":
        again = said.DuplicatePaymentFound(
            reference=body.reference, amount_vnd=account.total_vnd, transaction_no=body.transaction_no
        )
        return Decision((again,))
    paid = said.FeePaid(
        reference=body.reference,
        amount_vnd=account.total_vnd,
        transaction_no=body.transaction_no,
        bank=body.bank,
        paid_at=body.paid_at or asked.at,
    )
    return Decision((paid,))


def _failed(state: State, body: ReportPayment) -> Decision:
    """A failure after the payment says nothing new; before it, it is told and the citizen may try again."""
    if state.payment.settled is not None:
        raise Refused("DOS-PAY-004")
    return Decision(
        (
            said.PaymentFailed(
                reference=body.reference, response_code=body.response_code, transaction_no=body.transaction_no
            ),
        )
    )


HEARS: Mapping[type[Model], Rule] = MappingProxyType(
    {
        filed.DossierSubmitted: on_filing_or_answer,
        verified.CitizenMismatched: on_filing_or_answer,
        verified.CitizenNotFound: on_filing_or_answer,
        verified.CitizenVerified: on_verified,
        FeeFound: on_fee_found,
        Settle: on_settle,
        ClaimKeyGone: on_claim_key_gone,
        PaymentOpened: on_payment_opened,
        ReportPayment: on_report,
    }
)
