"""Is this database as far as its own topic? One that was restored from an older backup must not commit.

Before the first commit and after every lost connection, the ends of the shards are compared with the last events on the
service's own topic. Behind: positions would be given twice, so nothing is committed until the missing events are taken
back from there; a topic that does not continue the store (a fork, a hole) stays refused. Ahead is normal (the relay has
yet to publish); a topic that lost its tail, of events or of keys, is published again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import asyncpg
import structlog
from aiokafka.errors import KafkaError

from shared.errors import Misconfigured, Unavailable
from shared.runtime.kafka.clients import Broker, refusal
from shared.runtime.keys.sent import unpublish_keys
from shared.runtime.recovery.ends import ALL, NOWHERE, Claimed, Without, fit, highest, key_ends, last_claims
from shared.runtime.recovery.own import disowned
from shared.runtime.store.lost import LOST_CONNECTION
from shared.topics import KEYS, SHARDS, topic_of

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class _Ends:
    """By shard the last sequence on the events topic; by partition the end of the keys topic, as far as it is asked."""

    events: Mapping[int, int]
    keys: Mapping[int, int]
    asked: bool = True


TakeBack = Callable[[Mapping[int, int], Callable[[int, int], None]], Awaitable[None]]
"""Takes back what shards (shard → end on the topic) lack, telling how many of how many; raises as `TakingBack.run`."""


@dataclass
class RestoreGuard:
    """Refuses commits until the comparison has been made; `known` are the highest positions that we ever saw.

    `take_back` is for processes of the service; an operator's command leaves it to them. `tell_behind` hears how many
    events the store lacks.
    """

    service: str
    pool: "asyncpg.Pool[asyncpg.Record]"
    broker: Broker
    makes_keys: bool = False
    wait_s: float = 10.0
    known: dict[int, int] | None = None
    checked: bool = False
    reason: str = "the store has not been compared with its topic yet"
    hears: Sequence[str] = ()
    behind: bool = False
    take_back: TakeBack | None = None
    tell_behind: Callable[[int], object] = lambda events: None
    _upto: Mapping[int, int] = field(default_factory=dict)
    _losses: int = 0
    _doubt: bool = True
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def lost(self) -> None:
        """The database connection was lost: it may come back as an older one."""
        self.checked = False
        self._doubt = True
        self._losses += 1

    def saw(self, ends: Mapping[int, int]) -> None:
        """Positions that this process has committed: a database that comes back with less is an older one."""
        if self.known is not None:
            self.known = _higher(ends, self.known)

    def seen(self, shards: Collection[int]) -> Mapping[int, int]:
        """How far this process has seen these shards; the store must be as far when something is committed. Raises
        Unavailable while it has to be compared: the connection about to be used may have led to another server.
        """
        if not self.checked:
            raise Unavailable("the store has yet to be compared with its topic")
        known = self.known or {}
        return {shard: known.get(shard, 0) for shard in shards}

    def readable(self) -> None:
        """Raises Unavailable while what is read may be older than what people were told. While Kafka is down nobody can
        say, and what is there is shown.
        """
        if self.behind or self._doubt:
            raise Unavailable(self.reason or "the store has yet to be compared with its topic")

    async def run(self) -> None:
        """Compare as soon as both sides answer, and whenever it is due again. Raises Misconfigured if the topic does
        not fit.
        """
        while True:
            if not self.checked:
                try:
                    await self.ready()
                except Unavailable as refused:
                    log.warning("not-ready", why=str(refused))
            await asyncio.sleep(1.0)

    async def again(self, upto: Mapping[int, int] = NOWHERE, shards: Collection[int] = ALL) -> None:
        """Compare these shards once more, now, with Kafka's own word; what lies on a shard behind the offset of `upto`
        does not count, for it was sent behind a hole (remembered until Kafka has answered). Raises as `ready`, and
        Unavailable while Kafka is down; commits go on meanwhile, unless the store is found behind.
        """
        self._upto = {**self._upto, **upto}
        async with self._lock:
            await self._check(asked_of_kafka=True, shards=shards)

    async def ready(self) -> None:
        """Return once the store may be written to; raises Unavailable with the reason otherwise."""
        if self.checked:
            return
        async with self._lock:
            while not self.checked:
                await self._check()

    async def _check(self, asked_of_kafka: bool = False, shards: Collection[int] = ALL) -> None:
        try:
            await self._compare(asked_of_kafka, shards)
        except LOST_CONNECTION as lost:
            raise self._refuse(f"database: {type(lost).__name__}") from lost

    async def _compare(self, asked_of_kafka: bool, shards: Collection[int]) -> None:
        losses = self._losses
        published, keys = await self._published(), await self._keys_published()
        ends, heads = await self._ends(asked_of_kafka, shards)
        behind = {shard: end for shard, end in ends.events.items() if heads[shard] < end}
        self.tell_behind(sum(end - heads[shard] for shard, end in behind.items()))
        self.behind, self._doubt = bool(behind), False
        if behind:
            self.lost()
            await self._mend(behind, heads, asked=ends.asked)
            await self._compare(asked_of_kafka, shards)
            return
        if ends.asked:
            await self._publish_again(published, ends.events)
            await self._publish_keys_again(keys, ends.keys)
            self._upto = {shard: offset for shard, offset in self._upto.items() if shard not in shards}
        if len(shards) < SHARDS:
            return  # what is not compared yet is no ground for a commit
        # A connection lost meanwhile may have led to yet another server: compared once more.
        self.known, self.checked, self.reason = _higher(heads, ends.events), losses == self._losses, ""

    async def _mend(self, behind: Mapping[int, int], heads: Mapping[int, int], asked: bool) -> None:
        """Take back what is missing, or some of it: then what is still missing is to be looked at anew, for a copy is
        known once its event is there. Raises Unavailable with the reason if that cannot be, or not now.
        """
        older = f"the store is older than its topic in shards {sorted(behind)}"
        log.critical("store-behind-topic", shards=behind)
        if self.take_back is None or not asked:
            raise self._refuse(f"{older}: its processes take back what is missing once Kafka answers")
        self.reason = f"{older}: taking back begins"
        try:
            await self.take_back(behind, self._tell_progress)
        except KafkaError as lost:
            raise self._refuse(f"{older}: waiting for Kafka, to take back what is missing") from lost
        except Unavailable as refused:
            if any(head > heads[shard] for shard, head in (await self._heads()).items()):
                return
            log.critical("cannot-take-back", why=str(refused))
            raise self._refuse(f"{older}, which cannot be taken back: {refused}") from refused

    def _tell_progress(self, done: int, wanted: int) -> None:
        self.reason = f"taking back events from the topic: {done} of {wanted}"
        self.tell_behind(wanted - done)

    async def _published(self) -> Mapping[int, int]:
        return {row["shard"]: row["published"] for row in await self.pool.fetch("SELECT * FROM relay")}

    async def _keys_published(self) -> Mapping[int, int]:
        if not self.makes_keys:
            return {}
        rows = await self.pool.fetch(
            """SELECT n, (SELECT max(published_offset) FROM data_keys WHERE published_partition = n) AS furthest
               FROM generate_series(0, $1 - 1) AS n""",
            KEYS.partitions,
        )
        return {row["n"]: row["furthest"] for row in rows if row["furthest"] is not None}

    async def _ends(self, asked_of_kafka: bool, shards: Collection[int]) -> tuple[_Ends, dict[int, int]]:
        """The topics' ends, and how far the store is. What lies beyond that, but is an event that the store holds at
        another position, is a copy that somebody has made, and no end.
        """
        without = Without(await disowned(self.pool))
        while True:
            ends, claims = await self._told(asked_of_kafka, shards, without)
            heads = await self._heads()
            beyond = [one.event_id for shard, some in claims.items() for one in some if one.sequence > heads[shard]]
            rows = await self.pool.fetch(_POSITIONS, beyond) if beyond else []
            held = {row["event_id"]: row["position"] for row in rows}
            if not held:
                return ends, heads
            log.error("copies-on-the-topic", items=len(held))
            without = Without(without.spots, {**without.positions, **held})

    async def _heads(self) -> dict[int, int]:
        return {row["shard"]: row["next_position"] - 1 for row in await self.pool.fetch("SELECT * FROM shards")}

    async def _told(
        self, asked_of_kafka: bool, shards: Collection[int], without: Without
    ) -> tuple[_Ends, Mapping[int, Sequence[Claimed]]]:
        """The topics' ends; while Kafka is down, the highest positions that this process knows, if these will do."""
        try:
            async with asyncio.timeout(self.wait_s):
                await fit(self.broker, [topic_of(self.service), *self.hears])
                claims = await last_claims(self.broker, self.service, self._upto, shards, without)
                events = {shard: highest(some) for shard, some in claims.items()}
                keys = await key_ends(self.broker, self.service, shards) if self.makes_keys else NOWHERE
                return _Ends(events, keys), claims
        except Misconfigured as vanished:
            if self.known is None:
                raise
            raise self._refuse(str(vanished)) from vanished  # a broker that still loads knows no topic either
        except (KafkaError, OSError, TimeoutError) as lost:
            self._doubt = False
            if self.known is None or asked_of_kafka:
                because = f" ({words})" if (words := refusal(lost)) else ""
                raise self._refuse(f"waiting for Kafka, to compare the store with its topic{because}") from lost
            return _Ends(self.known, NOWHERE, asked=False), {}

    async def _publish_again(self, published: Mapping[int, int], ends: Mapping[int, int]) -> None:
        """A topic that lost its tail gets it again. `published` was read before the ends, so it cannot be ahead
        of them.
        """
        lost = {shard: end for shard, end in ends.items() if published[shard] > end}
        if lost:
            log.error("topic-lost-its-tail", shards=lost)
            await self.pool.executemany(
                "UPDATE relay SET published = $2 WHERE shard = $1 AND published > $2", list(lost.items())
            )

    async def _publish_keys_again(self, published: Mapping[int, int], ends: Mapping[int, int]) -> None:
        """The same for the keys topic, whose records cannot be counted, for it is compacted; but its ends only grow."""
        lost = [(n, ends[n], furthest) for n, furthest in published.items() if furthest >= ends.get(n, furthest + 1)]
        if lost:
            log.error("keys-topic-lost-its-tail", partitions=[n for n, *_ in lost])
            await unpublish_keys(self.pool, lost)

    def _refuse(self, reason: str) -> Unavailable:
        self.reason = "" if self.checked else reason
        return Unavailable(reason)


def _higher(some: Mapping[int, int], others: Mapping[int, int]) -> dict[int, int]:
    return {shard: max(some.get(shard, 0), others.get(shard, 0)) for shard in some.keys() | others.keys()}


_POSITIONS = "SELECT event_id, position FROM events WHERE event_id = ANY($1)"
