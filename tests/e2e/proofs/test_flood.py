"""A client who floods is told to wait, and others hardly notice: the figure stands in the reference."""

import asyncio
import json
import re
import time
import uuid
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import aiohttp
import pytest

from deploy.demo.data import write_lines
from deploy.demo.players import without_key
from deploy.local.ground import External
from deploy.stack import Stack
from tests.e2e.proofs.people import cast
from tests.reference import REFERENCE

pytestmark = pytest.mark.asyncio(loop_scope="session")

RATE, AT_ONCE, FOR_S = 50, 64, 6.0
EVERY_S = 0.05


async def filed(stack: Stack, http: aiohttp.ClientSession, client: str, body: Mapping[str, Any]) -> tuple[int, Any]:
    """Status and Retry-After of one application under a new key."""
    headers = {"authorization": f"Bearer {stack.clients()[client].token}", "idempotency-key": str(uuid.uuid4())}
    async with http.post(f"{stack.of('intake')[0].url}/v1/dossiers", json=body, headers=headers) as answer:
        content = await answer.json(content_type=None)
        if answer.status == 429:
            assert (content["code"], content["retry_after_s"]) == ("DOS-INT-429", int(answer.headers["retry-after"]))
        return answer.status, answer.headers.get("retry-after")


async def test_one_clients_flood_delays_another_by_no_more_than_is_promised(tmp_path: Path) -> None:
    register = write_lines(tmp_path / "register.jsonl", [])
    body = without_key({**cast(1).applications[0]})
    body.pop("submitted_at", None)
    settings = {"CLIENT_RATE": str(RATE)}
    async with (
        Stack(tmp_path, register, say=print, services=("intake",), external=External(), settings=settings) as stack,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http,
    ):
        calm = await taking(stack, http, body, FOR_S / 2)
        until, told = time.monotonic() + FOR_S, Counter[int]()

        async def flood() -> None:
            while time.monotonic() < until:
                told[(await filed(stack, http, "citizen-app-a", body))[0]] += 1

        flooding = [asyncio.create_task(flood()) for _ in range(AT_ONCE)]
        flooded = await taking(stack, http, body, FOR_S - 0.5)
        await asyncio.gather(*flooding)
    said = {name: 1000 * median(times) for name, times in (("calm", calm), ("flooded", flooded))}
    late = 1000 * quantiles(flooded, n=100)[98]
    print(f"another client's median: {said} ms, p99 {late:.0f} ms; the flood was answered {dict(told)}")
    assert told[201] <= RATE * (FOR_S + 2) * 1.1
    assert told[429] > 0, "a machine that is busy sends less of a flood, but some of it is too much"
    assert set(told) == {201, 429}
    assert said["flooded"] - said["calm"] < promised_ms()


async def taking(stack: Stack, http: aiohttp.ClientSession, body: Mapping[str, Any], seconds: float) -> list[float]:
    """How long each application of another client takes (s), one after the other."""
    times, until = [], time.monotonic() + seconds
    while time.monotonic() < until:
        began = time.monotonic()
        assert (await filed(stack, http, "citizen-app-b", body))[0] == 201
        times.append(time.monotonic() - began)
        await asyncio.sleep(EVERY_S)
    return times


def promised_ms() -> int:
    """What the reference says."""
    text = re.search(r"delays another's requests by less than (\d+) ms", REFERENCE.read_text(encoding="utf-8"))
    assert text is not None, json.dumps("the reference states no figure")
    return int(text[1])
