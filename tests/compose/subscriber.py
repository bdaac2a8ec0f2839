"""A downstream system outside of the containers: reads every public topic from its beginning to where it ends now."""

from aiokafka.structs import TopicPartition

from shared.runtime.kafka.clients import Broker
from shared.services import SERVICES
from shared.topics import SHARDS, topic_of


async def events_heard(broker: Broker) -> int:
    """How many events there are. Raises KafkaError if the broker does not let us in or cannot be reached."""
    partitions = [TopicPartition(topic_of(service), shard) for service in SERVICES for shard in range(SHARDS)]
    async with broker.reader("subscriber") as reader:
        reader.assign(partitions)
        await reader.seek_to_beginning(*partitions)
        ends, heard = await reader.end_offsets(partitions), 0
        while left := [tp for tp in partitions if await reader.position(tp) < ends[tp]]:
            got = await reader.getmany(*left, timeout_ms=1000)
            heard += sum(message.offset < ends[tp] for tp, messages in got.items() for message in messages)
    return heard
