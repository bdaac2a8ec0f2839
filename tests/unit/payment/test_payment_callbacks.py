"""The bank's door: what each callback is answered, and what is recorded of money that does not fit (F6)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import pytest

from services.payment.api import routes
from services.payment.state import State
from shared.errors import Refused, Unavailable
from shared.events.base import Event
from shared.runtime.engine.batcher import Batcher
from shared.runtime.http.door import Door
from shared.runtime.http.observed import observed
from shared.runtime.kernel.decider import Message
from shared.runtime.kernel.message import Handled, Item
from shared.runtime.observe.metrics import Metrics
from tests.asgi import ask
from tests.controls import (
    DOSSIER,
    FEE_VND,
    REFERENCE,
    citizen_verified,
    dossier_submitted,
    fee_assessed,
    payment_requested,
)
from tests.deciders import PAYMENT
from tests.given import given
from tests.unit.conftest import LogLines
from tests.unit.payment.test_payment_platform import PLATFORM, signed

ASKED = (dossier_submitted(), citizen_verified(), fee_assessed(), payment_requested())
OTHER = f"{DOSSIER.hex}r2"
REPORTS = "dossier_bank_reports_total"
CODES = ("00", "01", "02", "04", "97", "99")


@dataclass
class Books:
    """Decides and remembers in memory, as the engine does in the database."""

    state: State = field(default_factory=lambda: given(PAYMENT, ASKED).state)
    said: list[Message[Event]] = field(default_factory=list)
    answered: dict[tuple[str, ...], Handled] = field(default_factory=dict)
    down: bool = False

    async def handle(self, items: Sequence[Item]) -> list[Handled]:
        """What becomes of each."""
        if self.down:
            raise Unavailable("database: ConnectionRefusedError")
        return [self._handled(item) for item in items]

    def _handled(self, item: Item) -> Handled:
        assert item.request is not None
        assert item.message is not None
        if item.request.identity in self.answered:
            return self.answered[item.request.identity]
        try:
            decision = PAYMENT.decide(self.state, item.message)
        except Refused as refused:
            return Handled("refused", error=refused)
        for event in decision.events:
            assert isinstance(event, Event)
            said = Message(item.message.id, item.message.dossier_id, item.message.at, event)
            self.state = PAYMENT.evolve(self.state, said)
            self.said.append(said)
        self.answered[item.request.identity] = Handled("ok", item.request.answer(self.state))
        return self.answered[item.request.identity]


class Bank:
    """A bank, the door that it calls, and what the door has counted."""

    def __init__(self) -> None:
        self.books = Books()
        self.metrics = Metrics("payment")
        self.app = observed(routes(Door(Batcher(self.books.handle), b"k"), self.metrics, PLATFORM), self.metrics)
        assert self.answered() == dict.fromkeys(CODES, 0), "each is there before the first, whose coming is seen so"

    async def call(self, query: Mapping[str, str], before: str = "") -> str:
        """The RspCode that a callback is answered; `before` stands before it, in the address that the bank has."""
        answer = await ask(self.app, "GET", "/v1/payments/vnpay/ipn", query=before + urlencode(query))
        assert answer.status == 200
        return str(answer.content["RspCode"])

    def answered(self) -> Mapping[str, float]:
        """How many callbacks were answered with each code."""
        of = {code: self.metrics.registry.get_sample_value(REPORTS, {"outcome": code}) for code in CODES}
        return {code: count for code, count in of.items() if count is not None}

    def refused(self, reason: str) -> float:
        """How many reports were refused for this reason."""
        return self.metrics.registry.get_sample_value("dossier_bank_reports_refused_total", {"reason": reason}) or 0.0


@dataclass(frozen=True)
class Row:
    """A callback, its answer, why it is refused, and what the line in the log must say beside that."""

    name: str
    changes: Mapping[str, str]
    answer: str
    reason: str | None = None
    line: Mapping[str, Any] = field(default_factory=dict)


MONEY = {"asked_vnd": FEE_VND, "currency": "VND", "reference": REFERENCE, "transaction_no": "14226112", "bank": "NCB"}
TABLE = (
    Row("one đồng more", {"vnp_Amount": "700100"}, "04", "amount", {**MONEY, "reported_vnd": "7001"}),
    Row("one đồng less", {"vnp_Amount": "699900"}, "04", "amount", {**MONEY, "reported_vnd": "6999"}),
    Row("a part of a đồng", {"vnp_Amount": "700001"}, "04", "amount", {**MONEY, "reported_vnd": "7000.01"}),
    Row("nothing", {"vnp_Amount": "0"}, "04", "amount", {**MONEY, "reported_vnd": "0"}),
    Row("a failure of another amount", {"vnp_Amount": "100", "vnp_ResponseCode": "24"}, "04", "amount",
        {**MONEY, "reported_vnd": "1", "response_code": "24"}),
    Row("dollars", {"vnp_CurrCode": "USD"}, "04", "currency",
        {**MONEY, "reported_vnd": "7000", "currency": "USD", "error_code": "DOS-PAY-005"}),
    Row("a currency that is none", {"vnp_CurrCode": "đồng"}, "01", "malformed",
        {"parameter": "vnp_CurrCode", "reference": REFERENCE}),
    Row("another request", {"vnp_TxnRef": OTHER}, "01", "reference", {"reference": OTHER, "reported_vnd": "7000"}),
    Row("a reference that is none", {"vnp_TxnRef": "Nguyen Thi Dau Vet"}, "01", "malformed",
        {"parameter": "vnp_TxnRef", "reference": None}),
    Row("another merchant", {"vnp_TmnCode": "SHOP0001"}, "01", "malformed",
        {"parameter": "vnp_TmnCode", "reference": REFERENCE}),
    Row("a day before all days in UTC", {"vnp_PayDate": "00010101000000"}, "01", "malformed",
        {"parameter": "vnp_PayDate", "reference": REFERENCE}),
    Row("a day that does not exist", {"vnp_PayDate": "20260231120000"}, "01", "malformed",
        {"parameter": "vnp_PayDate", "reference": REFERENCE}),
    Row("an amount that is none", {"vnp_Amount": "-1"}, "01", "malformed", {"parameter": "vnp_Amount"}),
    Row("the currency of the request", {"vnp_CurrCode": "VND"}, "00"),
    Row("an empty currency", {"vnp_CurrCode": ""}, "00"),
    Row("what was asked for", {}, "00"),
)  # fmt: skip


@pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in TABLE])
async def test_a_callback_has_its_answer_and_money_that_does_not_fit_is_recorded(row: Row, log_lines: LogLines) -> None:
    bank = Bank()
    assert await bank.call(signed(**row.changes)) == row.answer
    assert bank.answered() == {**dict.fromkeys(CODES, 0), row.answer: 1}
    lines = [line for line in log_lines() if line["event"] == "bank-report-refused"]
    if row.reason is None:
        assert (lines, len(bank.books.said)) == ([], 1)
        return
    assert bank.books.said == []
    assert bank.refused(row.reason) == 1
    (line,) = lines
    assert {name: line[name] for name in row.line} == row.line
    assert (line["reason"], line["rsp_code"], line["level"]) == (row.reason, row.answer, "warning")
    assert "Dau Vet" not in str(line)


async def test_a_forged_callback_is_recorded_without_a_word_of_what_it_said(log_lines: LogLines) -> None:
    bank = Bank()
    assert await bank.call({**signed(), "vnp_SecureHash": "0" * 128}) == "97"
    assert bank.answered()["97"] == 1
    assert bank.refused("signature") == 1
    (line,) = log_lines()
    assert (line["reason"], REFERENCE in str(line)) == ("signature", False)


async def test_a_repeat_of_another_amount_after_the_payment_is_recorded_with_both_amounts(log_lines: LogLines) -> None:
    bank = Bank()
    assert await bank.call(signed()) == "00"
    assert await bank.call(signed(vnp_Amount="700100")) == "04"
    (line,) = log_lines()
    assert (line["asked_vnd"], line["reported_vnd"]) == (FEE_VND, "7001")
    assert await bank.call(signed()) == "00"
    assert len(bank.books.said) == 1


async def test_a_failure_after_the_payment_is_already_recorded_and_counted_as_such() -> None:
    bank = Bank()
    assert await bank.call(signed()) == "00"
    assert await bank.call(signed(vnp_ResponseCode="24", vnp_TransactionNo="14226119")) == "02"
    assert bank.answered()["02"] == 1
    assert bank.refused("already-recorded") == 1


async def test_a_success_without_a_time_of_payment_was_paid_when_it_was_received() -> None:
    bank = Bank()
    assert await bank.call(signed(vnp_PayDate="")) == "00"
    (paid,) = bank.books.said
    assert type(paid.body).__name__ == "FeePaid"
    assert paid.body.model_dump()["paid_at"] == paid.at


async def test_a_failure_without_a_time_of_payment_is_taken() -> None:
    bank = Bank()
    assert await bank.call(signed(vnp_PayDate="", vnp_ResponseCode="24", vnp_TransactionNo="0")) == "00"
    assert [type(said.body).__name__ for said in bank.books.said] == ["PaymentFailed"]


async def test_an_address_of_ours_with_words_of_its_own_is_as_good_as_one_without() -> None:
    bank = Bank()
    assert await bank.call(signed(), before="unit=h02&x=%ff&") == "00"
    assert [type(said.body).__name__ for said in bank.books.said] == ["FeePaid"]
    assert await bank.call(signed()) == "00"
    assert len(bank.books.said) == 1


CANCELLED = {"vnp_ResponseCode": "24", "vnp_TransactionStatus": "02"}
FIRST, LATER = "20260916084000", "20260916084130"


@pytest.mark.parametrize("no", ["0", "00", ""])
async def test_each_attempt_that_came_to_no_transaction_is_kept_and_its_repeat_is_a_repeat(no: str) -> None:
    bank = Bank()
    for at in (FIRST, LATER, FIRST, LATER):
        assert await bank.call(signed(vnp_TransactionNo=no, vnp_PayDate=at, **CANCELLED)) == "00"
    assert [type(said.body).__name__ for said in bank.books.said] == ["PaymentFailed", "PaymentFailed"]
    assert len({said.id for said in bank.books.said}) == 2
    assert await bank.call(signed()) == "00"
    assert await bank.call(signed(vnp_TransactionNo=no, vnp_PayDate=LATER, **CANCELLED)) == "00", "a repeat"
    assert len(bank.books.said) == 3


async def test_attempts_with_a_number_of_their_own_are_told_apart_by_it_and_by_how_they_ended() -> None:
    bank = Bank()
    for no, code in (("14000001", "24"), ("14000001", "24"), ("14000001", "51"), ("14000002", "24")):
        assert await bank.call(signed(vnp_TransactionNo=no, vnp_ResponseCode=code)) == "00"
    assert len(bank.books.said) == 3


async def test_payments_without_a_number_are_told_apart_by_their_times_and_none_is_lost() -> None:
    bank = Bank()
    for at in (FIRST, LATER, FIRST, LATER):
        assert await bank.call(signed(vnp_TransactionNo="0", vnp_PayDate=at)) == "00"
    assert [type(said.body).__name__ for said in bank.books.said] == ["FeePaid", "DuplicatePaymentFound"]


async def test_while_the_database_is_gone_the_bank_is_asked_to_repeat_and_nothing_counts_as_refused() -> None:
    bank = Bank()
    bank.books.down = True
    assert await bank.call(signed()) == "99"
    assert (bank.refused("other"), bank.answered()["99"]) == (0, 1)
    bank.books.down = False
    assert await bank.call(signed()) == "00"
