"""The door to Faust: one service's subscription, run as a service inside our own loop."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faust
import structlog
from aiokafka.errors import KafkaError
from faust.auth import SASLCredentials
from faust.exceptions import ConsumerNotStarted
from faust.transport.drivers import aiokafka as driver

from shared.errors import Misconfigured
from shared.runtime.kafka.clients import MECHANISM, Broker, Login, mend_clients, refusal
from shared.runtime.kafka.patches.faust_consumer import TAKE_UP_EVERY_S, USED, Consumer, Fetched, NextOffsets
from shared.runtime.kafka.records import record
from shared.runtime.kernel.message import Record

log = structlog.get_logger(__name__)

Handle = Callable[[Sequence[Record]], Awaitable[None]]


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
        if lacking := [name for name in USED if not hasattr(driver.Consumer, name)]:
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
        runs = self.app is not None and self.app.started and not self.app.should_stop
        return runs and not self.crashed

    @property
    def crashed(self) -> bool:
        """Whether it, or the member of the group in it, has come to an end by itself; also while it starts."""
        if self.app is None or not self.app.started:
            return False
        coordinator = self._coordinator()
        return bool(self.app.crashed) or (coordinator is not None and coordinator._coordination_task.done())

    async def _deliver(self, fetched: Fetched) -> None:
        await self.handle([record(message) for messages in fetched.values() for message in messages])

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
            "next_offsets": staticmethod(self.next_offsets), "deliver": staticmethod(self._deliver),
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
