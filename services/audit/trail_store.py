"""All of audit's SQL besides the shared store: the trail as it is written, and both sides as they are compared."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias
from uuid import UUID

import asyncpg

from services.audit.ordering import Earlier, Verdict
from services.audit.reading import Kind, Read
from shared.errors import Fenced
from shared.runtime.kernel.hearing import Heard
from shared.runtime.store.sql import Connection, columns

Shard = tuple[str, int]
"""Writer and shard."""

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"


@dataclass(frozen=True, slots=True)
class Found:
    """A discrepancy as its row keeps it; `id` is its task's id too."""

    id: UUID
    record_id: int
    kind: Kind
    shard: Shard
    sequence: int | None
    expected: int | None


async def lock(conn: Connection, expected: Mapping[Shard, Heard]) -> None:
    """Become the one who stores these shards; raises Fenced if one of them is not where we think it is."""
    rows = await conn.fetch(
        """SELECT h.source, h.shard, h.position, h.last_event_id, h.next_offset FROM heard h
           JOIN unnest($1::text[], $2::smallint[]) AS k(source, shard) USING (source, shard)
           ORDER BY h.source, h.shard FOR UPDATE OF h""",
        [source for source, _ in expected],
        [shard for _, shard in expected],
    )
    stored = {(row[0], row[1]): Heard(*row[2:]) for row in rows}
    for key, heard in expected.items():
        if stored.get(key) != heard:
            raise Fenced(f"{key[0]}:{key[1]} was stored by another consumer")


async def move(conn: Connection, heard: Mapping[Shard, Heard]) -> None:
    """Store how far these shards are heard now. An offset may go back: a topic may lose its tail."""
    await conn.execute(
        """UPDATE heard h SET position = w.position, last_event_id = w.last_event_id, next_offset = w.next_offset
           FROM unnest($1::text[], $2::smallint[], $3::bigint[], $4::uuid[], $5::bigint[])
                AS w(source, shard, position, last_event_id, next_offset)
           WHERE h.source = w.source AND h.shard = w.shard""",
        [source for source, _ in heard],
        [shard for _, shard in heard],
        *columns(heard.values(), "position", "last_event_id", "next_offset"),
    )


async def store(
    pool: Pool, reads: Sequence[Read], joining: Sequence[Verdict], before: Mapping[Shard, Heard],
    after: Mapping[Shard, Heard],
) -> set[tuple[str, int, int]]:  # fmt: skip
    """Store records that all follow, and those `joining` the trail, in one go (`store_batch`); returns where those lie
    that were not there yet. Raises Fenced if another consumer has stored one of these shards.
    """
    events = [(one.read, one.read.event) for one in joining if one.read.event is not None]
    keys = list(before)
    try:
        rows = await pool.fetch(
            f"SELECT * FROM store_batch({', '.join(f'${n}' for n in range(1, 27))})",  # noqa: S608 - constant text
            [source for source, _ in keys], [shard for _, shard in keys],
            *columns([before[key] for key in keys], "position", "last_event_id", "next_offset"),
            *columns([after[key] for key in keys], "position", "last_event_id", "next_offset"),
            *columns(reads, "topic", "partition", "offset", "digest", "key", "headers", "value", "at"),
            *columns([event for _, event in events], "writer", "shard", "sequence", "id", "previous", "type",
                     "dossier_id"),
            *columns([one for one, _ in events], "topic", "offset", "digest"),
        )  # fmt: skip
    except asyncpg.PostgresError as refused:
        if refused.sqlstate != "DFENC":
            raise
        raise Fenced(str(refused)) from refused
    return {(row[0], row[1], row[2]) for row in rows}


async def look_back(conn: Connection, shard: Shard, sequences: Sequence[int]) -> dict[int, Earlier]:
    """What the trail holds at these sequences of one shard, and what stands before each."""
    rows = await conn.fetch(
        """SELECT w.sequence, t.digest, coalesce(b.sequence, 0), b.event_id FROM unnest($3::bigint[]) AS w(sequence)
           LEFT JOIN trail t ON t.source = $1 AND t.shard = $2 AND t.sequence = w.sequence
           LEFT JOIN LATERAL (SELECT sequence, event_id FROM trail WHERE source = $1 AND shard = $2
                              AND sequence < w.sequence ORDER BY sequence DESC LIMIT 1) b ON true""",
        *shard,
        sequences,
    )
    return {row[0]: Earlier(*row[1:]) for row in rows}


