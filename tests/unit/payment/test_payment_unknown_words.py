"""Nobody is asked for money because of a word that this release does not know; a release that knows it goes on."""

from typing import Any

import pytest

from services.payment.rules import AssessFee, Settle
from services.payment.tasks import assess_fee, settle
from shared.errors import TooNew
from shared.events.base import UnknownWord
from shared.runtime.kernel.decider import Task
from shared.runtime.tasks.kinds import Attempt
from tests import controls
from tests.controls import AT, DOSSIER, MESSAGE, citizen_verified, dossier_submitted, favour, fee_assessed, filing
from tests.deciders import LAW, PAYMENT
from tests.given import given
from tests.tomorrow import WORD
from tests.unit.keys import HERE

OTHER = UnknownWord(WORD)
FEE = fee_assessed(kind=OTHER)


def _attempt(payload: Any) -> Attempt:
    return Attempt(MESSAGE, DOSSIER, payload, 1, AT)


async def test_a_fee_by_an_unknown_channel_waits_for_a_release_that_knows_its_tariff() -> None:
    filed = dossier_submitted(channel=OTHER)
    asked = AssessFee(filing=filing(channel=OTHER))
    given(PAYMENT, [filed]).when(citizen_verified()).then(tasks=[Task("assess-fee", asked)])
    with pytest.raises(TooNew):
        await assess_fee(LAW, HERE, _attempt(asked))


@pytest.mark.parametrize("fee", [FEE, FEE.model_copy(update={"total_vnd": 0, "favour": favour()})])
async def test_of_a_fee_of_an_unknown_kind_nothing_follows_until_a_release_knows_it(fee: Any) -> None:
    alarm = Task("settle-fee", Settle(kind=OTHER))
    verified = given(PAYMENT, [dossier_submitted(), citizen_verified()])
    verified.when(controls.fee_found(fee=fee)).then(fee, tasks=[alarm])
    given(PAYMENT, [dossier_submitted(), fee]).when(citizen_verified()).then(tasks=[alarm])
    with pytest.raises(TooNew):
        await settle(_attempt(alarm.payload))


async def test_the_release_that_knows_the_kind_does_what_follows_from_it_once() -> None:
    alarm = Settle(kind="charged")
    assert await settle(_attempt(alarm)) == alarm
    assessed = given(PAYMENT, [dossier_submitted(), citizen_verified(), fee_assessed()])
    assessed.when(alarm).then(tasks=["open-payment"])
    given(PAYMENT, [dossier_submitted(), fee_assessed()]).when(alarm).then_nothing()
    paid = given(PAYMENT, [dossier_submitted(), citizen_verified(), fee_assessed(), controls.payment_requested()])
    paid.when(alarm).then_nothing()


def test_a_fee_settled_in_a_way_of_tomorrow_is_settled() -> None:
    state = given(PAYMENT, [dossier_submitted(), citizen_verified(), fee_assessed()]).state
    settled = state.model_copy(update={"payment": state.payment.model_copy(update={"settled": OTHER})})
    assert PAYMENT.decide(settled, controls.message(citizen_verified())).tasks == ()
    assert settled.unpaid_since is None
