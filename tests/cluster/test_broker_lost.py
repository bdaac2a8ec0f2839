"""One broker of three dies under load: nothing is lost, and only what cannot be published without it waits for it."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiokafka.admin import NewTopic

from deploy.kafka.topics import administrator, delete_topics
from deploy.local.ground import Ground
from deploy.waiting import until
from shared.runtime.kafka.clients import Broker
from shared.runtime.kafka.consumer import KafkaConsumer
from shared.runtime.kernel.message import Record
from shared.runtime.observe.metrics import Metrics
from shared.runtime.publishing.relay import Relay
from shared.runtime.recovery.guard import RestoreGuard
from shared.topics import KEYS, SHARDS, TOPICS, topic_of
from tests.cluster.brokers import Cluster
from tests.integration.runtime.stage import Stage, command
from tests.integration.runtime.test_relay import complete, ends, on_topic, published, with_key
from tests.integration.runtime.toy import NAME, name
from tests.integration.runtime.wire import first_seen, running, sequences

TOPIC = topic_of(NAME)
LOST = 3
"""The broker that dies."""

STUCK = 3
"""The shard that cannot be published without it."""

WITHOUT_LEADER = {**{shard: [1 + shard % 2] for shard in range(SHARDS)}, STUCK: [LOST]}
BELOW_MIN_ISR = {**{shard: [1 + shard % 2, 2 - shard % 2] for shard in range(SHARDS)}, STUCK: [1, LOST]}
WAITS_S = 60.0


async def _make_topics(ground: Ground, assigned: Mapping[int, Sequence[int]]) -> None:
    """The toy's topic and that of data keys, anew, each partition on these brokers, of which two must acknowledge where
    there are two.
    """
    async with administrator(ground.bootstrap_servers) as admin:
        await delete_topics(ground.bootstrap_servers, [TOPICS[TOPIC], KEYS])
        config = {"min.insync.replicas": str(min(2, *map(len, assigned.values())))}
        new = [
            NewTopic(topic.name, -1, -1, dict(assigned), {**topic.config, **config}) for topic in (TOPICS[TOPIC], KEYS)
        ]
        response = await admin.create_topics(new)
        assert not any(code for _, code, *_ in response.topic_errors), response

        async def all_led() -> bool:
            described = await admin.describe_topics([TOPIC, KEYS.name])
            return all(one["leader"] != -1 for topic in described for one in topic["partitions"])

        await until(all_led, seconds=30, what="a leader for every partition")


def _relay(ground: Ground, stage: Stage) -> Relay:
    broker = Broker(ground.bootstrap_servers)
    guard = RestoreGuard(NAME, stage.pool, broker, makes_keys=True)
    return Relay(NAME, stage.pool, broker, Metrics(NAME), owns_keys=True, compare=guard.again)


async def _say(stage: Stage, relay: Relay, text: str, count: int = 60) -> None:
    """So many events over all shards, half of them of dossiers with a key of their own."""
    engine = stage.engine()
    await engine.handle([command(name("dossier", n), f"{text} {n}") for n in range(count // 2)])
    await engine.handle([with_key(name(text, n), f"{text} key {n}") for n in range(count // 2)])
    relay.wake()


async def _level(stage: Stage, but: int | None = None) -> None:
    """Wait until everything is published, except of that shard."""

    async def is_level() -> bool:
        done, all_of_it = await published(stage), await ends(stage)
        return all(done[shard] == all_of_it[shard] for shard in range(SHARDS) if shard != but)

    await until(is_level, seconds=WAITS_S, what="everything to be published", every=0.02)


CASES = [
    pytest.param(WITHOUT_LEADER, False, id="it has no leader, from one batch to the next"),
    pytest.param(WITHOUT_LEADER, True, id="it has no leader, at a moment without work"),
    pytest.param(BELOW_MIN_ISR, False, id="too few brokers hold it"),
]


@pytest.mark.parametrize(("assigned", "idle"), CASES)
async def test_a_partition_that_cannot_be_written_holds_up_no_other(
    assigned: Mapping[int, Sequence[int]], idle: bool, ground: Ground, cluster: Cluster, stage: Stage
) -> None:
    await _make_topics(ground, assigned)
    relay = _relay(ground, stage)
    async with running(relay.run()):
        await _say(stage, relay, "before")
        await _level(stage)
        if not idle:
            await _say(stage, relay, "at that moment")
        await cluster.nodes[LOST].kill()
        try:
            for turn in range(3):
                await _say(stage, relay, f"without it {turn}")
                await _level(stage, but=STUCK)
            assert (await published(stage))[STUCK] < (await ends(stage))[STUCK]
            assert len(relay.leading) == SHARDS, "it has kept its lease"
        finally:
            await cluster.nodes[LOST].start()
        await _level(stage)
    lying = await on_topic(ground)
    assert {shard: first_seen(numbers) for shard, numbers in lying.items()} == complete(await ends(stage))
    assert await stage.count("data_keys", "NOT published") == 0


@asynccontextmanager
async def _hearing(ground: Ground, folder: Path) -> AsyncIterator[list[Record]]:
    heard: list[Record] = []

    async def handle(records: Sequence[Record]) -> None:
        heard.extend(records)

    async def from_the_beginning() -> Mapping[tuple[str, int], int]:
        return {(TOPIC, shard): 0 for shard in range(SHARDS)}

    broker = Broker(ground.bootstrap_servers)
    consumer = KafkaConsumer("test-cluster", broker, [TOPIC], handle, from_the_beginning, folder)
    await consumer.start()
    try:
        yield heard
    finally:
        await consumer.stop()


async def test_a_broker_that_dies_under_a_relay_and_a_listener_loses_nothing(
    ground: Ground, cluster: Cluster, stage: Stage, tmp_path: Path
) -> None:
    await _make_topics(ground, {shard: [1 + (shard + n) % 3 for n in range(3)] for shard in range(SHARDS)})
    relay = _relay(ground, stage)
    async with running(relay.run()), _hearing(ground, tmp_path) as heard:
        await _say(stage, relay, "before")
        await _level(stage)
        await _say(stage, relay, "at that moment")
        await cluster.nodes[LOST].kill()
        try:
            for turn in range(3):
                await _say(stage, relay, f"without it {turn}")
            await _level(stage)
        finally:
            await cluster.nodes[LOST].start()
        await _say(stage, relay, "after")
        await _level(stage)

        async def all_heard() -> bool:
            return _by_shard(heard) == complete(await ends(stage))

        await until(all_heard, seconds=WAITS_S, what="everything to be heard")


def _by_shard(heard: Sequence[Record]) -> dict[int, list[int]]:
    lying: dict[int, list[Any]] = {shard: [] for shard in range(SHARDS)}
    for one in heard:
        lying[one.partition].append(one)
    return {shard: first_seen(sequences(records)) for shard, records in lying.items()}
