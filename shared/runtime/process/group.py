"""A service's consumer group as the broker tells it: which partitions nobody owns, and how far each is behind.

Asked of the broker and of the database, never of the consumer in this process: one that was given no partition lags
behind nothing in its own eyes, and what another replica owns and handles is not behind because this one does not.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import asyncpg
import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.client import CoordinationType
from aiokafka.coordinator.protocol import ConsumerProtocol
from aiokafka.errors import KafkaError, for_code
from aiokafka.protocol.admin import DescribeGroupsRequest
from aiokafka.structs import TopicPartition

from shared.runtime.kafka.clients import Broker
from shared.runtime.observe.metrics import Metrics
from shared.runtime.store import sql
from shared.runtime.store.lost import LOST_CONNECTION
from shared.topics import SHARDS, TOPICS

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 5.0


@dataclass
class Group:
    """Looks every few seconds. `unowned` are the partitions of heard topics that no member of the group owned when the
    broker last answered; none while it does not answer, for then nobody can say.
    """

    service: str
    topics: Sequence[str]
    pool: "asyncpg.Pool[asyncpg.Record]"
    broker: Broker
    metrics: Metrics
    unowned: frozenset[TopicPartition] = frozenset()

    @property
    def partitions(self) -> list[TopicPartition]:
        """Every partition that the service hears, by whichever of its processes."""
        return [TopicPartition(topic, shard) for topic in self.topics for shard in range(SHARDS)]

    async def run(self) -> None:
        """Look until cancelled; a lost broker or database leaves how far it was behind."""
        while True:
            try:
                async with self.broker.reader(f"{self.service}-group") as reader:
                    reader.assign(self.partitions)
                    reader.pause(*self.partitions)  # only their ends are asked for
                    while True:
                        await self.look(reader)
                        await asyncio.sleep(LOOK_EVERY_S)
            except (KafkaError, OSError) as lost:
                self._note(frozenset())
                log.info("group-unknown", why=type(lost).__name__)
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self, reader: AIOKafkaConsumer) -> None:
        """Ask once, over `reader`'s connections. Raises KafkaError."""
        self._note(frozenset(self.partitions) - await owned(reader, self.service))
        with suppress(TimeoutError, *LOST_CONNECTION):
            for topic, records in (await self.lag(reader)).items():
                self.metrics.lag.labels(topic).set(records)

    def _note(self, unowned: frozenset[TopicPartition]) -> None:
        self.unowned = unowned
        for topic, count in _by_topic(self.topics, dict.fromkeys(unowned, 1)).items():
            self.metrics.unowned.labels(topic).set(count)

    async def lag(self, reader: AIOKafkaConsumer) -> Mapping[str, int]:
        """Topic → records between where the database stands and the topic's end, those that a stopped shard lets go by
        among them. Raises KafkaError and what a lost database raises.
        """
        heard = await sql.heard(self.pool)
        ends = await reader.end_offsets(self.partitions)
        behind = {
            tp: max(0, end - stands.next_offset)
            for tp, end in ends.items()
            if (stands := heard.get((TOPICS[tp.topic].writer, tp.partition))) is not None
        }
        return _by_topic(self.topics, behind)


async def owned(reader: AIOKafkaConsumer, group: str) -> frozenset[TopicPartition]:
    """The partitions that members of this group own; none while it has no members, or is being joined. Raises
    KafkaError.
    """
    client = reader._client
    coordinator = await client.coordinator_lookup(CoordinationType.GROUP, group)
    answer = await client.send(coordinator, DescribeGroupsRequest([group]))
    code, *_, members = answer.groups[0][:6]
    if code:
        raise for_code(code)(group)
    return frozenset(tp for member in members for tp in _assigned(member[4]))


def _assigned(assignment: bytes) -> Iterable[TopicPartition]:
    partitions: list[TopicPartition] = ConsumerProtocol.ASSIGNMENT.decode(assignment).partitions() if assignment else []
    return partitions


def _by_topic(topics: Sequence[str], counts: Mapping[Any, int]) -> dict[str, int]:
    sums = dict.fromkeys(topics, 0)
    for tp, count in counts.items():
        sums[tp.topic] += count
    return sums
