"""The relay: publishes what the store holds, each shard in position order, and moves its cursor after Kafka's word.

One process per service leads, under a lease by the database's clock. One batch per shard is in flight; after a failed
send the producer is discarded before more is sent, so that 56-60 cannot overtake a lost 51-55. A topic that is found
shorter than it was is compared with the store before more is sent: what it lost comes again first. A shard whose
partition takes nothing (too few brokers hold it, say) waits alone.
"""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import asyncpg
import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.structs import RecordMetadata, TopicPartition

from shared.errors import Unavailable
from shared.runtime.aio.crash import crash_point
from shared.runtime.aio.pacing import rest
from shared.runtime.kafka.clients import Broker
from shared.runtime.kernel.sharding import shard_of
from shared.runtime.keys.sent import note_keys, send_key, unpublished_keys
from shared.runtime.observe.metrics import Metrics
from shared.runtime.publishing.flights import Flights
from shared.runtime.publishing.packing import last_of, packed
from shared.runtime.publishing.tail import Tail, lost_tail
from shared.runtime.store.lost import LOST_CONNECTION
from shared.runtime.store.sql import Connection
from shared.topics import KEYS, SHARDS, topic_of

log = structlog.get_logger(__name__)

LEASE_S = 10
LOOK_S = 1.0
PATIENCE_S = 0.5
"""So long a round waits for Kafka's word; what comes later is taken in by a later round."""

LATE_S = 5.0
"""A batch that waits for longer, waits perhaps for a partition without a leader."""

BATCH = 1000
CHANNEL = "outbox"


async def nothing_to_compare(upto: Mapping[int, int], shards: Collection[int]) -> None:
    """For a relay that runs without a guard, in tests."""


