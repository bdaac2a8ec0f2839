"""Payment with a bank in this process: who is asked to pay has paid a moment later; for the bench of the event path.

The callback takes the way of every callback, from the signed query on; only the sockets are left out.
"""

import asyncio
import sys
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qs, urlsplit

import orjson
from starlette.requests import Request

from deploy.simulators import vnpay
from services.payment.__main__ import service
from services.payment.api import BankDoor
from services.payment.gateways import Vnpay
from services.payment.rules import OpenPayment, ReportPayment
from services.payment.tasks import kinds
from shared.law.loader import shipped_catalogue
from shared.runtime.admin.cli import main
from shared.runtime.service.service import Resources, Service
from shared.runtime.tasks.kinds import TaskKind

FIRST_S, AGAIN_S = 0.02, 0.05
DONE = ("00", "02")
PATH = "/v1/payments/vnpay/ipn"


@dataclass
class PayingAtOnce:
    """The real platform's rules, and a payer who opens the page at once. What is not taken yet is told again."""

    rules: Vnpay
    resources: Resources
    _payers: set["asyncio.Task[None]"] = field(default_factory=set)

    def page(self, payment: OpenPayment) -> str:
        """The signed address of the page, on which somebody is about to pay."""
        url = self.rules.page(payment)
        payer = asyncio.get_running_loop().create_task(self._pay(url))
        self._payers.add(payer)
        payer.add_done_callback(self._payers.discard)
        return url

    def report(self, query: str) -> ReportPayment:
        """As the real one."""
        return self.rules.report(query)

    async def _pay(self, url: str) -> None:
        asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        query = paid(asked, self.rules.secret)
        door = BankDoor(self.resources.door, self.resources.metrics, self)
        wait = FIRST_S
        while True:
            await asyncio.sleep(wait)
            answer = await door.ipn(_request(query))
            if orjson.loads(answer.body)["RspCode"] in DONE:
                return
            wait = AGAIN_S


def paid(asked: Mapping[str, str], secret: bytes) -> str:
    """The signed query of the callback that says that what was asked for is paid."""
    said = {
        "vnp_TmnCode": asked["vnp_TmnCode"],
        "vnp_Amount": asked["vnp_Amount"],
        "vnp_TxnRef": asked["vnp_TxnRef"],
        "vnp_BankCode": "NCB",
        "vnp_PayDate": asked["vnp_CreateDate"],
        "vnp_ResponseCode": "00",
        "vnp_TransactionStatus": "00",
        "vnp_TransactionNo": str(zlib.crc32(asked["vnp_TxnRef"].encode())),
    }
    return vnpay.signed_query(said, secret)


def _request(query: str) -> Request:
    scope = {"type": "http", "method": "GET", "path": PATH, "query_string": query.encode(), "headers": [], "state": {}}
    return Request({**scope, "scheme": "http", "server": ("127.0.0.1", 80), "root_path": ""})


def _tasks(resources: Resources) -> Mapping[str, TaskKind]:
    settings = resources.settings
    secret = settings.secret("vnpay_secret").encode()
    rules = Vnpay(secret, settings.vnpay_terminal, settings.vnpay_pay_url, settings.vnpay_return_url)
    return kinds(shipped_catalogue(), resources.keys, PayingAtOnce(rules, resources))


def _service() -> Service:
    return replace(service(), tasks=_tasks)


if __name__ == "__main__":
    sys.exit(main(_service, sys.argv[1:]))
