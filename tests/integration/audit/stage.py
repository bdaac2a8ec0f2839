"""Hands for the audit tests: a writer that stores and publishes, an audit consumer in this process or in its own."""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID, uuid5

import asyncpg
from aiokafka import AIOKafkaProducer
from aiokafka.structs import TopicPartition

from deploy.local.ports import free_port
from deploy.postgres.provision import Databases
from deploy.waiting import until
from services.audit.report import Progress, Report
from services.audit.trail import Trail
from services.audit.verify import Asked, examine
from shared.events.envelope import Envelope, headers
from shared.events.verification import CitizenVerified
from shared.runtime.kafka.clients import Broker
from shared.runtime.observe.metrics import Metrics
from shared.runtime.service.settings import OperatorSettings
from shared.topics import SHARDS, heard_by, topic_of

WRITER = "verification"
TOPIC = topic_of(WRITER)
SHARD = 4
INSTANCE = "audit-0"
"""The name of whoever hears for audit: a killed one's seats are the next one's at once."""

NAMES = UUID("00000000-0000-4000-8000-000000000000")
AT = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)


EMPTY = """TRUNCATE events, states, tasks, heard, dead_letters, parked_messages;
    UPDATE shards SET next_position = 1, last_event_id = NULL;
    UPDATE relay SET published = 0, leader = NULL, lease_until = '-infinity'"""


@dataclass(frozen=True)
class Event:
    """One event as a writer stores and publishes it."""

    shard: int
    sequence: int
    id: UUID
    dossier: UUID
    headers: dict[str, str]
    value: bytes

    @property
    def wire(self) -> list[tuple[str, bytes]]:
        """Its headers on the wire."""
        return [(name, text.encode()) for name, text in self.headers.items()]

    def saying(self, value: bytes) -> "Event":
        """The same position with another content."""
        return replace(self, value=value)

    def headed(self, **changed: str) -> "Event":
        """The same event with other headers; an empty one is left out."""
        made = {**self.headers, **changed}
        return replace(self, headers={name: text for name, text in made.items() if text})


def event(sequence: int, shard: int = SHARD, writer: str = WRITER, previous: int | None = None) -> Event:
    """The event at a position; `previous` names another position as the one before it."""
    before = sequence - 1 if previous is None else previous
    dossier = uuid5(NAMES, f"dossier {shard} {sequence % 3}")
    envelope = Envelope(
        _id(writer, shard, sequence), CitizenVerified.TYPE, AT, dossier, writer, shard, sequence,
        _id(writer, shard, before) if before else None,
    )  # fmt: skip
    body = CitizenVerified(applicant_version=1, register_request=f"request-{sequence}")
    value = body.model_dump_json().encode()
    return Event(shard, sequence, envelope.id, dossier, headers(CitizenVerified, envelope, dossier), value)


def chain(length: int, shard: int = SHARD) -> list[Event]:
    """The first events of a shard."""
    return [event(sequence, shard) for sequence in range(1, length + 1)]


def _id(writer: str, shard: int, sequence: int) -> UUID:
    return uuid5(NAMES, f"{writer} {shard} {sequence}")


