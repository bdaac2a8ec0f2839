"""The control request that sends the merchant any callback at all."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Literal

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from deploy.simulators import vnpay
from deploy.simulators.callbacks import Caller
from deploy.simulators.failing import json_object
from deploy.simulators.ledger import Ledger


class Arbitrary(BaseModel):
    """A callback to send now: the result of `txn_ref`, if that was tried, with `params` laid over it.

    A parameter that is null is left out. `times` copies go at the same moment.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    txn_ref: str | None = None
    params: dict[str, str | None] = {}
    signature: Literal["right", "wrong", "none"] = "right"
    times: int = Field(default=1, ge=1, le=100)


def send_arbitrary(
    ledger: Ledger, caller: Caller, secret: bytes
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """The handler of `POST /control/ipn`; it answers the RspCode of each copy, "" where none came."""

    async def handle(request: web.Request) -> web.Response:
        wanted = Arbitrary.model_validate(await json_object(request))
        order = ledger.orders.get(wanted.txn_ref or "")
        params = {**(order.result if order else {}), **wanted.params}
        query = _query({name: value for name, value in params.items() if value is not None}, wanted.signature, secret)
        codes = await asyncio.gather(*(caller.send_query(query) for _ in range(wanted.times)))
        return web.json_response({"codes": codes})

    return handle


def _query(params: dict[str, str], signature: str, secret: bytes) -> str:
    if signature == "none":
        return vnpay.signed_text(params)
    return vnpay.signed_query(params, secret if signature == "right" else b"another secret")
