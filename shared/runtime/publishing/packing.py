"""Stored events as Kafka's batches: one a shard, in position order."""

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import groupby, takewhile
from operator import itemgetter
from typing import Any

import asyncpg
import orjson
from aiokafka import AIOKafkaProducer
from aiokafka.structs import RecordMetadata


def packed(
    producer: AIOKafkaProducer, rows: Sequence[asyncpg.Record]
) -> dict[int, tuple[Any, Sequence[asyncpg.Record]]]:
    """Of each shard one batch of Kafka's, and the rows that found room in it: no second one is on its way with it.

    A broker that has refused a batch takes the next one of a producer that is new to it, which would leave a hole.
    """
    batches: dict[int, tuple[Any, Sequence[asyncpg.Record]]] = {}
    for shard, ready in groupby(rows, itemgetter("shard")):
        batch = producer.create_batch()
        batches[shard] = batch, list(takewhile(partial(_added, batch), ready))
        batch.close()
    return batches


def _added(batch: Any, row: Mapping[str, Any]) -> bool:
    key = str(row["dossier_id"]).encode()
    return batch.append(timestamp=None, key=key, value=row["data"], headers=_wire(row)) is not None


def last_of(first: RecordMetadata, count: int) -> RecordMetadata:
    """Kafka's word for the last record of a batch, by its word for the first; -1 is none."""
    return first if first.offset < 0 else first._replace(offset=first.offset + count - 1)


def _wire(row: Mapping[str, Any]) -> list[tuple[str, bytes]]:
    return [(name, text.encode()) for name, text in orjson.loads(row["headers"]).items()]
