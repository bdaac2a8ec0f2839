"""The relay: publishes what the store holds, each shard in position order, and moves its cursor after Kafka's word.

One process per service leads, under a lease by the database's clock. One batch per shard is in flight; after a failed
send the producer is discarded before more is sent, so that 56-60 cannot overtake a lost 51-55. A topic that is found
shorter than it was is compared with the store before more is sent: what it lost comes again first.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby, takewhile
from operator import itemgetter
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import orjson
import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.structs import RecordMetadata, TopicPartition

from shared.errors import Unavailable
from shared.runtime.crash import crash_point
from shared.runtime.engine import LOST_CONNECTION
from shared.runtime.kafka import Broker
from shared.runtime.keyring import publish_keys
from shared.runtime.metrics import Metrics
from shared.runtime.pace import rest
from shared.runtime.store import Connection
from shared.runtime.tail import Tail, lost_tail
from shared.topics import KEYS, SHARDS, topic_of

log = structlog.get_logger(__name__)

LEASE_S = 10
LOOK_S = 1.0
BATCH = 1000
CHANNEL = "outbox"


async def nothing_to_compare(upto: Mapping[int, int]) -> None:
    """For a relay that runs without a guard, in tests."""


@dataclass
class Relay:
    """Publishes one service's shards while it holds their leases. `mutter_s` spaces out NOTIFY to other replicas.

    `instance` is the stable name of this replica: what a process of that name held is taken over at once, by name only
    once in a process's life, and held under `me`, which is new with every process. So a stopped one that wakes up late
    has nothing and takes nothing back. `compare` gets, by shard, the offsets behind which nothing counts.
    """

    service: str
    pool: "asyncpg.Pool[asyncpg.Record]"
    broker: Broker
    metrics: Metrics
    owns_keys: bool = False
    compare: Callable[[Mapping[int, int]], Awaitable[None]] = nothing_to_compare
    instance: str | None = None
    mutter_s: float = 0.01
    me: UUID = field(default_factory=uuid4)
    leading: set[int] = field(default_factory=set)
    tail: Tail = field(init=False)
    _upto: dict[int, int] = field(default_factory=dict)
    _asked_by_name: bool = False
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _renew_at: float = 0.0
    _muttering: "asyncio.Task[None] | None" = None

    def __post_init__(self) -> None:
        topics = {topic_of(self.service): SHARDS, **({KEYS.name: KEYS.partitions} if self.owns_keys else {})}
        self.tail = Tail([TopicPartition(topic, n) for topic, count in topics.items() for n in range(count)])

    def wake(self) -> None:
        """Something was committed in this process: publish now, or tell the process that leads."""
        if self.leading:
            self._wake.set()
        elif self._muttering is None or self._muttering.done():
            self._muttering = asyncio.get_running_loop().create_task(self._mutter())

    async def _mutter(self) -> None:
        await asyncio.sleep(self.mutter_s)
        try:
            await self.pool.execute(f"SELECT pg_notify('{CHANNEL}', '')")
        except LOST_CONNECTION as lost:
            log.info("notify-failed", why=type(lost).__name__)

    async def run(self) -> None:
        """Publish until cancelled; a lost database or broker is waited for."""
        listening = asyncio.create_task(self._listen(), name="relay-listen")
        try:
            while True:
                await self._lead_while_it_lasts()
                # Whoever wakes us: who does not lead has nothing to publish, and a broker that is down is left alone.
                await asyncio.sleep(LOOK_S)
        finally:
            listening.cancel()
            await self._resign()

    async def _lead_while_it_lasts(self) -> None:
        """Lead, if nobody does, until somebody else does or broker or database is lost."""
        try:
            if await self._lease():
                async with self.broker.reader(f"{self.service}-ends") as reader:
                    await self.tail.begin(reader)
                    # Before more is sent: has the topic all that was acknowledged, and the store its past?
                    await self.compare(self._upto)
                    self._upto = {}
                    async with self.broker.producer(self.service) as producer:
                        await self._lead(producer, reader)
        except (KafkaError, Unavailable, *LOST_CONNECTION) as lost:
            self.leading.clear()
            log.warning("relay-interrupted", why=str(lost) or type(lost).__name__)

    async def _lead(self, producer: AIOKafkaProducer, reader: AIOKafkaConsumer) -> None:
        clock = asyncio.get_running_loop().time
        while await self._renewed():
            self._wake.clear()
            began = clock()
            await self._look_at_tail(reader)
            if await self.publish(producer):
                await rest(clock() - began)
            else:
                await self._nap()

    async def _look_at_tail(self, reader: AIOKafkaConsumer) -> None:
        await self.tail.look(reader)

    async def _nap(self) -> None:
        with contextlib.suppress(TimeoutError):
            # Not wait_for: on Python 3.11 it drops a cancellation that comes together with the waking.
            async with asyncio.timeout(LOOK_S):
                await self._wake.wait()

    async def _renewed(self) -> bool:
        """Whether we still lead; the lease is renewed when a third of it is over."""
        now = asyncio.get_running_loop().time()
        if now < self._renew_at:
            return True
        self._renew_at = now + LEASE_S / 3
        return await self._lease()

    async def _lease(self) -> bool:
        rows = await self.pool.fetch(
            """UPDATE relay SET leader = $1, lease_until = now() + make_interval(secs => $2), instance = $3
               WHERE shard IN (SELECT shard FROM relay WHERE leader = $1 OR lease_until < now() OR instance = $4
                               ORDER BY shard FOR UPDATE SKIP LOCKED)
               RETURNING shard""",
            self.me,
            LEASE_S,
            self.instance,
            None if self._asked_by_name else self.instance,
        )
        self._asked_by_name = True
        self.leading = {row["shard"] for row in rows}
        return bool(self.leading)

    async def _resign(self) -> None:
        """Leave the lease to the next replica at once instead of letting it run out."""
        try:
            await self.pool.execute("UPDATE relay SET lease_until = '-infinity' WHERE leader = $1", self.me)
        except LOST_CONNECTION as lost:
            log.info("resign-failed", why=type(lost).__name__)

    async def publish(self, producer: AIOKafkaProducer) -> int:
        """One round over the leased shards: read, publish keys then events, move the cursor.
        Returns how many events.
        """
        # Read before the keys are published: a key is committed with its dossier's first event, so these have theirs.
        rows = await self._unpublished()
        if self.owns_keys:
            await self._publish_keys(producer)
        if not rows:
            return 0
        batches, rows = _packed(producer, rows)
        topic = topic_of(self.service)
        futures = [await producer.send_batch(batch, topic, partition=shard) for shard, batch in batches.items()]
        sent = await asyncio.gather(*futures)
        crash_point("after-publish")
        self._refuse_behind_a_hole([*sent, *map(_last, sent, batches.values())])
        await self._move(rows)
        self.metrics.published.inc(len(rows))
        return len(rows)

    def _refuse_behind_a_hole(self, sent: Sequence[RecordMetadata]) -> None:
        if shorter := self.tail.acknowledged(sent):
            self._upto = {tp.partition: offset for tp, offset in shorter.items()}
            raise lost_tail(shorter)

    async def _unpublished(self) -> Sequence[asyncpg.Record]:
        return await self.pool.fetch(
            """SELECT e.shard, e.position, e.dossier_id, e.headers, e.data FROM relay r
               CROSS JOIN LATERAL (SELECT * FROM events e WHERE e.shard = r.shard AND e.position > r.published
                                   ORDER BY e.position LIMIT $2) e
               WHERE r.leader = $1 ORDER BY e.shard, e.position""",
            self.me,
            max(1, BATCH // max(1, len(self.leading))),
        )

    async def _move(self, rows: Sequence[asyncpg.Record]) -> None:
        """Only on from where we read, and only while we lead: a stopped leader that wakes up late moves nothing."""
        ends: dict[int, int] = {}
        begins: dict[int, int] = {}
        for row in rows:
            begins.setdefault(row["shard"], row["position"] - 1)
            ends[row["shard"]] = row["position"]
        await self.pool.execute(
            """UPDATE relay r SET published = w.position
               FROM unnest($2::smallint[], $3::bigint[], $4::bigint[]) AS w(shard, position, before)
               WHERE r.shard = w.shard AND r.leader = $1 AND r.published = w.before""",
            self.me,
            list(ends),
            list(ends.values()),
            [begins[shard] for shard in ends],
        )

    async def _publish_keys(self, producer: AIOKafkaProducer) -> None:
        """Keys before events: whoever hears the first event of a dossier can soon open its fields."""
        while sent := await publish_keys(self.pool, producer, BATCH):
            self.tail.acknowledged(sent)

    async def _listen(self) -> None:
        """Hear NOTIFY from replicas that commit but do not lead; the look once a second covers a lost connection."""
        while True:
            try:
                async with self.pool.acquire() as conn:
                    await self._listen_on(conn)
            except LOST_CONNECTION as lost:
                log.info("listen-lost", why=type(lost).__name__)
                await asyncio.sleep(LOOK_S)

    async def _listen_on(self, conn: Connection) -> None:
        def wake(*_: object) -> None:
            self._wake.set()

        await conn.add_listener(CHANNEL, wake)
        try:
            while not conn.is_closed():
                await asyncio.sleep(LOOK_S)
        finally:
            if not conn.is_closed():
                await conn.remove_listener(CHANNEL, wake)


def _packed(producer: AIOKafkaProducer, rows: Sequence[asyncpg.Record]) -> tuple[dict[int, Any], list[asyncpg.Record]]:
    """Of each shard one batch of Kafka's, and the rows that found room in it: no second one is on its way with it.

    A broker that has refused a batch takes the next one of a producer that is new to it, which would leave a hole.
    """
    batches: dict[int, Any] = {}
    taken: list[asyncpg.Record] = []
    for shard, ready in groupby(rows, itemgetter("shard")):
        batches[shard] = producer.create_batch()
        taken += takewhile(partial(_added, batches[shard]), ready)
        batches[shard].close()
    return batches, taken


def _added(batch: Any, row: asyncpg.Record) -> bool:
    key = str(row["dossier_id"]).encode()
    return batch.append(timestamp=None, key=key, value=row["data"], headers=_wire(row)) is not None


def _last(first: RecordMetadata, batch: Any) -> RecordMetadata:
    """Kafka's word for the last record of a batch, by its word for the first; -1 is none."""
    return first if first.offset < 0 else first._replace(offset=first.offset + batch.record_count() - 1)


def _wire(row: Any) -> list[tuple[str, bytes]]:
    return [(name, text.encode()) for name, text in orjson.loads(row["headers"]).items()]
