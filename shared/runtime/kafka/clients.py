"""Connections to Kafka: settings that every producer and consumer of the platform shares, in one place."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import CoordinationType
from aiokafka.conn import AIOKafkaConnection, collect_hosts, create_conn
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaConnectionError,
    KafkaError,
    NodeNotReadyError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
)
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.structs import TopicPartition

from shared.runtime.kafka.patches.closed_connections import cut_when_closed
from shared.runtime.kafka.patches.fetch_sessions import fetch_in_sessions
from shared.runtime.kafka.patches.record_sets import read_as_the_broker
from shared.runtime.kafka.patches.static_members import rejoin_under_a_name

log = structlog.get_logger(__name__)

STOP_S = 5.0
TRIES = 4
TRY_AGAIN_S = 0.2
ASK_S = 3.0

MECHANISM = "SCRAM-SHA-512"
_NOBODY = -1
_NOT_PERMITTED = (TopicAuthorizationFailedError, GroupAuthorizationFailedError, ClusterAuthorizationFailedError)


@dataclass(frozen=True, slots=True)
class Login:
    """Who we are to a secured cluster (SCRAM over TLS), and whose certificates we take for its own (`context`, which
    compares host names too).
    """

    username: str
    password: str = field(repr=False)
    context: ssl.SSLContext = field(repr=False, compare=False)

    @classmethod
    def of(cls, username: str, password: str, authority: str) -> "Login":
        """`authority` is the certificate (PEM) of the cluster's own authority: no other is trusted. Raises
        ssl.SSLError.
        """
        return cls(username, password, ssl.create_default_context(cadata=authority))


@dataclass(frozen=True, slots=True)
class Broker:
    """How to reach the cluster. `bootstrap` is host:port[,host:port]; without a `login` it is an open one."""

    bootstrap: str
    login: Login | None = None

    @property
    def connection(self) -> Mapping[str, Any]:
        """What every client of aiokafka's must be told of the cluster."""
        if self.login is None:
            return {"bootstrap_servers": self.bootstrap}
        return {
            "bootstrap_servers": self.bootstrap,
            "security_protocol": "SASL_SSL",
            "ssl_context": self.login.context,
            "sasl_mechanism": MECHANISM,
            "sasl_plain_username": self.login.username,
            "sasl_plain_password": self.login.password,
        }

    @asynccontextmanager
    async def producer(self, client: str) -> AsyncIterator[AIOKafkaProducer]:
        """An idempotent producer (acks=all); discarded, never reused, after an error (aiokafka issue 1017)."""
        mend_clients()
        producer = AIOKafkaProducer(
            **self.connection,
            client_id=f"{client}-relay",
            acks="all",
            enable_idempotence=True,
            linger_ms=2,
            max_batch_size=262_144,
            request_timeout_ms=15_000,
            retry_backoff_ms=200,
        )
        try:
            await producer.start()
            yield producer
        finally:
            await _discard(producer)

    async def wait(self, client: str) -> None:
        """Return once the cluster answers; until then look once a second."""
        while True:
            try:
                async with self.reader(f"{client}-wait"):
                    return
            except (KafkaError, OSError) as lost:
                log.warning("waiting-for-kafka", why=type(lost).__name__)
                await asyncio.sleep(1.0)

    async def ask(self, client: str, topics: Sequence[str] = (), group: str = "") -> None:
        """Return once a broker has told, over a new connection, where `topics` and `group` are. Raises KafkaError (also
        if we may do nothing with one of them), OSError: what the last of those said who were asked; each has ASK_S.
        """
        settings = {name: value for name, value in self.connection.items() if name != "bootstrap_servers"}
        settings |= {"client_id": f"{client}-watch", "request_timeout_ms": int(ASK_S * 1000)}
        last: Exception = KafkaConnectionError("no server to ask")
        for host, port, _ in collect_hosts(self.bootstrap):
            try:
                connection = await create_conn(host, port, **settings)
            except (KafkaError, OSError) as refused:
                last = refused
                continue
            try:
                await _find(connection, topics, group)
                return
            except (KafkaError, OSError) as silent:
                last = silent
            finally:
                connection.close()
        raise last

    async def partitions(self, topics: Sequence[str]) -> dict[str, int]:
        """Topic → how many partitions it has, 0 if there is none. Raises KafkaError, also if we may not know."""
        return {topic["topic"]: len(topic["partitions"]) for topic in await self._described(topics)}

    async def without_leader(self, topics: Sequence[str]) -> set[TopicPartition]:
        """The partitions that nobody can write or read now. Raises KafkaError."""
        return {
            TopicPartition(topic["topic"], one["partition"])
            for topic in await self._described(topics)
            for one in topic["partitions"]
            if one["leader"] == _NOBODY
        }

    async def _described(self, topics: Sequence[str]) -> list[dict[str, Any]]:
        """aiokafka asks any broker of which it has heard; of some of these, one may be gone."""
        for _ in range(TRIES):
            with suppress(NodeNotReadyError):
                return await self._described_by_one(topics)
            await asyncio.sleep(TRY_AGAIN_S)
        return await self._described_by_one(topics)

    async def _described_by_one(self, topics: Sequence[str]) -> list[dict[str, Any]]:
        mend_clients()
        admin = AIOKafkaAdminClient(**self.connection, request_timeout_ms=20_000)
        try:
            await admin.start()
            described: list[dict[str, Any]] = await admin.describe_topics(list(topics))
            for topic in described:
                if topic["error_code"] == TopicAuthorizationFailedError.errno:
                    raise TopicAuthorizationFailedError(topic["topic"])
            return described
        finally:
            await admin.close()

    @asynccontextmanager
    async def reader(self, client: str, **settings: Any) -> AsyncIterator[AIOKafkaConsumer]:
        """A consumer without automatic commits; with `group_id` in settings it joins a group."""
        mend_clients()
        consumer = AIOKafkaConsumer(
            **self.connection,
            client_id=f"{client}-reader",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=15_000,
            heartbeat_interval_ms=3_000,
            request_timeout_ms=20_000,
            # A group that joins while a broker still loads is given no partitions; this is how soon it looks again.
            metadata_max_age_ms=5_000,
            **settings,
        )
        try:
            await consumer.start()
            # aiokafka's stop() raises CancelledError if its own tasks have not begun yet.
            await asyncio.sleep(0)
            yield consumer
        finally:
            await consumer.stop()


