"""Audit's consumer: every record of every event topic, stored as it came, checked, and never stopped by what it finds.

One PostgreSQL transaction holds a batch: records, trail, positions, and a task for each discrepancy. Kafka's committed
offset is only a hint; on assignment reading begins where the database says, and what another consumer stored is fenced.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid5

import structlog
from aiokafka import ConsumerRebalanceListener
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from aiokafka.structs import TopicPartition

from services.audit import trail_store
from services.audit.ordering import Shelf, Verdict, looked_back
from services.audit.reading import Raw, Read, read
from services.audit.rules import PARTITION, Discrepancy
from services.audit.tasks import REPORT
from services.audit.trail_store import Found, Pool, Shard
from shared.errors import Fenced
from shared.runtime.aio.crash import crash_point
from shared.runtime.aio.pacing import rest
from shared.runtime.aio.progress import Progress
from shared.runtime.engine.retry import retry
from shared.runtime.kafka.clients import Broker
from shared.runtime.kernel.decider import event_id
from shared.runtime.kernel.hearing import Heard
from shared.runtime.observe.metrics import Metrics
from shared.runtime.store import sql
from shared.runtime.store.sql import Connection, TaskWrite, enqueue
from shared.topics import SHARDS, TOPICS, heard_by

log = structlog.get_logger(__name__)

SERVICE = "audit"
BATCH_RECORDS = 2000
BATCH_BYTES = 8 * 1024 * 1024
"""A statement's arrays must stay far below PostgreSQL's limit of 1 GB; records may be 1 MiB each."""

GAUGE_EVERY_S = 5.0
ACKNOWLEDGE_EVERY_S = 0.5
_NAMESPACE = UUID("6f0d5b4e-8a3c-5c65-9d4f-2d6b1d1c7a10")
"""Namespace of the ids of discrepancies, and of the places that stand in for a dossier where none can be read."""


@dataclass
class Trail:
    """The consumer. `seats` holds the partitions that we may store now, and how far each is heard."""

    pool: Pool
    broker: Broker
    metrics: Metrics
    instance: str | None = None
    progress: Progress = field(default_factory=Progress)
    on_lost: Callable[[], None] = lambda: None
    seats: dict[TopicPartition, Heard] = field(default_factory=dict)
    _gauge_at: float = 0.0
    _tell_at: float = 0.0
    _told: Mapping[TopicPartition, int] = field(default_factory=dict)

    async def run(self) -> None:
        """Store until cancelled; a lost broker or database is waited for."""
        writers = [topic.writer for topic in heard_by(SERVICE)]
        shards = [(writer, shard) for writer in writers for shard in range(SHARDS)]
        await retry(lambda: sql.prepare_heard(self.pool, shards), self.on_lost)
        await self._tell_found()  # evidence stands while the broker is away, too
        while True:
            try:
                await self._read()
            except (KafkaError, OSError) as lost:
                log.warning("trail-interrupted", why=type(lost).__name__)
                await asyncio.sleep(1.0)

    async def _read(self) -> None:
        async with self.broker.reader(SERVICE, group_id=SERVICE, group_instance_id=self.instance) as consumer:
            consumer.subscribe([topic.name for topic in heard_by(SERVICE)], listener=Seating(self, consumer))
            while True:
                await self.round(consumer)

    async def round(self, consumer: Any) -> None:
        """Read once and store what came. Records without a seat are let go: a seat will begin at or before them."""
        try:
            with self.progress.work():
                await self._round(consumer)
        except Fenced as fenced:
            log.info("fenced", why=str(fenced))
            await self.seat(consumer, list(self.seats))

    async def _round(self, consumer: Any) -> None:
        got = await consumer.getmany(timeout_ms=500, max_records=BATCH_RECORDS)
        clock = asyncio.get_running_loop().time
        began = clock()
        seats = {tp: self.seats[tp] for tp in got if tp in self.seats}
        for batch in batches(message for tp in seats for message in got[tp]):
            await self.store(batch, seats)
            crash_point("before-acknowledge")
        await self._acknowledge(consumer)
        await self._measure()
        if got and sum(map(len, got.values())) < BATCH_RECORDS:
            await rest(clock() - began)  # behind a full batch the next is full too, however soon

    async def seat(self, consumer: Any, partitions: Iterable[TopicPartition]) -> None:
        """Read the positions of these partitions and go on from there: the database's word, not Kafka's."""
        stored = await retry(lambda: sql.heard(self.pool), self.on_lost)
        assigned = consumer.assignment()
        for tp in [tp for tp in partitions if tp in assigned]:
            heard = stored[shard_of(tp)]
            consumer.seek(tp, heard.next_offset)
            self.seats[tp] = heard

    async def store(self, batch: Sequence[Raw], seats: Mapping[TopicPartition, Heard]) -> None:
        """Commit one batch and move `seats`. Raises Fenced if another consumer has stored one of these shards."""
        reads = [read(raw) for raw in batch]
        self.progress.oldest = min((one.at for one in reads if one.at), default=None)
        heard = {tp: seats[tp] for tp in {TopicPartition(one.topic, one.partition) for one in reads}}
        expected = {shard_of(tp): one for tp, one in heard.items()}
        with self.metrics.batch_seconds.labels("consume").time():
            moved = await retry(lambda: self._commit(reads, expected), self.on_lost)
        crash_point("after-commit")
        for tp, before in heard.items():
            after = moved[shard_of(tp)]
            before.position, before.last_event_id, before.next_offset = (
                after.position, after.last_event_id, after.next_offset,
            )  # fmt: skip

    async def _commit(self, reads: Sequence[Read], expected: Mapping[Shard, Heard]) -> dict[Shard, Heard]:
        """As nearly always everything follows, in one round trip; else with a look back, and what is to be told."""
        if not any(_back(reads, expected).values()):
            shelves = {key: Shelf(copy(heard)) for key, heard in expected.items()}
            verdicts = [shelves[_shard(one)].place(one) for one in reads]
            if all(verdict.kind is None for verdict in verdicts):
                return await self._commit_plain(verdicts, shelves, expected)
        return await self._commit_odd(reads, expected)

    async def _commit_plain(
        self, verdicts: Sequence[Verdict], shelves: Mapping[Shard, Shelf], expected: Mapping[Shard, Heard]
    ) -> dict[Shard, Heard]:
        moved = {key: shelf.heard for key, shelf in shelves.items()}
        joining = [verdict for verdict in verdicts if verdict.joins]
        crash_point("before-commit")
        fresh = await trail_store.store(self.pool, [one.read for one in verdicts], joining, expected, moved)
        self._count(verdicts, [verdict for verdict in verdicts if verdict.read.place in fresh])
        return moved

    async def _commit_odd(self, reads: Sequence[Read], expected: Mapping[Shard, Heard]) -> dict[Shard, Heard]:
        async with self.pool.acquire() as conn, conn.transaction():
            await trail_store.lock(conn, expected)
            shelves = await _shelves(conn, reads, expected)
            verdicts = [shelves[_shard(one)].place(one) for one in reads]
            ids = await trail_store.add_records(conn, reads)
            # What was stored before, and is only read again, has its place and was told of.
            fresh = [verdict for verdict in verdicts if verdict.read.place in ids]
            await trail_store.add_to_trail(conn, [verdict for verdict in fresh if verdict.joins], ids)
            await _tell(conn, [verdict for verdict in fresh if verdict.kind is not None], ids)
            moved = {key: shelf.heard for key, shelf in shelves.items()}
            await trail_store.move(conn, moved)
            crash_point("before-commit")
        self._count(verdicts, fresh)
        return moved

    def _count(self, verdicts: Sequence[Verdict], fresh: Sequence[Verdict]) -> None:
        now = datetime.now(UTC)
        for at in [verdict.read.at for verdict in fresh if verdict.read.at is not None]:
            self.metrics.end_to_end.labels("heard").observe((now - at).total_seconds())
        joined = sum(verdict.joins for verdict in fresh)
        self.metrics.records_stored.inc(len(fresh))
        self.metrics.handled.labels("ok").inc(joined)
        self.metrics.handled.labels("duplicate").inc(len(verdicts) - joined)
        self.metrics.last_success.set_to_current_time()

    async def _acknowledge(self, consumer: Any) -> None:
        """Tell Kafka now and then, as a hint to those who watch the group; a partition may be another's by now."""
        ends = {tp: seat.next_offset for tp, seat in self.seats.items()}
        now = asyncio.get_running_loop().time()
        if not ends or ends == self._told or now < self._tell_at:
            return
        self._tell_at = now + ACKNOWLEDGE_EVERY_S
        try:
            await consumer.commit(ends)
            self._told = ends
        except (CommitFailedError, IllegalStateError, KafkaError) as lost:
            log.info("offset-not-committed", why=type(lost).__name__)

    async def _measure(self) -> None:
        now = asyncio.get_running_loop().time()
        if now >= self._gauge_at:
            self._gauge_at = now + GAUGE_EVERY_S
            await self._tell_found()

    async def _tell_found(self) -> None:
        found = await retry(lambda: trail_store.count_discrepancies(self.pool), self.on_lost)
        self.metrics.discrepancies.set(found)
        self.metrics.discrepancies_open.set(await retry(lambda: trail_store.count_open(self.pool), self.on_lost))


