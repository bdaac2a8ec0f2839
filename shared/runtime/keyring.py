"""Data keys of dossiers: where they lie, how they come, and the three cases a task meets: here, not yet, destroyed."""

import asyncio
import contextlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
import orjson
import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.structs import RecordMetadata, TopicPartition

from shared.errors import KekNotHere, KeyDestroyed, KeyNotHere, Misconfigured, Unavailable
from shared.runtime.engine import LOST_CONNECTION
from shared.runtime.in_time import DOOR_S, in_time
from shared.runtime.kafka import Broker
from shared.runtime.pace import rest
from shared.runtime.rewrapping import keks_in_use
from shared.runtime.sealing import Kek, Keks, WrappedKey, seal, unseal
from shared.runtime.sharding import shard_of
from shared.runtime.together import Together
from shared.topics import KEYS

log = structlog.get_logger(__name__)


@dataclass
class KeyRing:
    """Opens and seals fields of dossiers whose keys this service holds.

    A key and its dossier's first event come by two ways; where this process hears keys, `patience_s` seconds are waited
    for one that is a moment late, before its task is put back.
    """

    pool: "asyncpg.Pool[asyncpg.Record]"
    kek: Kek | Keks
    patience_s: float = 0.0
    _awaited: dict[UUID, asyncio.Event] = field(default_factory=dict)
    _rows: "Together[UUID, asyncpg.Record]" = field(init=False)

    def __post_init__(self) -> None:
        self._rows = Together(self._of)

    async def check(self, hears: bool = False) -> None:
        """Open one stored key of each key-encryption key: with another one the service must not start. Raises
        Misconfigured.

        Nor without one that is still needed, save where keys are heard (`hears`): what is on the topic may replace the
        stored ones, and until then their tasks wait.
        """
        for name in await keks_in_use(self.pool):
            row = await self.pool.fetchrow(_ONE_UNDER, name)
            try:
                if row is not None:
                    self.kek.unwrap(WrappedKey(*row))
            except KekNotHere as missing:
                if not hears:
                    raise Misconfigured(f"data keys lie under {name}, which is not in secret kek") from missing
                log.warning("keys-under-a-missing-kek", why=name)

    def arrived(self, dossiers: Iterable[UUID]) -> None:
        """These keys have been stored: wake who waits for them."""
        for dossier_id in dossiers:
            event = self._awaited.pop(dossier_id, None)
            if event is not None:
                event.set()

    async def data_key(self, dossier_id: UUID) -> bytes:
        """The dossier's key. Raises KeyNotHere while it has not come or cannot be unwrapped here, KeyDestroyed once it
        is gone for good.
        """
        row = await self._row(dossier_id) or await self._row_soon(dossier_id)
        if row is None:
            raise KeyNotHere(f"the data key of dossier {dossier_id} has not come yet")
        if row["destroyed_at"] is not None:
            raise KeyDestroyed(f"the data key of dossier {dossier_id} was destroyed")
        return self.kek.unwrap(WrappedKey(dossier_id, row["kek_id"], row["wrapped"]))

    async def _row(self, dossier_id: UUID) -> asyncpg.Record | None:
        return await self._rows.one(dossier_id)

    async def _of(self, dossiers: Sequence[UUID]) -> Mapping[UUID, asyncpg.Record]:
        try:
            rows = await in_time(self.pool.fetch(_KEYS, dossiers), DOOR_S)
        except (TimeoutError, *LOST_CONNECTION) as lost:
            raise Unavailable(f"database: {type(lost).__name__}") from lost
        return {row["dossier_id"]: row for row in rows}

    async def _row_soon(self, dossier_id: UUID) -> asyncpg.Record | None:
        if not self.patience_s:
            return None
        event = self._awaited.setdefault(dossier_id, asyncio.Event())
        try:
            # Asked again after saying that we wait: the key may have come in between.
            row = await self._row(dossier_id)
            if row is None:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self.patience_s):
                        await event.wait()
                row = await self._row(dossier_id)
            return row
        finally:
            self._awaited.pop(dossier_id, None)

    async def open(self, dossier_id: UUID, sealed: Mapping[str, str]) -> dict[str, str]:
        """Clear texts of sealed fields, by field name. Raises as `data_key`, and ValueError on an altered field."""
        key = await self.data_key(dossier_id)
        return {field: unseal(key, dossier_id, field, text) for field, text in sealed.items()}

    async def seal(self, dossier_id: UUID, clear: Mapping[str, str]) -> dict[str, str]:
        """Sealed texts of clear fields, by field name. Raises as `data_key`."""
        key = await self.data_key(dossier_id)
        return {field: seal(key, dossier_id, field, text) for field, text in clear.items()}


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


async def take_back_keys(pool: "asyncpg.Pool[asyncpg.Record]", reader: AIOKafkaConsumer) -> int:
    """Read the whole keys topic into the table of the service that makes keys; returns how many keys there are. One
    that is yet to be published is newer than the topic's, a destroyed one stays destroyed. Raises KafkaError.
    """
    partitions = [TopicPartition(KEYS.name, partition) for partition in range(KEYS.partitions)]
    reader.assign(partitions)
    ends = await reader.end_offsets(partitions)
    await reader.seek_to_beginning(*partitions)
    found, waiting = 0, {tp for tp in partitions if await reader.position(tp) < ends[tp]}
    while waiting:
        got = await reader.getmany(*waiting, timeout_ms=1000, max_records=1000)
        placed = {row[0]: (row, one) for some in got.values() for one in some if (row := _row(one)) is not None}
        rows = _settled(row for some in got.values() for row in map(_row, some))
        places = [(placed[row[0]][1].partition, placed[row[0]][1].offset) for row in rows]
        await pool.execute(_TAKE_BACK_KEYS, *_turned(rows, 3), *_turned(places, 2))
        found += len(rows)
        waiting = {tp for tp in waiting if await reader.position(tp) < ends[tp]}
    return found