async def add_records(conn: Connection, reads: Sequence[Read]) -> dict[tuple[str, int, int], int]:
    """Store records; (topic, partition, offset) → id of each that was not there yet with the same content."""
    rows = await conn.fetch(
        """INSERT INTO records (topic, partition, "offset", digest, key, headers, value, record_time)
           SELECT * FROM unnest($1::text[], $2::int[], $3::bigint[], $4::bytea[], $5::bytea[], $6::json[], $7::bytea[],
                                $8::timestamptz[])
           ON CONFLICT DO NOTHING RETURNING id, topic, partition, "offset" """,
        *columns(reads, "topic", "partition", "offset", "digest", "key", "headers", "value", "at"),
    )
    return {(row[1], row[2], row[3]): row[0] for row in rows}


async def add_to_trail(conn: Connection, joining: Sequence[Verdict], ids: Mapping[tuple[str, int, int], int]) -> None:
    """Give records their places in the trail. A place that is taken raises UniqueViolationError: a bug."""
    events = [verdict.read.event for verdict in joining if verdict.read.event is not None]
    await conn.execute(
        """INSERT INTO trail (source, shard, sequence, record_id, digest, event_id, previous, type, dossier_id)
           SELECT * FROM unnest($1::text[], $2::smallint[], $3::bigint[], $4::bigint[], $5::bytea[], $6::uuid[],
                                $7::uuid[], $8::text[], $9::uuid[])""",
        *columns(events, "writer", "shard", "sequence"),
        [ids[verdict.read.place] for verdict in joining],
        [verdict.read.digest for verdict in joining],
        *columns(events, "id", "previous", "type", "dossier_id"),
    )


async def add_discrepancies(conn: Connection, found: Sequence[Found]) -> None:
    """Keep what was found, each once."""
    await conn.executemany(
        """INSERT INTO discrepancies (id, record_id, kind, source, shard, sequence, expected)
           VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING""",
        [(one.id, one.record_id, one.kind, *one.shard, one.sequence, one.expected) for one in found],
    )


async def count_discrepancies(pool: Pool) -> int:
    """How many were found so far."""
    count: int = await pool.fetchval("SELECT count(*) FROM discrepancies")
    return count


async def count_open(pool: Pool) -> int:
    """How many of them nobody has settled: what is settled is one of them, and once, so neither table is joined."""
    count: int = await pool.fetchval(
        "SELECT (SELECT count(*) FROM discrepancies) - (SELECT count(*) FROM settled_discrepancies)"
    )
    return count


_OPEN = "NOT EXISTS (SELECT FROM settled_discrepancies s WHERE s.id = d.id)"


async def list_open(pool: Pool) -> list[asyncpg.Record]:
    """Discrepancies that nobody has settled, the oldest first, with the place of the record that showed each."""
    return await pool.fetch(
        f"""SELECT d.id, d.found_at, d.kind, d.source, d.shard, d.sequence, d.expected, r.topic, r.partition, r."offset"
            FROM discrepancies d JOIN records r ON r.id = d.record_id WHERE {_OPEN} ORDER BY d.record_id"""  # noqa: S608
    )


async def settle(pool: Pool, ids: Sequence[UUID] | None, who: str, reason: str) -> int:
    """Settle these discrepancies, or all that are open (None); how many were open. Recorded as an operator's act."""
    async with pool.acquire() as conn, conn.transaction():
        done = await conn.fetch(
            f"""INSERT INTO settled_discrepancies (id, settled_by, reason)
                SELECT d.id, $2, $3 FROM discrepancies d WHERE {_OPEN} AND ($1::uuid[] IS NULL OR d.id = ANY ($1))
                ON CONFLICT DO NOTHING RETURNING id""",  # noqa: S608 - constant text
            ids, who, reason,
        )  # fmt: skip
        if done:
            await conn.execute(
                """INSERT INTO operator_acts (who, act, detail)
                   VALUES ($1, 'discrepancies settle', jsonb_build_object('count', $2::int, 'reason', $3::text))""",
                who, len(done), reason,
            )  # fmt: skip
    return len(done)


# What follows is read by `verify`, as `auditor`.


