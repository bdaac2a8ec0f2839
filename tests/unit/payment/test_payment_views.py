"""Whose fee is asked for and unpaid: a row while it is, and as long."""

import pytest

from services.payment.views import unpaid
from shared.events.base import Event
from tests.controls import (
    AGENCY,
    AT,
    FEE_VND,
    dossier_refused,
    dossier_submitted,
    fee_assessed,
    fee_paid,
    fee_waived,
    payment_requested,
)
from tests.deciders import PAYMENT
from tests.given import given

ASKED = (dossier_submitted(), fee_assessed(), payment_requested())


def test_who_is_asked_to_pay_has_a_row_since_then() -> None:
    assert unpaid(given(PAYMENT, ASKED[:2]).state) is None
    assert unpaid(given(PAYMENT, ASKED).state) == {"unit": AGENCY, "since": AT, "total_vnd": FEE_VND}


@pytest.mark.parametrize("over", [fee_paid(), fee_waived(), dossier_refused()], ids=lambda event: type(event).__name__)
def test_whoever_has_paid_or_need_not_has_none(over: Event) -> None:
    assert unpaid(given(PAYMENT, (*ASKED, over)).state) is None
