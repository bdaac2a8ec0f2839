"""The bank's word: a later success wins (F5), a second payment is recorded (F4), what does not fit is refused (F6)."""

from datetime import timedelta
from decimal import Decimal

import pytest

from shared.events.base import Event
from tests.controls import (
    AT,
    FEE_VND,
    citizen_verified,
    dossier_submitted,
    duplicate_payment_found,
    fee_assessed,
    fee_paid,
    fee_waived,
    payment_failed,
    payment_requested,
    report_payment,
)
from tests.deciders import PAYMENT
from tests.given import given

ASKED: tuple[Event, ...] = (dossier_submitted(), citizen_verified(), fee_assessed(), payment_requested())
NO_MONEY = report_payment(success=False, response_code="51", transaction_no="14226111")
SECOND = report_payment(transaction_no="14226113")


def test_a_payment_is_said_with_the_banks_transaction() -> None:
    given(PAYMENT, ASKED).when(report_payment()).then(fee_paid())


def test_a_failed_attempt_is_told_and_may_be_followed_by_others() -> None:
    failed = given(PAYMENT, ASKED).when(NO_MONEY).then(payment_failed())
    again = failed.when(report_payment(success=False, response_code="24", transaction_no="14226110"))
    again.then(payment_failed(response_code="24", transaction_no="14226110"))


def test_a_success_after_a_failure_wins() -> None:
    failed = given(PAYMENT, ASKED).when(NO_MONEY).then(payment_failed())
    failed.when(report_payment()).then(fee_paid())


def test_a_success_wins_although_the_same_transaction_was_reported_as_failed_before() -> None:
    failed = given(PAYMENT, ASKED).when(NO_MONEY).then(payment_failed())
    late = report_payment(transaction_no="14226111")
    failed.when(late).then(fee_paid(transaction_no="14226111"))


def test_a_failure_that_arrives_after_the_payment_changes_nothing() -> None:
    given(PAYMENT, [*ASKED, fee_paid()]).when(NO_MONEY).then_refused("DOS-PAY-004")


def test_the_same_payment_reported_again_is_already_recorded() -> None:
    given(PAYMENT, [*ASKED, fee_paid()]).when(report_payment()).then_refused("DOS-PAY-004")


def test_a_second_payment_is_recorded_and_not_lost() -> None:
    twice = given(PAYMENT, [*ASKED, fee_paid()]).when(SECOND).then(duplicate_payment_found())
    twice.when(SECOND).then_refused("DOS-PAY-004")
    third = report_payment(transaction_no="14226114")
    twice.when(third).then(duplicate_payment_found(transaction_no="14226114"))


def test_another_currency_than_the_one_asked_for_is_refused() -> None:
    given(PAYMENT, ASKED).when(report_payment(currency="USD")).then_refused("DOS-PAY-005")
    given(PAYMENT, [*ASKED, fee_paid()]).when(report_payment(currency="USD")).then_refused("DOS-PAY-005")


def test_a_payment_whose_time_the_bank_leaves_out_was_made_when_it_was_told() -> None:
    told = given(PAYMENT, ASKED).when(report_payment(paid_at=None), at=AT + timedelta(hours=5))
    told.then(fee_paid(paid_at=AT + timedelta(hours=5)))


@pytest.mark.parametrize("amount_vnd", [FEE_VND - 1, FEE_VND + 1, FEE_VND * 100, 0, Decimal("7000.01")])
def test_another_amount_than_the_one_asked_for_is_refused(amount_vnd: int | Decimal) -> None:
    given(PAYMENT, ASKED).when(report_payment(amount_vnd=amount_vnd)).then_refused("DOS-PAY-003")


@pytest.mark.parametrize("number", [1, 2, 10])
def test_another_reference_than_the_one_given_out_is_unknown(number: int) -> None:
    other = report_payment(reference=f"{'0' * 32}r{number}")
    given(PAYMENT, ASKED).when(other).then_refused("DOS-PAY-002")


@pytest.mark.parametrize(
    "events",
    [(), (dossier_submitted(),), ASKED[:-1], (*ASKED[:-1], fee_waived())],
    ids=["no dossier", "filed", "assessed", "waived"],
)
def test_a_payment_that_nobody_asked_for_is_unknown(events: tuple[Event, ...]) -> None:
    given(PAYMENT, events).when(report_payment()).then_refused("DOS-PAY-002")


def test_the_time_of_payment_is_the_banks_and_not_that_of_the_callback() -> None:
    given(PAYMENT, ASKED).when(report_payment(), at=AT + timedelta(hours=5)).then(fee_paid())
