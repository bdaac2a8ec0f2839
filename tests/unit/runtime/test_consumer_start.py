"""A consumer that crashes while it starts is not waited for: its process ends, and is started again."""

import asyncio
from pathlib import Path

import pytest

from shared.runtime.kafka.clients import Broker
from shared.runtime.kafka.consumer import KafkaConsumer
from shared.runtime.process import run


class Starting(KafkaConsumer):
    """A consumer whose start ends when it is told to, if ever."""

    def __init__(self, *, ends: bool, crashes: bool) -> None:
        super().__init__("intake", Broker("127.0.0.1:1"), [], _nothing, _nowhere, Path("unused"))
        self.ends, self.crashes = ends, crashes

    async def start(self) -> None:
        """What Faust's start comes to where aiokafka's coordinator has ended: nothing, without end."""
        if not self.ends:
            await asyncio.Event().wait()

    @property
    def crashed(self) -> bool:
        return self.crashes


async def _nothing(records: object) -> None:
    return None


async def _nowhere() -> dict[tuple[str, int], int]:
    return {}


@pytest.mark.parametrize(("ends", "crashes", "started"), [(True, False, True), (False, True, False)])
async def test_a_start_is_waited_for_until_it_ends_or_cannot_end(ends: bool, crashes: bool, started: bool) -> None:
    async with asyncio.timeout(10):
        assert await run._started(Starting(ends=ends, crashes=crashes)) is started


async def test_a_consumer_that_was_never_started_has_not_crashed() -> None:
    consumer = KafkaConsumer("intake", Broker("127.0.0.1:1"), [], _nothing, _nowhere, Path("unused"))
    assert not consumer.crashed
    assert not consumer.alive
