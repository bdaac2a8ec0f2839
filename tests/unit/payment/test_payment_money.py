"""Whatever the order of answers and tasks: the fee is said once, and what is asked for is what was assessed."""

from collections import Counter
from typing import Any
from uuid import uuid5

from hypothesis import given
from hypothesis import strategies as st

from services.payment.rules import FeeFound, OpenPayment, PaymentOpened
from shared.events import payment as said
from shared.events.base import Event, Model
from shared.runtime.kernel.decider import Message, Task
from tests.controls import (
    AT,
    DOSSIER,
    MESSAGE,
    PAY_URL,
    citizen_mismatched,
    citizen_not_found,
    citizen_verified,
    dossier_submitted,
    favour,
    fee_assessed,
    waiver_claim,
)
from tests.deciders import PAYMENT

answers = st.lists(st.sampled_from([citizen_verified(), citizen_mismatched(), citizen_not_found()]), max_size=5)
fees = st.one_of(
    st.just(fee_assessed(kind="none", lines=(), total_vnd=0)),
    st.just(fee_assessed(kind="waiver", total_vnd=0, favour=favour())),
    st.integers(1, 10_000_000).map(lambda total: fee_assessed(total_vnd=total)),
    st.integers(1, 10_000_000).map(lambda total: fee_assessed(kind="reduction", total_vnd=total, favour=favour())),
)


class Life:
    """One dossier at payment: whatever waits comes in any order, tasks come to their outcomes."""

    def __init__(self, fee: said.FeeAssessed, heard: list[Event]) -> None:
        self.fee = fee
        self.heard: list[Event] = heard
        self.outcomes: list[Model] = []
        self.state: Any = PAYMENT.empty
        self.said: list[Event] = []
        self.verified = False
        self.count = 0

    def take(self, body: Model) -> None:
        """Handle one message as the engine does."""
        message = self._message(body)
        if isinstance(body, Event):
            self.state = PAYMENT.evolve(self.state, message)
            self.verified |= type(body) is type(citizen_verified())
        decision = PAYMENT.decide(self.state, message)
        for event in decision.events:
            assert isinstance(event, Event)
            self.said.append(event)
            self.state = PAYMENT.evolve(self.state, self._message(event))
        self.outcomes += [self._outcome(task) for task in decision.tasks]

    def _message(self, body: Any) -> Message[Any]:
        self.count += 1
        return Message(uuid5(MESSAGE, str(self.count)), DOSSIER, AT, body)

    def _outcome(self, task: Task) -> Model:
        if isinstance(task.payload, OpenPayment):
            page = task.payload
            return PaymentOpened(reference=page.reference, amount_vnd=page.amount_vnd, pay_url=PAY_URL)
        return FeeFound(fee=self.fee)

    def live(self, data: st.DataObject) -> None:
        """Until nothing waits any more."""
        while self.heard or self.outcomes:
            from_topics = bool(self.heard) and (not self.outcomes or data.draw(st.booleans()))
            waiting: list[Any] = self.heard if from_topics else self.outcomes
            self.take(waiting.pop(0 if from_topics else data.draw(st.integers(0, len(waiting) - 1))))

    def amounts(self) -> list[int]:
        """What citizens were asked for."""
        return [event.amount_vnd for event in self.said if isinstance(event, said.PaymentRequested)]


@given(fee=fees, before=answers, after=answers, data=st.data())
def test_each_is_said_once_and_the_money_asked_for_is_the_money_assessed(
    fee: said.FeeAssessed, before: list[Event], after: list[Event], data: st.DataObject
) -> None:
    filed = dossier_submitted(waiver_claim=waiver_claim())
    life = Life(fee, [*before, filed, *after])
    life.live(data)
    counted = Counter(type(event) for event in life.said)
    answered, verified = bool(before or after), life.verified
    assert counted[said.FeeAssessed] == int(answered)
    assert counted[said.FeeWaived] == int(verified and fee.kind == "waiver")
    assert counted[said.FeeReduced] == int(verified and fee.kind == "reduction")
    assert sum(life.amounts()) == (fee.total_vnd if verified else 0)
    assert counted[said.PaymentRequested] == int(verified and fee.kind in ("charged", "reduction"))


@given(fee=fees, before=answers, after=answers, data=st.data())
def test_the_fee_is_said_before_anything_that_follows_from_it(
    fee: said.FeeAssessed, before: list[Event], after: list[Event], data: st.DataObject
) -> None:
    life = Life(fee, [*before, dossier_submitted(waiver_claim=waiver_claim()), *after])
    life.live(data)
    assert not life.said or isinstance(life.said[0], said.FeeAssessed)
