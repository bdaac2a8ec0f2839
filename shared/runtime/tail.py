"""How far a service's own topics reach. A log only grows: one that is found shorter than it was has lost its tail.

A producer reconnects without a word to a broker that came back with less, and its next batch would stand behind a hole.
The broker refuses that batch only while it still knows an earlier one of the same producer.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import RecordMetadata, TopicPartition

from shared.errors import Unavailable


@dataclass
class Tail:
    """Offsets at which `partitions` were last seen to end, by the broker's word and by its acknowledgements."""

    partitions: Sequence[TopicPartition]
    ends: dict[TopicPartition, int] = field(default_factory=dict)

    async def begin(self, reader: AIOKafkaConsumer) -> None:
        """Take the ends as they are now. Raises KafkaError."""
        self.ends = await reader.end_offsets(self.partitions)

    async def look(self, reader: AIOKafkaConsumer) -> None:
        """Ask again; before a batch is sent. Raises Unavailable if a topic has become shorter, KafkaError."""
        before = self.ends
        await self.begin(reader)
        if shorter := {tp: end for tp, end in self.ends.items() if end < before.get(tp, 0)}:
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


def lost_tail(shorter: dict[TopicPartition, int]) -> Unavailable:
    """What to raise about partitions that end, or were written on, earlier than they ended before."""
    told = ", ".join(f"{tp.topic}/{tp.partition} at {offset}" for tp, offset in sorted(shorter.items()))
    return Unavailable(f"a topic has become shorter, compared again: {told}")
