"""How far a service's own topics reach. A log only grows: one that is found shorter than it was has lost its tail.

A producer reconnects without a word to a broker that came back with less, and its next batch would stand behind a hole.
The broker refuses that batch only while it still knows an earlier one of the same producer.
"""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import RecordMetadata, TopicPartition

from shared.errors import Unavailable

LOOK_S = 5.0
"""Half of a relay's lease: nobody waits longer for the ends of partitions that have lost their leader."""


@dataclass
class Tail:
    """Offsets at which partitions were last seen to end, by the broker's word and by its acknowledgements."""

    ends: dict[TopicPartition, int] = field(default_factory=dict)

    async def begin(self, reader: AIOKafkaConsumer, partitions: Collection[TopicPartition]) -> None:
        """Take the ends of these as they are now, and know of no others. Raises KafkaError, Unavailable."""
        self.ends = await _ends(reader, partitions)

    async def look(self, reader: AIOKafkaConsumer, partitions: Collection[TopicPartition]) -> None:
        """Ask again, before a batch is sent there; not while one is on its way, which may lie there already. Raises
        Unavailable if a topic has become shorter or its end is not told, KafkaError.
        """
        now = await _ends(reader, partitions)
        shorter = {tp: end for tp, end in now.items() if end < self.ends.get(tp, 0)}
        self.ends.update(now)
        if shorter:
            raise lost_tail(shorter)

    def acknowledged(self, sent: Sequence[RecordMetadata]) -> dict[TopicPartition, int]:
        """Note Kafka's word for a batch. Returns, by partition, where it began, if other records were there before:
        these are lost, and the batch stands behind the hole.
        """
        first: dict[TopicPartition, int] = {}
        after = dict(self.ends)
        for one in sent:
            # -1: a repetition that the broker knows to have, but no longer where.
            if one.offset >= 0:
                first.setdefault(one.topic_partition, one.offset)
                after[one.topic_partition] = one.offset + 1
        shorter = {tp: offset for tp, offset in first.items() if offset < self.ends.get(tp, 0)}
        self.ends = after
        return shorter


async def _ends(reader: AIOKafkaConsumer, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
    try:
        async with asyncio.timeout(LOOK_S):
            return dict(await reader.end_offsets(partitions)) if partitions else {}
    except TimeoutError as late:
        raise Unavailable("Kafka does not tell where a topic ends") from late


def lost_tail(shorter: dict[TopicPartition, int]) -> Unavailable:
    """What to raise about partitions that end, or were written on, earlier than they ended before."""
    told = ", ".join(f"{tp.topic}/{tp.partition} at {offset}" for tp, offset in sorted(shorter.items()))
    return Unavailable(f"a topic has become shorter, compared again: {told}")
