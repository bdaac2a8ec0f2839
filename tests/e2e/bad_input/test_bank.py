"""What the bank's callbacks get wrong: the RspCode answered (VNPAY's IPN), and what is said of it, if anything."""

import itertools
import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import asyncpg
import pytest
import pytest_asyncio

from deploy.demo.players import without_key
from deploy.simulators import vnpay
from deploy.stack import Stack
from deploy.waiting import until
from tests.e2e.bad_input.conftest import Scene
from tests.e2e.bad_input.wire import Answer, Request, send

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

APPLICATIONS = Path(__file__).parents[2] / "data" / "applications.jsonl"
CONFIRMED, UNKNOWN, ALREADY, BAD_AMOUNT, BAD_HASH = "00", "01", "02", "04", "97"
MARK = "Nguyen Thi Dau Vet"


def _charged() -> Iterator[dict[str, Any]]:
    """Applications of people whom the register knows, with a fee, and nothing to claim or to supply."""
    for line in APPLICATIONS.read_text(encoding="utf-8").splitlines():
        application = json.loads(line)
        told = application.pop("expect")
        if (told["identity"], told["fee_kind"]) == ("verified", "charged"):
            yield without_key(application)


@dataclass(frozen=True, slots=True)
class Said:
    """One callback: what differs from a true success, and the answer to it. `forged`: signed with another secret;
    `before`: what stands before it in our address.
    """

    answer: str
    changes: Mapping[str, str]
    forged: bool = False
    before: str = ""


def ok(answer: str = CONFIRMED, no: str = "14000001", **changes: str) -> Said:
    """A success under the bank's number `no`."""
    return Said(answer, {"vnp_TransactionNo": no, **changes})


def failed(answer: str = CONFIRMED, no: str = "14000002", **changes: str) -> Said:
    """The citizen has cancelled."""
    cancelled = {"vnp_ResponseCode": "24", "vnp_TransactionStatus": "02"}
    return Said(answer, {"vnp_TransactionNo": no, **cancelled, **changes})


@dataclass(frozen=True, slots=True)
class Row:
    """Callbacks about one payment, in order, and the events that come of them."""

    name: str
    callbacks: Sequence[Said]
    events: Sequence[str]


TABLE = (
    Row("a signature of another secret", [Said(BAD_HASH, {}, forged=True)], []),
    Row("no signature", [Said(BAD_HASH, {vnpay.HASH: ""})], []),
    Row("a signature of other letters", [Said(BAD_HASH, {vnpay.HASH: "ắ" * 128})], []),
    Row("another amount", [ok(BAD_AMOUNT, vnp_Amount="100")], []),
    Row("another currency", [ok(BAD_AMOUNT, vnp_CurrCode="USD")], []),
    Row("a currency with a control character", [ok(UNKNOWN, vnp_CurrCode="VN\x00")], []),
    Row("a success without a time of payment", [ok(vnp_PayDate="")], ["FeePaid"]),
    Row("a failure without a time of payment", [failed(vnp_PayDate="")], ["PaymentFailed"]),
    Row("a hundredth of a dong more", [ok(BAD_AMOUNT, vnp_Amount="{amount}1")], []),
    Row("an amount that is no number", [ok(UNKNOWN, vnp_Amount="-1")], []),
    Row("an unknown reference", [ok(UNKNOWN, vnp_TxnRef="0" * 32 + "r1")], []),
    Row("a request never made", [ok(UNKNOWN, vnp_TxnRef="{dossier}r2")], []),
    Row("a reference that is none", [ok(UNKNOWN, vnp_TxnRef=MARK)], []),
    Row("another merchant's terminal", [ok(UNKNOWN, vnp_TmnCode="SHOP0001")], []),
    Row("a day that does not exist", [ok(UNKNOWN, vnp_PayDate="20260231120000")], []),
    Row("a control character in a number", [ok(UNKNOWN, no="1\x00")], []),
    Row("a success told three times", [ok(), ok(), ok()], ["FeePaid"]),
    Row("a repeat with another amount", [ok(), ok(BAD_AMOUNT, vnp_Amount="100")], ["FeePaid"]),
    Row("a failure after the success", [ok(), failed(ALREADY)], ["FeePaid"]),
    Row("a failure of the same transaction after its success", [ok(), failed(ALREADY, no="14000001")], ["FeePaid"]),
    Row("a success after the failure", [failed(), ok()], ["PaymentFailed", "FeePaid"]),
    Row("a success of the transaction that had failed", [failed(no="14000001"), ok()], ["PaymentFailed", "FeePaid"]),
    Row("a failure told twice", [failed(), failed()], ["PaymentFailed"]),
    Row("two cancellations without a transaction, one of them told twice",
        [failed(no="0"), failed(no="0", vnp_PayDate="20260917093100"), failed(no="0")],
        ["PaymentFailed", "PaymentFailed"]),
    Row("a word of ours in the address", [Said(CONFIRMED, {}, before="unit=h02&")], ["FeePaid"]),
    Row("a word of the bank's that it did not sign", [Said(BAD_HASH, {}, before="vnp_Unit=h02&")], []),
    Row("a word of the bank's twice", [Said(BAD_HASH, {}, before="vnp_Amount=100&")], []),
    Row("success by one word and failure by the other", [ok(vnp_TransactionStatus="02")], ["PaymentFailed"]),
    Row("a second success of another transaction", [ok(), ok(no="14000009")], ["FeePaid", "DuplicatePaymentFound"]),
    Row("the wrong amount first, the right one after", [ok(BAD_AMOUNT, vnp_Amount="100"), ok()], ["FeePaid"]),
)  # fmt: skip


