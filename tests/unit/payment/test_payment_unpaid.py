"""Since when money is asked for and has not come: what is counted as unpaid, and for how long."""

from collections.abc import Sequence

import pytest

from shared.events.base import Event
from tests.controls import (
    AT,
    citizen_verified,
    dossier_refused,
    dossier_submitted,
    fee_assessed,
    fee_paid,
    fee_waived,
    payment_failed,
    payment_requested,
)
from tests.deciders import PAYMENT
from tests.given import given

ASSESSED: tuple[Event, ...] = (dossier_submitted(), citizen_verified(), fee_assessed())
ASKED = (*ASSESSED, payment_requested())


@pytest.mark.parametrize(
    ("events", "waits"),
    [
        ((), False),
        (ASSESSED, False),
        (ASKED, True),
        ((*ASKED, payment_failed()), True),
        ((*ASKED, fee_paid()), False),
        ((*ASSESSED, fee_waived()), False),
        ((*ASKED, dossier_refused()), False),
        ((payment_requested(), dossier_submitted()), True),
    ],
    ids=["nothing", "assessed", "asked", "failed", "paid", "waived", "refused", "heard the other way round"],
)
def test_a_fee_is_unpaid_from_the_request_until_it_is_paid_or_nobody_wants_it(
    events: Sequence[Event], waits: bool
) -> None:
    assert given(PAYMENT, events).state.unpaid_since == (AT if waits else None)
