"""How the bank tells the merchant of payments: callbacks by GET, repeated until they are answered for good."""

import asyncio
import json
from collections import Counter
from typing import Literal

import aiohttp
from pydantic import Field
from yarl import URL

from deploy.simulators import vnpay
from deploy.simulators.faults import Faults, Settings
from deploy.simulators.journal import History
from deploy.simulators.ledger import Batch, Callback, Ledger

FINAL = ("00", "02")
"""Answers that end a callback: confirmed, or confirmed before. Any other is asked again, up to REFUSALS times."""
REFUSALS = 10
UNREACHABLE = ""
TIMEOUT = aiohttp.ClientTimeout(total=15)
AT_ONCE = 32

Extra = Literal["fail_after_success", "fail_before_success", "wrong_signature", "wrong_amount", "unknown_reference"]


class BankSettings(Settings):
    """What the bank can be told beside what every simulator can.

    ipn_url: where callbacks go; without one they wait. ipn_hold: they all wait.
    ipn_copies: how often each payment is told, side by side (0: never). ipn_delay_ms: how long after the payment.
    ipn_extras: false callbacks, each sent once, added to the true one; `fail_before_success` goes before it, the
    others after. ipn_ratio: the share of payments that get extras and copies other than one.
    """

    ipn_url: str | None = None
    ipn_hold: bool = False
    ipn_copies: int = Field(default=1, ge=0, le=10)
    ipn_delay_ms: int = Field(default=0, ge=0, le=600_000)
    ipn_extras: list[Extra] = []
    ipn_ratio: float = Field(default=1, ge=0, le=1)
    retry_base_ms: int = Field(default=500, ge=1)
    retry_cap_ms: int = Field(default=30_000, ge=1)

    @property
    def silent(self) -> bool:
        return self.ipn_hold or not self.ipn_url or self.mode in ("down", "refuse", "hang")


def owed_for(result: dict[str, str], faults: Faults[BankSettings]) -> list[list[Callback]]:
    """The callbacks that a payment with `result` leads to under the settings: lists that go side by side."""
    settings = faults.settings
    told = faults.random.random() < settings.ipn_ratio
    copies, extras = (settings.ipn_copies, settings.ipn_extras) if told else (1, [])
    before = [_extra(extra, result) for extra in extras if extra == "fail_before_success"]
    after = [_extra(extra, result) for extra in extras if extra != "fail_before_success"]
    if copies == 0:
        return [before + after] if before + after else []
    return [[*before, Callback(result), *after], *([Callback(result)] for _ in range(copies - 1))]


def _extra(extra: Extra, result: dict[str, str]) -> Callback:
    if extra == "wrong_signature":
        return Callback(result, forged=True, once=True)
    changed = {
        "fail_after_success": {"vnp_ResponseCode": "24", "vnp_TransactionStatus": "02"},
        "fail_before_success": {"vnp_ResponseCode": "24", "vnp_TransactionStatus": "02"},
        "wrong_amount": {"vnp_Amount": str(int(result["vnp_Amount"]) + 100_000)},
        "unknown_reference": {"vnp_TxnRef": f"unknown-{result['vnp_TxnRef']}"},
    }[extra]
    return Callback({**result, **changed}, once=True)


class Caller:
    """Sends what the ledger owes, as long as the process lives; a restart goes on with what is still owed."""

    def __init__(self, ledger: Ledger, faults: Faults[BankSettings], secret: bytes, history: History) -> None:
        self._ledger = ledger
        self._faults = faults
        self._secret = secret
        self._history = history
        self._batches: asyncio.Queue[Batch] = asyncio.Queue()
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._session: aiohttp.ClientSession | None = None
        self.counts: Counter[str] = Counter()

    def owe(self, batches: list[Batch]) -> None:
        for batch in batches:
            self._batches.put_nowait(batch)

    async def run(self) -> None:
        """Sends until cancelled. Raises what is not a failure of the network or of the other side."""
        self.owe(list(self._ledger.owed.values()))
        async with self._connected(), asyncio.TaskGroup() as tasks:
            while True:
                tasks.create_task(self._deliver(await self._batches.get()))

    def _connected(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=TIMEOUT, cookie_jar=aiohttp.DummyCookieJar())
        return self._session

    async def _deliver(self, batch: Batch) -> None:
        await asyncio.sleep(self._faults.settings.ipn_delay_ms / 1000)
        for callback in batch.callbacks[batch.done :]:
            await self._until_final(callback)
            self._ledger.settle(batch)

    async def _until_final(self, callback: Callback) -> None:
        tries = refused = 0
        while True:
            async with self._slots:
                code = await self.send(callback)
            tries += 1
            refused += code != UNREACHABLE
            if code in FINAL or (callback.once and code != UNREACHABLE) or refused >= REFUSALS:
                return
            await self._back_off(tries)

    async def _back_off(self, tries: int) -> None:
        settings = self._faults.settings
        milliseconds = min(settings.retry_cap_ms, settings.retry_base_ms * 2 ** min(tries - 1, 20))
        await asyncio.sleep(milliseconds / 1000 * (0.5 + self._faults.random.random() / 2))

    async def send(self, callback: Callback) -> str:
        """Sends one callback once, when the bank is not silent, and gives the RspCode answered; "" if none came."""
        while self._faults.settings.silent:
            await self._faults.until_changed()
        secret = b"another secret" if callback.forged else self._secret
        query = vnpay.signed_query(callback.params, secret)
        return await self.send_query(query)

    async def send_query(self, query: str) -> str:
        """Sends one query string to the merchant's address as it is. Gives the RspCode answered, "" if none came."""
        code, status = UNREACHABLE, 0
        try:
            async with self._connected().get(self._url(query), allow_redirects=False) as answer:
                status = answer.status
                code = _code(status, await answer.read())
        except (aiohttp.ClientError, TimeoutError) as error:
            self._history.record("ipn_failed", error=type(error).__name__, query=query)
        self.counts[code or "unanswered"] += 1
        self._history.record("ipn", query=query, status=status, code=code)
        return code

    def _url(self, query: str) -> URL:
        base = self._faults.settings.ipn_url or ""
        return URL(f"{base}{'&' if '?' in base else '?'}{query}", encoded=True)


def _code(status: int, body: bytes) -> str:
    try:
        answer = json.loads(body)
    except ValueError:
        return UNREACHABLE
    code = answer.get("RspCode") if isinstance(answer, dict) else None
    return code if status == 200 and isinstance(code, str) else UNREACHABLE
