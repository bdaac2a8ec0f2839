"""The topics on a real broker."""

import asyncio
import dataclasses

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import UnknownTopicOrPartitionError

from deploy.kafka.provision import main
from deploy.kafka.topics import administrator, delete_topics, ensure_topics
from deploy.local.ground import Ground
from shared.errors import Misconfigured
from shared.topics import TOPICS, Topic
from tests.ground import empty_topics, frozen

FENCED_AFTER_S = 8.0
"""Twice a broker's session: at six seconds it was not yet fenced when it came back."""


async def _config(ground: Ground, topic: str, key: str) -> str:
    async with administrator(ground.bootstrap_servers) as admin:
        (response,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic, {key: ""})])
    return str(response.resources[0][4][0][1])


async def test_making_the_topics_twice_changes_nothing(ground: Ground) -> None:
    assert await ensure_topics(ground.bootstrap_servers) == ()


async def test_every_topic_has_the_partitions_and_settings_of_the_table(ground: Ground) -> None:
    async with administrator(ground.bootstrap_servers) as admin:
        described = {topic["topic"]: topic for topic in await admin.describe_topics(list(TOPICS))}
    for topic in TOPICS.values():
        assert len(described[topic.name]["partitions"]) == topic.partitions
        for key, value in topic.config.items():
            assert await _config(ground, topic.name, key) == value


async def test_a_topic_with_another_number_of_partitions_is_refused_before_anything_is_made(ground: Ground) -> None:
    narrow = Topic("test.narrow", "intake", (), partitions=3)
    await ensure_topics(ground.bootstrap_servers, [narrow])
    wider, new = dataclasses.replace(narrow, partitions=12), Topic("test.new", "intake", ())
    with pytest.raises(Misconfigured, match=r"test\.narrow has 3 partitions, the shards need 12"):
        await ensure_topics(ground.bootstrap_servers, [new, wider])
    async with administrator(ground.bootstrap_servers) as admin:
        assert new.name not in await admin.list_topics()
    await delete_topics(ground.bootstrap_servers, [narrow])


async def test_a_changed_setting_is_brought_up_to_date(ground: Ground) -> None:
    topic = Topic("test.settings", "intake", (), partitions=1, config={"retention.ms": "60000"})
    await ensure_topics(ground.bootstrap_servers, [topic])
    await ensure_topics(ground.bootstrap_servers, [dataclasses.replace(topic, config={"retention.ms": "-1"})])
    assert await _config(ground, topic.name, "retention.ms") == "-1"
    await delete_topics(ground.bootstrap_servers, [topic])


async def test_topics_can_be_looked_at_while_a_broker_comes_back_from_standing_still(ground: Ground) -> None:
    """Its controller has fenced it: for a moment it answers, and names no broker at all."""
    with frozen(ground.kafka):
        await asyncio.sleep(FENCED_AFTER_S)
    for _ in range(100):
        async with administrator(ground.bootstrap_servers) as admin:
            assert set(TOPICS) <= set(await admin.list_topics())


async def test_what_an_operator_has_set_besides_stays(ground: Ground) -> None:
    topic = Topic("test.besides", "intake", (), partitions=1, config={"retention.ms": "60000"})
    await ensure_topics(ground.bootstrap_servers, [topic])
    set_by_hand = {**topic.config, "segment.ms": "7000000"}
    async with administrator(ground.bootstrap_servers) as admin:
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic.name, set_by_hand)])
    await ensure_topics(ground.bootstrap_servers, [dataclasses.replace(topic, config={"retention.ms": "-1"})])
    assert await _config(ground, topic.name, "segment.ms") == "7000000"
    assert await _config(ground, topic.name, "retention.ms") == "-1"
    await delete_topics(ground.bootstrap_servers, [topic])


async def test_with_three_copies_two_brokers_must_acknowledge(ground: Ground) -> None:
    topic = Topic("test.copies", "intake", (), partitions=1)
    await ensure_topics(ground.bootstrap_servers, [topic])
    await ensure_topics(ground.bootstrap_servers, [topic], replication_factor=3)
    assert await _config(ground, topic.name, "min.insync.replicas") == "2"
    await delete_topics(ground.bootstrap_servers, [topic])


async def test_a_cluster_with_too_few_brokers_is_told_with_a_sentence(
    ground: Ground, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    await delete_topics(ground.bootstrap_servers)
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", ground.bootstrap_servers)
    monkeypatch.setenv("REPLICATION_FACTOR", "2")
    try:
        with pytest.raises(SystemExit) as end:
            await asyncio.to_thread(main)
        assert end.value.code == 2
        assert "replication factor" in capsys.readouterr().err.lower()
    finally:
        await ensure_topics(ground.bootstrap_servers)


async def test_a_misspelt_topic_is_not_made_by_writing_to_it(ground: Ground) -> None:
    async with AIOKafkaProducer(bootstrap_servers=ground.bootstrap_servers, request_timeout_ms=2000) as producer:
        with pytest.raises(UnknownTopicOrPartitionError):
            await producer.send_and_wait("gov.dossier.intakes.v1", b"")


async def test_emptied_topics_begin_at_offset_0_again(ground: Ground) -> None:
    topic = next(iter(TOPICS))
    async with AIOKafkaProducer(bootstrap_servers=ground.bootstrap_servers) as producer:
        await producer.send_and_wait(topic, b"before", partition=0)
    await empty_topics(ground)
    async with AIOKafkaConsumer(bootstrap_servers=ground.bootstrap_servers) as consumer:
        partition = TopicPartition(topic, 0)
        assert await consumer.end_offsets([partition]) == {partition: 0}
