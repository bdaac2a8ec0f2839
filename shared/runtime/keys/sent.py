"""How data keys come to their topic, and what their one writer remembers of where each lies there."""

import asyncio
from collections.abc import Collection, Sequence
from uuid import UUID

import asyncpg
import orjson
from aiokafka import AIOKafkaProducer
from aiokafka.structs import RecordMetadata

from shared.runtime.kernel.sharding import shard_of
from shared.topics import KEYS


async def unpublished_keys(
    pool: "asyncpg.Pool[asyncpg.Record]", limit: int, but: Collection[UUID] = ()
) -> Sequence[asyncpg.Record]:
    """At most `limit` keys that were not published yet, but of these dossiers."""
    return await pool.fetch(
        "SELECT dossier_id, kek_id, wrapped FROM data_keys WHERE NOT published AND dossier_id <> ALL($2) LIMIT $1",
        limit,
        list(but),
    )


async def send_key(producer: AIOKafkaProducer, row: asyncpg.Record) -> "asyncio.Future[RecordMetadata]":
    """Put a key on its way: to the partition that is its dossier's shard. Raises KafkaError."""
    dossier: UUID = row["dossier_id"]
    sent: asyncio.Future[RecordMetadata] = await producer.send(
        KEYS.name, _value(row), str(dossier).encode(), shard_of(dossier)
    )
    return sent


async def note_keys(
    pool: "asyncpg.Pool[asyncpg.Record]", rows: Sequence[asyncpg.Record], sent: Sequence[RecordMetadata]
) -> None:
    """Note where these keys lie, by Kafka's word for each.

    A key that stood where one of them lies now is no longer on the topic, which lost its tail: it is to be published
    again, as is one that was destroyed while it was on its way.
    """
    first: dict[int, int] = {}
    for one in sent:
        if one.offset >= 0:  # -1: a repetition that the broker knows to have, but no longer where
            first.setdefault(one.partition, one.offset)
    # Before the new places are noted, so that these are not taken for the lost ones.
    await unpublish_keys(pool, [(*place, None) for place in first.items()])
    await pool.executemany(
        """UPDATE data_keys SET published = true, published_partition = $2, published_offset = nullif($3, -1)
           WHERE dossier_id = $1 AND wrapped IS NOT DISTINCT FROM $4""",
        [(row["dossier_id"], one.partition, one.offset, row["wrapped"]) for row, one in zip(rows, sent, strict=True)],
    )


async def unpublish_keys(pool: "asyncpg.Pool[asyncpg.Record]", lost: Sequence[tuple[int, int, int | None]]) -> None:
    """Keys noted at these places of the topic (partition, from offset, to offset or None) are to be published again."""
    await pool.executemany(
        """UPDATE data_keys SET published = false, published_partition = NULL, published_offset = NULL
           WHERE published_partition = $1 AND published_offset >= $2
                 AND published_offset <= coalesce($3, published_offset)""",
        lost,
    )


def _value(row: asyncpg.Record) -> bytes | None:
    """A wrapped key as it travels; null (a tombstone on the compacted topic) means destroyed."""
    if row["wrapped"] is None:
        return None
    return orjson.dumps({"kek_id": row["kek_id"], "wrapped": row["wrapped"].hex()})