class Seating(ConsumerRebalanceListener):  # type: ignore[misc]
    """Gives up seats with partitions, and takes new ones at the database's positions.

    Between assignment and seat aiokafka may already deliver from Kafka's committed offset: without a seat, let go.
    """

    def __init__(self, trail: Trail, consumer: Any) -> None:
        self._trail = trail
        self._consumer = consumer

    async def on_partitions_revoked(self, revoked: Any) -> None:
        """No partition is ours until the group is joined again."""
        self._trail.seats = {}

    async def on_partitions_assigned(self, assigned: Any) -> None:
        """These are ours now, and no others: who was seated anew between the two keeps nothing."""
        self._trail.seats = {}
        await self._trail.seat(self._consumer, assigned)


def batches(messages: Iterable[Raw]) -> Iterator[list[Raw]]:
    """The records in order, in batches of at most BATCH_RECORDS and about BATCH_BYTES."""
    batch: list[Raw] = []
    size = 0
    for raw in messages:
        weight = len(raw.value or b"") + sum(len(name) + len(content or b"") for name, content in raw.headers)
        if batch and (len(batch) >= BATCH_RECORDS or size + weight > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(raw)
        size += weight
    if batch:
        yield batch


def shard_of(tp: TopicPartition) -> Shard:
    """The writer's shard whose events belong on this partition."""
    return TOPICS[tp.topic].writer, tp.partition


def _shard(one: Read) -> Shard:
    return TOPICS[one.topic].writer, one.partition


def _back(reads: Sequence[Read], expected: Mapping[Shard, Heard]) -> dict[Shard, list[int]]:
    """By shard the sequences that are to be looked up in the trail."""
    of: dict[Shard, list[Read]] = {key: [] for key in expected}
    for one in reads:
        of[_shard(one)].append(one)
    return {key: looked_back(of[key], heard.position) for key, heard in expected.items()}


async def _shelves(conn: Connection, reads: Sequence[Read], expected: Mapping[Shard, Heard]) -> dict[Shard, Shelf]:
    shelves = {}
    for key, back in _back(reads, expected).items():
        earlier = await trail_store.look_back(conn, key, back) if back else {}
        shelves[key] = Shelf(copy(expected[key]), earlier)
    return shelves


async def _tell(conn: Connection, verdicts: Sequence[Verdict], ids: Mapping[tuple[str, int, int], int]) -> None:
    """Keep each discrepancy, and set the alarm that says it, in the transaction that stores its record."""
    if not verdicts:
        return
    found = [_found(verdict, ids[verdict.read.place]) for verdict in verdicts]
    await trail_store.add_discrepancies(conn, found)
    await enqueue(conn, [_alarm(one, verdict) for one, verdict in zip(found, verdicts, strict=True)])
    for one in found:
        where = {"writer": one.shard[0], "shard": one.shard[1], "sequence": one.sequence}
        log.error("discrepancy", error_code="DOS-AUD-001", kind=one.kind, **where)


def _found(verdict: Verdict, record_id: int) -> Found:
    one = verdict.read
    if verdict.kind is None:
        raise AssertionError("only a discrepancy is found")
    id_ = uuid5(_NAMESPACE, f"{one.topic}/{one.partition}/{one.offset}/{one.digest.hex()}/{verdict.kind}")
    return Found(id_, record_id, verdict.kind, _shard(one), one.event.sequence if one.event else None, verdict.expected)


def _alarm(found: Found, verdict: Verdict) -> TaskWrite:
    one = verdict.read
    payload = Discrepancy(
        kind=found.kind, topic=one.topic, partition=one.partition, offset=one.offset,
        sequence=found.sequence, expected=found.expected, record_sha256=one.digest.hex(),
    )  # fmt: skip
    # A record that names nothing is about the partition where it lies.
    kind = one.event.kind if one.event else PARTITION
    subject = one.event.dossier_id if one.event else uuid5(_NAMESPACE, f"{one.topic}/{one.partition}")
    said = event_id(found.id, SERVICE, 1)
    # With what is null: the release before, to which audit can go back, asks for it.
    return TaskWrite(found.id, REPORT, subject, payload.model_dump_json(), None, said, subject=kind)
