"""The fee is assessed once, after the first identity answer; what follows from it waits for verification (F1, F2)."""

from itertools import permutations

import pytest

from services.payment.rules import AssessFee, OpenPayment
from shared.events.base import Event
from shared.runtime.kernel.decider import Task
from tests.controls import (
    AT,
    CODE,
    FEE_VND,
    REFERENCE,
    applicant_corrected,
    citizen_mismatched,
    citizen_not_found,
    citizen_verified,
    claim_key_gone,
    dossier_accepted,
    dossier_submitted,
    favour,
    fee_abandoned,
    fee_assessed,
    fee_found,
    fee_paid,
    fee_reduced,
    fee_waived,
    filing,
    payment_opened,
    payment_requested,
    verification_abandoned,
    verification_delayed,
    waiver_claim,
)
from tests.deciders import PAYMENT
from tests.given import as_message, given

ASSESS = Task("assess-fee", AssessFee(filing=filing()))
OPEN = Task("open-payment", OpenPayment(reference=REFERENCE, amount_vnd=FEE_VND, code=CODE, locale="vi", asked_at=AT))
FIRST_ANSWERS = (citizen_verified(), citizen_mismatched(), citizen_not_found())

CLAIMED = dossier_submitted(waiver_claim=waiver_claim())
FREE = fee_assessed(kind="none", lines=(), total_vnd=0)
WAIVER = fee_assessed(kind="waiver", total_vnd=0, favour=favour())
REDUCTION = fee_assessed(kind="reduction", total_vnd=FEE_VND // 2, favour=favour(rule="student-half"))


@pytest.mark.parametrize("answer", FIRST_ANSWERS)
def test_the_fee_is_assessed_after_the_first_identity_answer_whichever_it_is(answer: Event) -> None:
    given(PAYMENT, [dossier_submitted()]).when(answer).then(tasks=[ASSESS])


@pytest.mark.parametrize("answer", FIRST_ANSWERS)
def test_the_fee_is_assessed_although_the_answer_was_heard_before_the_application(answer: Event) -> None:
    given(PAYMENT, [answer]).when(dossier_submitted()).then(tasks=[ASSESS])


@pytest.mark.parametrize("first", [dossier_submitted(), *FIRST_ANSWERS])
def test_nothing_is_assessed_before_both_application_and_answer_are_known(first: Event) -> None:
    given(PAYMENT).when(first).then_nothing()


@pytest.mark.parametrize("no_answer", [verification_delayed(), verification_abandoned(), dossier_accepted()])
def test_what_is_no_identity_answer_starts_no_assessment(no_answer: Event) -> None:
    given(PAYMENT, [dossier_submitted()]).when(no_answer).then_nothing()


@pytest.mark.parametrize("answers", [*permutations(FIRST_ANSWERS)])
def test_the_fee_is_said_once_whatever_the_order_of_identity_answers(answers: tuple[Event, ...]) -> None:
    assessed = given(PAYMENT, [dossier_submitted(), answers[0]]).when(fee_found(fee=FREE)).then(FREE)
    for answer in answers[1:]:
        assessed = assessed.when(answer).then_nothing()
    assessed.when(fee_found(fee=FREE)).then_nothing()


@pytest.mark.parametrize("answer", [citizen_mismatched(), citizen_not_found()])
@pytest.mark.parametrize(
    ("filed", "fee"), [(dossier_submitted(), fee_assessed()), (CLAIMED, WAIVER), (CLAIMED, REDUCTION)]
)
def test_nothing_is_asked_waived_or_reduced_before_the_citizen_is_verified(
    answer: Event, filed: Event, fee: Event
) -> None:
    given(PAYMENT, [filed, answer]).when(fee_found(fee=fee)).then(fee)


def test_a_fee_is_asked_for_when_a_mismatched_citizen_is_verified_later() -> None:
    mismatched = given(PAYMENT, [dossier_submitted(), citizen_mismatched(), fee_assessed()])
    mismatched.when(citizen_verified()).then(tasks=[OPEN])


def test_a_fee_is_asked_for_at_once_where_the_citizen_is_verified_already() -> None:
    given(PAYMENT, [dossier_submitted(), citizen_verified()]).when(fee_found()).then(fee_assessed(), tasks=[OPEN])


def test_a_mismatch_after_a_verification_does_not_undo_it() -> None:
    answered = given(PAYMENT, [dossier_submitted(), citizen_verified(), citizen_mismatched()])
    answered.when(fee_found()).then(fee_assessed(), tasks=[OPEN])


V2 = applicant_corrected()


@pytest.mark.parametrize(
    "heard",
    [
        (V2, citizen_verified(), citizen_mismatched(applicant_version=2)),
        (V2, citizen_mismatched(applicant_version=2), citizen_verified()),
        (V2, citizen_verified()),
        (citizen_verified(), V2),
        (citizen_verified(), citizen_not_found(applicant_version=2)),
        (citizen_mismatched(applicant_version=2), citizen_verified()),
    ],
)
def test_no_money_is_asked_for_on_data_that_were_replaced(heard: tuple[Event, ...]) -> None:
    outdated = given(PAYMENT, [dossier_submitted(), *heard]).when(fee_found()).then(fee_assessed())
    outdated.when(citizen_verified(applicant_version=3)).then(tasks=[OPEN])


def test_a_late_verification_of_replaced_data_lets_no_money_be_asked_for() -> None:
    corrected = given(PAYMENT, [dossier_submitted(), V2, citizen_mismatched(applicant_version=2), fee_assessed()])
    late = corrected.when(citizen_verified()).then_nothing()
    late.when(citizen_verified(applicant_version=2)).then(tasks=[OPEN])


@pytest.mark.parametrize(
    "heard", [(V2, citizen_verified(applicant_version=2)), (citizen_verified(applicant_version=2), V2)]
)
def test_a_verification_of_the_newest_data_counts_whichever_topic_is_heard_first(heard: tuple[Event, ...]) -> None:
    newest = given(PAYMENT, [dossier_submitted(), *heard])
    newest.when(fee_found()).then(fee_assessed(), tasks=[OPEN])


def test_a_procedure_that_costs_nothing_asks_for_nothing() -> None:
    given(PAYMENT, [dossier_submitted(), citizen_verified()]).when(fee_found(fee=FREE)).then(FREE)
    given(PAYMENT, [dossier_submitted(), citizen_mismatched(), FREE]).when(citizen_verified()).then_nothing()


@pytest.mark.parametrize("verified_first", [True, False])
def test_a_waived_fee_is_said_with_basis_and_evidence_and_leaves_no_residue(verified_first: bool) -> None:
    if verified_first:
        given(PAYMENT, [CLAIMED, citizen_verified()]).when(fee_found(fee=WAIVER)).then(WAIVER, fee_waived())
    else:
        given(PAYMENT, [CLAIMED, citizen_mismatched(), WAIVER]).when(citizen_verified()).then(fee_waived())


@pytest.mark.parametrize("verified_first", [True, False])
def test_a_reduced_fee_is_said_and_the_rest_is_asked_for(verified_first: bool) -> None:
    half = OPEN.payload.model_copy(update={"amount_vnd": FEE_VND // 2})
    reduced = fee_reduced()
    if verified_first:
        decided = given(PAYMENT, [CLAIMED, citizen_verified()]).when(fee_found(fee=REDUCTION))
        decided.then(REDUCTION, reduced, tasks=[Task("open-payment", half)])
    else:
        decided = given(PAYMENT, [CLAIMED, citizen_mismatched(), REDUCTION]).when(citizen_verified())
        decided.then(reduced, tasks=[Task("open-payment", half)])


@pytest.mark.parametrize(
    "events",
    [
        (dossier_submitted(), citizen_verified(), fee_assessed(), payment_requested()),
        (dossier_submitted(), citizen_verified(), fee_assessed(), payment_requested(), fee_paid()),
        (dossier_submitted(), citizen_verified(), FREE),
        (CLAIMED, citizen_verified(), WAIVER, fee_waived()),
        (CLAIMED, citizen_verified(), REDUCTION, fee_reduced(), payment_requested()),
    ],
)
def test_nothing_is_asked_twice_when_a_citizen_is_verified_twice(events: tuple[Event, ...]) -> None:
    given(PAYMENT, events).when(citizen_verified(applicant_version=2)).then_nothing()


def test_two_pages_for_one_fee_carry_the_same_reference_and_only_one_is_said() -> None:
    twice = given(PAYMENT, [dossier_submitted(), citizen_verified(), fee_assessed()])
    asked = twice.when(citizen_verified(applicant_version=2)).then(tasks=[OPEN])
    opened = asked.when(payment_opened()).then(payment_requested())
    opened.when(payment_opened()).then_nothing()


def test_no_page_is_said_once_the_fee_is_paid() -> None:
    paid = given(PAYMENT, [dossier_submitted(), fee_assessed(), fee_paid()])
    paid.when(payment_opened()).then_nothing()


def test_a_fee_whose_key_was_destroyed_is_given_up() -> None:
    given(PAYMENT, [CLAIMED, citizen_verified()]).when(claim_key_gone()).then(fee_abandoned())


def test_a_fee_is_given_up_once() -> None:
    given(PAYMENT, [CLAIMED, citizen_verified(), fee_abandoned()]).when(claim_key_gone()).then_nothing()


def test_a_fee_that_was_assessed_is_not_given_up() -> None:
    given(PAYMENT, [CLAIMED, citizen_verified(), WAIVER]).when(claim_key_gone()).then_nothing()


def test_a_fee_given_up_is_not_looked_for_again() -> None:
    abandoned = given(PAYMENT, [CLAIMED, citizen_mismatched(), fee_abandoned()])
    abandoned.when(citizen_verified()).then_nothing()


@pytest.mark.parametrize(
    "said", [(fee_assessed(),), (REDUCTION,), (REDUCTION, fee_reduced(total_vnd=FEE_VND // 2))], ids=str
)
def test_an_assessed_fee_still_needs_its_page_after_a_restore(said: tuple[Event, ...]) -> None:
    known = given(PAYMENT, [CLAIMED, citizen_verified(), *said])
    (page,) = PAYMENT.owed(known.state, as_message(said[-1]))
    assert page.kind == "open-payment"


@pytest.mark.parametrize(
    "events",
    [
        (),
        (fee_assessed(),),
        (citizen_mismatched(), fee_assessed()),
        (citizen_verified(), fee_assessed(), payment_requested()),
        (citizen_verified(), fee_assessed(), payment_requested(), fee_paid()),
        (citizen_verified(), FREE),
        (citizen_verified(), WAIVER, fee_waived()),
    ],
    ids=str,
)
def test_nothing_is_owed_after_a_restore_before_verification_or_once_the_page_is_told(
    events: tuple[Event, ...],
) -> None:
    known = given(PAYMENT, [CLAIMED, *events])
    assert PAYMENT.owed(known.state, as_message(fee_assessed())) == ()


def test_a_verification_heard_again_behind_its_reduction_orders_the_page_again_and_says_nothing() -> None:
    known = given(PAYMENT, [CLAIMED, REDUCTION, fee_reduced(total_vnd=FEE_VND // 2)])
    known.when(citizen_verified()).then(tasks=["open-payment"])
