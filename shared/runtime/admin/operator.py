"""The acts behind the operator's commands. Each returns what is printed; what changes something is recorded."""

import asyncio
import getpass
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

import asyncpg
import orjson
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from shared.errors import Misconfigured, Poison, Unavailable
from shared.events.envelope import open_record, read_envelope
from shared.runtime.admin.deadletters import Open, redrive
from shared.runtime.engine.engine import Engine
from shared.runtime.kafka.clients import Broker
from shared.runtime.kafka.records import read_range
from shared.runtime.kernel.message import Record
from shared.runtime.recovery.own import DISOWN, own
from shared.runtime.store.headers import headers_of, name_bytes
from shared.topics import TOPICS, topic_of

Pool = asyncpg.Pool

MAX_SEQUENCE = 2**63 - 1
ASK_S = 30.0
LOOKED_THROUGH = 1000
"""Records behind where a shard stands among which the one that stopped it is looked for."""
_WRITERS = {topic.writer for topic in TOPICS.values()}

_SHOWN = """d.id, d.dossier_id, d.origin, d.topic, d.partition, d."offset", d.reason, d.error_code, d.error_type,
    d.message, d.first_failed_at, d.last_failed_at, d.attempts, d.redrives"""


async def list_dead_letters(pool: "Pool[asyncpg.Record]") -> Sequence[Mapping[str, Any]]:
    """Open dead letters with how many messages wait behind each."""
    rows = await pool.fetch(
        f"""SELECT {_SHOWN}, (SELECT count(*) FROM parked_messages p WHERE p.dossier_id = d.dossier_id) AS waiting
            FROM dead_letters d WHERE d.settled_at IS NULL ORDER BY d.first_failed_at"""  # noqa: S608 - constant text
    )
    return [dict(row) for row in rows]


async def show_dead_letter(pool: "Pool[asyncpg.Record]", letter: UUID) -> Mapping[str, Any] | None:
    """One dead letter with its headers; the value stays in the database (it may be anything), its size is told."""
    row = await pool.fetchrow(
        f"""SELECT {_SHOWN}, d.headers, length(d.value) AS value_bytes, d.settled_at, d.settled_by
            FROM dead_letters d WHERE d.id = $1""",  # noqa: S608 - constant text
        letter,
    )
    if row is None:
        return None
    told = headers_of(row["headers"] or "[]")
    headers = [[_readable(name_bytes(name)), _readable(content)] for name, content in told]
    return {**dict(row), "headers": headers}


def _readable(content: bytes | None) -> str | None:
    return None if content is None else content.decode(errors="replace")[:200]


async def redrive_dossier(engine: Engine, opened: Open, dossier: UUID) -> Mapping[str, Any]:
    """Handle a dossier's dead letters and parked messages again; `opened` opens what was kept sealed."""
    result = await redrive(engine, opened, dossier)
    return {"dossier_id": str(dossier), "handled": result.handled, "parked": result.parked, "failure": result.failure}


async def redrive_all(
    engine: Engine, opened: Open, reason: str | None, progress: Callable[[str], object]
) -> Mapping[str, int]:
    """Handle again what every waiting dossier has, the longest waiting first, each in a transaction of its own.

    `reason` (a letter's reason, code or error type) takes only dossiers that have such a letter. What does not succeed
    stays as it was and holds no other dossier up. `remaining` counts open letters after it, those of no known dossier
    too.
    """
    dossiers = [row["dossier_id"] for row in await engine.pool.fetch(_WAITING, reason)]
    handled = parked = 0
    for n, dossier in enumerate(dossiers, 1):
        result = await redrive_dossier(engine, opened, dossier)
        handled, parked = handled + result["handled"], parked + result["parked"]
        outcome = f"still parked ({result['failure']})" if result["parked"] else "goes on"
        progress(f"{n}/{len(dossiers)} {dossier}: {result['handled']} handled, {outcome}")
    remaining = await engine.pool.fetchval(_REMAINING, reason)
    return {"dossiers": len(dossiers), "handled": handled, "still_parked": parked, "remaining": remaining}


_OF_REASON = "settled_at IS NULL AND ($1::text IS NULL OR $1 IN (reason, error_code, error_type))"
_WAITING = f"""SELECT dossier_id FROM (
        SELECT dossier_id, first_failed_at AS since FROM dead_letters WHERE dossier_id IS NOT NULL AND {_OF_REASON}
        UNION ALL SELECT dossier_id, NULL FROM states WHERE parked AND $1 IS NULL
    ) AS waiting GROUP BY dossier_id ORDER BY min(since), dossier_id"""  # noqa: S608 - constant text
_REMAINING = f"SELECT count(*) FROM dead_letters WHERE {_OF_REASON}"  # noqa: S608 - constant text


