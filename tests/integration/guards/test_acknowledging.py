"""Nothing is acknowledged before it is true: neither to Kafka by a consumer, nor to ourselves by the relay."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer

from deploy.local.ground import Ground
from deploy.waiting import until
from shared.runtime.kafka.clients import Broker
from shared.runtime.kafka.consumer import KafkaConsumer
from shared.runtime.kernel.message import Record
from shared.runtime.observe.metrics import Metrics
from shared.runtime.publishing.relay import Relay
from shared.topics import topic_of
from tests.ground import empty_topics, frozen
from tests.integration.runtime.stage import Stage, command
from tests.integration.runtime.toy import NAME, dossiers
from tests.integration.runtime.wire import committed

TOPIC = topic_of("intake")
A_WHILE_S = 2.0
"""Four times the interval at which a consumer acknowledges."""


@asynccontextmanager
async def _consuming(ground: Ground, folder: Path, group: str, go_on: asyncio.Event) -> AsyncIterator[asyncio.Event]:
    """A consumer of one record whose handling takes until `go_on`; gives the event that it has begun."""
    begun = asyncio.Event()

    async def handle(records: Sequence[Record]) -> None:
        begun.set()
        await go_on.wait()

    async def next_offsets() -> Mapping[tuple[str, int], int]:
        return {}

    consumer = KafkaConsumer(group, Broker(ground.bootstrap_servers), [TOPIC], handle, next_offsets, folder)
    await consumer.start()
    try:
        yield begun
    finally:
        go_on.set()
        await consumer.stop()


async def test_a_consumer_acknowledges_to_kafka_only_what_is_committed(ground: Ground, tmp_path: Path) -> None:
    await empty_topics(ground)
    group, go_on = f"guard-{uuid4()}", asyncio.Event()
    async with AIOKafkaProducer(bootstrap_servers=ground.bootstrap_servers) as producer:
        await producer.send_and_wait(TOPIC, b"{}", partition=3)

    async def acknowledged() -> bool:
        return await committed(ground.bootstrap_servers, group) > 0

    async with _consuming(ground, tmp_path, group, go_on) as begun:
        await asyncio.wait_for(begun.wait(), 90)
        with pytest.raises(TimeoutError):
            await until(acknowledged, seconds=A_WHILE_S, what="an acknowledgement that must not come")
        go_on.set()
        await until(acknowledged, seconds=60, what="the acknowledgement")


async def _publish(relay: Relay, producer: AIOKafkaProducer) -> int:
    """Rounds until one has been told what became of an event; how many events it was told of."""
    while not (published := await relay.publish(producer)):
        await asyncio.sleep(0.05)
    return published


async def test_the_relay_moves_its_cursor_only_after_kafka_has_acknowledged(stage: Stage, ground: Ground) -> None:
    await empty_topics(ground)
    await stage.engine().handle([command(dossiers(3, 1)[0], "one")])
    broker = Broker(ground.bootstrap_servers)
    relay = Relay(NAME, stage.pool, broker, Metrics(NAME))
    await relay._lease()

    async def moved() -> bool:
        return bool(await stage.admin.fetchval("SELECT max(published) FROM relay"))

    async with broker.producer(NAME) as producer:
        await producer.partitions_for(topic_of(NAME))
        with frozen(ground.kafka):
            publishing = asyncio.create_task(_publish(relay, producer))
            with pytest.raises(TimeoutError):
                await until(moved, seconds=A_WHILE_S, what="a cursor that must not move")
        assert await asyncio.wait_for(publishing, 60) == 1
        assert await moved()
