"""The whole data flow on one page: one writer per topic, everybody hears what the picture says."""

import re
from uuid import UUID, uuid4

import pytest
from aiokafka.partitioner import DefaultPartitioner, murmur2
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.events.base import Event
from shared.events.catalogue import BY_TYPE, SAID_BY, WRITER
from shared.runtime.kernel.sharding import shard_of
from shared.services import SERVICES
from shared.topics import KEYS, SHARDS, TOPICS, heard_by, topic_of
from tests.controls import DOSSIER


def test_every_service_writes_one_event_topic_and_only_that() -> None:
    public = [topic for topic in TOPICS.values() if topic.public]

    assert [topic.writer for topic in public] == list(SERVICES) == list(SAID_BY)
    assert [topic.name for topic in public] == [topic_of(service) for service in SERVICES]


def test_intake_alone_writes_the_keys_and_audit_never_hears_them() -> None:
    assert [topic for topic in TOPICS.values() if not topic.public] == [KEYS]
    assert KEYS.writer == "intake"
    assert not {"intake", "audit"} & set(KEYS.readers)


def test_only_who_keeps_the_trail_hears_itself_and_it_hears_every_event() -> None:
    (trail,) = [name for name, row in SERVICES.items() if row.keeps_trail]
    assert [topic for topic in TOPICS.values() if topic.writer in topic.readers] == [TOPICS[topic_of(trail)]]
    assert {topic.writer for topic in heard_by(trail)} == set(SERVICES)


def test_topics_are_named_by_the_house_rule() -> None:
    for name, topic in TOPICS.items():
        assert name == topic.name
        assert re.fullmatch(r"gov\.dossier\.[a-z]+\.v1", name)


def test_event_topics_keep_everything_and_the_keys_are_compacted() -> None:
    for topic in TOPICS.values():
        assert topic.config["retention.ms"] == "-1"
        assert topic.partitions == SHARDS == 12
        assert topic.config.get("cleanup.policy", "delete") == ("delete" if topic.public else "compact")


def test_every_event_has_exactly_one_writer() -> None:
    said = [event for events in SAID_BY.values() for event in events]

    assert len(said) == len(set(said)) == len(BY_TYPE) == len(WRITER)
    assert set(said) == {event for event in Event.__subclasses__() if event.__module__.startswith("shared.")}


def test_an_event_is_declared_in_the_module_of_its_writer() -> None:
    for event, service in WRITER.items():
        assert event.__module__ == f"shared.events.{service}"


# Known values of Kafka's murmur2: org.apache.kafka.common.utils.UtilsTest#testMurmur2.
KAFKA_MURMUR2 = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}


@pytest.mark.parametrize(("key", "expected"), KAFKA_MURMUR2.items())
def test_murmur2_is_that_of_kafka(key: bytes, expected: int) -> None:
    signed = int.from_bytes((murmur2(key) & 0xFFFFFFFF).to_bytes(4, "big"), "big", signed=True)

    assert signed == expected


@settings(deadline=None)
@given(dossier=st.uuids())
def test_a_dossiers_shard_is_the_partition_that_any_kafka_client_picks(dossier: UUID) -> None:
    partitions = list(range(SHARDS))

    assert shard_of(dossier) == DefaultPartitioner()(str(dossier).encode(), partitions, partitions)


def test_the_dossier_of_the_controls_has_this_shard() -> None:
    assert shard_of(DOSSIER) == 7


def test_dossiers_spread_over_all_shards() -> None:
    counts = [0] * SHARDS
    for _ in range(2_400):
        counts[shard_of(uuid4())] += 1

    assert min(counts) > 100
    assert max(counts) < 300
