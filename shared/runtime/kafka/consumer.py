"""The Faust consumer, hardened, run as a service inside our own loop.

Faust joins the group, keeps its place in it, fetches and seeks; what it has fetched goes to the engine as it came, list
by list. Its own way there (an event, a reference count and some tasks for each message, through conductor, channel,
stream and agent) costs ten times what the step itself does, and is where it loses events: an exception in an agent
acknowledges the batch, a clean rebalance drops acknowledgements, and a stream that is stopped acknowledges what it
drops. Here one batch is in work at a time, and is acknowledged after it is handled; a bug in the engine ends the
process; we commit before partitions are revoked; and Kafka's committed offset is only a hint, for on assignment we
seek to what the database says. No table, sink, `send` or exactly-once machinery is used.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faust
import structlog
from aiokafka.errors import IllegalStateError, KafkaError
from faust.auth import SASLCredentials
from faust.exceptions import ConsumerNotStarted
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from mode import Service
from mode.utils.futures import maybe_async

from shared.errors import Misconfigured
from shared.runtime.aio.deadline import with_deadline
from shared.runtime.aio.fatal import end_at_once
from shared.runtime.aio.pacing import rest
from shared.runtime.kafka.clients import MECHANISM, Broker, Login, mend_clients, refusal
from shared.runtime.kafka.records import record
from shared.runtime.kernel.message import Record

log = structlog.get_logger(__name__)

TAKE_UP_EVERY_S = 1.0

NextOffsets = Callable[[], Coroutine[Any, Any, Mapping[tuple[str, int], int]]]
Handle = Callable[[Sequence[Record]], Awaitable[None]]

FETCH_S = 1.0
"""How long one fetch waits for records before it looks whether to stop."""
SEEK_S = 20.0
"""Less than `broker_request_timeout`."""

_USED = (
    "_new_consumer_thread", "_drain_messages", "_wait_next_records", "_filter_committable_offsets", "wait_empty",
    "commit_and_end_transactions", "verify_event_path", "seek_wait", "flow_active", "perform_seek",
)  # fmt: skip
"""What of Faust's consumer is used or replaced here, most of it private: its version is pinned."""


