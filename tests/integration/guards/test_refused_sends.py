"""A send that the broker refuses leaves no hole: nothing overtakes what was refused, and it comes again."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaProducer
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from deploy.kafka.topics import administrator
from deploy.local.ground import Ground
from shared.runtime.kafka.clients import Broker
from shared.runtime.observe.metrics import Metrics
from shared.runtime.publishing.relay import Relay
from shared.topics import TOPICS, topic_of
from tests.ground import empty_topics
from tests.integration.runtime.stage import Stage, command
from tests.integration.runtime.toy import NAME, dossiers
from tests.integration.runtime.wire import first_seen, read_topic, running, sequences, soon

TOPIC = topic_of(NAME)
SHARD, ELSEWHERE = 3, 7
LIMIT = 100_000
"""Bytes that the topic takes at once while it refuses: one long event, not four."""

LONG = "x" * 60_000
MANY = 5
"""Failures after which nothing is only late any more: a relay pauses for a second after each."""


async def _set(ground: Ground, **settings: str) -> None:
    config = {**TOPICS[TOPIC].config, **settings}
    async with administrator(ground.bootstrap_servers) as admin:
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, TOPIC, config)])


@asynccontextmanager
async def _refusing(ground: Ground) -> AsyncIterator[None]:
    """While the block lasts, the topic takes `LIMIT` bytes at once and no more."""
    await _set(ground, **{"max.message.bytes": str(LIMIT)})
    async with AIOKafkaProducer(bootstrap_servers=ground.bootstrap_servers) as producer:
        await soon(_tells(producer, refuses=True), "the topic to refuse")
        yield
        await _set(ground)
        await soon(_tells(producer, refuses=False), "the topic to take everything again")


def _tells(producer: AIOKafkaProducer, refuses: bool) -> Callable[[], Awaitable[bool]]:
    async def tells() -> bool:
        try:
            await producer.send_and_wait(TOPIC, b"x" * 2 * LIMIT, partition=ELSEWHERE)
        except MessageSizeTooLargeError:
            return refuses
        return not refuses

    return tells


class Told(Relay):
    """Counts the rounds that failed."""

    failed = 0

    async def publish(self, producer: AIOKafkaProducer) -> int:
        try:
            return await super().publish(producer)
        except KafkaError:
            self.failed += 1
            raise


async def test_what_was_refused_is_on_the_topic_before_all_that_was_said_behind_it(
    ground: Ground, stage: Stage
) -> None:
    await empty_topics(ground)
    relay = Told(NAME, stage.pool, Broker(ground.bootstrap_servers), Metrics(NAME))

    async def published(count: int) -> bool:
        return await stage.count("relay", f"shard = {SHARD} AND published = {count}") == 1

    async def say(count: int, text: str) -> None:
        await stage.engine().handle([command(one, f"{text}{n}") for n, one in enumerate(dossiers(SHARD, count))])
        relay.wake()

    async with running(relay.run()):
        await say(2, "short")
        await soon(lambda: published(2), "the first events")
        async with _refusing(ground):
            await say(5, LONG)

            async def failed_twice() -> bool:
                return relay.failed >= 2

            await soon(failed_twice, "the topic to refuse")
            assert await published(2)
        await say(3, "later")
        before = relay.failed

        async def published_or_for_ever_failing() -> bool:
            return await published(10) or relay.failed > before + MANY

        await soon(published_or_for_ever_failing, "everything to be published")
        assert await published(10), "the relay does not recover"
    lying = sequences((await read_topic(ground.bootstrap_servers, TOPIC))[SHARD])
    assert first_seen(lying) == list(range(1, 11)), "a reader that begins at 1 meets a gap"