async def take_snapshot(conn: Connection) -> None:
    """Fix what the transaction sees, which its first statement does."""
    await conn.fetchval("SELECT 1")


async def published(conn: Connection) -> dict[int, int]:
    """Shard → how far the relay says that the writer's events are on the topic."""
    return {row[0]: row[1] for row in await conn.fetch("SELECT shard, published FROM relay")}


async def stored_ends(conn: Connection) -> dict[int, tuple[int, int]]:
    """Shard → (highest position in the writer's store, last position that its counter has given)."""
    rows = await conn.fetch(
        """SELECT shard, coalesce(e.position, 0), coalesce(s.next_position - 1, 0)
           FROM shards s FULL JOIN (SELECT shard, max(position) AS position FROM events GROUP BY shard) e
           USING (shard)"""
    )
    return {row[0]: (row[1], row[2]) for row in rows}


async def heard_of(conn: Connection, writer: str) -> dict[int, tuple[int, int]]:
    """Shard → (sequence, next offset) that audit has heard of one writer."""
    rows = await conn.fetch("SELECT shard, position, next_offset FROM heard WHERE source = $1", writer)
    return {row[0]: (row[1], row[2]) for row in rows}


async def counts_of(conn: Connection, writer: str, topic: str) -> list[asyncpg.Record]:
    """For each shard of one writer: records on its partition, and positions in the trail."""
    return await conn.fetch(
        """SELECT shard, coalesce(r.records, 0) AS records, coalesce(t.seen, 0) AS seen
           FROM (SELECT partition AS shard, count(*) AS records FROM records WHERE topic = $2 GROUP BY 1) r
           FULL JOIN (SELECT shard::int, count(*) AS seen FROM trail WHERE source = $1 GROUP BY 1) t USING (shard)""",
        writer,
        topic,
    )


async def discrepancies_of(conn: Connection, writer: str) -> list[asyncpg.Record]:
    """Discrepancies of one writer's topic, oldest first; `filled` tells how many of a gap's positions came later."""
    return await conn.fetch(
        """SELECT d.kind, d.shard, d.sequence, d.expected, r."offset",
                  (SELECT count(*) FROM trail t WHERE d.kind = 'gap' AND t.source = d.source AND t.shard = d.shard
                   AND t.sequence >= d.expected AND t.sequence < d.sequence) AS filled
           FROM discrepancies d LEFT JOIN records r ON r.id = d.record_id
           WHERE d.source = $1 ORDER BY r.id""",
        writer,
    )


def stored_side(conn: Any) -> AsyncIterator[asyncpg.Record]:
    """The writer's events in (shard, position) order, by a cursor; needs a transaction."""
    rows: AsyncIterator[asyncpg.Record] = conn.cursor(
        """SELECT shard, position, event_id, dossier_id, caused_by, type, headers, data FROM events
           ORDER BY shard, position""",
        prefetch=500,
    ).__aiter__()
    return rows


def trail_side(conn: Any, writer: str) -> AsyncIterator[asyncpg.Record]:
    """The trail of one writer in (shard, sequence) order with its records, by a cursor; needs a transaction."""
    rows: AsyncIterator[asyncpg.Record] = conn.cursor(
        """SELECT t.shard, t.sequence, t.event_id, t.previous, t.dossier_id, t.type, t.digest AS trail_digest,
                  r.digest, r.key, r.headers, r.value
           FROM trail t LEFT JOIN records r ON r.id = t.record_id
           WHERE t.source = $1 ORDER BY t.shard, t.sequence""",
        writer,
        prefetch=500,
    ).__aiter__()
    return rows


def keys_side(conn: Connection) -> AsyncIterator[asyncpg.Record]:
    """A service's data keys in the order of their dossiers, inside a transaction."""
    rows: AsyncIterator[asyncpg.Record] = conn.cursor(f"{_KEYS} ORDER BY dossier_id", prefetch=500).__aiter__()
    return rows


async def keys_of(conn: Connection, dossiers: Sequence[UUID]) -> dict[UUID, asyncpg.Record]:
    """The data keys of these dossiers that a service holds."""
    rows = await conn.fetch(f"{_KEYS} WHERE dossier_id = ANY($1)", dossiers)
    return {row["dossier_id"]: row for row in rows}


_KEYS = "SELECT dossier_id, kek_id, wrapped, published, published_partition, published_offset FROM data_keys"
