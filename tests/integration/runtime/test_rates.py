"""A client's rate holds over all replicas, costs the database little, and takes nothing from other clients."""

import asyncio
import time
from typing import Any

import pytest

from shared.errors import Refused
from shared.runtime.http.rates import Rates
from tests.integration.runtime.stage import Stage
from tests.integration.runtime.wire import soon

pytestmark = pytest.mark.asyncio


class Counted:
    """A pool that counts what it is asked."""

    def __init__(self, pool: Any) -> None:
        self.pool, self.asked = pool, 0

    async def fetchrow(self, *words: Any) -> Any:
        """One row."""
        self.asked += 1
        return await self.pool.fetchrow(*words)


async def taken(rates: Rates, client: str, rate: float, times: int) -> int:
    """How many of so many requests are granted."""
    granted = 0
    for _ in range(times):
        try:
            await rates.take(client, rate)
            granted += 1
        except Refused as refused:
            assert refused.code == "DOS-INT-429"
            assert refused.facts["retry_after_s"] >= 1
    return granted


async def test_a_burst_is_granted_once_however_many_replicas_are_asked(stage: Stage) -> None:
    began = time.monotonic()
    replicas = [Rates(stage.pool) for _ in range(3)]
    granted = sum(await asyncio.gather(*(taken(one, "flood", 20, 100) for one in replicas)))
    filled = (time.monotonic() - began) * 20
    # What a replica has taken and not used is lost: a tenth of a second's worth each.
    assert 40 - 3 * 2 <= granted <= 40 + filled + 1


async def test_another_client_has_a_bucket_of_its_own(stage: Stage) -> None:
    rates = Rates(stage.pool)
    await taken(rates, "flooding", 1, 50)
    assert await taken(rates, "another", 1, 2) == 2


async def test_who_comes_again_when_told_is_granted(stage: Stage) -> None:
    rates = Rates(stage.pool)
    await taken(rates, "patient", 20, 60)

    async def again() -> bool:
        return await taken(rates, "patient", 20, 1) == 1

    await soon(again, "the bucket to have one")


async def test_a_flood_costs_the_database_a_few_statements_and_its_refusals_none(stage: Stage) -> None:
    pool: Any = Counted(stage.pool)
    rates = Rates(pool)
    granted = await taken(rates, "fast", 5000, 5000)
    assert granted == 5000
    assert pool.asked <= 5000 / 500 + 2
    await taken(rates, "slow", 1, 2)
    asked = pool.asked
    await taken(rates, "slow", 1, 1000)
    assert pool.asked <= asked + 2


async def test_at_once_asked_is_counted_once_each(stage: Stage) -> None:
    rates = Rates(stage.pool)
    answers = await asyncio.gather(*(taken(rates, "at-once", 10, 1) for _ in range(100)))
    assert 20 <= sum(answers) <= 23