@dataclass
class Relay:
    """Publishes one service's shards while it holds their leases. `mutter_s` spaces out NOTIFY to other replicas.

    `instance` is the stable name of this replica: what a process of that name held is taken over at once, by name only
    once in a process's life, and held under `me`, which is new with every process. So a stopped one that wakes up late
    has nothing and takes nothing back. `compare` gets, by shard, the offsets behind which nothing counts, and the
    shards that Kafka can tell of.
    """

    service: str
    pool: "asyncpg.Pool[asyncpg.Record]"
    broker: Broker
    metrics: Metrics
    owns_keys: bool = False
    compare: Callable[[Mapping[int, int], Collection[int]], Awaitable[None]] = nothing_to_compare
    instance: str | None = None
    mutter_s: float = 0.01
    me: UUID = field(default_factory=uuid4)
    leading: set[int] = field(default_factory=set)
    tail: Tail = field(default_factory=Tail)
    without_leader: set[int] = field(default_factory=set)
    _upto: dict[int, int] = field(default_factory=dict)
    _events: Flights = field(default_factory=Flights)
    _keys: Flights = field(default_factory=Flights)
    _keys_behind: dict[int, set[UUID]] = field(default_factory=lambda: defaultdict(set))
    _ask_at: float = 0.0
    _asked_by_name: bool = False
    _more: bool = False
    """Whether the last round may have left something behind; what comes later wakes us."""
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _renew_at: float = 0.0
    _muttering: "asyncio.Task[None] | None" = None

    @property
    def _topics(self) -> list[str]:
        return [topic_of(self.service), *([KEYS.name] if self.owns_keys else [])]

    def _partitions(self, shards: Collection[int]) -> list[TopicPartition]:
        return [TopicPartition(topic, shard) for topic in self._topics for shard in shards]

    def _idle(self) -> set[int]:
        """Shards that we may publish of, and of which nothing is on its way."""
        return self.leading - self.without_leader - self._keys.shards - self._events.shards

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
                    await self._begin(reader)
                    async with self.broker.producer(self.service) as producer:
                        await self._lead(producer, reader)
        except (KafkaError, Unavailable, *LOST_CONNECTION) as lost:
            self.leading.clear()
            log.warning("relay-interrupted", why=str(lost) or type(lost).__name__)

    async def _begin(self, reader: AIOKafkaConsumer) -> None:
        """Before more is sent: has the topic all that was acknowledged, and the store its past?"""
        self._events, self._keys = Flights(self._wake.set), Flights(self._wake.set)
        self._keys_behind.clear()
        self.without_leader = await self._ask_for_leaders()
        led = set(range(SHARDS)) - self.without_leader
        await self.tail.begin(reader, self._partitions(led))
        await self.compare(self._upto, led)
        self._upto = {shard: offset for shard, offset in self._upto.items() if shard in self.without_leader}

    async def _ask_for_leaders(self) -> set[int]:
        """Shards of which no broker can take anything now."""
        shards = {tp.partition for tp in await self.broker.without_leader(self._topics)}
        if shards:
            log.warning("shards-without-leader", shards=sorted(shards))
        return shards

    async def _see_to_late_ones(self) -> None:
        """Begin anew once a partition has found a leader, or one that a batch waits for has none: a producer would ask
        for it without a pause.
        """
        late, now = self._events.late(LATE_S) | self._keys.late(LATE_S), asyncio.get_running_loop().time()
        if now < self._ask_at or not (late or self.without_leader):
            return
        self._ask_at = now + LATE_S
        log.warning("shards-wait-for-kafka", shards=sorted(late | self.without_leader))
        try:
            without_leader = await self._ask_for_leaders()
        except KafkaError as lost:  # one of the brokers is gone, and it was the one to be asked
            log.info("leaders-not-told", why=type(lost).__name__)
            return
        if late & without_leader or self.without_leader - without_leader:
            raise Unavailable("partitions have lost or found a leader")

    async def _lead(self, producer: AIOKafkaProducer, reader: AIOKafkaConsumer) -> None:
        clock = asyncio.get_running_loop().time
        while await self._renewed():
            self._wake.clear()
            began = clock()
            await self._see_to_late_ones()
            await self._look_at_tail(reader)
            published = await self.publish(producer)
            if published:
                await rest(clock() - began)
            if not (published and self._more):
                await self._nap()

    async def _look_at_tail(self, reader: AIOKafkaConsumer) -> None:
        await self.tail.look(reader, self._partitions(self._idle()))

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
        """One round over the leased shards of which nothing is on its way: read, publish keys then events, move the
        cursor. Returns how many events Kafka has acknowledged, those of earlier rounds too.
        """
        # Read before the keys are published: a key is committed with its dossier's first event, so these have theirs.
        rows = await self._unpublished()
        if self.owns_keys:
            await self._publish_keys(producer)
        sent = await self._send(producer, [row for row in rows if row["shard"] not in self._keys.shards])
        self._more = sent < len(rows) or len(rows) >= self._limit
        return await self._take_in()

    async def _send(self, producer: AIOKafkaProducer, rows: Sequence[asyncpg.Record]) -> int:
        batches = packed(producer, rows)
        for shard, (batch, taken) in batches.items():
            sent = await producer.send_batch(batch, topic_of(self.service), partition=shard)
            self._events.launch(shard, taken, sent)
        return sum(len(taken) for _, taken in batches.values())

    @property
    def _limit(self) -> int:
        """So many events of each shard go into one round."""
        return max(1, BATCH // max(1, len(self.leading)))

    async def _take_in(self) -> int:
        """Move the cursor behind what Kafka has acknowledged; then raise what it has refused."""
        landing = await self._events.land(PATIENCE_S)
        rows = [row for taken, _ in landing.taken.values() for row in taken]
        if rows:
            crash_point("after-publish")
            self._refuse_behind_a_hole(
                [word for taken, (first,) in landing.taken.values() for word in (first, last_of(first, len(taken)))]
            )
            await self._move(rows)
            self.metrics.published.inc(len(rows))
        if landing.failure is not None:
            raise landing.failure
        return len(rows)

    def _refuse_behind_a_hole(self, sent: Sequence[RecordMetadata]) -> None:
        if shorter := self.tail.acknowledged(sent):
            self._upto |= {tp.partition: offset for tp, offset in shorter.items()}
            raise lost_tail(shorter)

    async def _unpublished(self) -> Sequence[asyncpg.Record]:
        return await self.pool.fetch(
            """SELECT e.shard, e.position, e.dossier_id, e.headers, e.data FROM relay r
               CROSS JOIN LATERAL (SELECT * FROM events e WHERE e.shard = r.shard AND e.position > r.published
                                   ORDER BY e.position LIMIT $2) e
               WHERE r.leader = $1 AND r.shard = ANY($3) ORDER BY e.shard, e.position""",
            self.me,
            self._limit,
            list(self._idle()),
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
        for shard in self._idle():
            self._keys_behind.pop(shard, None)
        while rows := await unpublished_keys(
            self.pool, BATCH, [one for ids in self._keys_behind.values() for one in ids]
        ):
            idle, by_shard = self._idle(), defaultdict(list)
            for row in rows:
                by_shard[shard_of(row["dossier_id"])].append(row)
            for shard, some in by_shard.items():
                if shard in idle:
                    self._keys.launch(shard, some, *[await send_key(producer, row) for row in some])
                else:
                    self._keys_behind[shard].update(row["dossier_id"] for row in some)
            await self._take_in_keys()
        await self._take_in_keys()

    async def _take_in_keys(self) -> None:
        landing = await self._keys.land(PATIENCE_S)
        rows = [row for taken, _ in landing.taken.values() for row in taken]
        words = [word for _, sent in landing.taken.values() for word in sent]
        if rows:
            self.tail.acknowledged(words)
            await note_keys(self.pool, rows, words)
        if landing.failure is not None:
            raise landing.failure

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
