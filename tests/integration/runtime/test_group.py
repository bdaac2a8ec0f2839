"""What is behind and what nobody hears is told of every partition that a service should hear, whoever hears it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from aiokafka.errors import KafkaError

from deploy.local.ground import Ground
from deploy.postgres.provision import Databases
from shared.runtime.kafka.clients import Broker
from shared.runtime.kafka.consumer import KafkaConsumer
from shared.runtime.kernel.message import Record
from shared.runtime.observe.metrics import Metrics
from shared.runtime.process.group import Group, owned
from shared.runtime.process.probes import STUCK_S, Health
from shared.runtime.process.wiring import Runtime, wire
from shared.topics import SHARDS, heard_by
from tests.ground import empty_topics
from tests.integration.runtime.log import TOPIC, Log
from tests.integration.runtime.membership import led_the_group
from tests.integration.runtime.stage import NOWHERE, Stage
from tests.integration.runtime.test_health import status
from tests.integration.runtime.toy import NAME, dossiers
from tests.integration.runtime.whole import runtime, service, settings
from tests.integration.runtime.wire import put, running, soon

(ONE,) = dossiers(2, 1)
TOPICS = [topic.name for topic in heard_by(NAME)]
LONG_S = STUCK_S + 1
"""No test waits for it: a test says that so much time has passed."""


@pytest.fixture(autouse=True)
async def _topics_without_a_past(ground: Ground) -> None:
    await empty_topics(ground)


@pytest.fixture
def group(ground: Ground, stage: Stage) -> Group:
    """The toy's topics, in a group of our own."""
    broker = Broker(ground.bootstrap_servers)
    return Group(f"{NAME}-{uuid4()}", TOPICS, stage.pool, broker, Metrics(NAME))


def value(group: Group, name: str, topic: str = TOPIC) -> float | None:
    """What is exported."""
    return group.metrics.registry.get_sample_value(f"dossier_consumer_{name}", {"topic": topic})


async def look(group: Group) -> None:
    """Look once; a broker that has only just started has not made up its mind who coordinates."""

    async def told() -> bool:
        with suppress(KafkaError):
            await group.look(reader)
            return True
        return False

    async with group.broker.reader("test") as reader:
        reader.assign(group.partitions)
        reader.pause(*group.partitions)
        await soon(told, "the broker to tell")


async def _nothing(records: Sequence[Record]) -> None:
    """Handled."""


@asynccontextmanager
async def member(
    group: Group, folder: Path, topics: Sequence[str] = TOPICS,
    handle: Callable[[Sequence[Record]], Awaitable[None]] = _nothing,
) -> AsyncIterator[KafkaConsumer]:  # fmt: skip
    """One process of the service."""

    async def where_kafka_says() -> Mapping[tuple[str, int], int]:
        return {}

    consumer = KafkaConsumer(group.service, group.broker, topics, handle, where_kafka_says, folder / str(uuid4()))
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()


async def test_every_partition_that_nobody_owns_is_counted(group: Group, tmp_path: Path) -> None:
    await look(group)
    assert len(group.unowned) == SHARDS * len(TOPICS)
    async with member(group, tmp_path, TOPICS[1:]):

        async def all_but_one_topic() -> bool:
            await look(group)
            return {tp.topic for tp in group.unowned} == {TOPICS[0]}

        await soon(all_but_one_topic, "all topics but one to be owned")
        assert [value(group, "unowned_partitions", topic) for topic in TOPICS] == [SHARDS, *[0] * (len(TOPICS) - 1)]


async def test_what_another_replica_owns_is_owned(group: Group, tmp_path: Path) -> None:
    async with member(group, tmp_path) as one, member(group, tmp_path) as other:

        async def shared() -> bool:
            await look(group)
            mine, theirs = one.app.consumer.assignment(), other.app.consumer.assignment()
            return not group.unowned and bool(mine) and bool(theirs) and not mine & theirs

        await soon(shared, "two replicas to share all partitions")


