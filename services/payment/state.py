"""What payment remembers of a dossier: one part per source."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Literal

from pydantic import Field

from shared.events import intake as filed
from shared.events import payment as said
from shared.events import verification as verified
from shared.events.base import Event, Model, UnknownWord, WaiverClaim
from shared.runtime.kernel.decider import Evolve, Message


class Filing(Model):
    """What the desk has said that a fee depends on."""

    code: str
    procedure: str
    case: str
    channel: Literal["direct", "online", "postal"] | UnknownWord
    agency: str
    submitted_at: datetime
    copies: int
    pages: int | None = None
    locale: Literal["vi", "en"] | UnknownWord
    waiver_claim: WaiverClaim | None = None
    applicant_version: int = 1
    refused: bool = False


class Identity(Model):
    """What verification has said: the newest data that have an answer, and whether it was "verified"."""

    applicant_version: int = 0
    verified: bool = False


class Account(Model):
    """What we have said."""

    kind: said.FeeKind | UnknownWord | None = None
    total_vnd: int = 0
    favour: said.Favour | None = None
    abandoned: bool = False
    reduced: bool = False
    settled: Literal["waived", "paid"] | UnknownWord | None = None
    reference: str | None = None
    requested_at: datetime | None = None
    transactions: tuple[str, ...] = ()


class State(Model):
    """A dossier as payment sees it."""

    intake: Filing | None = None
    verification: Identity = Field(default_factory=Identity)
    payment: Account = Field(default_factory=Account)

    @property
    def identity_verified(self) -> bool:
        """Whether the newest data of the applicant that we know of are those of the register."""
        newest = self.intake.applicant_version if self.intake is not None else 0
        return self.verification.verified and self.verification.applicant_version >= newest

    @property
    def unpaid_since(self) -> datetime | None:
        """Since when money is asked for and has not come; None where nothing is waited for."""
        refused = self.intake is not None and self.intake.refused
        return None if refused or self.payment.settled is not None else self.payment.requested_at

    def assessed(self, fee: said.FeeAssessed) -> "State":
        """The state once this fee is said."""
        return _account(self, kind=fee.kind, total_vnd=fee.total_vnd, favour=fee.favour)


def _submitted(state: State, event: Message[filed.DossierSubmitted]) -> State:
    body = event.body
    filing = Filing(
        code=body.code, procedure=body.procedure, case=body.case, channel=body.channel, agency=body.agency,
        submitted_at=body.submitted_at, copies=body.copies, pages=body.pages, locale=body.applicant.locale,
        waiver_claim=body.waiver_claim,
    )  # fmt: skip
    return state.model_copy(update={"intake": filing})


def _filing(state: State, **changes: object) -> State:
    if state.intake is None:
        return state
    return state.model_copy(update={"intake": state.intake.model_copy(update=changes)})


def _corrected(state: State, event: Message[filed.ApplicantCorrected]) -> State:
    return _filing(state, applicant_version=event.body.applicant_version)


def _refused(state: State, event: Message[filed.DossierRefused]) -> State:
    return _filing(state, refused=True)


_Answer = verified.CitizenVerified | verified.CitizenMismatched | verified.CitizenNotFound


def _answered(state: State, event: Message[_Answer]) -> State:
    before, version = state.verification, event.body.applicant_version
    if version < before.applicant_version:
        return state
    same = version == before.applicant_version
    found = isinstance(event.body, verified.CitizenVerified) or same and before.verified
    identity = before.model_copy(update={"applicant_version": version, "verified": found})
    return state.model_copy(update={"verification": identity})


def _account(state: State, **changes: object) -> State:
    return state.model_copy(update={"payment": state.payment.model_copy(update=changes)})


def _assessed(state: State, event: Message[said.FeeAssessed]) -> State:
    return state.assessed(event.body)


def _abandoned(state: State, event: Message[said.FeeAbandoned]) -> State:
    return _account(state, abandoned=True)


def _reduced(state: State, event: Message[said.FeeReduced]) -> State:
    return _account(state, reduced=True)


def _waived(state: State, event: Message[said.FeeWaived]) -> State:
    return _account(state, settled="waived")


def _requested(state: State, event: Message[said.PaymentRequested]) -> State:
    return _account(state, reference=event.body.reference, requested_at=event.at)


def _paid(state: State, event: Message[said.FeePaid]) -> State:
    return _account(state, settled="paid", transactions=(*state.payment.transactions, event.body.transaction_no))


def _again(state: State, event: Message[said.DuplicatePaymentFound]) -> State:
    return _account(state, transactions=(*state.payment.transactions, event.body.transaction_no))


EVOLVES: Mapping[type[Event], Evolve] = MappingProxyType(
    {
        filed.DossierSubmitted: _submitted,
        filed.ApplicantCorrected: _corrected,
        filed.DossierRefused: _refused,
        verified.CitizenVerified: _answered,
        verified.CitizenMismatched: _answered,
        verified.CitizenNotFound: _answered,
        said.FeeAssessed: _assessed,
        said.FeeAbandoned: _abandoned,
        said.FeeReduced: _reduced,
        said.FeeWaived: _waived,
        said.PaymentRequested: _requested,
        said.FeePaid: _paid,
        said.DuplicatePaymentFound: _again,
    }
)
