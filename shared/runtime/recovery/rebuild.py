"""States rebuilt from the audit trail, against the live ones: evolve is pure, so they must be equal.

Read as `auditor`, the role with nothing but SELECT on all databases. A dossier lies in the same shard of every service,
so that each core rebuilds some shards.
"""

import asyncio
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

import asyncpg
import orjson

from shared.errors import Poison
from shared.events.base import DOSSIER
from shared.events.catalogue import types_read_as
from shared.events.envelope import open_record, read_body, read_envelope
from shared.runtime.aio.parallel import cores, on_cores
from shared.runtime.kernel.decider import Decider, Message
from shared.runtime.service.service import Service
from shared.runtime.service.settings import OperatorSettings
from shared.runtime.store.headers import headers_of
from shared.topics import SHARDS, heard_by, topic_of

AUDITOR = "auditor"
NOT_COMPARED = 2


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
    """What the trail comes to in some shards: the dossiers (16 bytes each), which of them differ from the live ones,
    and how many records cannot be read: dead letters of the live service too.
    """

    dossiers: frozenset[bytes]
    differing: Sequence[UUID]
    unreadable: int


@dataclass(frozen=True)
class _Live:
    """One moment of a service's own database: states, how far they go, and which dossiers wait for an operator."""

    states: Mapping[UUID, str]
    limits: Mapping[tuple[str, int], int]
    waiting: frozenset[UUID]


async def check(service: Service, settings: OperatorSettings, say: Callable[[str], None], patience: int = 10) -> int:
    """Rebuild every state of `service` and compare; exit code 1 if one differs, NOT_COMPARED if it could not be done.
    Tells dossiers, never contents.

    The trail of a working system is a moment behind: what differs is compared again, at most `patience` times, a
    second apart. Dossiers with a dead letter, open or given up, are left out and counted: it is heard but not folded.
    """
    for _ in range(patience):
        live = await _live(service, settings)
        try:
            parts = await _parts(_Work(service, settings, live))
        except BrokenProcessPool:
            say(f"{service.name}: not compared, one of the processes was killed: is there memory for all states?")
            return NOT_COMPARED
        differing = _differing(service, parts, live)
        if not differing:
            break
        await asyncio.sleep(1.0)
    return _report(service, parts, live, differing, say)


@dataclass(frozen=True)
class _Work:
    """What every process that rebuilds some shards knows."""

    service: Service
    settings: OperatorSettings
    live: _Live


async def _parts(work: _Work) -> list[_Rebuilt]:
    """All shards rebuilt, some of them by each core."""
    many = cores()
    return await on_cores(_rebuild, work, [range(first, SHARDS, many) for first in range(many)])


async def _connected(settings: OperatorSettings, service: str) -> Any:
    return await asyncpg.connect(auditor_url(settings, service), password=settings.secret("auditor_db_password"))


async def _live(service: Service, settings: OperatorSettings) -> _Live:
    own = await _connected(settings, service.name)
    try:
        return await _one_moment(service, own)
    finally:
        await own.close()


async def _one_moment(service: Service, own: Any) -> _Live:
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


def _differing(service: Service, parts: Sequence[_Rebuilt], live: _Live) -> list[UUID]:
    """Dossiers whose live state is not what the trail comes to; those of whom it holds nothing must be empty."""
    found = {UUID(bytes=dossier) for part in parts for dossier in part.dossiers}
    empty, lone = service.decider.empty, live.states.keys() - found - live.waiting
    unknown = [dossier for dossier in lone if not _equal(empty, live.states[dossier], empty)]
    return sorted([*unknown, *(dossier for part in parts for dossier in part.differing)])


def _equal(rebuilt: Any, live: str | None, empty: Any) -> bool:
    """As documents first, which is soon done; a state stored by an earlier release may lack what has a default, and one
    stored by a later release have more than we know.
    """
    if live is None:
        return bool(rebuilt == empty)
    if rebuilt.model_dump(mode="json", exclude_none=True) == orjson.loads(live):
        return True
    return bool(rebuilt == type(empty).model_validate_json(live, extra="ignore"))


