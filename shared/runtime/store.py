"""The event store in PostgreSQL: every statement that the engine's one transaction is made of.

Connections are asyncpg's; one connection serves one task at a time. All times are the database's or the message's, UTC.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID

import asyncpg
import orjson

from shared.errors import Conflict, Fenced
from shared.runtime.batch import Claim, DeadLetter, Item, Move, Record, Request
from shared.runtime.headers import headers_json, headers_of
from shared.runtime.hearing import Heard
from shared.runtime.sealing import WrappedKey

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"


@dataclass(frozen=True, slots=True)
class StateRow:
    """What is remembered of a dossier: `state` is JSON text."""

    dossier_id: UUID
    version: int
    parked: bool
    state: str


@dataclass(frozen=True, slots=True)
class StateWrite:
    """A state to be written over `version` (0: none yet), with what lists and gauges draw from it."""

    dossier_id: UUID
    version: int
    steps: int
    parked: bool
    state: str
    unit: str | None
    status: int | None
    attention_at: datetime | None


@dataclass(frozen=True, slots=True)
class EventRow:
    """One event as stored and published: `headers` complete, `data` the record's value."""

    shard: int
    position: int
    event_id: UUID
    dossier_id: UUID
    caused_by: UUID
    type: str
    headers: Mapping[str, str]
    data: bytes


@dataclass(frozen=True, slots=True)
class TaskWrite:
    """A task to be enqueued; `run_at` None is at once. An id that is there already is left as it is."""

    id: UUID
    kind: str
    dossier_id: UUID
    payload: str
    run_at: datetime | None


@dataclass(frozen=True, slots=True)
class ShardHead:
    """The end of a shard: the next position to give and the last event's id."""

    next_position: int
    last_event_id: UUID | None


async def load_states(conn: Connection, dossiers: Iterable[UUID]) -> dict[UUID, StateRow]:
    """The states of these dossiers; one that has none is absent."""
    rows = await conn.fetch(
        "SELECT dossier_id, version, parked, state FROM states WHERE dossier_id = ANY($1::uuid[])", list(dossiers)
    )
    return {row["dossier_id"]: StateRow(*row) for row in rows}


async def load_answers(conn: Connection, requests: Sequence[Request]) -> dict[tuple[str, str, str, str], Any]:
    """Rows (body_hmac, status, answer) of requests that were answered before, by their identity."""
    if not requests:
        return {}
    columns = [list(column) for column in zip(*(request.identity for request in requests), strict=True)]
    rows = await conn.fetch(
        """SELECT client, method, path, key, body_hmac, status, answer FROM requests
           JOIN unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS asked(client, method, path, key)
           USING (client, method, path, key)""",
        *columns,
    )
    return {(row["client"], row["method"], row["path"], row["key"]): row for row in rows}


async def load_caused(conn: Connection, causes: Sequence[UUID]) -> list[asyncpg.Record]:
    """Events that were already stored because of these messages, in order of position."""
    return await conn.fetch(
        """SELECT event_id, dossier_id, caused_by, type, headers, data FROM events
           WHERE caused_by = ANY($1::uuid[]) ORDER BY shard, position""",
        causes,
    )


async def prepare_heard(pool: "asyncpg.Pool[asyncpg.Record]", shards: Sequence[tuple[str, int]]) -> None:
    """Make sure that each of these shards (writer, number) has its row in `heard`."""
    await pool.executemany("INSERT INTO heard (source, shard) VALUES ($1, $2) ON CONFLICT DO NOTHING", shards)


async def heard(pool: "asyncpg.Pool[asyncpg.Record]") -> dict[tuple[str, int], Heard]:
    """How far every shard of every writer is heard."""
    rows = await pool.fetch("SELECT source, shard, position, last_event_id, next_offset FROM heard")
    return {(row[0], row[1]): Heard(*row[2:]) for row in rows}


async def lock_heard(conn: Connection, moves: Sequence[Move]) -> None:
    """Lock the rows of what the batch has heard; raises Fenced if another consumer has moved one of them."""
    if not moves:
        return
    keys = [move.source for move in moves], [move.shard for move in moves]
    rows = await conn.fetch(
        """SELECT h.source, h.shard, h.position FROM heard h
           JOIN unnest($1::text[], $2::smallint[]) AS k(source, shard) USING (source, shard)
           ORDER BY h.source, h.shard FOR UPDATE OF h""",
        *keys,
    )
    positions = {(row["source"], row["shard"]): row["position"] for row in rows}
    for move in moves:
        if (move.source, move.shard) not in positions:
            raise Fenced(f"{move.source}:{move.shard} has no row in heard")
        if move.expected is not None and positions[move.source, move.shard] != move.expected:
            raise Fenced(f"{move.source}:{move.shard} was heard by another consumer")


