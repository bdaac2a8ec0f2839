"""Raw clients of the outside systems, written from the protocols alone: they use none of the simulators' code."""

import asyncio
import base64
import hashlib
import hmac
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

from aiohttp import ClientSession, web

from deploy.simulators.process import Simulators

PEOPLE = Path(__file__).with_name("people.jsonl")
SECRET = "the secret of the test"
NUMBER = "001090000001"


async def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Returns when `condition` holds; raises TimeoutError after `seconds`."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


async def until_true(condition: Callable[[], Awaitable[bool]], seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.02)


def soap_request(
    number: str = NUMBER,
    operation: str = "TraCuuThongTinCongDan",
    name: str = "NGUYỄN THỊ MẪU",
    born: str = "<d:NgayThangNam>19900203</d:NgayThangNam>",
) -> str:
    return (
        '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" xmlns:d="http://dancuquocgia.bca">'
        f"<s:Header/><s:Body><d:{operation}><d:MaYeuCau>R-1</d:MaYeuCau><d:MaDVC>G15-TP110</d:MaDVC>"
        f"<d:MaTichHop>037</d:MaTichHop><d:MaCanBo>officer-1</d:MaCanBo><d:SoDinhDanh>{number}</d:SoDinhDanh>"
        f"<d:HoVaTen>{name}</d:HoVaTen><d:NgayThangNamSinh>{born}</d:NgayThangNamSinh></d:{operation}></s:Body></s:Envelope>"
    )


def register_headers(outside: Simulators, timestamp: str | None = None, secret: str | None = None) -> dict[str, str]:
    stamp = timestamp or str(int(time.time()))
    signed = f"{outside.register_url}{outside.register_user}{stamp}{secret or outside.register_secret}"
    password = hashlib.sha256(signed.encode()).hexdigest()
    basic = base64.b64encode(f"{outside.register_user}:{password}".encode()).decode()
    return {"Authorization": f"Basic {basic}", "timestamp": stamp, "Content-Type": "text/xml; charset=utf-8"}


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    headers: Mapping[str, str]

    @property
    def text(self) -> str:
        return self.body.decode()


async def ask_register(outside: Simulators, body: str | bytes, headers: Mapping[str, str] | None = None) -> Answer:
    async with (
        ClientSession() as session,
        session.post(outside.register_url, data=body, headers=headers or register_headers(outside)) as answer,
    ):
        return Answer(answer.status, await answer.read(), answer.headers)


def vnpay_hash(text: str, secret: str = SECRET) -> str:
    """HMAC-SHA512 by its definition (RFC 2104), so that it shares nothing with what it checks."""
    key = secret.encode().ljust(128, b"\0")
    inner = hashlib.sha512(bytes(byte ^ 0x36 for byte in key) + text.encode()).digest()
    return hashlib.sha512(bytes(byte ^ 0x5C for byte in key) + inner).hexdigest()


def payment_url(outside: Simulators, reference: str = "A1", secret: str = SECRET, **changes: str) -> str:
    params = {
        "vnp_Version": "2.1.0",
        "vnp_Command": "pay",
        "vnp_TmnCode": "DOSSIER1",
        "vnp_Amount": "800000",
        "vnp_CurrCode": "VND",
        "vnp_TxnRef": reference,
        "vnp_OrderInfo": "Lệ phí hồ sơ <b>A & B</b>",
        "vnp_ReturnUrl": "http://127.0.0.1:9/back",
        "vnp_CreateDate": "20260302081500",
        "vnp_IpAddr": "127.0.0.1",
        "vnp_Locale": "vn",
        **changes,
    }
    query = urlencode(sorted((name, value) for name, value in params.items() if value))
    return f"{outside.payment_page}?{query}&vnp_SecureHash={vnpay_hash(query, secret)}"


async def pay(url: str, **form: str) -> tuple[int, dict[str, Any]]:
    async with (
        ClientSession() as session,
        session.post(url, data=form, headers={"Accept": "application/json"}) as answer,
    ):
        return answer.status, await answer.json()


def signature_holds(query: Mapping[str, str]) -> bool:
    signed = urlencode(sorted((name, value) for name, value in query.items() if name != "vnp_SecureHash"))
    return hmac.compare_digest(vnpay_hash(signed), query["vnp_SecureHash"])


@dataclass
class Merchant:
    """Hears the bank's callbacks on a real port; answers with `answers` in turn, then 00. `None`: HTTP 503."""

    answers: list[str | None] = field(default_factory=list)
    heard: list[dict[str, str]] = field(default_factory=list)
    url: str = ""

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/ipn", self._hear)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/ipn"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    async def _hear(self, request: web.Request) -> web.Response:
        self.heard.append(dict(request.query))
        code = self.answers.pop(0) if self.answers else "00"
        if code is None:
            return web.Response(status=503)
        return web.json_response({"RspCode": code, "Message": "of the test"})

    def codes(self) -> list[str]:
        """The response codes heard, in order."""
        return [query["vnp_ResponseCode"] for query in self.heard]
