"""Which shard a dossier belongs to: Kafka's default partitioner (murmur2) over the key, so that shard = partition."""

from functools import lru_cache
from uuid import UUID

from aiokafka.partitioner import murmur2

from shared.topics import SHARDS


@lru_cache(maxsize=65536)
def shard_of(dossier_id: UUID) -> int:
    """Shard (0 to SHARDS-1) of a dossier; equals the partition any Kafka client would pick for the key."""
    return int((murmur2(str(dossier_id).encode()) & 0x7FFFFFFF) % SHARDS)