def _report(
    service: Service, parts: Sequence[_Rebuilt], live: _Live, differing: list[UUID], say: Callable[[str], None]
) -> int:
    for dossier in differing[:50]:
        say(f"{service.name}: the state of dossier {dossier} differs from what its events come to")
    left_out = f", {len(live.waiting)} left out behind dead letters" if live.waiting else ""
    unreadable, rebuilt = sum(part.unreadable for part in parts), sum(len(part.dossiers) for part in parts)
    unread = f", unreadable records passed over: {unreadable}" if unreadable else ""
    counts = f"{len(live.states)} live states, {rebuilt} rebuilt from the trail"
    say(f"{service.name}: {counts}, {len(differing)} differ{left_out}{unread}")
    return 1 if differing else 0


async def _rebuild(work: _Work, shards: Collection[int]) -> _Rebuilt:
    """Fold what was heard (up to the position heard) and said in these shards, each source in its order, and compare.
    What has been stored in the trail since the live states were read lies behind those positions.
    """
    service, live = work.service, work.live
    states: dict[UUID, Any] = {}
    unreadable = 0
    folded = types_read_as(service.decider.folds)
    topics = dict.fromkeys([*(topic.name for topic in heard_by(service.name)), topic_of(service.name)])
    trail = await _connected(work.settings, "audit")
    try:
        async with trail.transaction(readonly=True):
            for topic in topics:
                rows = await trail.cursor(TRAIL, topic, folded, shards)
                while block := await rows.fetch(BLOCK):
                    unreadable += _fold(service.decider, live.limits, block, states)
    finally:
        await trail.close()
    empty = service.decider.empty
    differing = [
        dossier
        for dossier, state in states.items()
        if dossier not in live.waiting and not _equal(state, live.states.get(dossier), empty)
    ]
    return _Rebuilt(frozenset(dossier.bytes for dossier in states), differing, unreadable)


def _fold(
    decider: Decider[Any], limits: Mapping[tuple[str, int], int], rows: Sequence[Any], states: dict[UUID, Any]
) -> int:
    """Fold events of the trail, in their order, into `states`; returns how many cannot be read."""
    unreadable, evolve = 0, decider.evolve
    for event_id, dossier, kind, source, shard, sequence, headers, value in rows:
        if sequence > limits.get((source, shard), 0):
            continue
        try:
            at, data = _time_and_body(headers, value)
            body = read_body(kind, source, data)
        except Poison:
            # The live service could not read it either: a dead letter there, and nothing was folded.
            unreadable += 1
            continue
        if body is not None and type(body) in decider.folds:
            # The kinds that one type is about share a model, and the first is as good as any to fold it.
            before = states.get(dossier) or decider.empty_of((body.SUBJECTS or (DOSSIER,))[0])
            states[dossier] = evolve(before, Message(event_id, dossier, at, body))
    return unreadable


def _time_and_body(headers: str, value: bytes | None) -> tuple[datetime, bytes]:
    """What the trail's own columns do not hold of an event. Raises Poison."""
    # A name in other letters is the same header, and of two the last counts.
    named = headers.lower()
    ours = _PLAIN in headers and named.count(_CONTENT) == named.count(_AT) == 1
    time = _TIME.search(headers) if ours else None
    if time is None:
        text, data = open_record(headers_of(headers), value)
        return read_envelope(text).time, data
    return datetime.fromisoformat(bytes.fromhex(time[1]).decode()), value or b""


BLOCK = 2000
"""Rows of the trail in memory at a time."""
_CONTENT, _AT = '"content-type"', '"ce_time"'
_PLAIN = f'[{_CONTENT},"{b"application/json".hex()}"]'
"""In the headers of what our own relays publish: binary mode, each header once. Anything else is read as it came."""
_TIME = re.compile(f'{_AT},"((?:[0-9a-f][0-9a-f])+5a)"')
"""`ce_time` in UTC: its last letter is a Z."""

TRAIL = """SELECT t.event_id, t.dossier_id, t.type, t.source, t.shard, t.sequence, r.headers, r.value
           FROM trail t JOIN records r ON r.id = t.record_id
           WHERE r.topic = $1 AND t.type = ANY($2) AND t.shard = ANY($3) ORDER BY t.shard, t.sequence"""
"""The audit service's tables, as its migration lays them out; of types that a decider folds."""
