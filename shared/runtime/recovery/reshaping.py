"""All states of a service made anew in the shape of this release, while its processes go on in the one before.

A state is a cache of what was said and heard, and both are kept for ever: what was heard lies on the topics, what was
said in the store. Each shard's messages are folded into states in the making, a piece a transaction, so that a kill
costs one piece. Once all shards are nearly level, one after the other is locked, folded to its end and moved: its
states and the rows of its views are put in place, and no process of another shape writes there any more. So a shard
stands still only for as long as it takes to write its states once, whatever its messages took to fold.

Folded is what the service has folded: not what stands among its dead letters, nor what an operator has skipped.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import orjson
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from shared.errors import Unavailable
from shared.events.base import Event
from shared.events.envelope import read_body
from shared.runtime.aio.parallel import cores, on_cores
from shared.runtime.kafka.clients import Broker
from shared.runtime.kafka.records import read_range, record
from shared.runtime.kernel.decider import Decider, Message
from shared.runtime.kernel.hearing import Broken, Heard, classify, reread
from shared.runtime.kernel.message import Item, Record
from shared.runtime.kernel.stored import as_stored, read_stored
from shared.runtime.store import shapes, sql
from shared.runtime.store.sql import Connection
from shared.topics import SHARDS, topic_of

PIECE = 2000
"""Messages in one transaction."""
NEARLY = 200
"""Messages of one shard that may be folded while it is locked: a fraction of a second."""
SILENCE_S = 20.0
"""So long Kafka may hand out nothing, though there is more."""

Tell = Callable[[str, int, int], None]
"""Is told of what (messages folded, shards moved) how many of how many are done."""


@dataclass(frozen=True)
class Ground:
    """What a process that folds some shards needs."""

    decider: Decider[Any]
    broker: Broker | None
    connect: Callable[[], Awaitable[Any]]
    hears: tuple[str, ...]
    """The writers that the service hears."""

    @property
    def sources(self) -> tuple[str, ...]:
        """Whose messages make up a state: those of the writers that are heard, and the service's own."""
        return (*self.hears, self.decider.name)


async def reshape(ground: Ground, pool: "asyncpg.Pool[asyncpg.Record]", tell: Tell) -> int:
    """Make the states of the service anew that have another shape, or all if none has; how many. May be ended at any
    time, and goes on from there.

    Raises Unavailable if somebody else is at it, if Kafka or the database does not answer, and if a topic does not
    hold what was heard.
    """
    conn = await ground.connect()
    try:
        if not await conn.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK):
            raise Unavailable("the states of this service are being made anew by another process")
        await sql.prepare_heard(pool, [(source, shard) for source in ground.hears for shard in range(SHARDS)])
        shards = await shapes.other_shapes(pool, ground.decider.shape) or range(SHARDS)
        await _fold_all(ground, pool, shards, tell)
        return await _move_all(ground, conn, shards, tell)
    except KafkaError as lost:
        raise Unavailable(f"Kafka, where what was heard lies: {type(lost).__name__}") from lost
    finally:
        await conn.close()


async def _fold_all(ground: Ground, pool: "asyncpg.Pool[asyncpg.Record]", shards: Sequence[int], tell: Tell) -> None:
    many = min(cores(), len(shards))
    watching = asyncio.create_task(_watch(ground, pool, tell))
    try:
        await on_cores(_fold_some, ground, [shards[first::many] for first in range(many)])
    finally:
        watching.cancel()


async def _watch(ground: Ground, pool: "asyncpg.Pool[asyncpg.Record]", tell: Tell) -> None:
    while True:
        tell("messages", *await shapes.progress(pool, ground.hears))
        await asyncio.sleep(0.5)


async def _fold_some(ground: Ground, shards: Sequence[int]) -> None:
    """In a process of its own: fold these shards until they are nearly level."""
    conn = await ground.connect()
    try:
        for shard in shards:
            async with _Shard(ground, conn, shard) as one:
                await one.catch_up()
    finally:
        await conn.close()


async def _move_all(ground: Ground, conn: Connection, shards: Sequence[int], tell: Tell) -> int:
    moved = 0
    for done, shard in enumerate(shards, 1):
        async with _Shard(ground, conn, shard) as one:
            moved += await one.move()
        tell("shards", done, len(shards))
    return moved


