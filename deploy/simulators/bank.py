"""The bank: VNPAY 2.1.0 payment page, callback (IPN) and `querydr`.

    python -m deploy.simulators.bank --port 8111 --control-port 8112 --secret-file vnpay.secret \\
        --ipn-url http://127.0.0.1:8003/payments/vnpay/ipn --history history.jsonl --state bank.jsonl

A citizen's program pays by POST to the signed address with `Accept: application/json`; an empty body pays, and
`vnp_ResponseCode` in the form or JSON body makes the attempt end with that code (24 cancelled, 51 no funds).
"""

import asyncio
import json
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiohttp import web

from deploy.simulators import pages, vnpay
from deploy.simulators.callbacks import BankSettings, Caller, owed_for
from deploy.simulators.checks import bad_code, fault_of, querydr_answer
from deploy.simulators.control_ipn import send_arbitrary
from deploy.simulators.failing import WRONG, control_app, failing, json_object
from deploy.simulators.faults import Faults
from deploy.simulators.journal import History, Journal
from deploy.simulators.ledger import PAID, Ledger
from deploy.simulators.serving import HttpDoor, arguments, serve

PAGE = "/paymentv2/vpcpay.html"
API = "/merchant_webapi/api/transaction"
BANK_CODE = "NCB"
CANCELLED = "24"


class Bank:
    """The pages and the merchant API over one ledger."""

    def __init__(
        self,
        tmn_code: str,
        secret: bytes,
        ledger: Ledger,
        caller: Caller,
        faults: Faults[BankSettings],
        history: History,
    ) -> None:
        self._tmn_code, self._secret = tmn_code, secret
        self._ledger, self._caller = ledger, caller
        self._faults, self._history = faults, history
        self.counts: Counter[str] = Counter()

    async def page(self, request: web.Request) -> web.Response:
        """Shows what is to be paid."""
        params = dict(request.query)
        code = fault_of(params, self._tmn_code, self._secret, datetime.now(UTC))
        self._history.record("page", code=code, params=params)
        if code != PAID:
            return self._refused(request, params, code)
        order = self._ledger.open(params)
        if _wants_json(request):
            return web.json_response({**params, "vnp_TransactionStatus": order.status})
        return pages.offer(order.params, request.raw_path, order.paid)

    async def pay(self, request: web.Request) -> web.Response:
        """Pays, cancels, or fails with the code asked for; a paid reference is not charged again."""
        params = dict(request.query)
        code = fault_of(params, self._tmn_code, self._secret, datetime.now(UTC))
        wanted = await _wanted_code(request)
        if code != PAID:
            self._history.record("pay", code=code, params=params)
            return self._refused(request, params, code)
        already = self._ledger.open(params).paid
        if not already:
            self._book(params, wanted)
        result = self._ledger.orders[params["vnp_TxnRef"]].result
        self.counts["already" if already else wanted] += 1
        self._history.record("pay", code=wanted, already=already, params=params, result=result)
        return self._paid(request, params, result, already)

    def _book(self, params: Mapping[str, str], code: str) -> None:
        number = self._ledger.next_transaction()
        result = {
            "vnp_Amount": params["vnp_Amount"],
            "vnp_BankCode": BANK_CODE,
            "vnp_BankTranNo": f"VNP{number}",
            "vnp_CardType": "ATM",
            "vnp_OrderInfo": params["vnp_OrderInfo"],
            "vnp_PayDate": vnpay.bank_time(datetime.now(UTC)),
            "vnp_ResponseCode": code,
            "vnp_TmnCode": self._tmn_code,
            "vnp_TransactionNo": number,
            "vnp_TransactionStatus": "00" if code == PAID else "02",
            "vnp_TxnRef": params["vnp_TxnRef"],
        }
        self._caller.owe(self._ledger.attempt(params, result, owed_for(result, self._faults)))

    def _paid(
        self, request: web.Request, params: Mapping[str, str], result: Mapping[str, str], already: bool
    ) -> web.Response:
        secret = b"another secret" if request[WRONG] else self._secret
        base = params["vnp_ReturnUrl"]
        back = f"{base}{'&' if '?' in base else '?'}{vnpay.signed_query(result, secret)}"
        if _wants_json(request):
            return web.json_response({**result, "already_paid": already, "return_url": back})
        if already:
            return pages.offer(self._ledger.orders[params["vnp_TxnRef"]].params, request.raw_path, paid=True)
        return web.Response(status=303, headers={"Location": back})

    def _refused(self, request: web.Request, params: Mapping[str, str], code: str) -> web.Response:
        self.counts[f"refused {code}"] += 1
        if _wants_json(request):
            return web.json_response({"vnp_ResponseCode": code, "message": pages.TEXTS["en"][code]}, status=400)
        return pages.refusal(params, code)

    async def query(self, request: web.Request) -> web.Response:
        """`querydr`: what became of a reference."""
        asked = {name: str(value) for name, value in (await json_object(request)).items()}
        answer = querydr_answer(asked, self._tmn_code, self._secret, self._ledger)
        secret = b"another secret" if request[WRONG] else self._secret
        answer[vnpay.HASH] = vnpay.sign(vnpay.piped(vnpay.QUERY_ANSWER_FIELDS, answer), secret)
        self._history.record("query", code=answer["vnp_ResponseCode"], asked=asked)
        return web.json_response(answer)

    def stats(self) -> dict[str, Any]:
        orders = self._ledger.orders.values()
        return {
            "orders": len(orders),
            "paid": sum(order.paid for order in orders),
            "attempts": dict(self.counts),
            "callbacks_owed": len(self._ledger.owed),
            "callback_answers": dict(self._caller.counts),
        }


def _wants_json(request: web.Request) -> bool:
    return "application/json" in request.headers.get("Accept", "")


async def _wanted_code(request: web.Request) -> str:
    if request.content_type == "application/json":
        body: Mapping[str, Any] = await json_object(request)
    else:
        body = await request.post()
    code = body.get("vnp_ResponseCode", CANCELLED if body.get("action") == "cancel" else PAID)
    if not bad_code(code):
        return str(code)
    raise web.HTTPBadRequest(text=json.dumps({"message": "vnp_ResponseCode is not two digits"}))


async def main() -> None:
    parser = arguments("The bank (VNPAY 2.1.0).")
    parser.add_argument("--secret-file", type=Path, required=True, help="the secret shared with the merchant")
    parser.add_argument("--state", type=Path, required=True, help="journal of payments and of callbacks owed")
    parser.add_argument("--ipn-url", help="where callbacks go; may be told later by the control port")
    parser.add_argument("--tmn-code", default="DOSSIER1", help="the merchant's code")
    args = parser.parse_args()
    secret = args.secret_file.read_text(encoding="utf-8").strip().encode()
    if not secret:
        raise ValueError(f"{args.secret_file}: empty")
    faults = Faults(BankSettings(ipn_url=args.ipn_url), args.seed)
    history, ledger = History(args.history), Ledger(Journal(args.state))
    caller = Caller(ledger, faults, secret, history)
    bank = Bank(args.tmn_code, secret, ledger, caller, faults, history)
    app = web.Application(middlewares=[failing(faults, history)], client_max_size=64 * 1024)
    app.add_routes([web.get(PAGE, bank.page), web.post(PAGE, bank.pay), web.post(API, bank.query)])
    control = control_app(faults, bank.stats)
    control.router.add_post("/control/ipn", send_arbitrary(ledger, caller, secret))
    await serve(args, HttpDoor(app, args.host, args.port), control, faults, caller.run)


if __name__ == "__main__":
    asyncio.run(main())
