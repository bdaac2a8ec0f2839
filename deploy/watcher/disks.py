"""How full the brokers' disks are: asked of each broker now and then, for none of them tells of another's."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from aiokafka.errors import KafkaError, for_code

from deploy.kafka.requests import DESCRIBE_LOG_DIRS, ask
from deploy.kafka.topics import administrator
from deploy.watcher.metrics import Metrics
from shared.runtime.kafka.clients import Broker
from shared.topics import TOPICS

log = structlog.get_logger(__name__)

EVERY_S = 60.0


@dataclass
class Disks:
    """Refreshes the gauges of Kafka's disks."""

    broker: Broker
    metrics: Metrics
    nodes: set[tuple[str, int]] = field(default_factory=set)
    """Where brokers were met, host and port."""

    async def run(self) -> None:
        """Ask until cancelled; who does not answer leaves the last values."""
        while True:
            try:
                await self.refresh()
            except (KafkaError, OSError, TimeoutError) as lost:
                log.info("disks-not-told", why=type(lost).__name__)
            await asyncio.sleep(EVERY_S)

    async def refresh(self) -> None:
        """Ask every broker once. Raises KafkaError, OSError, TimeoutError."""
        async with administrator(self.broker.bootstrap, login=self.broker.login) as admin:
            brokers = (await admin.describe_cluster())["brokers"]
            told = [await ask(admin, DESCRIBE_LOG_DIRS, None, {}, node=one["node_id"]) for one in brokers]
        for code in [answer.error_code for answer in told] + [folder[0] for folder in _folders(told)]:
            if code:
                raise for_code(code)("disks")
        self._show(_folders(told))
        self.nodes.update((one["host"], one["port"]) for one in brokers)
        self.metrics.disks_seen.set_to_current_time()

    def _show(self, folders: Sequence[Any]) -> None:
        sizes: Counter[str] = Counter()
        for _, _, topics, *_ in folders:
            for name, partitions, _ in topics:
                sizes[name] += sum(size for _, size, *_ in partitions)
        for name in TOPICS:
            self.metrics.topic_bytes.labels(name).set(sizes[name])
        # A broker that cannot tell says -1.
        usable = [free for *_, free, _ in folders if free >= 0]
        if usable:
            self.metrics.kafka_usable.set(min(usable))


def _folders(told: Sequence[Any]) -> Sequence[Any]:
    return [folder for answer in told for folder in answer.results]
