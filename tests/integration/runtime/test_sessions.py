"""Fetches in sessions (KIP-227): what a reader gets is the same, what it asks for is what has changed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.structs import TopicPartition

from deploy.local.ground import Ground
from shared.runtime.kafka.clients import Broker
from shared.topics import SHARDS
from tests.ground import empty_topics
from tests.integration.runtime.log import TOPIC, Log
from tests.integration.runtime.toy import dossiers
from tests.integration.runtime.wire import put

SHARD = 4
(DOSSIER,), (OTHER,) = dossiers(SHARD, 1), dossiers(7, 1)
READ = TopicPartition(TOPIC, SHARD)


@pytest.fixture(autouse=True)
async def _topics_without_a_past(ground: Ground) -> None:
    await empty_topics(ground)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The fetches as they went to the broker."""
    gone: list[Any] = []
    send = AIOKafkaClient.send

    async def noting(self: AIOKafkaClient, node: int, request: Any, **how: Any) -> Any:
        if isinstance(request, FetchRequest):
            gone.append(request)
        return await send(self, node, request, **how)

    monkeypatch.setattr(AIOKafkaClient, "send", noting)
    return gone


@asynccontextmanager
async def reader(ground: Ground) -> AsyncIterator[AIOKafkaConsumer]:
    """Reads all partitions from their beginning."""
    async with Broker(ground.bootstrap_servers).reader("test", fetch_max_wait_ms=100) as reader:
        partitions = [TopicPartition(TOPIC, shard) for shard in range(SHARDS)]
        reader.assign(partitions)
        await reader.seek_to_beginning(*partitions)
        yield reader


async def read(reader: AIOKafkaConsumer, count: int) -> list[tuple[int, int]]:
    """The next `count` records, as partition and offset."""
    got: list[tuple[int, int]] = []
    while len(got) < count:
        for records in (await reader.getmany(timeout_ms=10_000)).values():
            got += [(one.partition, one.offset) for one in records]
    return got


async def test_after_the_first_fetch_only_what_was_read_is_asked_for_again(ground: Ground, asked: list[Any]) -> None:
    log = Log()
    async with reader(ground) as consumer:
        for place in range(5):
            await put(ground.bootstrap_servers, log.say(DOSSIER, "noted"))
            assert await read(consumer, 1) == [(SHARD, place)]
    sizes = [sum(len(partitions) for _, partitions in one.topics) for one in asked]
    assert sizes[0] == SHARDS
    assert set(sizes[1:]) <= {0, 1}
    assert sizes.count(1) >= 4, "the partition that was read is asked for from its new place"


async def test_who_seeks_back_reads_the_same_again_and_the_others_where_they_were(ground: Ground) -> None:
    log = Log()
    await put(ground.bootstrap_servers, *(log.say(DOSSIER, "noted") for _ in range(3)), log.say(OTHER, "noted"))
    async with reader(ground) as consumer:
        first = await read(consumer, 4)
        consumer.seek(READ, 1)
        again = await read(consumer, 2)
        await put(ground.bootstrap_servers, log.say(OTHER, "noted"))
        last = await read(consumer, 1)
    assert sorted(first) == [(SHARD, 0), (SHARD, 1), (SHARD, 2), (7, 0)]
    assert (again, last) == ([(SHARD, 1), (SHARD, 2)], [(7, 1)])


async def test_a_partition_that_rests_is_forgotten_and_taken_up_where_it_was(ground: Ground) -> None:
    log = Log()
    async with reader(ground) as consumer:
        await put(ground.bootstrap_servers, log.say(DOSSIER, "noted"), log.say(OTHER, "noted"))
        await read(consumer, 2)
        consumer.pause(READ)
        await put(ground.bootstrap_servers, log.say(DOSSIER, "noted"))
        await put(ground.bootstrap_servers, log.say(OTHER, "noted"))
        assert await read(consumer, 1) == [(7, 1)]
        consumer.resume(READ)
        assert await read(consumer, 1) == [(SHARD, 1)]


async def test_a_session_that_the_broker_does_not_know_is_begun_anew(
    ground: Ground, asked: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after its restart, or when others needed the place more."""
    log = Log()
    async with reader(ground) as consumer:
        await put(ground.bootstrap_servers, log.say(DOSSIER, "noted"))
        await read(consumer, 1)
        (session,) = consumer._fetcher._client._sessions.values()
        session.id += 1
        await put(ground.bootstrap_servers, log.say(DOSSIER, "noted"))
        assert await read(consumer, 1) == [(SHARD, 1)]
    sizes = [sum(len(partitions) for _, partitions in one.topics) for one in asked]
    assert sizes.count(SHARDS) == 2
