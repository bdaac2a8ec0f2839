"""The shape of each shard's states: how it is asked and taken, and the tables of states that are in the making."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from shared.errors import MovedOn
from shared.runtime.kernel.hearing import Heard
from shared.runtime.kernel.view import View
from shared.runtime.store.sql import Connection, columns

Spot = tuple[str, int, int]
"""Topic, partition, offset of a record."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """A state in the making as its row keeps it; `rows` are what the views draw from it, JSON by view."""

    dossier_id: UUID
    subject: str
    state: str
    rows: str


async def other_shapes(pool: "asyncpg.Pool[asyncpg.Record]", shape: int) -> list[int]:
    """The shards whose states have another shape."""
    return [row["shard"] for row in await pool.fetch("SELECT shard FROM shards WHERE shape <> $1 ORDER BY 1", shape)]


async def refuse_other_shapes(pool: "asyncpg.Pool[asyncpg.Record]", service: str, shape: int) -> None:
    """Raises MovedOn, with what to do, while there are states of another shape."""
    if shards := await other_shapes(pool, shape):
        raise MovedOn(
            f"the states of shards {shards} have the shape of another release; if this one is to go on: "
            f"python -m services.{service} rebuild --apply"
        )


async def take_shape(pool: "asyncpg.Pool[asyncpg.Record]", shape: int) -> None:
    """Give a store in which nothing is yet the shape of the release that comes first."""
    await pool.execute(
        """UPDATE shards SET shape = $1 WHERE shape <> $1 AND NOT EXISTS (SELECT FROM states)
           AND NOT EXISTS (SELECT FROM heard WHERE next_offset > 0) AND NOT EXISTS (SELECT FROM events)""",
        shape,
    )


async def begin(conn: Connection, shard: int, shape: int, sources: Sequence[str]) -> dict[str, Heard]:
    """How far the states in the making are folded: by source, of this shape. What is there of another one is gone."""
    await conn.execute(
        """WITH other AS (DELETE FROM rebuilding WHERE shard = $1 AND shape <> $2 RETURNING shard),
                over AS (DELETE FROM passed_over WHERE shard IN (SELECT shard FROM other))
           DELETE FROM rebuilt WHERE shard IN (SELECT shard FROM other)""",
        shard, shape,
    )  # fmt: skip
    await conn.executemany(
        "INSERT INTO rebuilding (shard, source, shape) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        [(shard, source, shape) for source in sources],
    )
    rows = await conn.fetch(
        "SELECT source, position, last_event_id, next_offset FROM rebuilding WHERE shard = $1", shard
    )
    return {row["source"]: Heard(*list(row.values())[1:]) for row in rows}


async def in_the_making(conn: Connection, shard: int, dossiers: Sequence[UUID]) -> dict[UUID, str]:
    """The states in the making of these dossiers, as JSON text."""
    rows = await conn.fetch(
        "SELECT dossier_id, state::text FROM rebuilt WHERE shard = $1 AND dossier_id = ANY($2)", shard, dossiers
    )
    return {row["dossier_id"]: row["state"] for row in rows}


async def keep(conn: Connection, shard: int, source: str, heard: Heard, rebuilt: Sequence[Rebuilt]) -> None:
    """Keep these states, and that their shard is folded so far. One transaction of the caller's."""
    await conn.execute(
        """INSERT INTO rebuilt (shard, dossier_id, subject, state, rows)
           SELECT $1, * FROM unnest($2::uuid[], $3::text[], $4::jsonb[], $5::jsonb[])
           ON CONFLICT (shard, dossier_id) DO UPDATE SET state = excluded.state, rows = excluded.rows""",
        shard, *columns(rebuilt, "dossier_id", "subject", "state", "rows"),
    )  # fmt: skip
    await conn.execute(
        """UPDATE rebuilding SET position = $3, last_event_id = $4, next_offset = $5
           WHERE shard = $1 AND source = $2""",
        shard, source, heard.position, heard.last_event_id, heard.next_offset,
    )  # fmt: skip


async def live(conn: Connection, service: str, shard: int) -> dict[str, Heard]:
    """How far the states in force are folded: what is heard, and what the service itself has said (no offset)."""
    heard = await conn.fetch("SELECT source, position, last_event_id, next_offset FROM heard WHERE shard = $1", shard)
    said = await conn.fetchrow(
        "SELECT next_position - 1 AS position, last_event_id FROM shards WHERE shard = $1", shard
    )
    if said is None:
        raise AssertionError("every shard has its row")
    return {
        **{row["source"]: Heard(*list(row.values())[1:]) for row in heard},
        service: Heard(said["position"], said["last_event_id"], said["position"]),
    }


async def unfolded(conn: Connection) -> set[Spot]:
    """Records that are heard and in no state: dead letters, open or given up, and what waits behind them."""
    rows = await conn.fetch(
        """SELECT topic, partition, "offset" FROM dead_letters d
           WHERE origin = 'kafka' AND (settled_at IS NULL OR EXISTS (
               SELECT FROM operator_acts a WHERE a.act = 'discard' AND a.detail ->> 'dead_letter' = d.id::text))
           UNION ALL SELECT topic, partition, "offset" FROM parked_messages WHERE origin = 'kafka'"""
    )
    return {(row["topic"], row["partition"], row["offset"]) for row in rows}


