"""Taking back: a store that was restored from an older backup reads what it lacks from its own topic.

Only what continues the store's own chain is taken: the next position, and `previous` the last id. What somebody else
has put there is passed over, and what an operator has disowned. What is taken is made true in pieces, each in one
transaction under its shard's lock, so a kill in the middle leaves a store that is only less far behind, and of several
replicas none takes anything a second time. Data keys come first: an event is no
more heard of as missing once it is there.

What others said meanwhile is heard again from where the backup stood. What a message caused is then found, for
its id follows from the message's: it is not said again, not folded again, and no task is enqueued whose outcome was
said.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import asyncpg
import orjson
import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

from shared.errors import MovedOn, Unavailable
from shared.events.base import DOSSIER
from shared.runtime.kafka.clients import Broker
from shared.runtime.kafka.records import record
from shared.runtime.kernel.decider import Decider
from shared.runtime.kernel.message import Record
from shared.runtime.kernel.stored import as_stored, read_stored
from shared.runtime.kernel.view import changes
from shared.runtime.keys.heard import take_back_keys
from shared.runtime.keys.judged import Judge
from shared.runtime.observe.metrics import Metrics
from shared.runtime.recovery.chain import Found, Head, Taken, broken, first_beyond, following, taken
from shared.runtime.recovery.own import Spot, disowned, own
from shared.runtime.store import sql
from shared.runtime.store.commit import ordered
from shared.runtime.store.sql import Connection, TaskWrite, columns
from shared.topics import topic_of

log = structlog.get_logger(__name__)

PIECE = 500
"""So many records at most come to one transaction."""


@dataclass
class TakingBack:
    """Makes one service's store as whole as its topic, and its data keys, if it makes some (`judge`)."""

    decider: Decider[Any]
    pool: "asyncpg.Pool[asyncpg.Record]"
    broker: Broker
    metrics: Metrics
    judge: Judge | None = None

    async def run(self, ends: Mapping[int, int], progress: Callable[[int, int], None]) -> None:
        """Take back what these shards (shard → last position on the topic) lack. Raises Unavailable with the reason if
        the topic does not continue the store, KafkaError, and what a lost connection raises. `progress` is told how
        many of how many are there.
        """
        heads = await self._heads()
        wanted = sum(end - heads[shard].position for shard, end in ends.items())
        log.warning("taking-back-begins", events=wanted, shards=sorted(ends))
        done = 0
        async with self.broker.reader(f"{self.decider.name}-taking-back") as reader:
            if self.judge is not None:
                log.warning("keys-taken-back", keys=await take_back_keys(self.pool, reader, self.judge))
            without = await disowned(self.pool)
            stops = await self._begin(reader, {shard: heads[shard] for shard in ends})
            for shard, end in sorted(ends.items()):
                head = heads[shard]
                stop = stops[self._partition(shard)]
                async for further in self._shard(reader, head, _Wanted(shard, end, stop, without)):
                    done, head = done + further.position - head.position, further
                    progress(min(done, wanted), wanted)
        log.warning("taking-back-ended", events=done)

    async def _heads(self) -> dict[int, Head]:
        rows = await self.pool.fetch("SELECT shard, next_position - 1 AS position, last_event_id FROM shards")
        return {row["shard"]: Head(row["position"], row["last_event_id"]) for row in rows}

    def _partition(self, shard: int) -> TopicPartition:
        return TopicPartition(topic_of(self.decider.name), shard)

    async def _begin(self, reader: AIOKafkaConsumer, heads: Mapping[int, Head]) -> Mapping[TopicPartition, int]:
        """Seek in all these shards at once; returns where their partitions end now."""
        partitions = [self._partition(shard) for shard in heads]
        reader.assign(partitions)
        stops, begins = await reader.end_offsets(partitions), await reader.beginning_offsets(partitions)
        for tp in partitions:
            # Before an event lie at least all events before it, so none that is missing lies further to the front.
            reader.seek(tp, max(begins[tp], min(heads[tp.partition].position, stops[tp])))
        return dict(stops)

    async def _shard(self, reader: AIOKafkaConsumer, head: Head, wanted: "_Wanted") -> AsyncIterator[Head]:
        """Take one shard back, a piece at a time; yields how far it then is."""
        partition, beyond = self._partition(wanted.shard), list[Found]()
        while head.position < wanted.end:
            got = await reader.getmany(partition, timeout_ms=1000, max_records=PIECE)
            records = [record(message) for messages in got.values() for message in messages]
            found = list(self._own(records, wanted))
            missing = [taken(one) for one in following(head, found)]
            if missing:
                head = await self._store(head, missing)
                yield head
            beyond = first_beyond(head, [*beyond, *found])
            if not missing and await reader.position(partition) >= wanted.stop:
                raise Unavailable(broken(head, wanted.shard, beyond))

    def _own(self, records: Iterable[Record], wanted: "_Wanted") -> Iterator[Found]:
        """What is ours among these records of one partition; what anybody else has put there is passed over."""
        for one in records:
            ours = own(one.headers, self.decider.name, wanted.shard)
            if ours is not None and Spot(one.partition, one.offset) not in wanted.without:
                yield Found(*ours, one)

    async def _store(self, head: Head, missing: Sequence[Taken]) -> Head:
        """Make one piece true, if nobody else has; returns how far the shard then is."""
        shard = missing[0].shard
        async with self.pool.acquire() as conn, conn.transaction():
            row = await conn.fetchrow(
                "SELECT next_position - 1 AS position, last_event_id, shape FROM shards WHERE shard = $1 FOR UPDATE",
                shard,
            )
            if row is None:
                raise AssertionError("every shard has its row")
            if row["shape"] != self.decider.shape:
                raise MovedOn(f"the states of shard {shard} have the shape of another release")
            now = Head(row["position"], row["last_event_id"])
            if now.position < head.position:
                raise Unavailable("the database was replaced while its events were taken back")
            fresh = list(following(now, missing))
            if not fresh:
                return now
            await self._insert(conn, fresh)
            await self._fold(conn, fresh)
            await self._number(conn, fresh)
            await conn.execute(_MOVE, shard, fresh[-1].position, fresh[-1].event_id)
        self.metrics.taken_back.inc(len(fresh))
        return Head(fresh[-1].position, fresh[-1].event_id)

    async def _insert(self, conn: Connection, fresh: Sequence[Taken]) -> None:
        names = ("shard", "position", "event_id", "dossier_id", "caused_by", "type")
        headers = [orjson.dumps(one.headers).decode() for one in fresh]
        await conn.execute(_INSERT, *columns(fresh, *names), headers, *columns(fresh, "data", "recorded_at"))

    async def _fold(self, conn: Connection, fresh: Sequence[Taken]) -> None:
        """Our own part of each state; and its tasks: gone is what has its outcome, there is what the state owes."""
        by_dossier: dict[UUID, list[Taken]] = defaultdict(list)
        for one in fresh:
            by_dossier[one.dossier_id].append(one)
        rows = await conn.fetch("SELECT dossier_id, state FROM states WHERE dossier_id = ANY($1)", list(by_dossier))
        known = {row["dossier_id"]: row["state"] for row in rows}
        kinds = {one.dossier_id: one.headers["ce_subject"].partition("/")[0] for one in fresh}
        empty = {dossier: self.decider.empty_of(kinds.get(dossier, DOSSIER)) for dossier in by_dossier}
        before = {one: read_stored(type(empty[one]), known[one]) if one in known else empty[one] for one in by_dossier}
        folded = {dossier: self._folded(before[dossier], some) for dossier, some in sorted(by_dossier.items())}
        await conn.execute(
            _WRITE_STATES,
            list(folded), [kinds.get(dossier, DOSSIER) for dossier in folded],
            [len(by_dossier[dossier]) for dossier in folded],
            [as_stored(state) for state in folded.values()],
        )  # fmt: skip
        views = self.decider.views
        drawn = [
            one for dossier, state in folded.items()
            for one in changes(views, dossier, kinds.get(dossier, DOSSIER), None, state)
        ]  # fmt: skip
        await sql.write_views(conn, drawn)
        # What they are of may have been stated anew, and is sealed here.
        await conn.execute("DELETE FROM digests WHERE dossier_id = ANY($1)", list(folded))
        await conn.execute("DELETE FROM tasks WHERE id = ANY($1)", [one.caused_by for one in fresh])
        await sql.enqueue(
            conn, [task for dossier, state in folded.items() for task in self._owed(state, by_dossier[dossier][-1])]
        )

    def _folded(self, state: Any, some: Sequence[Taken]) -> Any:
        for one in some:
            if one.message is not None:
                state = self.decider.evolve(state, one.message)
        return state

    def _owed(self, state: Any, last: Taken) -> list[TaskWrite]:
        """Under the ids that they had, if the cause of the last event had ordered them."""
        if last.message is None:
            return []
        return [
            ordered(self.decider, replace(last.message, id=last.caused_by), n, task)
            for n, task in enumerate(self.decider.owed(state, last.message), 1)
        ]

    async def _number(self, conn: Connection, fresh: Sequence[Taken]) -> None:
        """Draw the counters forward, so that no running number is given twice."""
        last: dict[str, int] = {}
        for drawn in (self.decider.drawn(one.message.body) for one in fresh if one.message is not None):
            if drawn is not None:
                last[drawn[0]] = max(last.get(drawn[0], 0), drawn[1])
        if last:
            series = sorted(last)
            await conn.execute(_DRAW_FORWARD, series, [last[each] for each in series])


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A shard that lacks events up to `end`; its partition ends at the offset `stop`, and `without` is left out."""

    shard: int
    end: int
    stop: int
    without: Collection[Spot]


_INSERT = """INSERT INTO events (shard, position, event_id, dossier_id, caused_by, type, headers, data, recorded_at)
    SELECT * FROM unnest($1::smallint[], $2::bigint[], $3::uuid[], $4::uuid[], $5::uuid[], $6::text[], $7::jsonb[],
                         $8::bytea[], $9::timestamptz[])"""
_WRITE_STATES = """INSERT INTO states (dossier_id, subject, version, state)
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::integer[], $4::jsonb[])
    ON CONFLICT (dossier_id) DO UPDATE SET version = states.version + excluded.version, state = excluded.state"""
_DRAW_FORWARD = """INSERT INTO numbers (series, last) SELECT * FROM unnest($1::text[], $2::bigint[])
    ON CONFLICT (series) DO UPDATE SET last = greatest(numbers.last, excluded.last)"""
_MOVE = """WITH relayed AS (UPDATE relay SET published = greatest(published, $2) WHERE shard = $1)
    UPDATE shards SET next_position = $2 + 1, last_event_id = $3 WHERE shard = $1"""