@dataclass
class Stage:
    """Kafka and a set of databases, with what tests do to them."""

    bootstrap: str
    databases: Databases
    folder: Path
    _open: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def __aenter__(self) -> Self:
        self.pool: Any = await self._open.enter_async_context(
            asyncpg.create_pool(self.databases.url("audit"), min_size=1, max_size=6)
        )
        self.producer: Any = await self._open.enter_async_context(_producer(self.bootstrap))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._open.aclose()

    async def empty(self) -> None:
        """Empty tables, and audit's reading begins where the topics end now."""
        for service in (WRITER, "audit"):
            async with self.administrator(service) as conn:
                await conn.execute(EMPTY)
        async with self.administrator("audit") as conn:
            await conn.execute("TRUNCATE settled_discrepancies, discrepancies, trail, records")
            await conn.executemany(
                "INSERT INTO heard (source, shard, next_offset) VALUES ($1, $2, $3)", await self._topic_ends()
            )

    async def _topic_ends(self) -> list[tuple[str, int, int]]:
        topics = {topic.name: topic.writer for topic in heard_by("audit")}
        tps = [TopicPartition(name, shard) for name in topics for shard in range(SHARDS)]
        async with Broker(self.bootstrap).reader("test") as reader:
            reader.assign(tps)  # else the leaders are unknown, and asked for half a second later
            ends = await reader.end_offsets(tps)
        return [(topics[tp.topic], tp.partition, ends[tp]) for tp in tps]

    async def publish(self, *events: Event, topic: str = TOPIC, partition: int | None = None) -> None:
        """Put events on a topic, in this order, without storing them."""
        for one in events:
            place = one.shard if partition is None else partition
            await self.producer.send_and_wait(topic, one.value, str(one.dossier).encode(), place, headers=one.wire)

    async def put(self, value: bytes | None, *head: tuple[str, bytes | None], key: bytes | None = b"k") -> None:
        """Put any record on the writer's topic."""
        await self.producer.send_and_wait(TOPIC, value, key, SHARD, headers=list(head))

    async def store(self, *events: Event, published: bool = True) -> None:
        """What the writer's engine and relay leave in its database."""
        async with self.administrator(WRITER) as conn, conn.transaction():
            await conn.executemany(
                """INSERT INTO events (shard, position, event_id, dossier_id, caused_by, type, headers, data)
                   VALUES ($1, $2, $3, $4, $4, $5, $6::jsonb, $7)""",
                [
                    (e.shard, e.sequence, e.id, e.dossier, e.headers["ce_type"], _json(e.headers), e.value)
                    for e in events
                ],
            )
            await conn.executemany(
                "UPDATE shards SET next_position = greatest(next_position, $2 + 1) WHERE shard = $1",
                [(e.shard, e.sequence) for e in events],
            )
        if published:
            await self.published(*events)

    async def published(self, *events: Event) -> None:
        """What the relay leaves in the writer's database after Kafka's acknowledgement."""
        async with self.administrator(WRITER) as conn:
            await conn.executemany(
                "UPDATE relay SET published = greatest(published, $2) WHERE shard = $1",
                [(e.shard, e.sequence) for e in events],
            )

    @asynccontextmanager
    async def administrator(self, service: str) -> AsyncIterator[Any]:
        """The database's superuser, who can do anything to any row."""
        connection = await asyncpg.connect(self.databases.administrator_url(service))
        try:
            yield connection
        finally:
            await connection.close()

    def trail(self) -> Trail:
        """An audit consumer that does not run yet."""
        return Trail(self.pool, Broker(self.bootstrap), Metrics("audit"), INSTANCE)

    @asynccontextmanager
    async def listening(self, instance: str | None = INSTANCE) -> AsyncIterator[Trail]:
        """An audit consumer in this process; without a name it leaves the group when it ends."""
        trail = replace(self.trail(), instance=instance)
        running = asyncio.create_task(trail.run())
        try:
            yield trail
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    async def audited(self, records: int) -> None:
        """Let audit listen until it holds so many records."""
        async with self.listening():
            await self.until_stored(records)

    async def until_stored(self, records: int) -> None:
        """Wait until so many records are stored."""

        async def stored() -> bool:
            return bool(await self.count("records") >= records)

        await until(stored, seconds=90, what=f"{records} records")

    async def count(self, table: str) -> int:
        """Rows of one of audit's tables."""
        counted: int = await self.pool.fetchval(f"SELECT count(*) FROM {table}")
        return counted

    async def discrepancies(self) -> list[tuple[str, int | None, int | None]]:
        """(kind, sequence, expected) of what was found, in order."""
        rows = await self.pool.fetch("SELECT kind, sequence, expected FROM discrepancies ORDER BY record_id")
        return [tuple(row) for row in rows]

    @property
    def _url(self) -> str:
        """Audit's database without a password, as settings want it."""
        parts = urlsplit(self.databases.url("audit"))
        return urlunsplit(parts._replace(netloc=f"dossier_audit@{parts.hostname}:{parts.port}"))

    def settings(self, kafka: bool = True) -> OperatorSettings:
        """What the operator's tool is told."""
        return OperatorSettings(
            database_url=self._url,
            secrets_dir=self.databases.secrets.directory,
            kafka_bootstrap_servers=self.bootstrap if kafka else "",
        )

    async def verified(self, wait_s: float = 0.0, kafka: bool = True) -> Report:
        """What the operator's tool finds."""
        return await examine(self.settings(kafka), Asked(wait_s), Progress(StringIO()))

    def environment(self, **more: str) -> dict[str, str]:
        """The environment of an audit process."""
        return {
            **os.environ,
            "KAFKA_BOOTSTRAP_SERVERS": self.bootstrap,
            "DATABASE_URL": self._url,
            "SECRETS_DIR": str(self.databases.secrets.directory),
            "PROBE_PORT": str(free_port()),
            "DATA_DIR": str(self.folder),
            "INSTANCE": INSTANCE,
            **more,
        }

    @asynccontextmanager
    async def process(self, *arguments: str, **more: str) -> AsyncIterator[asyncio.subprocess.Process]:
        """`python -m services.audit` in a process of its own, ended at the end."""
        with (self.folder / "audit.log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "services.audit", *arguments,
                env=self.environment(**more), stdout=log, stderr=log,
            )  # fmt: skip
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            await asyncio.wait_for(process.wait(), 60)


@asynccontextmanager
async def _producer(bootstrap: str) -> AsyncIterator[Any]:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


def _json(text: dict[str, str]) -> str:
    return json.dumps(text)


def whats(report: Report) -> list[tuple[int, int, str]]:
    """(first, last, what) of every finding."""
    return [(one.first, one.last, one.what) for one in report.findings]