async def test_what_a_leader_has_assigned_to_nobody_is_owned_by_nobody_although_a_member_is_there(
    group: Group, ground: Ground
) -> None:
    await led_the_group(ground.bootstrap_servers, group.service, "only-0", TOPICS, gives=False)
    async with group.broker.reader("test") as reader:
        reader.assign(group.partitions)
        assert await owned(reader, group.service) == frozenset()


async def test_records_that_nobody_hears_are_behind_and_those_of_a_stopped_shard_too(
    group: Group, ground: Ground, stage: Stage
) -> None:
    log = Log()
    first = log.say(ONE, "first")
    log.sequences[2] += 1
    records = [first, *(log.say(ONE, f"behind {n}") for n in range(3))]
    await put(ground.bootstrap_servers, *records)
    listener = stage.listener(bootstrap=ground.bootstrap_servers)
    await listener.prepare()
    await look(group)
    assert value(group, "lag_records") == 4
    await listener.handle(records)
    assert listener.stopped
    await look(group)
    assert value(group, "lag_records") == 3


async def test_what_another_replica_has_handled_is_not_behind(group: Group, ground: Ground, stage: Stage) -> None:
    record = Log().say(ONE, "first")
    await put(ground.bootstrap_servers, record)
    listener = stage.listener(bootstrap=ground.bootstrap_servers)
    await listener.prepare()
    await listener.handle([record])
    await look(group)
    assert value(group, "lag_records") == 0


async def test_a_broker_that_does_not_answer_leaves_the_numbers_and_says_nothing_of_owners(group: Group) -> None:
    await look(group)
    before, group.broker = value(group, "lag_records"), Broker(NOWHERE)

    async def nobody_can_say() -> bool:
        return not group.unowned

    async with running(group.run()):
        await soon(nobody_can_say, "the broker to be missed")
    assert (value(group, "lag_records"), value(group, "unowned_partitions")) == (before, 0)


async def test_a_partition_that_nobody_hears_for_a_minute_turns_livez_and_readyz_red_until_somebody_does(
    ground: Ground, module_databases: Databases, stage: Stage
) -> None:
    process = runtime(ground, module_databases, stage)
    await process.guard.ready()
    health = Health(process)
    async with running(process.watch.run()):
        await soon(lambda: _answers(process), "Kafka to answer")
        await look(process.group)
        assert [await status(health), await _later(health), await _later(health)] == [200, 200, 503]
        assert health.alive() == {"group": f"{SHARDS * len(TOPICS)} partitions of {', '.join(sorted(TOPICS))}"
                                           " are heard by no process"}  # fmt: skip
        assert "group" in await health.missing()
        process.group.unowned = frozenset()
        assert await _later(health) == 200


async def test_the_desk_takes_in_applications_though_it_hears_nobody(
    ground: Ground, module_databases: Databases, stage: Stage
) -> None:
    desk = wire(replace(service(stage), needs_kafka=False), settings(ground, module_databases), stage.pool)
    await desk.guard.ready()
    health = Health(desk)
    health.deaf_s = health.stuck_s + 1
    assert health.alive().keys() == {"group"}
    assert await health.missing() == {}


async def test_partitions_that_change_hands_again_and_again_are_no_fault(
    ground: Ground, module_databases: Databases, stage: Stage
) -> None:
    process = runtime(ground, module_databases, stage)
    await process.guard.ready()
    health, partitions = Health(process), process.group.partitions
    async with running(process.watch.run()):
        await soon(lambda: _answers(process), "Kafka to answer")
        for n in range(6):
            process.group.unowned = frozenset(partitions[n : n + 1])
            assert await _later(health) == 200


async def test_a_kafka_that_does_not_let_us_is_no_reason_for_a_restart(
    ground: Ground, module_databases: Databases, stage: Stage
) -> None:
    process = runtime(ground, module_databases, stage)
    await process.guard.ready()
    process.group.unowned = frozenset(process.group.partitions)
    health = Health(process)
    assert [await _later(health) for _ in range(3)] == [200] * 3, "the watch has no answer"


async def _answers(process: Runtime) -> bool:
    return process.watch.answers


async def _later(health: Health) -> int:
    await asyncio.sleep(0)
    health.passed(LONG_S)
    return await status(health)
