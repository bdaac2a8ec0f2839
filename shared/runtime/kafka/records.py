"""Records of Kafka as we handle them, and how some are read once more, beside the group."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from shared.runtime.kafka.clients import Broker
from shared.runtime.kernel.message import Record


def record(message: Any) -> Record:
    """An aiokafka message as the record that it is."""
    return Record(
        message.topic,
        message.partition,
        message.offset,
        _instant((message.timestamp or 0) / 1000),
        message.key,
        tuple(message.headers or ()),
        message.value,
    )


def _instant(seconds: float) -> datetime:
    """The record's time; the epoch for one that no calendar has (a broker takes any number from a client)."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(0, UTC)


async def read_range(
    broker: Broker,
    client: str,
    partition: TopicPartition,
    start: int,
    stop: int,
    keep: Callable[[Record], bool] = lambda record: True,
    read: Callable[[], None] = lambda: None,
) -> list[Record]:
    """The records of one partition with start ≤ offset < stop that `keep` wants, read beside the group (nothing is
    committed); `read` is told of each piece. Topics are kept for ever: whoever reads from the beginning must want
    little of it. Raises KafkaError, also if the topic loses its tail meanwhile.
    """
    found: list[Record] = []
    async with broker.reader(client) as consumer:
        consumer.assign([partition])
        beginning = (await consumer.beginning_offsets([partition]))[partition]
        end = min(stop, (await consumer.end_offsets([partition]))[partition])
        at = max(start, beginning)
        consumer.seek(partition, at)
        while at < end:
            got = await consumer.getmany(partition, timeout_ms=500, max_records=1000)
            records = [record(message) for messages in got.values() for message in messages if message.offset < end]
            before, at = at, await consumer.position(partition)
            # A position that the broker does not have is set back to its beginning.
            if at < before or not got and (await consumer.end_offsets([partition]))[partition] < end:
                raise KafkaError(f"{partition.topic}/{partition.partition} has lost its tail")
            found += filter(keep, records)
            if got:
                read()
    return found
