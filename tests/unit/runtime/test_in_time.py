"""An answer in time or none: what does not let itself be cancelled holds nobody up."""

import asyncio
import time

import pytest

from shared.runtime.aio.deadline import with_deadline


async def _answer(what: str) -> str:
    await asyncio.sleep(0)
    return what


async def test_an_answer_that_comes_in_time_is_the_answer() -> None:
    assert await with_deadline(_answer("yes"), 60) == "yes"


async def test_what_the_work_raises_is_raised() -> None:
    async def refuse() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await with_deadline(refuse(), 60)


async def test_work_that_refuses_to_be_cancelled_is_not_waited_for_and_comes_to_its_own_end() -> None:
    goes_on, ended = asyncio.Event(), asyncio.Event()

    async def stubborn() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await goes_on.wait()
            ended.set()
            raise ConnectionError("nobody is left to hear this")

    began = time.monotonic()
    with pytest.raises(TimeoutError):
        await with_deadline(stubborn(), 0.05)
    assert time.monotonic() - began < 30
    assert not ended.is_set()
    goes_on.set()
    await asyncio.wait_for(ended.wait(), 60)


async def test_whoever_is_cancelled_while_waiting_cancels_the_work() -> None:
    began, cancelled = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    waiting = asyncio.create_task(with_deadline(work(), 60))
    await began.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await asyncio.wait_for(cancelled.wait(), 60)
