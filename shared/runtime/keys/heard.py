"""Hearing the keys topic: into the table of every service that opens personal data, and back into the writer's."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
import orjson
import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from shared.runtime.aio.pacing import rest
from shared.runtime.kafka.clients import Broker
from shared.runtime.kernel.message import WrappedKey
from shared.runtime.keys.judged import HeardKey, Judge
from shared.runtime.keys.rewrapping import keks_in_use
from shared.runtime.store.lost import LOST_CONNECTION
from shared.topics import KEYS

log = structlog.get_logger(__name__)

Pool = asyncpg.Pool


async def take_back_keys(pool: "Pool[asyncpg.Record]", reader: AIOKafkaConsumer, judge: Judge) -> int:
    """Read the whole keys topic into the table of the service that makes keys; returns how many keys there are. One
    that is yet to be published is newer than the topic's, a destroyed one stays destroyed, and one in whose place the
    topic has somebody else's is published again. Raises KafkaError.
    """
    partitions = [TopicPartition(KEYS.name, partition) for partition in range(KEYS.partitions)]
    reader.assign(partitions)
    ends = await reader.end_offsets(partitions)
    await reader.seek_to_beginning(*partitions)
    found, waiting = 0, {tp for tp in partitions if await reader.position(tp) < ends[tp]}
    while waiting:
        got = await reader.getmany(*waiting, timeout_ms=1000, max_records=1000)
        found += await _take_back(pool, judge, list(_heard(got)))
        waiting = {tp for tp in waiting if await reader.position(tp) < ends[tp]}
    return found


async def _take_back(pool: "Pool[asyncpg.Record]", judge: Judge, heard: Sequence[HeardKey]) -> int:
    held = await _held(pool, heard)
    kept, contested = judge.settle(heard, held)
    places = [(one.partition, one.offset) for one in kept.values()]
    await pool.execute(_TAKE_BACK_KEYS, *_columns(kept.values(), held), *_turned(places, 2))
    await pool.execute(_PUBLISH_AGAIN, sorted(contested))
    return len(kept)


@dataclass
class KeyListener:
    """Hears the keys topic into this service's table. A key heard after its destruction is ignored, and so is another
    one than the one that is held (`judge`).

    Outside any consumer group: every replica reads on from what the database holds, so no rebalance holds keys up, and
    a database restored from a backup takes its keys back by itself. Reading on begins with the last record that was
    stored: if another one lies in its place, or none, the topic had lost its tail, and is read anew. (What a listener
    misses while it is connected, or another replica has read on behind, this does not tell.) A process reads it anew
    too while keys lie under another key-encryption key than the newest: it may have one by now that it had not when
    what lies there was heard.
    """

    service: str
    pool: "asyncpg.Pool[asyncpg.Record]"
    broker: Broker
    judge: Judge
    arrived: Callable[[Iterable[UUID]], None] = lambda dossiers: None
    _stored: dict[int, "_Place"] = field(default_factory=dict)
    _anew: bool = False
    _begun: bool = False

    def look_back(self) -> None:
        """The database may be an older one by now: read on from what it holds."""
        self._anew = True

    async def run(self) -> None:
        """Hear until cancelled; a lost broker or database is waited for."""
        while True:
            try:
                async with self.broker.reader(f"{self.service}-keys") as consumer:
                    self._anew = False
                    await self._begin(consumer)
                    while not self._anew:
                        await self._round(consumer)
            except (KafkaError, *LOST_CONNECTION) as lost:
                log.warning("keys-interrupted", why=type(lost).__name__)
                await asyncio.sleep(1.0)

    async def _begin(self, consumer: Any) -> None:
        consumer.assign([TopicPartition(KEYS.name, partition) for partition in range(KEYS.partitions)])
        rows = await self.pool.fetch("SELECT shard, next_offset, last_event_id FROM heard WHERE source = $1", SOURCE)
        self._stored = {row["shard"]: _Place(row["next_offset"] - 1, row["last_event_id"]) for row in rows}
        if await self._may_be_outdated():
            self._stored = {}
        for tp, end in (await consumer.end_offsets(list(consumer.assignment()))).items():
            place = self._stored.get(tp.partition, _NOWHERE)
            consumer.seek(tp, max(0, place.offset) if place.offset < end else 0)
        self._begun = True

    async def _may_be_outdated(self) -> bool:
        newest = self.judge.keks.newest
        return not self._begun and any(name != newest for name in await keks_in_use(self.pool))

    async def _round(self, consumer: Any) -> None:
        got = await consumer.getmany(timeout_ms=500, max_records=1000)
        for tp in [tp for tp, messages in got.items() if self._is_another_past(tp.partition, messages[0])]:
            log.error("keys-topic-was-filled-again", partition=tp.partition)
            await self.pool.execute(_FORGET_PLACE, SOURCE, tp.partition)
            consumer.seek(tp, 0)
            del got[tp]
        if got:
            clock = asyncio.get_running_loop().time
            began = clock()
            await self._store(got)
            await rest(clock() - began)

    def _is_another_past(self, partition: int, first: Any) -> bool:
        """Whether the first record read is not the last one that was stored, though it lies in its place."""
        stored = self._stored.pop(partition, _NOWHERE)
        return stored.dossier_id not in (None, _dossier(first.key)) and first.offset == stored.offset

    async def _store(self, got: Mapping[TopicPartition, Sequence[Any]]) -> None:
        """Store keys and destructions in the order in which they came, and how far the topic is read."""
        heard = list(_heard(got))
        lasts = {tp.partition: messages[-1] for tp, messages in got.items()}
        places = [(partition, last.offset + 1, _dossier(last.key)) for partition, last in sorted(lasts.items())]
        async with self.pool.acquire() as conn:
            if self._anew:
                return  # this very connection has led to another database, which may lack what lies before
            held = await _held(conn, heard)
            kept = [one for one in self.judge.settle(heard, held).kept.values() if _is_news(one, held)]
            await conn.execute(_STORE_KEYS, *_columns(kept, held), *_turned(places, 3), SOURCE)
        self.arrived([one.dossier_id for one in heard])


class _Place(NamedTuple):
    """An offset of the keys topic, and whose key lies there."""

    offset: int
    dossier_id: UUID | None


_NOWHERE = _Place(-1, None)


SOURCE = "keys"
"""The name under which `heard` remembers how far the keys topic is read."""


async def _held(asked: Any, heard: Sequence[HeardKey]) -> Mapping[UUID, WrappedKey]:
    """The keys that are held of these dossiers."""
    rows = await asked.fetch(_HELD, [one.dossier_id for one in heard])
    return {row["dossier_id"]: WrappedKey(*row) for row in rows}


def _is_news(one: HeardKey, held: Mapping[UUID, WrappedKey]) -> bool:
    return one.key is None or one.key != held.get(one.dossier_id)


def _columns(kept: Iterable[HeardKey], held: Mapping[UUID, WrappedKey]) -> list[list[Any]]:
    """Dossiers, their keys, and in whose place each of these may stand: the one that it was compared with."""
    rows = [
        (one.dossier_id, one.key and one.key.kek_id, one.key and one.key.wrapped, was and was.wrapped)
        for one in kept
        for was in (held.get(one.dossier_id),)
    ]
    return _turned(rows, 4)


_HELD = "SELECT dossier_id, kek_id, wrapped FROM data_keys WHERE dossier_id = ANY($1::uuid[]) AND wrapped IS NOT NULL"
_COMPARED = """k AS (SELECT * FROM unnest($1::uuid[], $2::text[], $3::bytea[], $4::bytea[])
        AS k(dossier_id, kek_id, wrapped, was))"""
_STANDS = """data_keys.destroyed_at IS NULL AND (excluded.wrapped IS NULL
        OR data_keys.wrapped = (SELECT was FROM k WHERE k.dossier_id = excluded.dossier_id))"""
"""What was read since the comparison by another replica stays, and what is destroyed for good."""
_STORE_KEYS = f"""WITH {_COMPARED}, keys AS (
        INSERT INTO data_keys (dossier_id, kek_id, wrapped, destroyed_at)
        SELECT dossier_id, kek_id, wrapped, CASE WHEN wrapped IS NULL THEN now() END FROM k
        ON CONFLICT (dossier_id) DO UPDATE SET kek_id = excluded.kek_id, wrapped = excluded.wrapped,
            destroyed_at = excluded.destroyed_at WHERE {_STANDS})
    INSERT INTO heard (source, shard, next_offset, last_event_id)
    SELECT $8, shard, next_offset, last
    FROM unnest($5::smallint[], $6::bigint[], $7::uuid[]) AS p(shard, next_offset, last)
    ON CONFLICT (source, shard) DO UPDATE SET next_offset = excluded.next_offset, last_event_id = excluded.last_event_id
    WHERE heard.next_offset < excluded.next_offset"""  # noqa: S608 - constant texts
_TAKE_BACK_KEYS = f"""WITH {_COMPARED}
    INSERT INTO data_keys (dossier_id, kek_id, wrapped, destroyed_at, published_partition, published_offset)
    SELECT k.dossier_id, kek_id, wrapped, CASE WHEN wrapped IS NULL THEN now() END, n, lies
    FROM k JOIN unnest($1::uuid[], $5::smallint[], $6::bigint[]) AS p(dossier_id, n, lies) USING (dossier_id)
    ON CONFLICT (dossier_id) DO UPDATE SET kek_id = excluded.kek_id, wrapped = excluded.wrapped,
        destroyed_at = excluded.destroyed_at, published_partition = excluded.published_partition,
        published_offset = excluded.published_offset
    WHERE (data_keys.published OR excluded.wrapped IS NULL) AND {_STANDS}"""  # noqa: S608 - constant texts
_PUBLISH_AGAIN = """UPDATE data_keys SET published = false, published_partition = NULL, published_offset = NULL
    WHERE dossier_id = ANY($1::uuid[]) AND wrapped IS NOT NULL"""
_FORGET_PLACE = "UPDATE heard SET next_offset = 0, last_event_id = NULL WHERE source = $1 AND shard = $2"


def _dossier(key: bytes | None) -> UUID | None:
    """Whose key lies under this key of the topic; None if it names nobody."""
    try:
        return UUID((key or b"").decode())
    except ValueError:
        return None


def _turned(rows: Sequence[tuple[Any, ...]], width: int) -> list[list[Any]]:
    """Rows as columns: what `unnest` takes."""
    return [[row[n] for row in rows] for n in range(width)]


def _heard(got: Mapping[TopicPartition, Sequence[Any]]) -> Iterable[HeardKey]:
    """What can be read of these records."""
    for messages in got.values():
        for message in messages:
            try:
                yield _read(message)
            except (ValueError, KeyError, TypeError):
                log.error("key-unreadable")


def _read(message: Any) -> HeardKey:
    """One record. Raises ValueError, KeyError or TypeError for what says nothing of any key."""
    dossier_id = UUID((message.key or b"").decode())
    if message.value is None:
        return HeardKey(dossier_id, None, message.partition, message.offset)
    body = orjson.loads(message.value)
    kek_id = str(body["kek_id"])
    if "\0" in kek_id:
        raise ValueError("no text column can hold a NUL")
    key = WrappedKey(dossier_id, kek_id, bytes.fromhex(body["wrapped"]))
    return HeardKey(dossier_id, key, message.partition, message.offset)
