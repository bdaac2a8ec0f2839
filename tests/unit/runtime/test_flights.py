"""What Kafka is late to answer waits alone, and what it refuses hides nothing that it has taken."""

import asyncio
from typing import Any

from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from shared.runtime.publishing.flights import Flights

PATIENCE_S = 0.01
ROWS: Any = ["a row"]


def _sent() -> "asyncio.Future[Any]":
    return asyncio.get_running_loop().create_future()


async def test_what_is_answered_is_taken_in_while_another_shard_waits() -> None:
    flights, prompt, late = Flights(), _sent(), _sent()
    flights.launch(1, ROWS, prompt)
    flights.launch(2, ROWS, late)
    prompt.set_result("word")
    assert (await flights.land(PATIENCE_S)).taken == {1: (ROWS, ["word"])}
    assert flights.shards == {2}


async def test_a_late_answer_is_told_and_taken_in_once() -> None:
    told: list[str] = []
    flights, late = Flights(lambda: told.append("an answer")), _sent()
    flights.launch(2, ROWS, late)
    assert not (await flights.land(PATIENCE_S)).taken
    assert not told
    late.set_result("word")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert told == ["an answer"]
    assert (await flights.land(PATIENCE_S)).taken == {2: (ROWS, ["word"])}
    assert not (await flights.land(PATIENCE_S)).taken


async def test_nobody_waits_again_for_what_is_late_already() -> None:
    flights = Flights()
    flights.launch(2, ROWS, _sent())
    await flights.land(PATIENCE_S)
    async with asyncio.timeout(PATIENCE_S * 100):
        assert not (await flights.land(PATIENCE_S * 10_000)).taken
    assert flights.late(0.0) == {2}
    assert flights.late(3600.0) == set()


async def test_a_refusal_is_told_beside_what_was_taken() -> None:
    flights, taken, refused = Flights(), _sent(), _sent()
    flights.launch(1, ROWS, taken)
    flights.launch(2, ROWS, refused)
    taken.set_result("word")
    refused.set_exception(MessageSizeTooLargeError())
    landing = await flights.land(PATIENCE_S)
    assert list(landing.taken) == [1]
    assert isinstance(landing.failure, MessageSizeTooLargeError)


async def test_what_is_given_up_is_a_failure_like_any_other() -> None:
    flights, given_up = Flights(), _sent()
    flights.launch(1, ROWS, given_up)
    given_up.cancel()
    assert isinstance((await flights.land(PATIENCE_S)).failure, KafkaError)
