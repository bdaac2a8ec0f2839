"""A downstream system like any other: hears the public topics, and proves for each shard that it missed nothing."""

import asyncio
import heapq
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition

from shared.causal import in_causal_order
from shared.runtime.kafka.clients import Broker, Login
from shared.topics import TOPICS

_WRITERS = {topic.name: topic.writer for topic in TOPICS.values()}


@dataclass(frozen=True, slots=True)
class Seen:
    """One event as a subscriber sees it. `published_at` is the record's own time, `at` its writer's (UTC)."""

    name: str
    dossier_id: str
    data: dict[str, Any]
    published_at: datetime
    time: str
    topic: str = ""
    ce_id: str = ""

    @property
    def id(self) -> UUID | None:
        """The event's id."""
        return UUID(self.ce_id) if self.ce_id else None

    @property
    def at(self) -> datetime:
        """When it was said, by its writer's clock."""
        return datetime.fromisoformat(self.time)


@dataclass
class Case:
    """What was said about one dossier, in the order of publication."""

    events: list[Seen] = field(default_factory=list)

    def all(self, *names: str) -> list[Seen]:
        """The events of these names."""
        return [event for event in self.events if event.name in names]

    def in_order(self) -> list[Seen]:
        """The events as they can have happened: the writers' clocks, which the records bear, need not agree."""
        told: dict[str, list[Seen]] = defaultdict(list)
        for event in self.events:
            told[_WRITERS[event.topic]].append(event)
        notices = [(event.id, event.data["about"]) for event in told["notification"]]
        return in_causal_order(told, {notice: UUID(about) for notice, about in notices if notice is not None})

    def last(self, *names: str) -> Seen | None:
        """The newest event of these names."""
        found = self.all(*names)
        return found[-1] if found else None


@dataclass
class Watcher:
    """Reads all event topics from where they end now, and sorts events by dossier.

    `repeats` counts events that lie on a topic more than once, `read_again` records that Kafka's client has read again.
    """

    bootstrap: str
    cases: dict[str, Case] = field(default_factory=lambda: defaultdict(Case))
    counts: Counter[str] = field(default_factory=Counter)
    repeats: int = 0
    read_again: int = 0
    gaps: int = 0
    _last: dict[str, tuple[int, str]] = field(default_factory=dict)
    _next: dict[tuple[str, int], int] = field(default_factory=dict)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    _task: "asyncio.Task[None] | None" = None
    _consumer: Any = None
    login: Login | None = None

    async def start(self) -> None:
        """Begin to listen, at the ends of the topics."""
        self._consumer = AIOKafkaConsumer(
            **Broker(self.bootstrap, self.login).connection,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
        await self._consumer.start()
        # A subscription begins everywhere anew when a broker that has just started names one topic less.
        public = [topic for topic in TOPICS.values() if topic.public]
        partitions = [TopicPartition(topic.name, number) for topic in public for number in range(topic.partitions)]
        self._consumer.assign(partitions)
        for partition, end in (await self._consumer.end_offsets(partitions)).items():
            self._consumer.seek(partition, end)
        self._task = asyncio.create_task(self._read())

    async def stop(self) -> None:
        """End."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            await self._consumer.stop()

    async def _read(self) -> None:
        while True:
            got = await self._consumer.getmany(timeout_ms=200, max_records=2000)
            for record in by_time(got):
                self.take(record)
            if got:
                async with self._changed:
                    self._changed.notify_all()

    def take(self, record: Any) -> None:
        """What one record says, if it is none that was heard before."""
        headers = {name: value.decode() for name, value in record.headers}
        source, sequence, last = headers["ce_source"], int(headers["ce_sequence"]), self._last
        place = record.topic, record.partition
        # Of a topic that lost its tail an offset may hold another event than it did.
        known, self._next[place] = self._next.get(place, 0), max(self._next.get(place, 0), record.offset + 1)
        before = last.get(source)
        if before is not None and sequence <= before[0]:
            self.repeats += record.offset >= known
            self.read_again += record.offset < known
            return
        # The first event seen of a shard has nothing to be compared with: we began in the middle.
        if before is not None and (sequence > before[0] + 1 or headers.get("ce_previous") != before[1]):
            self.gaps += 1
        last[source] = (sequence, headers["ce_id"])
        name = class_name(headers["ce_type"])
        self.counts[name] += 1
        at = datetime.fromtimestamp(record.timestamp / 1000, UTC)
        event = Seen(
            name,
            headers["ce_partitionkey"],
            orjson.loads(record.value),
            at,
            headers["ce_time"],
            record.topic,
            headers["ce_id"],
        )
        self.cases[event.dossier_id].events.append(event)

    async def until(self, condition: Callable[[], bool], seconds: float, what: str) -> None:
        """Return once `condition` holds, looked at whenever something is heard. Raises TimeoutError naming `what`."""
        try:
            async with asyncio.timeout(seconds), self._changed:
                await self._changed.wait_for(condition)
        except TimeoutError as late:
            raise TimeoutError(f"waited {seconds:.0f} s for {what}") from late


def by_time(got: Mapping[Any, Sequence[Any]]) -> Iterator[Any]:
    """Records by their time over all partitions, but never out of order in one: a writer's clock may be set back."""
    return heapq.merge(*got.values(), key=lambda record: record.timestamp)


def class_name(ce_type: str) -> str:
    """`vn.gov.dossier.fee-paid.v1` → `FeePaid`."""
    return "".join(word.capitalize() for word in ce_type.split(".")[3].split("-"))
