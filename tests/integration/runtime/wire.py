"""What lies on a topic, read beside everybody, and what tests put there."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import Any

from aiokafka.errors import GroupCoordinatorNotAvailableError
from aiokafka.structs import TopicPartition

from deploy.kafka.topics import administrator
from deploy.waiting import until
from shared.events.envelope import open_record, read_envelope
from shared.runtime.kafka.clients import Broker
from shared.runtime.kafka.records import record
from shared.runtime.kernel.message import Record
from shared.topics import TOPICS


async def read_topic(bootstrap: str, topic: str) -> dict[int, list[Record]]:
    """Partition → its records, from the beginning to the end that it has now."""
    found: dict[int, list[Record]] = defaultdict(list)
    async with Broker(bootstrap).reader("test") as reader:
        partitions = [TopicPartition(topic, shard) for shard in range(TOPICS[topic].partitions)]
        reader.assign(partitions)
        ends = await reader.end_offsets(partitions)
        await reader.seek_to_beginning(*partitions)
        waiting = {tp for tp in partitions if ends[tp] > 0}
        while waiting:
            for tp, messages in (await reader.getmany(*waiting, timeout_ms=200)).items():
                found[tp.partition] += [record(message) for message in messages]
            waiting = {tp for tp in waiting if await reader.position(tp) < ends[tp]}
    return found


def sequences(records: Iterable[Record]) -> list[int]:
    """The sequences on a partition, in the order in which they lie there."""
    return [read_envelope(open_record(one.headers, one.value)[0]).sequence for one in records]


def first_seen(numbers: Iterable[int]) -> list[int]:
    """The numbers without their repeats."""
    return list(dict.fromkeys(numbers))


async def put(bootstrap: str, *records: Record) -> None:
    """Put records on their partitions, in this order; offsets are then what the broker gives."""
    async with Broker(bootstrap).producer("test") as producer:
        sent = [
            await producer.send(one.topic, one.value, one.key, one.partition, headers=list(one.headers))
            for one in records
        ]
        await asyncio.gather(*sent)


async def committed(bootstrap: str, group: str) -> int:
    """How many records the group has acknowledged to Kafka, if every partition begins at offset 0; 0 while a broker
    that has only just started has no coordinator for it.
    """
    async with administrator(bootstrap) as admin:
        try:
            offsets = await admin.list_consumer_group_offsets(group)
        except GroupCoordinatorNotAvailableError:
            return 0
    return sum(max(0, entry.offset) for entry in offsets.values())


@asynccontextmanager
async def running(*works: Coroutine[Any, Any, Any]) -> AsyncIterator[None]:
    """While the block lasts, these run."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def soon(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    """Wait for a condition, for at most a minute."""
    await until(condition, seconds=60, what=what, every=0.02)
