"""Payment's tasks: find the fee (which needs the sealed group), and sign the bank's page (which needs the secret)."""

from collections.abc import Mapping
from functools import partial

from services.payment.gateways import PaymentPlatform
from services.payment.rules import AssessFee, ClaimKeyGone, FeeFound, OpenPayment, PaymentOpened, Settle
from services.payment.state import Filing
from shared.errors import KeyDestroyed, TooNew
from shared.events.base import FeeLine, UnknownWord
from shared.events.payment import Favour, FeeAssessed
from shared.law import fees
from shared.law.calendar import vietnam_date
from shared.law.catalogue import Catalogue
from shared.law.codes import province_of
from shared.runtime.kernel.decider import Outcome
from shared.runtime.keys.keyring import KeyRing
from shared.runtime.tasks.kinds import Attempt, TaskKind


async def assess_fee(law: Catalogue, keys: KeyRing, attempt: Attempt) -> Outcome:
    """Find the fee by the catalogue (F1, F2); the outcome names rules and amounts, never the group."""
    filing: Filing = attempt.payload.filing
    try:
        group = await _group(keys, attempt, filing)
    except KeyDestroyed:
        return ClaimKeyGone()
    return FeeFound(fee=assessed(law, filing, group))


async def _group(keys: KeyRing, attempt: Attempt, filing: Filing) -> str | None:
    if filing.waiver_claim is None:
        return None
    clear = await keys.open(attempt.dossier_id, {"waiver_claim.group": filing.waiver_claim.group})
    return clear["waiver_claim.group"]


def assessed(law: Catalogue, filing: Filing, group: str | None) -> FeeAssessed:
    """The fee of a filing by somebody of `group`, as the event says it. Pure. Raises TooNew for a channel that this
    release does not know: nobody is asked for what another tariff may say.
    """
    if isinstance(filing.channel, UnknownWord):
        raise TooNew("a channel that only a later release knows")
    facts = fees.Filing(
        procedure=filing.procedure,
        case=filing.case,
        channel=filing.channel,
        province=province_of(filing.agency),
        filed_on=vietnam_date(filing.submitted_at),
        copies=filing.copies,
        pages=filing.pages,
    )
    fee = fees.assess(law, facts, group)
    return FeeAssessed(
        kind=fee.kind,
        lines=tuple(FeeLine(rule=line.rule, amount_vnd=line.amount_vnd, basis=line.basis) for line in fee.lines),
        total_vnd=fee.total_vnd,
        favour=Favour(rule=fee.group_rule, basis=fee.group_basis) if fee.group_rule and fee.group_basis else None,
        catalogue=law.version,
        claim_unmet=fee.claim_unmet,
    )


async def settle(attempt: Attempt) -> Outcome:
    """The alarm rings as soon as the kind of fee is known. Raises TooNew until then."""
    asked: Settle = attempt.payload
    if isinstance(asked.kind, UnknownWord):
        raise TooNew("a kind of fee that only a later release knows")
    return asked


async def open_payment(platform: PaymentPlatform, attempt: Attempt) -> Outcome:
    """Sign the page on which the citizen pays."""
    asked: OpenPayment = attempt.payload
    return PaymentOpened(reference=asked.reference, amount_vnd=asked.amount_vnd, pay_url=platform.page(asked))


def kinds(law: Catalogue, keys: KeyRing, platform: PaymentPlatform) -> Mapping[str, TaskKind]:
    """Payment's tasks by name."""
    return {
        "assess-fee": TaskKind(AssessFee, partial(assess_fee, law, keys)),
        "settle-fee": TaskKind(Settle, settle),
        "open-payment": TaskKind(OpenPayment, partial(open_payment, platform)),
    }
