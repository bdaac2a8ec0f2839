"""Creates the topics of `shared/topics.py`, once; refuses a topic whose partitions are not the shards."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import NodeNotReadyError, for_code

from deploy.waiting import until
from shared.errors import Misconfigured
from shared.runtime.kafka.clients import Broker, Login
from shared.topics import TOPICS, Topic

_TOPIC_ALREADY_EXISTS = 36
_UNKNOWN_TOPIC = 3
_NO_LEADER = -1
_SET_ON_THE_TOPIC = 1
_ASK_AGAIN_S = 0.1
_SAFE = 3
"""Copies from which on a record is acknowledged by two brokers, so that one may be lost (min ISR 2)."""


async def ensure_topics(
    bootstrap_servers: str,
    topics: Iterable[Topic] = TOPICS.values(),
    replication_factor: int = 1,
    login: Login | None = None,
) -> tuple[str, ...]:
    """Creates what is missing of `topics`, brings settings up to date, and returns the names created.

    What an operator has set on a topic besides stays. Returns when every partition has a leader. Raises Misconfigured,
    before changing anything, if a topic exists with another number of partitions: the shard of a dossier would change.
    """
    wanted = {topic.name: _safe(topic, replication_factor) for topic in topics}
    async with administrator(bootstrap_servers, login=login) as admin:
        present = await _partitions(admin)
        _refuse_other_partition_counts(wanted.values(), present)
        missing = [topic for name, topic in wanted.items() if name not in present]
        await _create(admin, missing, replication_factor)
        await _configure(admin, [topic for name, topic in wanted.items() if name in present])
        await until(lambda: _all_led(admin, wanted), seconds=30, what="a leader for every partition")
    return tuple(topic.name for topic in missing)


async def delete_topics(bootstrap_servers: str, topics: Iterable[Topic] = TOPICS.values()) -> None:
    """Deletes `topics` with all their records and returns when they are gone. For tests that want empty topics."""
    names = {topic.name for topic in topics}
    async with administrator(bootstrap_servers) as admin:
        response = await admin.delete_topics(sorted(names & set(await _partitions(admin))))
        for name, code in response.topic_error_codes:
            if code not in (0, _UNKNOWN_TOPIC):
                raise for_code(code)(f"topic {name} cannot be deleted")

        async def gone() -> bool:
            return not names & set(await _partitions(admin))

        await until(gone, seconds=30, what="the topics to be gone")


async def is_ready(bootstrap_servers: str, login: Login | None = None) -> bool:
    """True if the cluster answers and every partition of every topic has a leader. Raises KafkaError or OSError."""
    async with administrator(bootstrap_servers, timeout_ms=3000, login=login) as admin:
        cluster = await admin.describe_cluster()
        return bool(cluster["brokers"]) and await _all_led(admin, None)


@asynccontextmanager
async def administrator(
    bootstrap_servers: str, timeout_ms: int = 30_000, login: Login | None = None
) -> AsyncIterator[AIOKafkaAdminClient]:
    """A connected admin client that knows a broker, closed at the end. `timeout_ms` bounds one request."""
    admin = await _connected(Broker(bootstrap_servers, login), timeout_ms)
    try:
        yield admin
    finally:
        await admin.close()


async def _connected(broker: Broker, timeout_ms: int) -> AIOKafkaAdminClient:
    """An admin client that knows a broker.

    A broker that its controller has fenced (it stood still, say) answers, but names no broker until its next heartbeat:
    whoever asks then is told to ask "node None". Asked again, by a new client, until `timeout_ms` are over.
    """
    deadline = time.monotonic() + timeout_ms / 1000
    while True:
        admin = AIOKafkaAdminClient(**broker.connection, request_timeout_ms=timeout_ms)
        try:
            await admin.start()
            await admin.describe_cluster()
            return admin
        except NodeNotReadyError:
            await admin.close()
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(_ASK_AGAIN_S)
        except BaseException:
            await admin.close()
            raise


async def _partitions(admin: AIOKafkaAdminClient) -> Mapping[str, int]:
    described: list[dict[str, Any]] = await admin.describe_topics()
    return {topic["topic"]: len(topic["partitions"]) for topic in described}


def _refuse_other_partition_counts(topics: Iterable[Topic], present: Mapping[str, int]) -> None:
    wrong = [
        f"topic {topic.name} has {present[topic.name]} partitions, the shards need {topic.partitions}"
        for topic in topics
        if present.get(topic.name, topic.partitions) != topic.partitions
    ]
    if wrong:
        raise Misconfigured("; ".join(wrong) + ": use the cluster it was made for, or copy it to a new topic")


def _safe(topic: Topic, replication_factor: int) -> Topic:
    more = {"min.insync.replicas": "2"} if replication_factor >= _SAFE else {}
    return replace(topic, config={**topic.config, **more})


async def _create(admin: AIOKafkaAdminClient, topics: list[Topic], replication_factor: int) -> None:
    new = [NewTopic(t.name, t.partitions, replication_factor, topic_configs=dict(t.config)) for t in topics]
    response = await admin.create_topics(new, timeout_ms=20_000)
    for name, code, *message in response.topic_errors:
        if code not in (0, _TOPIC_ALREADY_EXISTS):
            raise for_code(code)(f"topic {name}: {message}")


async def _configure(admin: AIOKafkaAdminClient, topics: list[Topic]) -> None:
    present = await _overrides(admin, [topic.name for topic in topics])
    wanted = {topic.name: {**present[topic.name], **topic.config} for topic in topics}
    changed = [name for name, config in wanted.items() if config != present[name]]
    if not changed:
        return
    # Kafka takes what is sent for the whole: what is left out goes back to the broker's default.
    resources = [ConfigResource(ConfigResourceType.TOPIC, name, wanted[name]) for name in changed]
    for response in await admin.alter_configs(resources):
        for code, message, _, name in response.resources:
            if code:
                raise for_code(code)(f"topic {name}: {message}")


async def _overrides(admin: AIOKafkaAdminClient, names: Iterable[str]) -> Mapping[str, Mapping[str, str]]:
    """What is set on these topics themselves, by topic."""
    found: dict[str, dict[str, str]] = {}
    for response in await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in names]):
        for code, message, _, topic, entries in response.resources:
            if code:
                raise for_code(code)(f"topic {topic}: {message}")
            found[topic] = {name: value for name, value, _, source, *_ in entries if source == _SET_ON_THE_TOPIC}
    return found


async def _all_led(admin: AIOKafkaAdminClient, names: Iterable[str] | None) -> bool:
    described: list[dict[str, Any]] = await admin.describe_topics()
    led = {t["topic"] for t in described if all(p["leader"] != _NO_LEADER for p in t["partitions"])}
    return led >= set(names if names is not None else (t["topic"] for t in described))