@dataclass
class Bank:
    """The bank's side: it has the secret, and knows what is to be paid."""

    scene: Scene
    payment: "asyncpg.Connection[asyncpg.Record]"
    applications: Iterator[dict[str, Any]]
    numbers: Iterator[int]

    async def requested(self) -> Mapping[str, Any]:
        """A new dossier's request for payment, as it was said."""
        name = f"paid-{next(self.numbers)}"
        dossier = await self.scene.file(name, next(self.applications), "importer")

        async def asked() -> bool:
            return "PaymentRequested" in await self.said(dossier)

        await until(asked, seconds=90, what="a request for payment")
        data = await self.payment.fetchval(
            "SELECT data FROM events WHERE dossier_id = $1 AND type LIKE '%payment-requested%'", dossier
        )
        return {**json.loads(data), "dossier": dossier}

    async def said(self, dossier: str) -> list[str]:
        """What payment has said of a dossier, by class name, in order."""
        rows = await self.payment.fetch("SELECT type FROM events WHERE dossier_id = $1 ORDER BY position", dossier)
        return ["".join(map(str.capitalize, row["type"].split(".")[-2].split("-"))) for row in rows]

    async def call(self, request: Mapping[str, Any], said: Said) -> Answer:
        """One callback, as the bank sends it."""
        amount = str(request["amount_vnd"] * 100)
        true = {
            "vnp_TmnCode": "DOSSIER1", "vnp_Amount": amount, "vnp_BankCode": "NCB", "vnp_PayDate": "20260917093000",
            "vnp_TxnRef": request["reference"], "vnp_ResponseCode": "00", "vnp_TransactionStatus": "00",
            "vnp_TransactionNo": "14000001", "vnp_OrderInfo": f"Le phi {MARK}",
        }  # fmt: skip
        places = {"amount": amount, "dossier": request["dossier"].replace("-", "")}
        params = {**true, **{name: text.format(**places) for name, text in said.changes.items()}}
        secret = b"another" if said.forged else self.scene.stack.ground.secrets.read("vnpay_secret").encode()
        query = vnpay.signed_query(params, secret)
        if vnpay.HASH in said.changes:
            query = f"{vnpay.signed_text(params)}&{vnpay.HASH}={quote_plus(said.changes[vnpay.HASH])}"
        port = self.scene.stack.of("payment")[0].port
        return await send(port, Request("GET", f"/v1/payments/vnpay/ipn?{said.before}{query}"))

    async def counted(self, reason: str) -> float:
        """How many callbacks payment has refused for this reason."""
        port = self.scene.stack.of("payment")[0].probe_port
        text = (await send(port, Request("GET", "/metrics"))).body.decode()
        found = re.search(rf'^dossier_bank_reports_refused_total\{{reason="{reason}"\}} (\S+)$', text, re.MULTILINE)
        return float(found[1]) if found else 0.0


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def bank(scene: Scene, stack: Stack) -> AsyncIterator[Bank]:
    """A bank that calls back only when a test wants it to."""
    payment = await asyncpg.connect(stack.ground.databases().administrator_url("payment"))
    yield Bank(scene, payment, _charged(), itertools.count())
    await payment.close()


@pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in TABLE])
async def test_a_callback_is_answered_by_its_code_and_says_only_what_is_new(row: Row, bank: Bank) -> None:
    request = await bank.requested()
    before = await bank.said(request["dossier"])
    answers = [await bank.call(request, said) for said in row.callbacks]
    assert [answer.status for answer in answers] == [200] * len(answers)
    assert [answer.content["RspCode"] for answer in answers] == [said.answer for said in row.callbacks]
    assert (await bank.said(request["dossier"]))[len(before) :] == list(row.events)


async def test_refused_callbacks_store_nothing_at_all(bank: Bank) -> None:
    request = await bank.requested()
    rest = await bank.scene.stored.settle()
    for row in TABLE:
        if not row.events:
            for said in row.callbacks:
                await bank.call(request, said)
    assert await bank.scene.stored.settle() == rest


async def test_another_method_than_the_banks_is_a_problem(bank: Bank) -> None:
    port = bank.scene.stack.of("payment")[0].port
    answer = await send(port, Request("POST", "/v1/payments/vnpay/ipn", body=b"{}"))
    assert (answer.status, answer.content["code"]) == (405, "DOS-INT-405")


async def test_money_that_does_not_fit_is_recorded_with_both_amounts_and_counted(bank: Bank) -> None:
    request = await bank.requested()
    one_more = str(request["amount_vnd"] * 100 + 100)
    process = bank.scene.stack.of("payment")[0]
    before = await bank.counted("amount")
    assert (await bank.call(request, ok(vnp_Amount=one_more))).content["RspCode"] == BAD_AMOUNT
    assert await bank.counted("amount") == before + 1
    lines = [json.loads(line) for line in process.log.read_text().splitlines() if request["reference"] in line]
    (line,) = [line for line in lines if line["event"] == "bank-report-refused"]
    assert (line["asked_vnd"], line["reported_vnd"]) == (request["amount_vnd"], str(request["amount_vnd"] + 1))
    assert (line["reason"], line["dossier_id"], line["transaction_no"]) == ("amount", request["dossier"], "14000001")


async def test_no_log_names_what_callbacks_said(bank: Bank) -> None:
    logs = "".join(process.log.read_text(errors="replace") for process in bank.scene.stack.of("payment"))
    assert MARK not in logs
    assert MARK.replace(" ", "+") not in logs
    assert "request-failed" not in logs
