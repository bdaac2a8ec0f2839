"""The Faust consumer, hardened, run as a service inside our own loop.

How Faust loses events, and what stands against it here: an exception in an agent acknowledges the batch (the body never
raises; a bug in the engine ends the process), a clean rebalance drops acknowledgements (we commit before the partitions
are revoked), Kafka's committed offset is only a hint (on assignment we seek to what the database says), the agent's
concurrency stays 1, and no table, sink, `send` or exactly-once machinery is used.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faust
import structlog
from faust.exceptions import ConsumerNotStarted
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from shared.runtime.batch import Record
from shared.runtime.ending import end_at_once
from shared.runtime.fetched import read_as_the_broker
from shared.runtime.kafka import record

log = structlog.get_logger(__name__)

NextOffsets = Callable[[], Awaitable[Mapping[tuple[str, int], int]]]
Handle = Callable[[Sequence[Record]], Awaitable[None]]


class Consumer(driver.Consumer):
    """Commits before its partitions are taken away, and begins where the database says."""

    next_offsets: NextOffsets

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Commit what is acknowledged while the partitions are still ours."""
        await self.commit()
        await super().on_partitions_revoked(revoked)

    async def perform_seek(self) -> None:
        """Begin at the offsets that the database holds. Faust would ask Kafka for its own, which are only a hint here,
        and wait for ever if the broker dies before it answers: aiokafka forgets the question with the assignment.
        """
        stored = await self.next_offsets()
        targets = {tp: stored[tp.topic, tp.partition] for tp in self.assignment() if (tp.topic, tp.partition) in stored}
        await self.seek_wait(targets)
        for tp, offset in targets.items():
            # Faust holds commits back while there is a hole below the first acknowledged offset; ours is no hole.
            self._committed_offset[tp] = offset or None


@dataclass
class KafkaConsumer:
    """One service's subscription: batches of at most `size` records of all its topics, in partition order."""

    service: str
    bootstrap: str
    topics: Sequence[str]
    handle: Handle
    next_offsets: NextOffsets
    datadir: Path
    instance: str | None = None
    size: int = 500
    within_s: float = 0.02
    app: Any = None

    async def start(self) -> None:
        """Join the group and begin. Needs the compiled stream loop: the pure one acknowledges what it drops."""
        if os.environ.get("NO_CYTHON"):
            raise RuntimeError("unset NO_CYTHON: Faust's pure-Python loop acknowledges messages that it drops")
        read_as_the_broker()
        self.datadir.mkdir(parents=True, exist_ok=True)
        self.app = self._application()
        channel = self.app.topic(*self.topics, value_serializer="raw", key_serializer="raw")
        self.app.agent(channel, concurrency=1, name=f"{self.service}-listens")(self._listen)
        self.app.loop = asyncio.get_running_loop()
        self.app.finalize()
        await self.app.start()

    async def stop(self) -> None:
        """Finish the batch in hand, commit, leave the group."""
        if self.app is not None:
            await self.app.stop()

    @property
    def alive(self) -> bool:
        """Whether the consumer runs and has not crashed."""
        return self.app is not None and self.app.started and not self.app.crashed and not self.app.should_stop

    def _application(self) -> Any:
        app = faust.App(
            self.service,
            broker=f"kafka://{self.bootstrap.replace(',', ';kafka://')}",
            **_SETTINGS,
            datadir=str(self.datadir),
            # A replica with a name of its own gets its partitions back at once when it is started again after a kill.
            consumer_group_instance_id=self.instance,
        )
        consumer = type("Consumer", (Consumer,), {"next_offsets": staticmethod(self.next_offsets)})
        transport = type("Transport", (driver.Transport,), {"Consumer": consumer})
        app.transport = app.producer_transport = transport(app.conf.broker_consumer, app)
        return app

    async def _listen(self, stream: Any) -> None:
        async for events in stream.take_events(self.size, within=self.within_s):
            try:
                await self.handle([record(event.message, per_second=1) for event in events])
            except BaseException as bug:
                # Raising would acknowledge the batch and lose it; leaving at once acknowledges nothing.
                end_at_once(bug)

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


_SETTINGS: dict[str, Any] = {
    "broker_commit_interval": 0.5,
    "broker_session_timeout": 10.0,
    "broker_heartbeat_interval": 3.0,
    "broker_rebalance_timeout": 60.0,
    # A spare worker without partitions would leave the group for good after this time.
    "broker_max_poll_interval": 1_000_000.0,
    "broker_max_poll_records": 1000,
    "broker_request_timeout": 30.0,
    "consumer_auto_offset_reset": "earliest",
    # A group that joins while a broker is still loading is given no partitions; this is how soon it looks again.
    "consumer_metadata_max_age_ms": 5_000,
    "stream_buffer_maxsize": 4096,
    "stream_wait_empty": True,
    "store": "memory://",
    "table_standby_replicas": 0,
    "topic_allow_declare": False,
    "topic_disable_leader": True,
    "web_enabled": False,
    "producer_request_timeout": 60.0,
}