async def move_heard(conn: Connection, moves: Sequence[Move]) -> None:
    """Move positions and offsets forward, in the transaction of the effects."""
    await conn.executemany(
        """UPDATE heard SET position = coalesce($3, position), last_event_id = coalesce($4, last_event_id),
                  next_offset = greatest(next_offset, $5) WHERE source = $1 AND shard = $2""",
        [(move.source, move.shard, move.position, move.last_event_id, move.next_offset) for move in moves],
    )


async def lock_shards(conn: Connection, shards: Iterable[int]) -> dict[int, ShardHead]:
    """Become the one writer of these shards until the transaction ends; ordered, so writers cannot lock crosswise."""
    rows = await conn.fetch(
        """SELECT shard, next_position, last_event_id FROM shards
           WHERE shard = ANY($1::smallint[]) ORDER BY shard FOR UPDATE""",
        sorted(set(shards)),
    )
    return {row["shard"]: ShardHead(row["next_position"], row["last_event_id"]) for row in rows}


async def write_states(conn: Connection, writes: Sequence[StateWrite]) -> None:
    """Write each state over the version that was read. Raises Conflict if one of them has another version by now."""
    fresh = [write for write in writes if write.version == 0]
    known = [write for write in writes if write.version > 0]
    written = 0
    if fresh:
        written += len(await conn.fetch(_INSERT_STATES, *_columns(fresh)))
    if known:
        written += len(await conn.fetch(_UPDATE_STATES, *_columns(known)))
    if written != len(writes):
        raise Conflict(f"{len(writes) - written} of {len(writes)} dossiers were written by somebody else")


_STATE_INPUT = """unnest($1::uuid[], $2::int[], $3::int[], $4::bool[], $5::text[], $6::text[], $7::smallint[],
    $8::timestamptz[]) AS w(dossier_id, version, steps, parked, state, unit, status, attention_at)"""
_INSERT_STATES = f"""INSERT INTO states (dossier_id, version, parked, state, unit, status, attention_at)
    SELECT dossier_id, steps, parked, state::jsonb, unit, status, attention_at FROM {_STATE_INPUT}
    ON CONFLICT (dossier_id) DO NOTHING RETURNING dossier_id"""  # noqa: S608 - constant text
_UPDATE_STATES = f"""UPDATE states s SET version = s.version + w.steps, parked = w.parked, state = w.state::jsonb,
    unit = w.unit, status = w.status, attention_at = w.attention_at
    FROM {_STATE_INPUT} WHERE s.dossier_id = w.dossier_id AND s.version = w.version RETURNING s.dossier_id"""  # noqa: S608


def columns(rows: Collection[Any], *names: str) -> list[list[Any]]:
    """These attributes of all rows, one list each: what `unnest` takes."""
    return [[getattr(row, name) for row in rows] for name in names]


def _columns(writes: Sequence[StateWrite]) -> list[list[Any]]:
    ordered = sorted(writes, key=lambda write: write.dossier_id)
    return columns(ordered, "dossier_id", "version", "steps", "parked", "state", "unit", "status", "attention_at")


async def draw_numbers(conn: Connection, wanted: Mapping[str, int]) -> dict[str, int]:
    """Draw `wanted[series]` running numbers of each series, in key order; returns the first number of each."""
    first = {}
    for series in sorted(wanted):
        last = await conn.fetchval(
            """INSERT INTO numbers (series, last) VALUES ($1, $2)
               ON CONFLICT (series) DO UPDATE SET last = numbers.last + $2 RETURNING last""",
            series,
            wanted[series],
        )
        first[series] = last - wanted[series] + 1
    return first


async def append(conn: Connection, events: Sequence[EventRow]) -> None:
    """Append events at their positions. A position or id that is taken raises UniqueViolationError:
    a bug, or a race.
    """
    await conn.execute(
        """INSERT INTO events (shard, position, event_id, dossier_id, caused_by, type, headers, data)
           SELECT * FROM unnest($1::smallint[], $2::bigint[], $3::uuid[], $4::uuid[], $5::uuid[], $6::text[],
                                $7::jsonb[], $8::bytea[])""",
        *columns(events, "shard", "position", "event_id", "dossier_id", "caused_by", "type"),
        [json.dumps(event.headers) for event in events],
        [event.data for event in events],
    )


async def move_shards(conn: Connection, heads: Mapping[int, ShardHead]) -> None:
    """Store the new ends of the shards that grew."""
    ordered = sorted(heads)
    await conn.execute(
        """UPDATE shards s SET next_position = w.next_position, last_event_id = w.last_event_id
           FROM unnest($1::smallint[], $2::bigint[], $3::uuid[]) AS w(shard, next_position, last_event_id)
           WHERE s.shard = w.shard""",
        ordered,
        [heads[shard].next_position for shard in ordered],
        [heads[shard].last_event_id for shard in ordered],
    )


