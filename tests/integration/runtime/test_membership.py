"""A service that finds its place in the group taken by its own past hears every topic all the same.

Kafka keeps what the leader of a group has assigned, and gives it to whoever comes back under the same name, without
telling anybody that somebody leads: a restart, with one more topic or behind a leader that knew none, heals nothing.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from uuid import uuid4

import pytest

from deploy.local.ground import Ground
from shared.runtime.kafka.clients import Broker
from shared.runtime.kafka.consumer import KafkaConsumer
from shared.runtime.kernel.message import Record
from shared.topics import SHARDS, heard_by
from tests.ground import empty_topics
from tests.integration.runtime.log import AT
from tests.integration.runtime.membership import led_the_group
from tests.integration.runtime.wire import put, soon

INSTANCE = "only-0"
ANOTHER = "gov.dossier.audit.v1"
NOTHING, FEWER, MORE = "assigned nothing", "heard one topic fewer", "heard one topic more"


@pytest.mark.parametrize(
    ("service", "past"),
    [(service, past) for service in ("verification", "payment") for past in (NOTHING, MORE)]
    + [(service, FEWER) for service in ("payment", "notification", "intake")],
)
async def test_a_service_hears_all_its_topics_whatever_its_past_self_was_given(
    ground: Ground, tmp_path: Path, service: str, past: str
) -> None:
    await empty_topics(ground)
    bootstrap, group = ground.bootstrap_servers, f"{service}-{uuid4()}"
    topics = [topic.name for topic in heard_by(service)]
    before = {NOTHING: topics, FEWER: topics[1:], MORE: [*topics, ANOTHER]}
    await led_the_group(bootstrap, group, INSTANCE, before[past], gives=past != NOTHING)
    heard: set[tuple[str, int]] = set()

    async def handle(records: Sequence[Record]) -> None:
        heard.update((record.topic, record.partition) for record in records)

    async def where_kafka_says() -> Mapping[tuple[str, int], int]:
        return {}

    async def all_heard() -> bool:
        return heard == {(topic, shard) for topic in topics for shard in range(SHARDS)}

    await put(bootstrap, *(Record(topic, n, 0, AT, None, (), b"") for topic in topics for n in range(SHARDS)))
    consumer = KafkaConsumer(group, Broker(bootstrap), topics, handle, where_kafka_says, tmp_path, INSTANCE)
    await consumer.start()
    try:
        await soon(all_heard, "every partition of every topic to be heard")
        assert consumer.alive
    finally:
        await consumer.stop()
