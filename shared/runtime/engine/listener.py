"""What happens to records between Kafka and the engine: positions, gaps, forks, fencing, waiting for the database."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from uuid import UUID

import asyncpg
import structlog
from aiokafka.structs import TopicPartition

from shared.errors import Fenced, MovedOn
from shared.runtime.aio.crash import crash_point
from shared.runtime.aio.progress import Progress
from shared.runtime.engine.engine import Engine
from shared.runtime.engine.retry import retry
from shared.runtime.kafka.clients import Broker
from shared.runtime.kafka.records import read_range
from shared.runtime.kernel.hearing import Break, Broken, Positions, classify, pieces
from shared.runtime.kernel.message import Handled, Item, Record
from shared.runtime.observe.metrics import Metrics
from shared.runtime.store import sql
from shared.topics import SHARDS, TOPICS, Topic, heard_by, topic_of

log = structlog.get_logger(__name__)

PIECE = 5000
RESUME_EVERY_S = 1.0


@dataclass(slots=True)
class Stop:
    """A shard that does not go on: why and at which record, where it stood (an operator moves that), up to which offset
    it let go, and whether all before the record is still to be searched for what is missing.
    """

    broken: Broken
    stood: tuple[int, UUID | None]
    upto: int
    unsearched: bool


@dataclass
class Listener:
    """Feeds one service's engine with records. `handle` returns only when the batch is committed, whatever it takes; or
    `let_go`, where states have another shape by now: whoever hears next begins where the database stands.
    """

    service: str
    pool: "asyncpg.Pool[asyncpg.Record]"
    engine: Engine
    broker: Broker
    metrics: Metrics
    positions: Positions = field(default_factory=dict)
    stopped: dict[tuple[str, int], Stop] = field(default_factory=dict)
    progress: Progress = field(default_factory=Progress)
    let_go: bool = False
    _read_to: Counter[tuple[str, int]] = field(default_factory=Counter)
    _looks_back: bool = False
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def topics(self) -> tuple[Topic, ...]:
        """The event topics that this service hears."""
        return heard_by(self.service)

    async def prepare(self) -> None:
        """Make sure that every shard of every writer we hear has its row, and read the positions."""
        shards = [(topic.writer, shard) for topic in self.topics for shard in range(SHARDS)]
        await sql.prepare_heard(self.pool, shards)
        await self.reload()

    async def reload(self) -> None:
        """Read again how far every shard is heard: after an assignment, and whenever another consumer was faster."""
        self.positions = await sql.heard(self.pool)

    async def next_offsets(self) -> dict[tuple[str, int], int]:
        """(topic, partition) → the offset to read on from: the database's word, for Kafka's own is only a hint."""
        await retry(self.reload, self.engine.on_lost)
        return {(topic_of(writer), shard): heard.next_offset for (writer, shard), heard in self.positions.items()}

    async def handle(self, records: Sequence[Record]) -> None:
        """Commit what these records come to. Never raises for anything foreseen:
        it waits, and tries the batch again.
        """
        async with self._lock:
            with self.progress.work(), self._unless_moved_on():
                self.progress.oldest = min(record.timestamp for record in records)
                for piece in pieces(records):
                    await self._hear(piece)
                self.metrics.last_success.set_to_current_time()
        crash_point("before-acknowledge")

    @contextmanager
    def _unless_moved_on(self) -> Iterator[None]:
        try:
            yield
        except MovedOn as moved:
            self.let_go = True
            log.warning("let-go", why=str(moved))

    async def idle(self) -> None:
        """Return as soon as no batch is in hand."""
        async with self._lock:
            return

    async def _hear(self, records: list[Record]) -> None:
        while records:
            items, broken, rest = self._classify(records)
            if items and not await self._commit(items):
                continue
            if broken is None:
                return
            records = await self._mend(broken) + rest

    def _classify(self, records: Sequence[Record]) -> tuple[list[Item], Broken | None, list[Record]]:
        """Items up to the first record that does not follow, that record, and it with all behind it."""
        positions = {key: copy(heard) for key, heard in self.positions.items()}
        items: list[Item] = []
        for n, record in enumerate(records):
            key = (self._writer(record), record.partition)
            stop = self.stopped.get(key)
            if stop is not None and not _fills(stop, record, positions):
                stop.upto = max(stop.upto, record.offset + 1)
                continue
            found = classify(record, positions)
            self.stopped.pop(key, None)
            if isinstance(found, Broken):
                return items, found, list(records[n:])
            items.append(found)
        return items, None, []

    @staticmethod
    def _writer(record: Record) -> str:
        return TOPICS[record.topic].writer

    async def _commit(self, items: Sequence[Item]) -> bool:
        """Whether the batch was committed; False if the positions moved under us and it must be sorted again."""
        with self.metrics.batch_seconds.labels("consume").time():
            try:
                handled = await retry(lambda: self.engine.handle(items), moves_on=True)
            except Fenced as fenced:
                log.info("fenced", why=str(fenced))
                await retry(self.reload, self.engine.on_lost)
                return False
        for item in items:
            self._move(item)
        self._count(items, handled)
        self.progress.step()
        return True

    def _move(self, item: Item) -> None:
        if item.place is None:
            return
        key = item.place.source, item.place.shard
        heard = self.positions[key]
        heard.next_offset = max(heard.next_offset, item.place.offset + 1)
        self._read_to[key] = max(self._read_to[key], heard.next_offset)
        if item.place.sequence is not None:
            heard.position, heard.last_event_id = item.place.sequence, item.place.event_id

    def _count(self, items: Sequence[Item], handled: Sequence[Handled]) -> None:
        now = datetime.now(UTC)
        for item, one in zip(items, handled, strict=True):
            repeat = item.place is not None and item.place.sequence is None and item.failure is None
            self.metrics.handled.labels("duplicate" if repeat else one.outcome).inc()
            if item.record is not None and item.message is not None:
                self.metrics.end_to_end.labels("heard").observe((now - item.record.timestamp).total_seconds())

    async def _mend(self, broken: Broken) -> list[Record]:
        """A gap: read what is missing, from where we stand. A fork, or still a gap: the shard stops, the others go on,
        and `resume` searches from the topic's beginning, which takes as long as the topic is old.
        """
        record, gap = broken.record, broken.kind is Break.GAP
        key = (broken.envelope.writer, record.partition)
        if gap:
            partition = TopicPartition(record.topic, record.partition)
            found = await self._read(partition, self.positions[key].next_offset, record.offset)
            if self._follows(found):
                return found
        self.stopped[key] = stop = Stop(broken, self._stand(key), record.offset + 1, unsearched=gap)
        self.metrics.gaps.set(len(self.stopped))
        if not gap:
            _tell(stop)
        return []

    async def _read(
        self, partition: TopicPartition, start: int, stop: int, keep: Callable[[Record], bool] = lambda record: True
    ) -> list[Record]:
        step = self.progress.step
        return await retry(lambda: read_range(self.broker, self.service, partition, start, stop, keep, step))

    def _follows(self, found: Sequence[Record]) -> bool:
        """Whether the records read again contain the one that was missing."""
        items, _, _ = self._classify(found)
        return any(item.place is not None and item.place.sequence is not None for item in items)

    def _stand(self, key: tuple[str, int]) -> tuple[int, UUID | None]:
        """Where a shard stands; without an id if an operator has skipped to there, be it to where it stood."""
        return self.positions[key].position, self.positions[key].last_event_id

    def look_back(self) -> None:
        """The database may be an older one by now, which has heard less than this process has read."""
        self._looks_back = True

    async def hear_again(self) -> None:
        """Read what lies between where the database stands and how far this process has read: a consumer goes on in
        front of it.
        """
        self._looks_back = False
        async with self._lock:
            await retry(self.prepare, self.engine.on_lost)
            for (writer, shard), upto in list(self._read_to.items()):
                partition = TopicPartition(topic_of(writer), shard)
                for start in range(self.positions[writer, shard].next_offset, upto, PIECE):
                    await self._hear(await self._read(partition, start, min(upto, start + PIECE)))

    async def run(self) -> None:
        """Take up stopped shards as soon as they can go on, until cancelled."""
        while True:
            await asyncio.sleep(RESUME_EVERY_S)
            with self._unless_moved_on():
                if self._looks_back:
                    await self.hear_again()
                if self.stopped:
                    await self.resume()

    async def resume(self) -> None:
        """Take up shards whose missing events are found, or that an operator has skipped on (`heard skip`): read what
        was let go by since they stopped.
        """
        for key, stop in list(self.stopped.items()):
            # Found by then, if its writer has published it again while another was searched.
            if stop.unsearched and self.stopped.get(key) is stop:
                await self._search(key, stop)
        async with self._lock:
            await retry(self.reload, self.engine.on_lost)
            for key in [key for key in self.stopped if self._stand(key) != self.stopped[key].stood]:
                stop = self.stopped.pop(key)
                self.metrics.gaps.set(len(self.stopped))
                await self._catch_up(key, stop)

    async def _search(self, key: tuple[str, int], stop: Stop) -> None:
        """Look for what is missing from the topic's beginning, beside the shards that go on."""
        record = stop.broken.record
        partition = TopicPartition(record.topic, record.partition)
        found = await self._read(partition, 0, record.offset, partial(_follows_on, self.positions[key].position))
        async with self._lock:
            stop.unsearched = False
            if self.stopped.get(key) is not stop:
                return  # its writer has published it again meanwhile
            del self.stopped[key]
            if self._follows(found):
                self.metrics.gaps.set(len(self.stopped))
                await self._hear(found)
                await self._catch_up(key, stop)
            else:
                self.stopped[key] = stop
                _tell(stop)

    async def _catch_up(self, key: tuple[str, int], stop: Stop) -> None:
        """Hear what one shard has let go by, a piece at a time: it may have stood still for days."""
        partition = TopicPartition(topic_of(key[0]), key[1])
        first = min(self.positions[key].next_offset, stop.broken.record.offset)
        for start in range(first, stop.upto, PIECE):
            end = min(stop.upto, start + PIECE)
            await self._hear(await self._read(partition, start, end))


def _tell(stop: Stop) -> None:
    broken = stop.broken
    log.error(
        "shard-stopped", kind=broken.kind.value, writer=broken.envelope.writer, shard=broken.record.partition,
        offset=broken.record.offset, sequence=broken.envelope.sequence, expected=broken.expected,
        event_id=str(broken.envelope.id),
    )  # fmt: skip


def _fills(stop: Stop, record: Record, positions: Positions) -> bool:
    """Whether this is the record whose lack stopped the shard: its writer has found it gone and published it again."""
    if stop.broken.kind is not Break.GAP:
        return False
    key = (TOPICS[record.topic].writer, record.partition)
    found = classify(record, {key: copy(positions[key])})
    return not isinstance(found, Broken) and found.place is not None and found.place.sequence is not None


def _follows_on(position: int, record: Record) -> bool:
    """Whether a record may be one that comes after `position`."""
    sequence = dict(record.headers).get("ce_sequence") or b""
    return len(sequence) == 20 and sequence.isdigit() and int(sequence) > position
