"""What payment says: fees, waivers, reductions, payments. Only services/payment may publish these."""

from typing import Annotated, Literal

from pydantic import StringConstraints

from shared.events.base import Digest, Dong, Event, FeeLine, Instant, Model, UnknownWord, Word

Url = Annotated[str, StringConstraints(pattern=r"^https?://[^\s]{1,2000}$")]
BankReference = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]{1,100}$")]

FeeKind = Literal["none", "charged", "reduction", "waiver"]
ClaimUnmet = Literal["no-fee", "not-listed", "not-in-force", "other-conditions", "not-less"]


class Favour(Model):
    """The rule by which less or nothing is owed, and its legal basis (F2)."""

    rule: Word
    basis: Annotated[str, StringConstraints(max_length=200)]


class FeeAssessed(Event):
    """What the dossier costs (F1), said once. `total_vnd` is what is owed after any waiver or reduction; `claim_unmet`
    is why a claim to pay less changes nothing here (F2).
    """

    TYPE = "vn.gov.dossier.fee-assessed.v1"
    VERSION = "1.2.0"
    kind: FeeKind | UnknownWord
    lines: tuple[FeeLine, ...]
    total_vnd: Dong
    favour: Favour | None
    catalogue: Word
    claim_unmet: ClaimUnmet | UnknownWord | None = None


class FeeWaived(Event):
    """Nothing is owed, on this legal basis and evidence (F2)."""

    TYPE = "vn.gov.dossier.fee-waived.v1"
    favour: Favour
    evidence_sha256: Digest


class FeeReduced(Event):
    """Less is owed, on this legal basis and evidence (F2)."""

    TYPE = "vn.gov.dossier.fee-reduced.v1"
    favour: Favour
    evidence_sha256: Digest
    total_vnd: Dong


class PaymentRequested(Event):
    """The citizen can pay: the bank's page, under this reference."""

    TYPE = "vn.gov.dossier.payment-requested.v1"
    reference: BankReference
    amount_vnd: Dong
    pay_url: Url


class FeePaid(Event):
    """The bank has told, under its signature, that the fee is paid."""

    TYPE = "vn.gov.dossier.fee-paid.v1"
    reference: BankReference
    amount_vnd: Dong
    transaction_no: Word
    bank: Word
    paid_at: Instant


class PaymentFailed(Event):
    """The bank has told that an attempt failed; not final, a later success wins (F5)."""

    TYPE = "vn.gov.dossier.payment-failed.v1"
    reference: BankReference
    response_code: Word
    transaction_no: Word


class DuplicatePaymentFound(Event):
    """The same fee was paid a second time (F4): recorded, never lost."""

    TYPE = "vn.gov.dossier.duplicate-payment-found.v1"
    reference: BankReference
    amount_vnd: Dong
    transaction_no: Word


class FeeAbandoned(Event):
    """The fee can no longer be assessed, for the key of the claim was destroyed."""

    TYPE = "vn.gov.dossier.fee-abandoned.v1"
    VERSION = "1.1.0"
    reason: Literal["key-destroyed"] | UnknownWord
