"""The event store in PostgreSQL: every statement that the engine's one transaction is made of.

Connections are asyncpg's; one connection serves one task at a time. All times are the database's or the message's, UTC.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from itertools import count
from typing import Any, TypeAlias
from uuid import UUID

import asyncpg
import orjson

from shared.errors import Behind, Conflict, DossierError, Fenced, MovedOn
from shared.events.base import DOSSIER
from shared.runtime.kernel.hearing import Heard
from shared.runtime.kernel.message import Claim, DeadLetter, Item, Move, Record, Request
from shared.runtime.kernel.view import ViewWrite
from shared.runtime.store.headers import headers_json, headers_of

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"


@dataclass(frozen=True, slots=True)
class StateRow:
    """What is remembered of a dossier: `state` is JSON text, None where the caller knows it in this version."""

    dossier_id: UUID
    version: int
    parked: bool
    state: str | None
    kind: str = DOSSIER


@dataclass(frozen=True, slots=True)
class StateWrite:
    """A state to be written over `version` (0: none yet)."""

    dossier_id: UUID
    kind: str
    version: int
    steps: int
    parked: bool
    state: str


@dataclass(frozen=True, slots=True)
class EventRow:
    """One event about to be stored: `headers` complete but for its place, which the commit gives; `data` the value."""

    shard: int
    event_id: UUID
    dossier_id: UUID
    caused_by: UUID
    type: str
    headers: Mapping[str, str]
    data: bytes


@dataclass(frozen=True, slots=True)
class TaskWrite:
    """A task to be enqueued; `run_at` None is at once. An id that is there already is left as it is, and none is
    enqueued whose outcome has caused `said`, the first event that it would cause, already (None: it is not asked).
    """

    id: UUID
    kind: str
    dossier_id: UUID
    payload: str
    run_at: datetime | None
    said: UUID | None = None
    shape: int = 1
    subject: str = DOSSIER
    """The kind of the subject, whose id is `dossier_id`."""


@dataclass(frozen=True, slots=True)
class Taken:
    """Tasks that begin their life claimed, all under one `claim`: by whom (a replica's stable name), for how long."""

    claim: UUID
    claimant: str | None
    lease_s: float
    tasks: Mapping[UUID, TaskWrite]


Answer: TypeAlias = tuple[Request, Mapping[str, Any]]
"""A request and what is answered to it."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What is remembered of a batch's messages. `said`: which of the events asked about are there; `living`: tasks
    whose claims hold; `answers`: by identity, body_hmac, status and answer.
    """

    states: Mapping[UUID, StateRow]
    said: Collection[UUID]
    living: Collection[UUID]
    answers: Mapping[tuple[str, str, str, str], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Batch:
    """Everything that one batch makes true. `seen`: how far the store must be in each of `shards` at least; `shape`:
    what their states must have.
    """

    shape: int
    seen: Mapping[int, int]
    shards: Sequence[int]
    moves: Sequence[Move]
    claims: Sequence[Claim]
    states: Sequence[StateWrite]
    views: Sequence[ViewWrite]
    events: Sequence[EventRow]
    tasks: Sequence[TaskWrite]
    taken: Taken
    answers: Sequence[Answer]


@dataclass(frozen=True, slots=True)
class Committed:
    """`ends`: each shard's last position; `claimed`: which of the tasks taken were not there yet, and are ours."""

    ends: Mapping[int, int]
    claimed: Collection[UUID]


async def load(
    conn: Connection, dossiers: Mapping[UUID, int], events: Sequence[UUID], claims: Sequence[Claim],
    requests: Sequence[Request],
) -> Loaded:  # fmt: skip
    """What is remembered of these dossiers (each with the version in which it is known, or 0), events, claims and
    requests, in one round trip and without a lock.
    """
    asked: dict[str, list[Any]] = {
        "state": [list(dossiers), list(dossiers.values())],
        "said": [events],
        "claim": columns(claims, "task_id", "token"),
        "answer": columns(requests, "client", "method", "path", "key"),
    }
    present = [kind for kind, parameters in asked.items() if parameters[0]]
    if not present:
        return Loaded({}, (), (), {})
    rows = await conn.fetch(_loading(*present), *(each for kind in present for each in asked[kind]))
    found: dict[str, list[asyncpg.Record]] = {"state": [], "said": [], "claim": [], "answer": []}
    for row in rows:
        found[row["kind"]].append(row)
    return Loaded(
        {row["id"]: StateRow(row["id"], row["n"], row["flag"], row["text"], row["names"][0]) for row in found["state"]},
        {row["id"] for row in found["said"]},
        {row["id"] for row in found["claim"]},
        {
            tuple(row["names"]): {"body_hmac": row["data"], "status": row["n"], "answer": row["text"]}
            for row in found["answer"]
        },
    )


_PARTS: Mapping[str, tuple[str, int]] = {
    "state": ("""SELECT 'state' AS kind, k.id, s.version::bigint AS n, s.parked AS flag,
                        CASE WHEN s.version <> k.version THEN s.state::text END AS text,
                        NULL::bytea AS data, ARRAY[s.subject] AS names
                 FROM unnest({}::uuid[], {}::integer[]) AS k(id, version)
                 CROSS JOIN LATERAL (SELECT * FROM states WHERE dossier_id = k.id LIMIT 1) s""", 2),
    "said": ("""SELECT 'said' AS kind, event_id AS id, NULL::bigint AS n, NULL::boolean AS flag, NULL::text AS text,
                       NULL::bytea AS data, NULL::text[] AS names
                FROM events WHERE event_id = ANY({}::uuid[])""", 1),
    "claim": ("""SELECT 'claim' AS kind, id, NULL::bigint AS n, NULL::boolean AS flag, NULL::text AS text,
                        NULL::bytea AS data, NULL::text[] AS names
                 FROM unnest({}::uuid[], {}::uuid[]) AS c(id, claim)
                 CROSS JOIN LATERAL (SELECT FROM tasks t WHERE t.id = c.id AND t.claim = c.claim LIMIT 1) t""", 2),
    "answer": ("""SELECT 'answer' AS kind, NULL::uuid AS id, status::bigint AS n, NULL::boolean AS flag,
                         answer::text AS text, body_hmac AS data, ARRAY[client, method, path, key] AS names
                  FROM unnest({}::text[], {}::text[], {}::text[], {}::text[]) AS a(client, method, path, key)
                  CROSS JOIN LATERAL (
                      SELECT status, answer, body_hmac FROM requests r WHERE (r.client, r.method, r.path, r.key)
                          = (a.client, a.method, a.path, a.key) LIMIT 1) r""", 4),
}  # fmt: skip
"""What is loaded, in rows of one shape, and how many parameters each takes. What has a limit is no join, which could be
planned to walk a table.
"""


@cache
def _loading(*kinds: str) -> str:
    """The statement that loads these kinds; a kind that a batch does not ask for costs nothing."""
    numbers = count(1)
    return " UNION ALL ".join(
        _PARTS[kind][0].format(*(f"${next(numbers)}" for _ in range(_PARTS[kind][1]))) for kind in kinds
    )


async def commit(conn: Connection, batch: Batch) -> Committed:
    """Make everything of `batch` true, all or nothing. See `commit_batch`.

    Raises Fenced if another consumer has moved what was heard, Conflict if a state, claim or idempotency key is not as
    it was loaded, Behind if the store is not as far as `seen`, MovedOn if states have another shape. An id that is
    taken raises UniqueViolationError: a bug, or a race.
    """
    states = sorted(batch.states, key=lambda write: write.dossier_id)
    keys = [request.data_key for request, _ in batch.answers if request.data_key is not None]
    newest = {one.dossier_id: request.digests for request, _ in batch.answers for one in request.digests[:1]}
    digests = [one for some in newest.values() for one in some]
    requests = [request for request, _ in batch.answers]
    taken = batch.taken
    try:
        rows = await conn.fetch(
            _COMMIT,
            batch.shape, batch.shards, [batch.seen.get(shard, 0) for shard in batch.shards],
            *columns(batch.moves, "source", "shard", "expected", "position", "last_event_id", "next_offset"),
            *columns(batch.claims, "task_id", "token"),
            *columns(states, "dossier_id", "kind", "version", "steps", "parked", "state"),
            *columns(batch.views, "view", "dossier_id", "row"),
            *columns(batch.events, "shard", "event_id", "dossier_id", "caused_by", "type"),
            [orjson.dumps(event.headers).decode() for event in batch.events], [event.data for event in batch.events],
            *columns(batch.tasks, "id", "kind", "dossier_id", "subject", "payload", "run_at", "said"),
            [taken.claim if task.id in taken.tasks else None for task in batch.tasks], taken.claimant, taken.lease_s,
            *columns(requests, "client", "method", "path", "key", "body_hmac", "status"),
            [orjson.dumps(answer).decode() for _, answer in batch.answers],
            *columns(keys, "dossier_id", "kek_id", "wrapped"),
            *columns(digests, "dossier_id", "kind", "digest"),
        )  # fmt: skip
    except asyncpg.PostgresError as refused:
        verdict = _VERDICTS.get(refused.sqlstate or "")
        if verdict is None:
            raise
        raise verdict(str(refused)) from refused
    return Committed(
        {row["one_shard"]: row["last_position"] for row in rows if row["one_shard"] is not None},
        [row["claimed_task"] for row in rows if row["claimed_task"] is not None],
    )


_COMMIT = f"SELECT one_shard, last_position, claimed_task FROM commit_batch({', '.join(f'${n}' for n in range(1, 51))})"  # noqa: S608
_VERDICTS: Mapping[str, type[DossierError]] = {"DFENC": Fenced, "DCONF": Conflict, "DOLDR": Behind, "DSHAP": MovedOn}


async def lock(conn: Connection, moves: Sequence[Move], shards: Sequence[int]) -> None:
    """Become the one writer of these shards, and the one who hears what `moves` names, until the transaction ends; in
    the order of `commit_batch`.
    """
    await conn.execute(
        """SELECT FROM heard h JOIN unnest($1::text[], $2::smallint[]) AS k(source, shard) USING (source, shard)
           ORDER BY h.source, h.shard FOR UPDATE OF h""",
        *columns(moves, "source", "shard"),
    )
    await conn.execute("SELECT FROM shards WHERE shard = ANY($1::smallint[]) ORDER BY shard FOR UPDATE", shards)


async def prepare_heard(pool: "asyncpg.Pool[asyncpg.Record]", shards: Sequence[tuple[str, int]]) -> None:
    """Make sure that each of these shards (writer, number) has its row in `heard`."""
    await pool.executemany("INSERT INTO heard (source, shard) VALUES ($1, $2) ON CONFLICT DO NOTHING", shards)


async def heard(pool: "asyncpg.Pool[asyncpg.Record]") -> dict[tuple[str, int], Heard]:
    """How far every shard of every writer is heard."""
    rows = await pool.fetch("SELECT source, shard, position, last_event_id, next_offset FROM heard")
    return {(row[0], row[1]): Heard(*row[2:]) for row in rows}


def columns(rows: Collection[Any], *names: str) -> list[list[Any]]:
    """These attributes of all rows, one list each: what `unnest` takes."""
    return [[getattr(row, name) for row in rows] for name in names]


async def draw_numbers(conn: Connection, wanted: Mapping[str, int]) -> dict[str, int]:
    """Draw `wanted[series]` running numbers of each series, in key order; returns the first number of each."""
    series = sorted(wanted)
    rows = await conn.fetch(
        """INSERT INTO numbers (series, last)
           SELECT series, wanted FROM unnest($1::text[], $2::bigint[]) AS w(series, wanted) ORDER BY series
           ON CONFLICT (series) DO UPDATE SET last = numbers.last + excluded.last RETURNING series, last""",
        series,
        [wanted[each] for each in series],
    )
    return {row["series"]: row["last"] - wanted[row["series"]] + 1 for row in rows}


async def write_views(conn: Connection, writes: Sequence[ViewWrite]) -> None:
    """Write rows of views outside of `commit`; in the transaction that writes their states."""
    for view in sorted({write.view for write in writes}):
        some = [write for write in writes if write.view == view]
        rows = [write.row for write in some if write.row is not None]
        await conn.execute("SELECT write_view($1, $2, $3::jsonb[])", view, [write.dossier_id for write in some], rows)


async def enqueue(conn: Connection, tasks: Sequence[TaskWrite]) -> None:
    """Enqueue tasks; each id only once, and none whose outcome was said."""
    await conn.execute(
        """INSERT INTO tasks (id, kind, dossier_id, payload, run_at, shape, subject)
           SELECT id, kind, dossier_id, payload, coalesce(run_at, now()), shape, subject
           FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::jsonb[], $5::timestamptz[], $6::uuid[], $7::smallint[],
                       $8::text[]) AS w(id, kind, dossier_id, payload, run_at, said, shape, subject)
           WHERE (SELECT e.event_id FROM events e WHERE e.event_id = w.said) IS NULL
           ON CONFLICT (id) DO NOTHING""",
        *columns(tasks, "id", "kind", "dossier_id", "payload", "run_at", "said", "shape", "subject"),
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