def mend_clients() -> None:
    """From now on every client of Kafka in this process does what brokers and we need of it."""
    read_as_the_broker()
    fetch_in_sessions()
    cut_when_closed()
    rejoin_under_a_name()


async def _find(connection: AIOKafkaConnection, topics: Sequence[str], group: str) -> None:
    """Whoever may do anything with a topic or a group may know where it is."""
    metadata = await connection.send(MetadataRequest(list(topics)))
    for code, topic, *_ in metadata.topics:
        if code == TopicAuthorizationFailedError.errno:
            raise TopicAuthorizationFailedError(topic)
    if group:
        found = await connection.send(FindCoordinatorRequest(group, CoordinationType.GROUP))
        if found.error_code == GroupAuthorizationFailedError.errno:
            raise GroupAuthorizationFailedError(group)


def refusal(error: BaseException) -> str | None:
    """In words, if that is Kafka's answer to who we are, or ours to who it is; None for any other failure."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"no TLS with it: {error.reason}"
    if isinstance(error, SaslAuthenticationFailed):
        return "refuses our login"
    if isinstance(error, _NOT_PERMITTED):
        return f"does not permit it: {error}"
    return None


async def _discard(producer: AIOKafkaProducer) -> None:
    """Stop it, whatever the broker does. What is not acknowledged is published again, by another producer.

    While a broker does not answer, stop() flushes without end, and cancelled there it would leave a sender behind that
    goes on sending, long after others have published what it holds.
    """
    try:
        async with asyncio.timeout(STOP_S):
            await producer.stop()
    except TimeoutError:
        await producer.client.close()
        sender = producer._sender.sender_task
        while not sender.done():
            # Once is not enough: it waits for requests in hand, and these for metadata that nobody fetches any more.
            sender.cancel()
            await asyncio.sleep(0)
