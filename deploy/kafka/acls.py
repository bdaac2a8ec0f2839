"""Who may do what on a secured cluster: one table, drawn from `shared/topics.py`. What does not stand here is refused.

READ and WRITE include DESCRIBE, and whoever may write anywhere may do it idempotently (Kafka 2.8 and later), so neither
has rows of its own. `admin` has none either: the brokers are told that it may do everything (`super.users`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum

from shared.services import SERVICES
from shared.topics import KEYS, TOPICS, heard_by, topic_of

ADMIN = "admin"
WATCHER = "watcher"
SUBSCRIBERS = ("subscriber", WATCHER)
"""Principals of downstream systems, which may read the public topics; the watcher is one of them, and may ask the
brokers besides how full their disks are.
"""
CLUSTER = "kafka-cluster"
"""Kafka's own name for itself as a resource."""


class Resource(IntEnum):
    """Kafka's own numbers (ResourceType)."""

    TOPIC = 2
    GROUP = 3
    CLUSTER = 4


class Operation(IntEnum):
    """Kafka's own numbers (AclOperation)."""

    READ = 3
    WRITE = 4
    DESCRIBE = 8


@dataclass(frozen=True, slots=True, order=True)
class Acl:
    """One permission: `principal` may do `operation` to the resource of that name, or, `prefixed`, to all whose names
    begin so.
    """

    principal: str
    resource: Resource
    name: str
    operation: Operation
    prefixed: bool = False


def table(subscribers: Sequence[str] = SUBSCRIBERS) -> frozenset[Acl]:
    """Every permission that there is, with these principals of downstream systems."""
    rows = [row for service in SERVICES for row in _service(service)]
    return frozenset([*rows, *(row for name in subscribers for row in _subscriber(name))])


def _service(name: str) -> Iterable[Acl]:
    """Its own topic it reads too: to compare its store with it, and to see whether it has become shorter."""
    own = [topic_of(name), *([KEYS.name] if KEYS.writer == name else [])]
    heard = [topic.name for topic in heard_by(name)] + ([KEYS.name] if name in KEYS.readers else [])
    yield from (Acl(name, Resource.TOPIC, topic, Operation.WRITE) for topic in own)
    yield from (Acl(name, Resource.TOPIC, topic, Operation.READ) for topic in {*own, *heard})
    yield Acl(name, Resource.GROUP, name, Operation.READ)


def _subscriber(name: str) -> Iterable[Acl]:
    if name == WATCHER:
        yield Acl(name, Resource.CLUSTER, CLUSTER, Operation.DESCRIBE)
    public = (topic.name for topic in TOPICS.values() if topic.public)
    yield from (Acl(name, Resource.TOPIC, topic, Operation.READ) for topic in public)
    yield Acl(name, Resource.GROUP, f"{name}.", Operation.READ, prefixed=True)