def _value(row: asyncpg.Record) -> bytes | None:
    """A wrapped key as it travels; null (a tombstone on the compacted topic) means destroyed."""
    if row["wrapped"] is None:
        return None
    return orjson.dumps({"kek_id": row["kek_id"], "wrapped": row["wrapped"].hex()})


@dataclass
class KeyListener:
    """Hears the keys topic into this service's table. A key heard after its destruction is ignored.

    Outside any consumer group: every replica reads on from what the database holds, so no rebalance holds keys up, and
    a database restored from a backup takes its keys back by itself. Reading on begins with the last record that was
    stored: if another one lies in its place, or none, the topic had lost its tail, and is read anew. (What a listener
    misses while it is connected, or another replica has read on behind, this does not tell.)
    """

    service: str
    pool: "asyncpg.Pool[asyncpg.Record]"
    broker: Broker
    arrived: Callable[[Iterable[UUID]], None] = lambda dossiers: None
    _stored: dict[int, "_Place"] = field(default_factory=dict)
    _anew: bool = False

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
        for tp, end in (await consumer.end_offsets(list(consumer.assignment()))).items():
            place = self._stored.get(tp.partition, _NOWHERE)
            consumer.seek(tp, max(0, place.offset) if place.offset < end else 0)

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
        rows = _settled(_row(message) for messages in got.values() for message in messages)
        lasts = {tp.partition: messages[-1] for tp, messages in got.items()}
        places = [(partition, last.offset + 1, _dossier(last.key)) for partition, last in sorted(lasts.items())]
        columns = [*_turned(rows, 3), *_turned(places, 3)]
        async with self.pool.acquire() as conn:
            if self._anew:
                return  # this very connection has led to another database, which may lack what lies before
            await conn.execute(_STORE_KEYS, *columns, SOURCE)
        self.arrived([row[0] for row in rows])


class _Place(NamedTuple):
    """An offset of the keys topic, and whose key lies there."""

    offset: int
    dossier_id: UUID | None


_NOWHERE = _Place(-1, None)


SOURCE = "keys"
"""The name under which `heard` remembers how far the keys topic is read."""

_KEYS = "SELECT dossier_id, kek_id, wrapped, destroyed_at FROM data_keys WHERE dossier_id = ANY($1::uuid[])"
_ONE_UNDER = "SELECT dossier_id, kek_id, wrapped FROM data_keys WHERE kek_id = $1 AND wrapped IS NOT NULL LIMIT 1"
_STORE_KEYS = """WITH keys AS (
        INSERT INTO data_keys (dossier_id, kek_id, wrapped, destroyed_at)
        SELECT dossier_id, kek_id, wrapped, CASE WHEN wrapped IS NULL THEN now() END
        FROM unnest($1::uuid[], $2::text[], $3::bytea[]) AS k(dossier_id, kek_id, wrapped)
        ON CONFLICT (dossier_id) DO UPDATE SET kek_id = excluded.kek_id, wrapped = excluded.wrapped,
            destroyed_at = excluded.destroyed_at WHERE data_keys.destroyed_at IS NULL)
    INSERT INTO heard (source, shard, next_offset, last_event_id)
    SELECT $7, shard, next_offset, last
    FROM unnest($4::smallint[], $5::bigint[], $6::uuid[]) AS p(shard, next_offset, last)
    ON CONFLICT (source, shard) DO UPDATE SET next_offset = excluded.next_offset, last_event_id = excluded.last_event_id
    WHERE heard.next_offset < excluded.next_offset"""
_TAKE_BACK_KEYS = """INSERT INTO data_keys (dossier_id, kek_id, wrapped, destroyed_at, published_partition,
                                           published_offset)
    SELECT dossier_id, kek_id, wrapped, CASE WHEN wrapped IS NULL THEN now() END, n, lies
    FROM unnest($1::uuid[], $2::text[], $3::bytea[], $4::smallint[], $5::bigint[])
         AS k(dossier_id, kek_id, wrapped, n, lies)
    ON CONFLICT (dossier_id) DO UPDATE SET kek_id = excluded.kek_id, wrapped = excluded.wrapped,
        destroyed_at = excluded.destroyed_at, published_partition = excluded.published_partition,
        published_offset = excluded.published_offset
    WHERE (data_keys.published OR excluded.wrapped IS NULL) AND data_keys.destroyed_at IS NULL"""
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


def _settled(read: "Iterable[_Row | None]") -> "list[_Row]":
    """What each dossier's key comes to, in an order that all listeners share (so that locks cannot cross): destroyed if
    any of its records says so, the last one read otherwise.
    """
    last: dict[UUID, _Row] = {}
    for row in read:
        if row is not None and (row[0] not in last or last[row[0]][2] is not None):
            last[row[0]] = row
    return sorted(last.values(), key=lambda row: row[0])


_Row = tuple[UUID, str | None, bytes | None]
"""A dossier, and its key wrapped under the key of this id; None: destroyed."""


def _row(message: Any) -> _Row | None:
    try:
        dossier_id = UUID((message.key or b"").decode())
        if message.value is None:
            return dossier_id, None, None
        body = orjson.loads(message.value)
        kek_id = str(body["kek_id"])
        if "\0" in kek_id:
            raise ValueError("no text column can hold a NUL")
        return dossier_id, kek_id, bytes.fromhex(body["wrapped"])
    except (ValueError, KeyError, TypeError):
        log.error("key-unreadable")
        return None
