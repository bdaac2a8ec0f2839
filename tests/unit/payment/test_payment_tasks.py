"""Finding a fee by the catalogue, with the group of a claim opened only there; and signing the bank's page."""

from uuid import UUID

import pytest

from services.payment.rules import AssessFee, FeeFound, OpenPayment, PaymentOpened
from services.payment.tasks import assess_fee, open_payment
from shared.errors import KeyNotHere
from shared.runtime.tasks.kinds import Attempt
from tests import controls
from tests.controls import AT, DOSSIER, FEE_VND, REFERENCE, filing
from tests.deciders import LAW
from tests.unit.keys import DESTROYED, HERE, NOT_YET, sealed_field
from tests.unit.payment.test_payment_platform import PLATFORM

TASK = UUID(int=7)


def _attempt(group: str | None = None) -> Attempt:
    claim = controls.waiver_claim(group=sealed_field("waiver_claim.group", group)) if group else None
    return Attempt(TASK, DOSSIER, AssessFee(filing=filing(waiver_claim=claim)), 1, AT)


async def test_a_fee_without_a_claim_needs_no_key() -> None:
    found = await assess_fee(LAW, DESTROYED, _attempt())
    assert isinstance(found, FeeFound)
    assert (found.fee.kind, found.fee.total_vnd, found.fee.favour) == ("charged", FEE_VND, None)
    assert sum(line.amount_vnd for line in found.fee.lines) == FEE_VND
    assert found.fee.catalogue == LAW.version


async def test_a_group_that_the_law_favours_pays_nothing_and_the_outcome_does_not_name_the_group() -> None:
    found = await assess_fee(LAW, HERE, _attempt("orphan"))
    favour = controls.favour(basis="Thông tư 75/2022/TT-BTC")
    assert isinstance(found, FeeFound)
    assert (found.fee.kind, found.fee.total_vnd, found.fee.favour) == ("waiver", 0, favour)
    assert "orphan" not in found.model_dump_json()


async def test_a_group_that_no_rule_of_the_procedure_knows_changes_nothing_and_the_event_says_why() -> None:
    claimed, plain = await assess_fee(LAW, HERE, _attempt("poor-household")), await assess_fee(LAW, HERE, _attempt())
    assert isinstance(claimed, FeeFound) and isinstance(plain, FeeFound)  # noqa: PT018 - narrows both
    assert claimed.fee == plain.fee.model_copy(update={"claim_unmet": "not-listed"})
    assert "poor-household" not in claimed.model_dump_json()


async def test_a_claim_whose_key_was_destroyed_is_an_outcome_and_one_that_is_not_here_waits() -> None:
    assert await assess_fee(LAW, DESTROYED, _attempt("orphan")) == controls.claim_key_gone()
    with pytest.raises(KeyNotHere):
        await assess_fee(LAW, NOT_YET, _attempt("orphan"))


async def test_the_page_is_signed_for_exactly_what_was_asked() -> None:
    page = OpenPayment(reference=REFERENCE, amount_vnd=FEE_VND, code=controls.CODE, locale="vi", asked_at=AT)
    opened = await open_payment(PLATFORM, Attempt(TASK, DOSSIER, page, 1, AT))
    assert opened == PaymentOpened(reference=REFERENCE, amount_vnd=FEE_VND, pay_url=PLATFORM.page(page))