async def enqueue(conn: Connection, tasks: Sequence[TaskWrite]) -> None:
    """Enqueue tasks; each id only once."""
    await conn.execute(
        """INSERT INTO tasks (id, kind, dossier_id, payload, run_at)
           SELECT id, kind, dossier_id, payload, coalesce(run_at, now())
           FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::jsonb[], $5::timestamptz[])
                AS w(id, kind, dossier_id, payload, run_at)
           ON CONFLICT (id) DO NOTHING""",
        *columns(tasks, "id", "kind", "dossier_id", "payload", "run_at"),
    )


async def end_claims(conn: Connection, claims: Sequence[Claim]) -> set[UUID]:
    """Delete the tasks whose claims still hold; returns their ids. A task missing here belongs to another worker
    now.
    """
    rows = await conn.fetch(
        """DELETE FROM tasks t USING unnest($1::uuid[], $2::uuid[]) AS c(id, claim)
           WHERE t.id = c.id AND t.claim = c.claim RETURNING t.id""",
        *columns(claims, "task_id", "token"),
    )
    return {row["id"] for row in rows}


async def write_answers(conn: Connection, answers: Sequence[tuple[Request, Mapping[str, Any]]]) -> None:
    """Store the answers to idempotency keys. A key that was answered meanwhile raises Conflict."""
    rows = await conn.fetch(
        """INSERT INTO requests (client, method, path, key, body_hmac, status, answer)
           SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bytea[], $6::smallint[],
                                $7::jsonb[]) ON CONFLICT DO NOTHING RETURNING key""",
        *[[request.identity[column] for request, _ in answers] for column in range(4)],
        *columns([request for request, _ in answers], "body_hmac", "status"),
        [orjson.dumps(answer).decode() for _, answer in answers],
    )
    if len(rows) != len(answers):
        raise Conflict("an idempotency key was answered meanwhile")


async def write_keys(conn: Connection, keys: Sequence[WrappedKey]) -> None:
    """Store data keys made at our own door; the relay publishes them before the dossier's first event."""
    await conn.executemany(
        """INSERT INTO data_keys (dossier_id, kek_id, wrapped, published) VALUES ($1, $2, $3, false)
           ON CONFLICT DO NOTHING""",
        [(key.dossier_id, key.kek_id, key.wrapped) for key in keys],
    )


async def write_dead_letters(conn: Connection, letters: Sequence[tuple[UUID, DeadLetter, bytes | None]]) -> None:
    """Store dead letters (id, letter, value to keep); one that is there already counts an attempt more.

    A task that was redriven and fails again bears the same id: its letter is open again, or nobody would redrive it,
    and holds what failed now, be it the function or the rule that its outcome goes to. A settled record stays settled
    when its partition is read again.
    """
    await conn.executemany(
        f"""INSERT INTO dead_letters ({_AS_IT_CAME}, reason, error_code, error_type, message)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8::json, $9, $10, $11, $12, $13, $14)
           ON CONFLICT (id) DO UPDATE SET attempts = dead_letters.attempts + 1, last_failed_at = now(),
               reason = excluded.reason, error_code = excluded.error_code, error_type = excluded.error_type,
               message = excluded.message, value = excluded.value,
               settled_at = CASE WHEN excluded.origin = 'kafka' THEN dead_letters.settled_at END,
               settled_by = CASE WHEN excluded.origin = 'kafka' THEN dead_letters.settled_by END""",  # noqa: S608
        [
            (*_as_it_came(id_, letter.item, value), letter.reason, letter.error_code, letter.error_type, letter.message)
            for id_, letter, value in letters
        ],
    )


async def write_parked(conn: Connection, parked: Sequence[tuple[UUID, Item, bytes | None]]) -> None:
    """Store what waits behind a dead letter, in order, as it came."""
    await conn.executemany(
        f"""INSERT INTO parked_messages ({_AS_IT_CAME})
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8::json, $9, $10) ON CONFLICT (id) DO NOTHING""",  # noqa: S608
        [_as_it_came(*one) for one in parked],
    )


_AS_IT_CAME = 'id, origin, topic, partition, "offset", record_time, key, headers, value, dossier_id'


def _as_it_came(id_: UUID, item: Item, value: bytes | None) -> tuple[Any, ...]:
    record = item.record
    if record is None:
        return (id_, "task", None, None, None, None, None, None, value, item.dossier_id)
    return (
        id_, "kafka", record.topic, record.partition, record.offset, record.timestamp, record.key,
        headers_json(record.headers), record.value, item.dossier_id,
    )  # fmt: skip


def record_of(row: Mapping[str, Any]) -> Record:
    """The Kafka record that a dead letter or parked message keeps, byte for byte."""
    headers = headers_of(row["headers"])
    return Record(row["topic"], row["partition"], row["offset"], row["record_time"], row["key"], headers, row["value"])
