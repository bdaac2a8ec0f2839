"""A busy loop takes fewer, larger batches; an idle one takes what comes at once."""

import asyncio
from collections.abc import Sequence
from uuid import uuid4

import pytest

from shared.runtime.aio import pacing
from shared.runtime.engine import batcher
from shared.runtime.engine.batcher import Batcher
from shared.runtime.kernel.message import Claim, Handled, Item


def _item() -> Item:
    return Item(claim=Claim(uuid4(), uuid4()))


async def test_a_rest_is_as_long_as_the_work_was_but_never_longer_than_its_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rested: list[float] = []

    async def note(seconds: float) -> None:
        rested.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", note)
    await pacing.rest(0.004)
    await pacing.rest(4.0)
    await pacing.rest(0.004, least_s=0.2)
    assert rested == [0.004, pacing.LONGEST_S, 0.2]


async def test_what_comes_while_a_batcher_rests_makes_up_one_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    resting, rested = asyncio.Event(), asyncio.Event()

    async def handle(items: Sequence[Item]) -> list[Handled]:
        sizes.append(len(items))
        return [Handled("ok") for _ in items]

    async def until_told(took_s: float, enough: asyncio.Event) -> None:
        resting.set()
        await rested.wait()

    monkeypatch.setattr(batcher, "rest", until_told)
    door = Batcher(handle)
    first = asyncio.create_task(door.submit(_item()))
    await resting.wait()
    assert (await first).outcome == "ok", "the first one is answered at once, before the rest"
    later = [asyncio.create_task(door.submit(_item())) for _ in range(3)]
    await asyncio.sleep(0)
    rested.set()
    await asyncio.gather(*later)
    assert sizes == [1, 3]


async def test_a_rest_ends_when_there_is_enough_for_the_next_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pacing, "LONGEST_S", 3600.0)
    enough = asyncio.Event()
    resting = asyncio.create_task(pacing.rest(3600.0, enough))
    await asyncio.sleep(0)
    assert not resting.done()
    enough.set()
    await asyncio.wait_for(resting, 60)


async def test_a_batcher_calls_enough_what_shares_the_cost_of_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[asyncio.Event] = []

    async def until_enough(took_s: float, enough: asyncio.Event) -> None:
        told.append(enough)
        await enough.wait()

    async def handle(items: Sequence[Item]) -> list[Handled]:
        return [Handled("ok") for _ in items]

    monkeypatch.setattr(batcher, "rest", until_enough)
    door = Batcher(handle)
    await door.submit(_item())
    waiting = [asyncio.create_task(door.submit(_item())) for _ in range(batcher.ENOUGH - 1)]
    await asyncio.sleep(0)
    assert not told[0].is_set()
    waiting.append(asyncio.create_task(door.submit(_item())))
    await asyncio.gather(*waiting)
