"""Asking a secured Kafka as any principal: what may it do, and does the cluster let it in at all?"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    KafkaError,
    NotLeaderForPartitionError,
    TopicAuthorizationFailedError,
    for_code,
)
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.produce import ProduceRequest

from deploy.kafka.acls import ADMIN, SUBSCRIBERS
from shared.runtime.kafka.clients import Broker
from shared.services import SERVICES
from shared.topics import TOPICS, Topic
from tests.raw import batch, record

SUBSCRIBER = SUBSCRIBERS[0]
PRINCIPALS = (*SERVICES, SUBSCRIBER, ADMIN)
GROUPS = (*SERVICES, "subscriber.reports", "subscribers")

_UNREADABLE = bytearray(batch(record(b"key", b"value")))
_UNREADABLE[-1] ^= 1
"""What a broker refuses for its checksum, but only from somebody who may write at all: so nothing is left behind."""


def may(who: str) -> dict[str, dict[str, bool]]:
    """What a principal may do with each topic, by the platform's page of topics."""
    return {
        topic.name: {"writes": who in (topic.writer, ADMIN), "reads": _may_read(who, topic)}
        for topic in TOPICS.values()
    }


def _may_read(who: str, topic: Topic) -> bool:
    return who in (topic.writer, *topic.readers) or who == ADMIN or (who == SUBSCRIBER and topic.public)


async def does(asking: AIOKafkaClient) -> dict[str, dict[str, bool]]:
    """What the cluster lets it do with each topic."""
    return {topic: {"writes": await writes(asking, topic), "reads": await reads(asking, topic)} for topic in TOPICS}


@asynccontextmanager
async def client(broker: Broker) -> AsyncIterator[AIOKafkaClient]:
    """A client of its own, that asks what it is told to ask. Raises KafkaError if it is not let in."""
    asking = AIOKafkaClient(**broker.connection, request_timeout_ms=10_000)
    try:
        await asking.bootstrap()
        yield asking
    finally:
        await asking.close()


async def writes(asking: AIOKafkaClient, topic: str) -> bool:
    """Whether it may write to the topic."""
    answer = await _ask(asking, ProduceRequest(None, -1, 10_000, [(topic, [(0, bytes(_UNREADABLE))])]))
    ((_, ((_, code, *_),)),) = answer.topics
    return _allowed(code, expected=2)


async def reads(asking: AIOKafkaClient, topic: str) -> bool:
    """Whether it may read from the topic."""
    answer = await _ask(asking, FetchRequest(0, 0, 1_000_000, 0, [(topic, [(0, 0, 1_000)])]))
    ((_, ((_, code, *_),)),) = answer.topics
    return _allowed(code, expected=0)


def _allowed(code: int, expected: int) -> bool:
    """A broker looks whether it leads the partition only for who may ask."""
    allowed = (expected, NotLeaderForPartitionError.errno)
    if code not in (*allowed, TopicAuthorizationFailedError.errno):
        raise for_code(code)
    return code in allowed


async def joins(asking: AIOKafkaClient, group: str) -> bool:
    """Whether it may do anything in the group."""
    try:
        await asking.coordinator_lookup(CoordinationType.GROUP, group)
    except GroupAuthorizationFailedError:
        return False
    return True


async def _ask(asking: AIOKafkaClient, request: Any) -> Any:
    return await asking.send(asking.get_random_node(), request)


async def entrance(broker: Broker) -> type[KafkaError] | None:
    """None if the cluster lets it in; otherwise with what error it does not."""
    try:
        await broker.ask("stranger")
    except (KafkaError, OSError) as refused:
        return type(refused)
    return None
