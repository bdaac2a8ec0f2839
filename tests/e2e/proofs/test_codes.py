"""Running numbers of a unit and day are dense and unique, however many replicas give them out at once."""

import asyncio
import itertools
import uuid
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from deploy.demo.data import write_lines
from deploy.demo.players import without_key
from deploy.local.ground import External
from deploy.stack import Stack
from tests.e2e.proofs.people import cast

pytestmark = pytest.mark.asyncio(loop_scope="session")

REPLICAS, EACH, AT_ONCE = 2, 1000, 48
REPEATS = 20
"""So often a replica may say that it cannot say what became of one application."""


async def test_two_replicas_taking_in_a_thousand_each_give_dense_and_unique_codes(tmp_path: Path) -> None:
    register = write_lines(tmp_path / "register.jsonl", [])
    async with (
        Stack(tmp_path, register, REPLICAS, print, services=("intake",), external=External()) as stack,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http,
    ):
        codes, by_replica = await flood(stack, http, application())
    unit_and_day = {code.rpartition("-")[0] for code in codes}
    assert len(unit_and_day) == 1
    assert sorted(code.rpartition("-")[2] for code in codes) == [f"{n:04d}" for n in range(1, REPLICAS * EACH + 1)]
    assert by_replica == Counter({n: EACH for n in range(REPLICAS)})


def application() -> dict[str, Any]:
    """One that was received an hour ago, so that every copy falls on the same day."""
    made = cast(1).applications[0]
    received = datetime.now(UTC) - timedelta(hours=1)
    return {**without_key(made), "submitted_at": received.isoformat()}


async def flood(stack: Stack, http: aiohttp.ClientSession, body: dict[str, Any]) -> tuple[list[str], Counter[int]]:
    """Send copies of an application to every replica at once; the codes given, and how many by each replica."""
    headers = {"authorization": f"Bearer {stack.clients()['importer'].token}"}
    waiting = itertools.chain.from_iterable(itertools.repeat(range(REPLICAS), EACH))
    codes: list[str] = []
    by_replica: Counter[int] = Counter()

    async def client() -> None:
        for replica in waiting:
            key = {"idempotency-key": str(uuid.uuid4())}
            url = f"{stack.processes[replica].url}/v1/dossiers"
            codes.append(await taken_in(http, url, body, {**headers, **key}))
            by_replica[replica] += 1

    await asyncio.gather(*(client() for _ in range(AT_ONCE)))
    return codes, by_replica


async def taken_in(http: aiohttp.ClientSession, url: str, body: dict[str, Any], headers: Mapping[str, str]) -> str:
    """The code that is given. 503 means: ask again with the same key, and be told what became of it."""
    for _ in range(REPEATS):
        async with http.post(url, json=body, headers=headers) as answer:
            if answer.status != 503:
                assert answer.status == 201, await answer.text()
                return str((await answer.json())["code"])
        await asyncio.sleep(float(answer.headers.get("retry-after", 1)))
    raise AssertionError(f"503 {REPEATS} times")
