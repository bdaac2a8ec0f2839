"""Producing as the platform's relay does it: batches made by hand, one per partition, of an idempotent producer."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from aiokafka import AIOKafkaProducer

from tests.bench.peers.step import answer, caused


async def produce(producer: AIOKafkaProducer, topic: str, records: Iterable[Any]) -> None:
    """Answer `records`; returns once the broker has acknowledged every answer."""
    batches: dict[int, list[Any]] = defaultdict(list)
    for record in records:
        _add(producer, batches[record.partition], record)
    await asyncio.gather(*(_send(producer, topic, shard, ready) for shard, ready in batches.items()))


def _add(producer: AIOKafkaProducer, batches: list[Any], record: Any) -> None:
    value, headers = answer(record.value), caused(record.headers)
    if not batches or batches[-1].append(timestamp=None, key=record.key, value=value, headers=headers) is None:
        batches.append(producer.create_batch())
        batches[-1].append(timestamp=None, key=record.key, value=value, headers=headers)


async def _send(producer: AIOKafkaProducer, topic: str, shard: int, batches: list[Any]) -> None:
    for batch in batches:
        batch.close()
        await (await producer.send_batch(batch, topic, partition=shard))