async def list_heard(pool: "Pool[asyncpg.Record]") -> Sequence[Mapping[str, Any]]:
    """How far each shard of each writer is heard."""
    return [dict(row) for row in await pool.fetch("SELECT * FROM heard ORDER BY source, shard")]


async def skip_heard(
    pool: "Pool[asyncpg.Record]", source: str, shard: int, sequence: int, broker: Broker | None = None
) -> Mapping[str, Any] | None:
    """Let a stopped shard go on behind `sequence`, whatever is missing up to it. None if there is no such shard.

    The chain begins anew there: the next record is taken whatever its `previous` is. To take what follows a fork,
    skip to where the shard stands. Raises Misconfigured for a way back, which would do everything twice, and, if a
    `broker` can be asked, for a way beyond an event that lies on the topic or will: it would be dropped as a repeat.
    Raises Unavailable if the broker does not answer.
    """
    if source not in _WRITERS:
        return None  # the place of the last data key lies in the same table, and is nobody's to move
    if broker is not None:
        await _refuse_too_far(pool, broker, source, shard, sequence)
    async with pool.acquire() as conn, conn.transaction():
        before = await conn.fetchrow("SELECT * FROM heard WHERE source = $1 AND shard = $2 FOR UPDATE", source, shard)
        if before is None:
            return None
        if not before["position"] <= sequence < MAX_SEQUENCE:
            raise Misconfigured(f"the shard stands at {before['position']}: a skip goes on from there or later")
        await conn.execute(
            "UPDATE heard SET position = $3, last_event_id = NULL WHERE source = $1 AND shard = $2",
            source, shard, sequence,
        )  # fmt: skip
        detail = {"source": source, "shard": shard, "from": before["position"], "to": sequence}
        await conn.execute(_ACT, getpass.getuser(), "heard skip", orjson.dumps(detail).decode())
    return detail


async def disown(
    pool: "Pool[asyncpg.Record]", broker: Broker, service: str, partition: int, offset: int
) -> Mapping[str, Any] | None:
    """Tell `service` that the record at this place of its own topic is not its own, though it looks so: it is left out
    when the store is compared with the topic, and taken back. None if no record lies there.

    Raises Misconfigured for an event that the store holds, for that is its own, Unavailable if the broker does not
    answer. Hearers are not told: they may have heard it, and stop at the writer's own event of that sequence.
    """
    try:
        async with asyncio.timeout(ASK_S):
            found = await read_range(
                broker, f"{service}-operator", TopicPartition(topic_of(service), partition), offset, offset + 1
            )
    except (KafkaError, TimeoutError) as lost:
        raise Unavailable("Kafka, which would tell what lies there") from lost
    if not found:
        return None
    ours = own(found[0].headers, service, partition)
    detail: dict[str, Any] = {"partition": partition, "offset": offset}
    if ours is not None:
        detail |= {"sequence": ours[0].sequence, "event_id": str(ours[0].id)}
        if await pool.fetchval(_HOLDS, partition, ours[0].sequence, ours[0].id):
            raise Misconfigured(f"event {ours[0].sequence} of shard {partition} is in the store: it is its own")
    await pool.execute(_ACT, getpass.getuser(), DISOWN, orjson.dumps(detail).decode())
    return detail


_HOLDS = "SELECT true FROM events WHERE shard = $1 AND position = $2 AND event_id = $3"
_ACT = "INSERT INTO operator_acts (who, act, detail) VALUES ($1, $2, $3::jsonb)"


async def _refuse_too_far(pool: "Pool[asyncpg.Record]", broker: Broker, source: str, shard: int, sequence: int) -> None:
    stands = await pool.fetchrow("SELECT * FROM heard WHERE source = $1 AND shard = $2", source, shard)
    if stands is None or sequence <= stands["position"]:
        return
    partition, start = TopicPartition(topic_of(source), shard), stands["next_offset"]
    try:
        async with asyncio.timeout(ASK_S):
            records = await read_range(broker, "operator", partition, start, start + LOOKED_THROUGH)
    except (KafkaError, TimeoutError) as lost:
        raise Unavailable("Kafka, which would tell what a skip leaves out") from lost
    ahead = [one for one in map(_sequence, records) if one is not None and one > stands["position"]]
    if ahead and sequence >= ahead[0]:
        raise Misconfigured(
            f"the event of sequence {ahead[0]} lies on the topic: a skip goes to {ahead[0] - 1} at most"
        )
    if not ahead and len(records) < LOOKED_THROUGH:
        raise Misconfigured(f"the shard stands at {stands['position']} and no later event lies on the topic")


def _sequence(record: Record) -> int | None:
    try:
        return read_envelope(open_record(record.headers, None)[0]).sequence
    except Poison:
        return None
