"""What is said of synthetic dossiers, heard from the public topics as any subscriber hears them."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
import structlog
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from deploy.demo.watch import class_name
from shared.runtime.kafka.clients import Broker
from shared.topics import TOPICS

log = structlog.get_logger(__name__)

KEPT = 50_000
"""Records of all dossiers that are kept while a filing has no answer yet, and so no id to look for."""
AGAIN_S = 1.0


@dataclass
class Ear:
    """Hears all public topics from where they end at the start, and keeps what is said of the dossiers that it is told
    of: event names, with the kind of a notice behind them (`NoticeSent submission`).
    """

    broker: Broker
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    _said: dict[str, set[str]] = field(default_factory=dict)
    _recent: "deque[tuple[str, str]]" = field(default_factory=lambda: deque(maxlen=KEPT))
    _filings: int = 0
    _places: dict[TopicPartition, int] = field(default_factory=dict)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    @asynccontextmanager
    async def filing(self) -> "AsyncIterator[Callable[[str], None]]":
        """While a dossier is being filed nothing is forgotten, for it may be spoken of before its id is known here;
        what this gives is to be told the id.
        """
        self._filings += 1
        try:
            yield self._follow
        finally:
            self._filings -= 1
            if not self._filings:
                self._recent.clear()

    def _follow(self, dossier: str) -> None:
        self._said[dossier] = {word for about, word in self._recent if about == dossier}

    def forget(self, dossier: str) -> None:
        """Nothing more is kept of this dossier."""
        self._said.pop(dossier, None)

    async def until(self, dossier: str, holds: "Callable[[set[str]], bool]") -> None:
        """Return once `holds` is true of what was said of the dossier; what it raises passes through."""
        async with self._changed:
            await self._changed.wait_for(lambda: holds(self._said[dossier]))

    async def run(self) -> None:
        """Hear until cancelled; a lost broker is waited for, and heard on from where it was heard to."""
        while True:
            try:
                async with self.broker.reader("watcher") as consumer:
                    await self._begin(consumer)
                    while True:
                        await self._round(consumer)
            except (KafkaError, OSError) as lost:
                log.warning("watcher-interrupted", why=type(lost).__name__)
                await asyncio.sleep(AGAIN_S)

    async def _begin(self, consumer: Any) -> None:
        partitions = list(_partitions())
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        for partition in partitions:
            self._places.setdefault(partition, ends[partition])
            consumer.seek(partition, self._places[partition])
        self.ready.set()

    async def _round(self, consumer: Any) -> None:
        got = await consumer.getmany(timeout_ms=500, max_records=5000)
        for partition, records in got.items():
            for record in records:
                self._take(record)
            self._places[partition] = records[-1].offset + 1
        if got:
            async with self._changed:
                self._changed.notify_all()

    def _take(self, record: Any) -> None:
        dossier = (record.key or b"").decode(errors="replace")
        followed = self._said.get(dossier)
        if followed is None and not self._filings:
            return
        word = _word(record)
        if followed is not None:
            followed.add(word)
        else:
            self._recent.append((dossier, word))


def _partitions() -> Iterator[TopicPartition]:
    for topic in TOPICS.values():
        if topic.public:
            yield from (TopicPartition(topic.name, partition) for partition in range(topic.partitions))


def _word(record: Any) -> str:
    """The event's name; empty for what is none of ours, which is no business of the watcher's."""
    headers = dict(record.headers or ())
    try:
        name = class_name(headers["ce_type"].decode())
        notice = orjson.loads(record.value).get("notice") if name.startswith("Notice") else None
    except (KeyError, IndexError, ValueError, AttributeError, TypeError):
        return ""
    return f"{name} {notice}" if notice else name
