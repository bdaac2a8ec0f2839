"""Faust's consumer, hardened: it joins the group, keeps its place in it, fetches and seeks, and hands on what it has
fetched as it came, list by list.

Its own way there (an event, a reference count and some tasks for each message, through conductor, channel, stream and
agent) costs ten times what the step itself does, and is where it loses events: an exception in an agent acknowledges
what it left undone, a clean rebalance drops acknowledgements, and a stream that is stopped acknowledges what it drops.
Here one batch is in work at a time, and is acknowledged after it is handled; a bug in the engine ends the process; we
commit before partitions are revoked; and Kafka's committed offset is only a hint, for on assignment we seek to what the
database says. No table, sink, `send` or exactly-once machinery is used.

Upstream: faust-streaming issues 189 and 527 (an exception acknowledges), 606 (it commits past what is still in work;
pull request 707 is open), 502 (a rebalance drops acknowledgements), 175 (a consumer that seems stuck to a second
thread); robinhood/faust issue 563 (slow, message by message).
Looked at: faust-streaming 0.15.3, mode-streaming 0.7.1, aiokafka 0.14.0; Faust's main branch of 2026-08-20.
Goes when: these are mended, and Faust hands out whole lists that it acknowledges only after they are handled; or with
Faust itself, for which `KafkaConsumer` is the one door.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any

import structlog
from aiokafka.errors import IllegalStateError, KafkaError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from mode import Service
from mode.utils.futures import maybe_async

from shared.runtime.aio.deadline import with_deadline
from shared.runtime.aio.fatal import end_at_once
from shared.runtime.aio.pacing import rest

log = structlog.get_logger(__name__)

NextOffsets = Callable[[], Coroutine[Any, Any, Mapping[tuple[str, int], int]]]
Fetched = Mapping[TP, Sequence[Any]]
"""What one fetch brought: aiokafka's messages, in the order of each partition."""

TAKE_UP_EVERY_S = 1.0

FETCH_S = 1.0
"""How long one fetch waits for records before it looks whether to stop."""
SEEK_S = 20.0
"""Less than `broker_request_timeout`."""

USED = (
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
    deliver: Callable[[Fetched], Awaitable[None]]
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

    async def _fetched(self) -> Fetched | None:
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

    async def _deliver(self, fetched: Fetched) -> None:
        """Handle everything that one fetch brought, then acknowledge it."""
        try:
            await self.deliver(fetched)
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
