"""What a service's own topics hold at their ends: how far its events go, and where the keys end."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import UUID

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

from shared.errors import Misconfigured
from shared.runtime.kafka.clients import Broker
from shared.runtime.publishing.relay import BATCH
from shared.runtime.recovery.own import Spot, own
from shared.topics import KEYS, SHARDS, topic_of

TAIL = BATCH + 50
"""Records read back from a partition's end to find the last event that is ours; ten times as many each time that there
was none. More than one batch: a stopped leader that wakes up late may have sent its last one once more, behind events
that are further on.
"""
FAR = 10 * TAIL
"""So many at least are looked through where a further event may lie before what was found, for before an event lie at
least all events before it. Not all: whoever once puts a million records there would keep the service from starting.
"""

NOWHERE: Mapping[int, int] = MappingProxyType({})


ALL: Collection[int] = range(SHARDS)


@dataclass(frozen=True)
class Without:
    """What is left out of what a topic holds: places that an operator has disowned, and copies of events that the store
    holds (id → position), under other sequences than these have.
    """

    spots: Collection[Spot] = ()
    positions: Mapping[UUID, int] = field(default_factory=dict)


EVERYTHING = Without()


class Claimed(NamedTuple):
    """A record that says to be an event of ours: by its form it is."""

    sequence: int
    event_id: UUID


async def last_sequences(
    broker: Broker, service: str, upto: Mapping[int, int] = NOWHERE, shards: Collection[int] = ALL
) -> dict[int, int]:
    """Shard → sequence of the last event of `service` on its topic (0: none), before the offset of `upto` where it
    names one. Raises KafkaError, TimeoutError.
    """
    return {shard: highest(some) for shard, some in (await last_claims(broker, service, upto, shards)).items()}


def highest(claims: Sequence[Claimed]) -> int:
    """The highest sequence that is claimed, 0 if none is."""
    return max((one.sequence for one in claims), default=0)


async def last_claims(
    broker: Broker, service: str, upto: Mapping[int, int] = NOWHERE, shards: Collection[int] = ALL,
    without: Without = EVERYTHING,
) -> dict[int, list[Claimed]]:  # fmt: skip
    """Shard → what is claimed near its end, where `last_sequences` looks, by all but what is left out."""
    partitions = [TopicPartition(topic_of(service), shard) for shard in shards]
    async with broker.reader(f"{service}-guard") as consumer:
        consumer.assign(partitions)
        starts, ends = await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
        upper = {tp: min(end, upto.get(tp.partition, end)) for tp, end in ends.items()}
        far = {tp: max(starts[tp], end - FAR) for tp, end in upper.items()}
        last, back = dict[int, list[Claimed]]((shard, []) for shard in shards), TAIL

        def may_be_further(tp: TopicPartition, end: int) -> bool:
            found = highest(last[tp.partition])
            stop: int = max(far[tp], found) if found else starts[tp]
            return end > stop

        while upper := {tp: end for tp, end in upper.items() if may_be_further(tp, end)}:
            lower = {tp: max(starts[tp], end - back) for tp, end in upper.items()}
            claimed = partial(_claim, service=service, without=without)
            for tp, claims in (await _between(consumer, claimed, lower, upper)).items():
                last[tp.partition] += claims
            upper, back = lower, back * 10
    return last


async def _between(
    consumer: AIOKafkaConsumer, claimed: Callable[[Any], Claimed | None],
    lower: Mapping[TopicPartition, int], upper: Mapping[TopicPartition, int],
) -> dict[TopicPartition, list[Claimed]]:  # fmt: skip
    """What is claimed at these offsets of each partition."""
    for tp, offset in lower.items():
        consumer.seek(tp, offset)
    claims = dict[TopicPartition, list[Claimed]]((tp, []) for tp in lower)
    waiting = set(lower)
    while waiting:
        got = await consumer.getmany(*waiting, timeout_ms=1000)
        for tp, messages in got.items():
            found = (claimed(message) for message in messages if message.offset < upper[tp])
            claims[tp] += [one for one in found if one is not None]
        waiting = {tp for tp in waiting if await consumer.position(tp) < upper[tp]}
    return claims


async def key_ends(broker: Broker, service: str, shards: Collection[int] = ALL) -> dict[int, int]:
    """Partition of the keys topic → the offset at which it ends. Raises KafkaError."""
    async with broker.reader(f"{service}-guard") as reader:
        ends = await reader.end_offsets([TopicPartition(KEYS.name, shard) for shard in shards])
    return {tp.partition: end for tp, end in ends.items()}


async def fit(broker: Broker, topics: Sequence[str]) -> None:
    """Shard = partition: a topic with another partition count would tear the order of every dossier apart. Raises
    Misconfigured for one, or for a topic that is not there.
    """
    for topic, partitions in (await broker.partitions(topics)).items():
        if partitions == 0:
            raise Misconfigured(f"there is no topic {topic}: run the provisioning step first")
        if partitions != SHARDS:
            raise Misconfigured(f"topic {topic} has {partitions} partitions, the store has {SHARDS} shards")


def _claim(message: Any, service: str, without: Without) -> Claimed | None:
    ours = own(message.headers, service, message.partition)
    if ours is None or Spot(message.partition, message.offset) in without.spots:
        return None
    claim = Claimed(ours[0].sequence, ours[0].id)
    return claim if without.positions.get(claim.event_id, claim.sequence) == claim.sequence else None