async def pass_over(conn: Connection, shard: int, spots: Sequence[Spot]) -> None:
    """Note records that were passed over because they are in no state: they may be handled later."""
    await conn.executemany(
        'INSERT INTO passed_over (shard, topic, "offset") VALUES ($1, $2, $3) ON CONFLICT DO NOTHING',
        [(shard, topic, offset) for topic, _, offset in spots],
    )


async def folded_after_all(conn: Connection, shard: int, spot: Spot) -> None:
    """Note that a record that was passed over is in its state now."""
    topic, _, offset = spot
    await conn.execute(
        'DELETE FROM passed_over WHERE shard = $1 AND topic = $2 AND "offset" = $3', shard, topic, offset
    )


async def handled_since(conn: Connection, shard: int, still: set[Spot]) -> list[Spot]:
    """Of what was passed over, what has been handled since then, in order of topic and offset."""
    rows = await conn.fetch('SELECT topic, "offset" FROM passed_over WHERE shard = $1 ORDER BY topic, "offset"', shard)
    spots = [(row["topic"], shard, row["offset"]) for row in rows]
    return [spot for spot in spots if spot not in still]


async def move(conn: Connection, shard: int, shape: int, views: Sequence[View]) -> int:
    """Put the states that were made into the place of those in force, with their views' rows; how many. The caller
    holds the shard's locks. Each gets another version, so that no process takes for the newest what it has kept.
    """
    moved: str = await conn.execute(
        """INSERT INTO states (dossier_id, subject, version, state)
           SELECT dossier_id, subject, 1, state FROM rebuilt WHERE shard = $1
           ON CONFLICT (dossier_id) DO UPDATE SET version = states.version + 1, state = excluded.state""",
        shard,
    )
    for view in views:
        await conn.execute(
            """SELECT write_view($2, coalesce(array_agg(dossier_id), '{}'),
                                 coalesce(array_agg(rows -> $2) FILTER (WHERE rows ? $2), '{}'))
               FROM rebuilt WHERE shard = $1""",
            shard, view.name,
        )  # fmt: skip
    await conn.execute("UPDATE shards SET shape = $2 WHERE shard = $1", shard, shape)
    for table in ("rebuilt", "rebuilding", "passed_over"):
        await conn.execute(f"DELETE FROM {table} WHERE shard = $1", shard)  # noqa: S608 - one of three names
    return int(moved.rpartition(" ")[2])


async def lock(conn: Connection, shard: int, sources: Sequence[str]) -> None:
    """Become the one who hears these sources of a shard and writes it, until the transaction ends; in the order of
    `commit_batch`.
    """
    # Whoever is stopped in here, or hears nothing of Kafka, must not keep the shard for ever.
    await conn.execute("SET LOCAL idle_in_transaction_session_timeout = '10s'")
    await conn.execute(
        "SELECT FROM heard WHERE shard = $1 AND source = ANY($2) ORDER BY source FOR UPDATE", shard, sources
    )
    await conn.execute("SELECT FROM shards WHERE shard = $1 FOR UPDATE", shard)


async def progress(pool: "asyncpg.Pool[asyncpg.Record]", hears: Sequence[str]) -> tuple[int, int]:
    """How many messages are folded into states in the making, and how many there are."""
    row = await pool.fetchrow(
        """SELECT coalesce((SELECT sum(next_offset) FROM rebuilding), 0),
                  coalesce((SELECT sum(next_offset) FROM heard WHERE source = ANY($1)), 0)
                  + (SELECT sum(next_position - 1) FROM shards)""",
        hears,
    )
    return (int(row[0]), int(row[1])) if row is not None else (0, 0)


async def skips(conn: Connection, shard: int) -> Mapping[tuple[str, int], int]:
    """Where an operator has let a source of this shard go on: (source, position) → the position to go on from."""
    rows = await conn.fetch(
        """SELECT detail ->> 'source' AS source, (detail -> 'from')::bigint AS before, (detail -> 'to')::bigint AS after
           FROM operator_acts WHERE act = 'heard skip' AND (detail -> 'shard')::int = $1 ORDER BY id""",
        shard,
    )
    return {(row["source"], row["before"]): row["after"] for row in rows}


async def own_events(conn: Connection, shard: int, after: int, upto: int, many: int) -> Sequence[asyncpg.Record]:
    """What the service has said in this shard beyond a position, in order."""
    return await conn.fetch(
        """SELECT position, event_id, dossier_id, type, headers ->> 'ce_time' AS at,
                  headers ->> 'ce_subject' AS subject, data FROM events
           WHERE shard = $1 AND position > $2 AND position <= $3 ORDER BY position LIMIT $4""",
        shard, after, upto, many,
    )  # fmt: skip
