"""Every topic: its one writer, who hears it, and how the broker keeps it; drawn from the table of services."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from shared.services import SERVICES, Keys, hearers, holders

SHARDS = 12
"""Partitions of every topic and shards of every event store; fixed when a deployment is created."""

_KEPT = MappingProxyType({"retention.ms": "-1", "compression.type": "uncompressed"})
"""For ever; and unpacked by the broker, whoever sends it: our readers have no codec but gzip, and what unpacks to more
than a record may have is refused where it comes in.
"""


@dataclass(frozen=True, slots=True)
class Topic:
    """One Kafka topic. `config` holds broker settings; `public` topics are promised to subscribers."""

    name: str
    writer: str
    readers: tuple[str, ...]
    public: bool = True
    partitions: int = SHARDS
    config: Mapping[str, str] = field(default_factory=lambda: _KEPT)


def topic_of(service: str) -> str:
    """The one topic that `service` writes its events to."""
    return f"gov.dossier.{service}.v1"


(_KEY_MAKER,) = holders(Keys.MAKES)

KEYS = Topic(
    "gov.dossier.keys.v1",
    _KEY_MAKER,
    holders(Keys.READS),
    public=False,
    config=MappingProxyType({**_KEPT, "cleanup.policy": "compact", "delete.retention.ms": str(100 * 365 * 86_400_000)}),
)
"""Wrapped data keys, one per dossier; a null value means destroyed. Never heard by audit or by subscribers.

The nulls stay for a hundred years, not Kafka's one day: a database restored from before a destruction, or a service
that hears the topic for the first time, must hear of it. (The longest time there is would overflow in the broker.)
"""

TOPICS: Mapping[str, Topic] = MappingProxyType(
    {topic.name: topic for topic in (*(Topic(topic_of(name), name, hearers(name)) for name in SERVICES), KEYS)}
)


def heard_by(service: str) -> tuple[Topic, ...]:
    """The event topics that `service` hears, in the order of this page."""
    return tuple(topic for topic in TOPICS.values() if service in topic.readers and topic.public)