@dataclass
class _Shard:
    """One shard whose states are in the making."""

    ground: Ground
    conn: Connection
    shard: int
    made: dict[str, Heard] = field(default_factory=dict)
    skips: Mapping[tuple[str, int], int] = field(default_factory=dict)
    _reader: AIOKafkaConsumer | None = None
    _reading: Any = None

    async def __aenter__(self) -> "_Shard":
        decider = self.ground.decider
        async with self.conn.transaction():
            self.made = await shapes.begin(self.conn, self.shard, decider.shape, self.ground.sources)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._reading is not None:
            await self._reading.__aexit__(None, None, None)

    async def catch_up(self) -> None:
        """Fold until little is left, but once at least: whatever is wrong shows before any shard is moved."""
        while True:
            await self._fold(*await self._moment())
            if await self._left() <= NEARLY:
                return

    async def move(self) -> int:
        """Fold the rest while nothing is added, and put the states in place; how many."""
        await self.catch_up()
        if self.ground.broker is not None and self.ground.hears:
            await self._opened()  # connected before the shard stands still
        async with self.conn.transaction():
            await shapes.lock(self.conn, self.shard, self.ground.hears)
            live, unfolded = await self._moment()
            await self._fold(live, unfolded)
            return await shapes.move(self.conn, self.shard, self.ground.decider.shape, self.ground.decider.views)

    async def _left(self) -> int:
        live, _ = await self._moment()
        return sum(live[source].next_offset - self.made[source].next_offset for source in self.ground.sources)

    async def _moment(self) -> tuple[Mapping[str, Heard], set[shapes.Spot]]:
        """How far the states in force are folded, and what is not in them, at one moment."""
        async with self.conn.transaction(isolation=None if self.conn.is_in_transaction() else "repeatable_read"):
            self.skips = await shapes.skips(self.conn, self.shard)
            live = await shapes.live(self.conn, self.ground.decider.name, self.shard)
            return live, await shapes.unfolded(self.conn)

    async def _fold(self, live: Mapping[str, Heard], unfolded: set[shapes.Spot]) -> None:
        """What was redriven first: what its dossier has heard since then came after it."""
        await self._fold_handled_since(unfolded)
        for source in self.ground.hears:
            await self._fold_heard(source, live[source], unfolded)
        await self._fold_said(live[self.ground.decider.name])

    async def _fold_heard(self, source: str, live: Heard, unfolded: set[shapes.Spot]) -> None:
        """Fold what this source's topic holds up to where it is heard. What does not follow is passed over, as it was
        when it was heard; what followed only later was published again behind it.
        """
        made = self.made[source]
        while made.next_offset < live.next_offset:
            records = await self._read(topic_of(source), made.next_offset, live.next_offset)
            await self._take(source, records, unfolded)
            made.next_offset = max(made.next_offset, records[-1].offset + 1)
        self._skipped(source)
        if made.position != live.position or live.last_event_id not in (None, made.last_event_id):
            raise Unavailable(
                f"{topic_of(source)}/{self.shard} comes to sequence {made.position}, and heard of it is "
                f"{live.position}: the topic does not hold what {self.ground.decider.name} has heard"
            )

    async def _take(self, source: str, records: Sequence[Record], unfolded: set[shapes.Spot]) -> None:
        items = [item for item in (self._classified(source, one) for one in records) if item is not None]
        self._refuse_what_was_read(items, unfolded)
        spots = [_spot(item.record) for item in items if item.record is not None]
        over = [spot for spot in spots if spot in unfolded]
        messages = [
            item.message for item in items if item.message is not None and item.record is not None
            and _spot(item.record) not in unfolded
        ]  # fmt: skip
        async with self.conn.transaction():
            await shapes.pass_over(self.conn, self.shard, over)
            await self._keep(source, messages)

    def _skipped(self, source: str) -> Heard:
        """How far this source is folded, and behind what an operator has skipped there."""
        made = self.made[source]
        while (to := self.skips.get((source, made.position))) is not None and (to, None) != (
            made.position, made.last_event_id,
        ):  # fmt: skip
            made.position, made.last_event_id = to, None
        return made

    @staticmethod
    def _refuse_what_was_read(items: Sequence[Item], unfolded: set[shapes.Spot]) -> None:
        """What this release cannot read, and is no dead letter, was read and folded by another: left out, it would be
        lost from its state without a word.
        """
        for item in items:
            if item.failure is not None and item.record is not None and _spot(item.record) not in unfolded:
                topic, partition, offset = _spot(item.record)
                raise Unavailable(
                    f"{topic}/{partition}, offset {offset}, was read before and is not now: {item.failure}"
                )

    def _classified(self, source: str, one: Record) -> Item | None:
        """The item of a record that follows; None for what does not."""
        made = self._skipped(source)
        found = classify(one, {(source, self.shard): made})
        return None if isinstance(found, Broken) else found

    async def _fold_said(self, live: Heard) -> None:
        name, made = self.ground.decider.name, self.made[self.ground.decider.name]
        while made.position < live.position:
            rows = await shapes.own_events(self.conn, self.shard, made.position, live.position, PIECE)
            last = rows[-1]
            made.position, made.last_event_id, made.next_offset = last["position"], last["event_id"], last["position"]
            async with self.conn.transaction():
                await self._keep(name, list(_said(name, rows)))

    async def _fold_handled_since(self, unfolded: set[shapes.Spot]) -> None:
        """What was passed over and has been redriven since then; all of its dossier waited behind it."""
        for topic, partition, offset in await shapes.handled_since(self.conn, self.shard, unfolded):
            broker = self._broker()
            found = await read_range(broker, _CLIENT, TopicPartition(topic, partition), offset, offset + 1)
            items = [reread(one) for one in found]
            source = next(one for one in self.ground.hears if topic_of(one) == topic)
            async with self.conn.transaction():
                await shapes.folded_after_all(self.conn, self.shard, (topic, partition, offset))
                await self._keep(source, [item.message for item in items if item.message is not None])

    async def _keep(self, source: str, messages: Sequence[Message[Any]]) -> None:
        """Fold these, and keep the states and how far the shard is folded."""
        decider = self.ground.decider
        folded = [one for one in messages if type(one.body) in decider.folds]
        dossiers = list({one.dossier_id: None for one in folded})
        known = await shapes.in_the_making(self.conn, self.shard, dossiers)
        kinds = {one.dossier_id: one.kind for one in folded}
        empty = {dossier: decider.empty_of(kind) for dossier, kind in kinds.items()}
        states = {dossier: read_stored(type(empty[dossier]), text) for dossier, text in known.items()}
        for message in folded:
            before = states.get(message.dossier_id, empty[message.dossier_id])
            states[message.dossier_id] = decider.evolve(before, message)
        rebuilt = [self._rebuilt(dossier, kinds[dossier], state) for dossier, state in states.items()]
        await shapes.keep(self.conn, self.shard, source, self.made[source], rebuilt)

    def _rebuilt(self, dossier: UUID, kind: str, state: Any) -> shapes.Rebuilt:
        rows = {view.name: view.row(state) for view in self.ground.decider.views if view.kind == kind}
        told = {name: {"dossier_id": str(dossier), **row} for name, row in rows.items() if row is not None}
        return shapes.Rebuilt(dossier, kind, as_stored(state), orjson.dumps(told).decode())

    async def _read(self, topic: str, start: int, stop: int) -> list[Record]:
        """Some records from `start` on, before `stop`; at least one."""
        reader, partition = await self._opened(), TopicPartition(topic, self.shard)
        reader.seek(partition, start)
        records = list[Record]()
        async with asyncio.timeout(SILENCE_S):
            while not records:
                got = await reader.getmany(partition, timeout_ms=500, max_records=PIECE)
                records = [record(one) for some in got.values() for one in some if one.offset < stop]
                if got and not records:
                    raise Unavailable(f"{topic}/{self.shard} holds no record from offset {start} to {stop}")
        return records

    async def _opened(self) -> AIOKafkaConsumer:
        if self._reader is None:
            self._reading = self._broker().reader(_CLIENT)
            self._reader = await self._reading.__aenter__()
            self._reader.assign([TopicPartition(topic_of(source), self.shard) for source in self.ground.hears])
        return self._reader

    def _broker(self) -> Broker:
        if self.ground.broker is None:
            raise Unavailable("KAFKA_BOOTSTRAP_SERVERS is not set, and what was heard lies there")
        return self.ground.broker


_CLIENT = "dossier-reshaping"
_LOCK = 0x_D055_1E25
"""Of PostgreSQL's advisory locks, the one for making states anew; each service has a database of its own."""


def _spot(one: Record) -> shapes.Spot:
    return one.topic, one.partition, one.offset


def _said(service: str, rows: Sequence[Any]) -> Iterator[Message[Event]]:
    """Our own events as messages; a type that this release does not know is none."""
    for row in rows:
        body = read_body(row["type"], service, row["data"])
        if body is not None:
            yield Message(
                row["event_id"],
                row["dossier_id"],
                datetime.fromisoformat(row["at"]),
                body,
                row["subject"].partition("/")[0],
            )
