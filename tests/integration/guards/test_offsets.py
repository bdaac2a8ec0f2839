"""A consumer begins where the database says, whatever Kafka holds, and leaves nothing handled to another member."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.structs import TopicPartition

from deploy.local.ground import Ground
from shared.runtime.kafka import consumer as consuming
from shared.runtime.kafka.clients import Broker
from shared.runtime.kafka.consumer import KafkaConsumer
from shared.runtime.kafka.patches import faust_consumer
from shared.runtime.kernel.message import Record
from shared.topics import SHARDS
from tests.ground import empty_topics
from tests.integration.runtime.log import TOPIC, Log
from tests.integration.runtime.stage import Stage
from tests.integration.runtime.toy import dossiers
from tests.integration.runtime.wire import committed, put, soon

SHARD = 2
(ONE,) = dossiers(SHARD, 1)
HANDLED, ALL = 3, 6
AN_HOUR_S = 3600.0


async def _forge(bootstrap: str, group: str, offset: int) -> None:
    """Let Kafka hold another offset than the database."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign([TopicPartition(TOPIC, SHARD)])
        await consumer.commit({TopicPartition(TOPIC, SHARD): offset})
    finally:
        await consumer.stop()


@asynccontextmanager
async def _consuming(
    ground: Ground,
    group: str,
    folder: Path,
    handle: Callable[[Sequence[Record]], Awaitable[None]],
    begin: faust_consumer.NextOffsets,
) -> AsyncIterator[KafkaConsumer]:
    consumer = KafkaConsumer(group, Broker(ground.bootstrap_servers), [TOPIC], handle, begin, folder)
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()


@pytest.mark.parametrize("forged", [1, 5], ids=["behind", "ahead"])
async def test_a_consumer_begins_where_the_database_says_whatever_kafka_holds(
    ground: Ground, stage: Stage, tmp_path: Path, forged: int
) -> None:
    await empty_topics(ground)
    group, log = f"forged-{uuid4()}", Log()
    records = [log.say(ONE, f"text {n}") for n in range(ALL)]
    await put(ground.bootstrap_servers, *records)
    listener = stage.listener(bootstrap=ground.bootstrap_servers)
    await listener.prepare()
    await listener.handle(records[:HANDLED])
    await _forge(ground.bootstrap_servers, group, forged)
    delivered: list[int] = []

    async def handle(records: Sequence[Record]) -> None:
        delivered.extend(record.offset for record in records)
        await listener.handle(records)

    async def all_heard() -> bool:
        return len((await stage.state(ONE)).intake.texts) == ALL

    async with _consuming(ground, group, tmp_path, handle, listener.next_offsets):
        await soon(all_heard, "everything to be heard")
    assert delivered == list(range(HANDLED, ALL))


async def test_what_is_handled_is_acknowledged_before_another_member_takes_over(
    ground: Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(consuming._SETTINGS, "broker_commit_interval", AN_HOUR_S)
    await empty_topics(ground)
    bootstrap, group = ground.bootstrap_servers, f"joined-{uuid4()}"
    delivered: Counter[tuple[int, int]] = Counter()

    async def handle(records: Sequence[Record]) -> None:
        delivered.update((record.partition, record.offset) for record in records)

    async def where_kafka_says() -> Mapping[tuple[str, int], int]:
        return {}

    async with (
        AIOKafkaProducer(bootstrap_servers=bootstrap) as producer,
        _consuming(ground, group, tmp_path / "first", handle, where_kafka_says) as first,
    ):
        for shard in range(SHARDS):
            await producer.send_and_wait(TOPIC, b"{}", partition=shard)

        async def acknowledged() -> bool:
            return len(delivered) == SHARDS and not first.app.consumer.unacked

        await soon(acknowledged, "one record of each partition to be handled")
        assert await committed(bootstrap, group) == 0, "the interval is not long"
        async with _consuming(ground, group, tmp_path / "second", handle, where_kafka_says) as second:

            async def shared() -> bool:
                return bool(second.app.consumer.assignment())

            await soon(shared, "the second to have partitions")
            assert await committed(bootstrap, group) == SHARDS, "the second begins with what the first has handled"
            assert set(delivered.values()) == {1}


async def _silent() -> None:
    await asyncio.Event().wait()


async def _silent_and_deaf() -> None:
    """As a connection of asyncpg's that is prepared for its use: closing it swallows a cancellation."""
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.Event().wait()
    await asyncio.Event().wait()


@pytest.mark.parametrize("database", [_silent, _silent_and_deaf])
async def test_a_database_that_is_silent_while_partitions_are_assigned_is_asked_again(
    ground: Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database: Callable[[], Awaitable[None]]
) -> None:
    """Faust waits for half a minute, takes the end of that for its own end, and would never read again."""
    monkeypatch.setattr(faust_consumer, "SEEK_S", 0.2)
    await empty_topics(ground)
    log = Log()
    await put(ground.bootstrap_servers, *(log.say(ONE, f"text {n}") for n in range(ALL)))
    asked, delivered = 0, list[int]()

    async def begin() -> Mapping[tuple[str, int], int]:
        nonlocal asked
        asked += 1
        if asked <= 2:
            await database()
        return {(TOPIC, shard): 0 for shard in range(SHARDS)}

    async def handle(records: Sequence[Record]) -> None:
        delivered.extend(record.offset for record in records)

    async def all_delivered() -> bool:
        return len(delivered) == ALL

    async with asyncio.timeout(60), _consuming(ground, f"silent-{uuid4()}", tmp_path, handle, begin):
        await soon(all_delivered, "the records to be read")
    assert (asked, delivered) == (3, list(range(ALL)))
