"""The bank's door: VNPAY's IPN, a signed GET that is answered with RspCode and Message (vnpay.js.org, IPN)."""

from hashlib import sha256
from typing import Any, Literal

import structlog
from starlette.requests import Request
from starlette.responses import Response

from services.payment.gateways import BadCallback, BadSignature, PaymentPlatform, dossier_of
from services.payment.rules import ReportPayment
from shared.errors import Refused, Unavailable
from shared.events.base import Model
from shared.runtime.http.door import Door, json_response
from shared.runtime.http.rates import vouch
from shared.runtime.http.routes import DoorRoute, Operation
from shared.runtime.kernel.message import Request as Asked
from shared.runtime.observe.metrics import Metrics

log = structlog.get_logger(__name__)

CONFIRMED, UNKNOWN, ALREADY, BAD_AMOUNT, BAD_HASH, FAULT = "00", "01", "02", "04", "97", "99"

_REFUSALS = {
    "DOS-PAY-002": (UNKNOWN, "reference"),
    "DOS-PAY-003": (BAD_AMOUNT, "amount"),
    "DOS-PAY-004": (ALREADY, "already-recorded"),
    "DOS-PAY-005": (BAD_AMOUNT, "currency"),
}
"""Code of a refusal → what the bank is answered, and the reason as log line and metric name it."""
_MESSAGES = {
    CONFIRMED: "Confirm Success",
    UNKNOWN: "Order not found",
    ALREADY: "Order already confirmed",
    BAD_AMOUNT: "Invalid amount",
    BAD_HASH: "Fail checksum",
    FAULT: "Unknown error",
}


def _answer(code: str) -> dict[str, str]:
    return {"RspCode": code, "Message": _MESSAGES[code]}


class BankDoor:
    """Checks, commits and answers callbacks. Repeating one, in whatever order, changes nothing.

    Each is counted by its answer in `dossier_bank_reports_total`. What is refused is no event: it is recorded by a log
    line with all that is needed to act on it (neither references nor amounts are personal data), and counted by reason
    in `dossier_bank_reports_refused_total` (F6).
    """

    def __init__(self, door: Door, metrics: Metrics, platform: PaymentPlatform) -> None:
        self.door = door
        self.metrics = metrics
        self.platform = platform
        for code in _MESSAGES:
            metrics.bank_reports.labels(code)

    async def ipn(self, request: Request) -> Response:
        """One callback. 200 with a RspCode in every foreseen case; the bank repeats what is not 00 or 02."""
        try:
            report = self.platform.report(request.scope["query_string"].decode(errors="replace"))
        except BadSignature:
            return self._refuse(BAD_HASH, "signature")
        except BadCallback as bad:
            vouch(request)
            return self._refuse(UNKNOWN, "malformed", parameter=bad.parameter, reference=bad.reference)
        vouch(request)
        return await self._commit(request, report)

    async def _commit(self, request: Request, report: ReportPayment) -> Response:
        try:
            taken = await self.door.command(_asked(request, report), dossier_of(report.reference), report, request)
        except Refused as refused:
            answer, reason = _REFUSALS.get(refused.code, (FAULT, "other"))
            return self._refuse(answer, reason, error_code=refused.code, **refused.facts, **_told(report))
        except Unavailable as down:
            log.warning("bank-report-not-taken", why=str(down))
            return self._say(FAULT)
        self.metrics.bank_reports.labels(CONFIRMED).inc()
        return taken

    def _refuse(self, answer: str, reason: str, **about: object) -> Response:
        log.warning("bank-report-refused", reason=reason, rsp_code=answer, **about)
        self.metrics.bank_reports_refused.labels(reason).inc()
        return self._say(answer)

    def _say(self, answer: str) -> Response:
        self.metrics.bank_reports.labels(answer).inc()
        return json_response(_answer(answer))


def _told(report: ReportPayment) -> dict[str, object]:
    return {
        "reference": report.reference,
        "transaction_no": report.transaction_no,
        "bank": report.bank,
        "response_code": report.response_code,
        "reported_vnd": str(report.amount_vnd),
        "currency": report.currency,
    }


def _asked(request: Request, report: ReportPayment) -> Asked:
    """A callback's identity: reference, transaction number, time of payment, result and money, whatever else the bank
    repeats differently. Attempts that came to no transaction all have the number 0, and are told apart by their times.
    With the money in it, a repeat of another amount comes to the rule, which knows what was asked for.
    """
    result = "success" if report.success else report.response_code
    at = report.paid_at.isoformat() if report.paid_at else ""
    key = f"{report.reference}/{report.transaction_no}/{at}/{result}/{report.amount_vnd}-{report.currency}"
    body = sha256(key.encode()).digest()
    answer: dict[str, Any] = _answer(CONFIRMED)
    return Asked("bank", request.method, request.scope["path"], key, body, 200, lambda state: answer)


class BankAnswer(Model):
    """What the bank reads: it repeats a callback until it is told 00 or 02."""

    RspCode: Literal["00", "01", "02", "04", "97", "99"]
    Message: str


def _parameter(name: str, meaning: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": True, "description": meaning, "schema": {"type": "string"}}


IPN = Operation(
    "The bank's callback (IPN): what became of a payment. For the bank alone, who signs it.",
    BankAnswer,
    query=(
        _parameter("vnp_TxnRef", "the reference under which payment was requested"),
        _parameter("vnp_TransactionNo", "the bank's number"),
        _parameter("vnp_Amount", "đồng × 100"),
        _parameter("vnp_ResponseCode", "00: paid"),
        _parameter("vnp_SecureHash", "HMAC-SHA512 of the other vnp_ parameters, in hex"),
    ),
)


def routes(door: Door, metrics: Metrics, platform: PaymentPlatform) -> list[DoorRoute]:
    """The bank's route."""
    bank = BankDoor(door, metrics, platform)
    return [DoorRoute("/v1/payments/vnpay/ipn", bank.ipn, IPN, tag="bank")]