class _Here(driver.AIOKafkaConsumerThread):
    """Faust's thread for its client of Kafka, without the thread: everything runs in the service's own loop.

    Nothing holds that loop for longer than a batch takes to fold, so that the client's heartbeats come in time; and
    what is fetched need not wait for one thread to wake the other and for the lock that only one of them can hold.
    """

    async def start(self) -> None:
        """Make the client and join. Raises what hinders it."""
        self._thread_started.set()
        await self._default_start()

    async def stop(self) -> None:
        """Leave the group and end the client."""
        if self._started.is_set() and not self._stopped.is_set():
            self._stopped.set()
            await self._shutdown_thread()

    async def call_thread(self, fun: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """What `fun` comes to, here and now."""
        return await maybe_async(fun(*args, **kwargs))

    async def crash(self, exc: BaseException) -> None:
        """Faust ends with it."""
        await Service.crash(self, exc)

    def close(self) -> None:
        """Nothing, where Faust is told to stop in a rebalance: `stop` follows, and a closed client leaves no group."""


class Consumer(driver.Consumer):
    """Hands what is fetched to `deliver`, one batch at a time; commits before its partitions are taken away, and begins
    where the database says.
    """

    next_offsets: NextOffsets
    deliver: Handle
    within_s: float
    _batch: "asyncio.Task[None] | None" = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._handled: dict[TP, int] = {}

    def _new_consumer_thread(self) -> driver.AIOKafkaConsumerThread:
        return _Here(self, loop=self.loop, thread_loop=self.loop, beacon=self.beacon)

    async def _drain_messages(self, fetcher: Any) -> None:
        """Faust's loop around the fetcher, started anew after each rebalance."""
        clock = asyncio.get_running_loop().time
        while not (self.should_stop or fetcher.should_stop):
            fetched = await self._fetched()
            if not fetched or self.should_stop:
                continue
            if not self.flow_active:
                await self._read_again()
                continue
            began = clock()
            self._batch = asyncio.create_task(self._deliver(fetched), name="consume")
            # Shielded: whoever stops the fetcher waits for the batch in hand, see `wait_empty`.
            await asyncio.shield(self._batch)
            if sum(map(len, fetched.values())) < self.app.conf.broker_max_poll_records:
                # Behind a full batch the next is full too, however soon.
                await rest(clock() - began, least_s=self.within_s)

    async def _fetched(self) -> Mapping[TP, Sequence[Any]] | None:
        """What comes within FETCH_S. Nothing where the group could not go on with an answer that is none of its
        protocol's (as from a broker that still loads what the group has acknowledged): to be told makes it try again.
        """
        try:
            fetched, _ = await self._wait_next_records(FETCH_S)
        except KafkaError as interrupted:
            if type(interrupted) is not KafkaError:
                raise
            log.warning("consumer-interrupted", why=str(interrupted))
            await asyncio.sleep(TAKE_UP_EVERY_S)
            return None
        return fetched

    async def _read_again(self) -> None:
        """Go back to before what was fetched while partitions were about to be taken away, or given anew."""
        try:
            await self._seek_to(await self.next_offsets())
        except IllegalStateError:
            # Taken away in the middle of it: the rebalance at work seeks itself before anything goes on.
            log.info("seek-overtaken")

    async def _deliver(self, fetched: Mapping[TP, Sequence[Any]]) -> None:
        """Handle everything that one fetch brought, then acknowledge it."""
        try:
            await self.deliver([record(message) for messages in fetched.values() for message in messages])
        except BaseException as bug:
            # Going on would acknowledge what was not handled; leaving at once acknowledges nothing.
            end_at_once(bug)
        self._handled.update({tp: messages[-1].offset + 1 for tp, messages in fetched.items()})

    def _filter_committable_offsets(self, tps: Iterable[TP]) -> dict[TP, int]:
        """What is handled and not committed yet, of all partitions: nobody asks for only some."""
        return {tp: upto for tp, upto in self._handled.items() if upto > (self._committed_offset[tp] or 0)}

    async def wait_empty(self) -> None:
        """Wait for the batch in hand and commit it: before a stop, and before partitions are revoked."""
        if self._batch is not None:
            await asyncio.wait([self._batch])
        await self.commit_and_end_transactions()

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Commit what is acknowledged while the partitions are still ours."""
        await self.commit()
        self._handled.clear()
        await super().on_partitions_revoked(revoked)

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Nothing: Faust's detector looks at its own streams, and ours is in `operations.Health`."""

    async def perform_seek(self) -> None:
        """As Faust asks for it after each rebalance. It waits no longer than `broker_request_timeout`, takes the end of
        that for its own, and never reads again: so it is told to begin anew before.
        """
        try:
            # Not asyncio.timeout: asyncpg may swallow its cancellation, and then takes leave of a silent server.
            stored = await with_deadline(self.next_offsets(), SEEK_S)
        except TimeoutError as late:
            log.warning("seek-late", why="the database does not say where to read on")
            tables: Any = self.app.tables
            tables.recovery.signal_recovery_start.set()
            raise IllegalStateError("the database does not say where to read on") from late
        await self._seek_to(stored)

    async def _seek_to(self, stored: Mapping[tuple[str, int], int]) -> None:
        """Begin at the offsets that the database holds. Faust would ask Kafka for its own, which are only a hint here,
        and wait for ever if the broker dies before it answers: aiokafka forgets the question with the assignment.
        """
        targets = {tp: stored[tp.topic, tp.partition] for tp in self.assignment() if (tp.topic, tp.partition) in stored}
        await self.seek_wait(targets)
        self._handled.clear()  # of partitions that went elsewhere before it was committed: theirs to commit now
        for tp, offset in targets.items():
            self._committed_offset[tp] = offset or None


@dataclass
class KafkaConsumer:
    """One service's subscription: batches of at most `size` records of all its topics, each partition in its order.
    Behind one that was not full it waits `within_s` seconds for more.
    """

    service: str
    broker: Broker
    topics: Sequence[str]
    handle: Handle
    next_offsets: NextOffsets
    datadir: Path
    instance: str | None = None
    size: int = 500
    within_s: float = 0.0
    app: Any = None
    _asking: "asyncio.Task[None] | None" = None

    async def start(self) -> None:
        """Join the group and begin. Raises Misconfigured with a Faust that is not the one this was written for."""
        if lacking := [name for name in _USED if not hasattr(driver.Consumer, name)]:
            raise Misconfigured(f"this release of faust-streaming has no {', '.join(lacking)}: install the pinned one")
        mend_clients()
        self.datadir.mkdir(parents=True, exist_ok=True)
        self.app = self._application()
        self.app.loop = asyncio.get_running_loop()
        self.app.topics.add(self.app.topic(*self.topics, value_serializer="raw", key_serializer="raw"))
        self.app.finalize()
        self._asking = asyncio.create_task(self._take_up())
        await self.app.start()

    async def stop(self) -> None:
        """Finish the batch in hand, commit, leave the group."""
        if self._asking is not None:
            self._asking.cancel()
        if self.app is not None:
            await self.app.stop()

    @property
    def alive(self) -> bool:
        """Whether the consumer runs and has not crashed."""
        runs = self.app is not None and self.app.started and not self.app.crashed and not self.app.should_stop
        coordinator = self._coordinator() if runs else None
        return runs and (coordinator is None or not coordinator._coordination_task.done())

    async def _take_up(self) -> None:
        """Ask the member of the group, until cancelled, for what it could not go on with, such as a permission that it
        lacks: it tries again only once it has been asked, and Faust never asks.
        """
        while True:
            await asyncio.sleep(TAKE_UP_EVERY_S)
            coordinator = self._coordinator()
            error = None if coordinator is None else coordinator._pending_exception
            if error is not None:
                log.warning("consumer-interrupted", why=refusal(error) or type(error).__name__)
                _ask(coordinator)

    def _coordinator(self) -> Any:
        """aiokafka's; None while that is on its way."""
        consumer = self.app.consumer._thread._consumer
        return None if consumer is None else consumer._coordinator

    def _application(self) -> Any:
        app = faust.App(
            self.service,
            broker=f"kafka://{self.broker.bootstrap.replace(',', ';kafka://')}",
            broker_credentials=_credentials(self.broker.login),
            **_SETTINGS,
            broker_max_poll_records=self.size,
            datadir=str(self.datadir),
            # A replica with a name of its own gets its partitions back at once when it is started again after a kill.
            consumer_group_instance_id=self.instance,
        )
        ours = {
            "next_offsets": staticmethod(self.next_offsets), "deliver": staticmethod(self.handle),
            "within_s": self.within_s,
        }  # fmt: skip
        consumer = type("Consumer", (Consumer,), ours)
        transport = type("Transport", (driver.Transport,), {"Consumer": consumer})
        app.transport = app.producer_transport = transport(app.conf.broker_consumer, app)
        return app

    def committed_lag(self) -> Mapping[str, int]:
        """Topic → records between the broker's end and what we have acknowledged, as far as Faust has seen the ends."""
        consumer = self.app.consumer if self.app is not None else None
        lag = dict.fromkeys(self.topics, 0)
        if consumer is None or not self.alive:
            return lag
        try:
            assignment = consumer.assignment()
        except ConsumerNotStarted:  # its thread is still on the way
            return lag
        for tp in assignment:
            lag[tp.topic] += max(0, (consumer.highwater(tp) or 0) - (consumer._committed_offset.get(tp) or 0))
        return lag


def _ask(coordinator: Any) -> None:
    with suppress(KafkaError):
        coordinator.check_errors()


def _credentials(login: Login | None) -> SASLCredentials | None:
    if login is None:
        return None
    return SASLCredentials(
        username=login.username, password=login.password, ssl_context=login.context, mechanism=MECHANISM
    )


_SETTINGS: dict[str, Any] = {
    "broker_commit_interval": 0.5,
    "broker_session_timeout": 10.0,
    "broker_heartbeat_interval": 3.0,
    "broker_rebalance_timeout": 60.0,
    # A spare worker without partitions would leave the group for good after this time.
    "broker_max_poll_interval": 1_000_000.0,
    "broker_request_timeout": 30.0,
    "consumer_auto_offset_reset": "earliest",
    # A group that joins while a broker is still loading is given no partitions; this is how soon it looks again.
    "consumer_metadata_max_age_ms": 5_000,
    "stream_wait_empty": True,
    "store": "memory://",
    "table_standby_replicas": 0,
    "topic_allow_declare": False,
    "topic_disable_leader": True,
    "web_enabled": False,
    "producer_request_timeout": 60.0,
}
