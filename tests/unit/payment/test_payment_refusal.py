"""Of a dossier that was refused at the door nobody asks for money, however late the register answers."""

from tests.controls import (
    citizen_verified,
    dossier_refused,
    dossier_submitted,
    fee_assessed,
    fee_found,
    payment_opened,
)
from tests.deciders import PAYMENT
from tests.given import given

REFUSED_EARLY = [dossier_submitted(), dossier_refused()]


def test_no_payment_is_opened_for_a_dossier_that_was_refused_before_the_citizen_was_verified() -> None:
    given(PAYMENT, [*REFUSED_EARLY, fee_assessed()]).when(citizen_verified()).then_nothing()


def test_the_fee_of_a_refused_dossier_is_assessed_but_not_asked_for() -> None:
    found = fee_found()
    given(PAYMENT, [*REFUSED_EARLY, citizen_verified()]).when(found).then(found.fee)


def test_a_payment_page_that_was_signed_meanwhile_is_not_told() -> None:
    given(PAYMENT, [*REFUSED_EARLY, citizen_verified(), fee_assessed()]).when(payment_opened()).then_nothing()
