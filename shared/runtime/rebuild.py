"""States rebuilt from the audit trail, against the live ones: evolve is pure, so they must be equal.

Read as `auditor`, the role with nothing but SELECT on all databases.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

import asyncpg
import orjson

from shared.errors import Poison
from shared.events.envelope import open_record, read_body, read_envelope
from shared.runtime.decider import Message
from shared.runtime.headers import headers_of
from shared.runtime.service import Service
from shared.runtime.settings import OperatorSettings
from shared.topics import heard_by, topic_of

AUDITOR = "auditor"


def auditor_url(settings: OperatorSettings, service: str) -> str:
    """Where `auditor` finds the database of `service`: the same server, the same kind of name."""
    parts = urlsplit(settings.database_url)
    host = parts.netloc.rpartition("@")[2]
    own = parts.path.rpartition("/")[2]
    prefix, _, rest = own.partition("dossier_")
    suffix = rest.partition("_")[2]
    name = f"{prefix}dossier_{service}" + (f"_{suffix}" if suffix else "")
    return urlunsplit((parts.scheme, f"{AUDITOR}@{host}", f"/{name}", parts.query, ""))


@dataclass(frozen=True)
class _Rebuilt:
    """What the trail comes to, and how many of its records cannot be read: dead letters of the live service too."""

    states: Mapping[UUID, Any]
    unreadable: int


@dataclass(frozen=True)
class _Live:
    """One moment of a service's own database: states, how far they go, and which dossiers wait for an operator."""

    states: Mapping[UUID, str]
    limits: Mapping[tuple[str, int], int]
    waiting: frozenset[UUID]


async def check(service: Service, settings: OperatorSettings, say: Callable[[str], None], patience: int = 10) -> int:
    """Rebuild every state of `service` and compare; exit code 1 if one differs. Tells dossiers, never contents.

    The trail of a working system is a moment behind: what differs is compared again, at most `patience` times, a
    second apart. Dossiers with a dead letter, open or given up, are left out and counted: it is heard but not folded.
    """
    password = settings.secret("auditor_db_password")
    own = await asyncpg.connect(auditor_url(settings, service.name), password=password)
    trail = await asyncpg.connect(auditor_url(settings, "audit"), password=password)
    try:
        for _ in range(patience):
            live = await _live(service, own)
            rebuilt = await _rebuild(service, live, trail)
            differing = _differing(service, rebuilt.states, live)
            if not differing:
                break
            await asyncio.sleep(1.0)
    finally:
        await own.close()
        await trail.close()
    return _report(service, rebuilt, live, differing, say)


async def _live(service: Service, own: Any) -> _Live:
    async with own.transaction(isolation="repeatable_read", readonly=True):
        heard = {(row["source"], row["shard"]): row["position"] for row in await own.fetch("SELECT * FROM heard")}
        shards = await own.fetch("SELECT shard, next_position FROM shards")
        states = {row["dossier_id"]: row["state"] for row in await own.fetch("SELECT dossier_id, state FROM states")}
        waiting = await own.fetch(WAITING)
    said = {(service.name, row["shard"]): row["next_position"] - 1 for row in shards}
    return _Live(states, {**heard, **said}, frozenset(row["dossier_id"] for row in waiting))


WAITING = """SELECT dossier_id FROM states WHERE parked
             UNION SELECT dossier_id FROM dead_letters d JOIN operator_acts a
                   ON a.act = 'discard' AND a.detail ->> 'dead_letter' = d.id::text
             WHERE dossier_id IS NOT NULL"""
"""Whose messages wait, and of whom a message was given up: what it said is heard and in no state."""


def _differing(service: Service, rebuilt: Mapping[UUID, Any], live: _Live) -> list[UUID]:
    empty = service.decider.empty
    return [
        dossier
        for dossier in sorted((rebuilt.keys() | live.states.keys()) - live.waiting)
        if rebuilt.get(dossier, empty)
        != (type(empty).model_validate_json(live.states[dossier]) if dossier in live.states else empty)
    ]


def _report(service: Service, rebuilt: _Rebuilt, live: _Live, differing: list[UUID], say: Callable[[str], None]) -> int:
    for dossier in differing[:50]:
        say(f"{service.name}: the state of dossier {dossier} differs from what its events come to")
    left_out = f", {len(live.waiting)} left out behind dead letters" if live.waiting else ""
    unread = f", unreadable records passed over: {rebuilt.unreadable}" if rebuilt.unreadable else ""
    counts = f"{len(live.states)} live states, {len(rebuilt.states)} rebuilt from the trail"
    say(f"{service.name}: {counts}, {len(differing)} differ{left_out}{unread}")
    return 1 if differing else 0


async def _rebuild(service: Service, live: _Live, trail: Any) -> _Rebuilt:
    """Fold what was heard (up to the position heard) and said, each source in its order."""
    states: dict[UUID, Any] = defaultdict(lambda: service.decider.empty)
    unreadable = 0
    topics = dict.fromkeys([*(topic.name for topic in heard_by(service.name)), topic_of(service.name)])
    for topic in topics:
        async for event in _events(trail, topic):
            if event is None:
                unreadable += 1
                continue
            message, place = event
            if place[2] <= live.limits.get(place[:2], 0):
                states[message.dossier_id] = service.decider.evolve(states[message.dossier_id], message)
    return _Rebuilt(dict(states), unreadable)


async def _events(trail: Any, topic: str) -> AsyncIterator[tuple[Message[Any], tuple[str, int, int]] | None]:
    """Every event of one topic in the trail, once, by shard and sequence; None for a record that cannot be read."""
    async with trail.transaction():
        async for row in trail.cursor(TRAIL, topic, prefetch=1000):
            try:
                at, data = _time_and_body(row)
                body = read_body(row["type"], row["source"], data)
            except Poison:
                # The live service could not read it either: a dead letter there, and nothing was folded.
                yield None
                continue
            if body is not None:
                message = Message(row["event_id"], row["dossier_id"], at, body)
                yield message, (row["source"], row["shard"], row["sequence"])


def _time_and_body(row: Any) -> tuple[datetime, bytes]:
    """What the trail's own columns do not hold of an event. Raises Poison."""
    pairs = dict(orjson.loads(row["headers"]))
    if pairs.get("content-type") != _PLAIN or "ce_time" not in pairs:
        text, data = open_record(headers_of(row["headers"]), row["value"])
        return read_envelope(text).time, data
    return datetime.fromisoformat(bytes.fromhex(pairs["ce_time"]).decode()).astimezone(UTC), row["value"] or b""


_PLAIN = b"application/json".hex()
"""The content type of what our own relays publish: in binary mode, headers once each."""

TRAIL = """SELECT t.source, t.shard, t.sequence, t.event_id, t.dossier_id, t.type, r.headers, r.value
           FROM trail t JOIN records r ON r.id = t.record_id
           WHERE r.topic = $1 ORDER BY t.shard, t.sequence"""
"""The audit service's tables, as its migration lays them out."""
