"""What was missed is read again beside the group: long readings are progress, and a topic may lose its tail."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from deploy.kafka.topics import delete_topics, ensure_topics
from deploy.local.ground import Ground
from shared.runtime.admin.operator import skip_heard
from shared.runtime.aio.progress import Progress
from shared.runtime.engine.listener import Listener
from shared.runtime.kafka.clients import Broker
from shared.runtime.kafka.records import read_range
from shared.topics import TOPICS
from tests.ground import empty_topics
from tests.integration.runtime.log import TOPIC, WRITER, Log
from tests.integration.runtime.stage import Stage
from tests.integration.runtime.toy import dossiers
from tests.integration.runtime.wire import put, running, soon

SHARD, MANY = 2, 2500
(ONE,), (OTHER,) = dossiers(SHARD, 1), dossiers(9, 1)
PARTITION = TopicPartition(TOPIC, SHARD)


@pytest.fixture(autouse=True)
async def _topics_without_a_past(ground: Ground) -> None:
    await empty_topics(ground)


@dataclass
class Watched(Progress):
    """Remembers when it was told of something."""

    told: list[float | None] = field(default_factory=list)

    def step(self) -> None:
        super().step()
        self.told.append(self.handled_at)


async def _listener(ground: Ground, stage: Stage) -> tuple[Listener, Watched]:
    listener, progress = stage.listener(bootstrap=ground.bootstrap_servers), Watched()
    listener.progress = progress
    await listener.prepare()
    return listener, progress


async def _put_noise(ground: Ground, log: Log) -> None:
    """So many records that nobody can read, which are quickly handled."""
    await put(ground.bootstrap_servers, *(log.noise(SHARD) for _ in range(MANY)))


async def test_a_long_gap_is_read_again_in_pieces_each_of_which_is_progress(ground: Ground, stage: Stage) -> None:
    log = Log()
    first, second, third = (log.say(ONE, text) for text in ("first", "second", "third"))
    await put(ground.bootstrap_servers, first)
    await _put_noise(ground, log)
    await put(ground.bootstrap_servers, second, third)
    listener, progress = await _listener(ground, stage)
    await listener.handle([first])
    before = len(progress.told)
    # Where the hole is, only the beginning tells: nothing is kept of what is read but the one record.
    await stage.admin.execute("UPDATE heard SET next_offset = $1", MANY + 5)
    await listener.reload()
    await listener.handle([replace(third, offset=MANY + 2)])
    await listener.resume()
    assert (await stage.state(ONE)).intake.texts == ("first", "second", "third")
    assert len(progress.told) - before > MANY // 1000


async def test_a_shard_that_was_skipped_on_catches_up_in_pieces_each_of_which_is_progress(
    ground: Ground, stage: Stage
) -> None:
    log = Log()
    first, _, third = (log.say(ONE, text) for text in ("first", "lost", "third"))
    await put(ground.bootstrap_servers, first, third, *(replace(third, value=b"repeat") for _ in range(MANY)))
    listener, progress = await _listener(ground, stage)
    await listener.handle([first, replace(third, offset=1)])
    await listener.handle([replace(third, offset=1 + MANY)])
    assert set(listener.stopped) == {(WRITER, SHARD)}
    before = len(progress.told)
    await skip_heard(stage.pool, WRITER, SHARD, 2)
    await listener.resume()
    assert (await stage.state(ONE)).intake.texts == ("first", "third")
    assert len(progress.told) - before > MANY // 1000


@dataclass(frozen=True)
class Old(Broker):
    """A cluster whose topics are so old that reading them takes until somebody says that it is over."""

    begun: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    @asynccontextmanager
    async def reader(self, client: str, **settings: Any) -> AsyncIterator[AIOKafkaConsumer]:
        self.begun.set()
        await self.over.wait()
        async with super().reader(client, **settings) as consumer:
            yield consumer


async def test_while_an_old_topic_is_searched_for_what_is_missing_the_other_shards_go_on(
    ground: Ground, stage: Stage
) -> None:
    log = Log()
    first, second, third = (log.say(ONE, text) for text in ("first", "second", "third"))
    await put(ground.bootstrap_servers, first, second, third)
    listener, _ = await _listener(ground, stage)
    await stage.admin.execute("UPDATE heard SET next_offset = 3 WHERE source = $1 AND shard = $2", WRITER, SHARD)
    await listener.reload()
    await listener.handle([first])
    await listener.handle([replace(third, offset=3)])
    assert set(listener.stopped) == {(WRITER, SHARD)}
    listener.broker = old = Old(ground.bootstrap_servers)
    async with running(listener.run()):
        await old.begun.wait()
        await listener.handle([log.say(OTHER, "other"), replace(log.say(ONE, "fourth"), offset=4)])
        assert (await stage.state(OTHER)).intake.texts == ("other",)
        assert (await stage.state(ONE)).intake.texts == ("first",)
        await put(ground.bootstrap_servers, third, replace(log.records[SHARD][-1]))
        old.over.set()

        async def healed() -> bool:
            return bool((await stage.state(ONE)).intake.texts == ("first", "second", "third", "fourth"))

        await soon(healed, "the shard to go on")
    assert not listener.stopped


async def test_a_shard_that_is_published_again_while_another_is_searched_needs_no_search(
    ground: Ground, stage: Stage
) -> None:
    log = Log()
    records = {dossier: [log.say(dossier, f"text {n}") for n in range(3)] for dossier in (ONE, OTHER)}
    listener, _ = await _listener(ground, stage)
    for _, _, third in records.values():
        await listener.handle([third])
    assert len(listener.stopped) == 2
    listener.broker = old = Old(ground.bootstrap_servers)
    searching = asyncio.create_task(listener.resume())
    await old.begun.wait()
    for first, second, third in records.values():
        again = (replace(one, offset=n) for n, one in enumerate((first, second, third), 10))
        await listener.handle(list(again))
    old.over.set()
    await searching
    assert not listener.stopped
    for dossier in records:
        assert (await stage.state(dossier)).intake.texts == ("text 0", "text 1", "text 2")


class Losing(Broker):
    """A cluster whose topic loses all that lies on it as soon as a reader knows how much that is."""

    @asynccontextmanager
    async def reader(self, client: str, **settings: Any) -> AsyncIterator[AIOKafkaConsumer]:
        async with super().reader(client, **settings) as consumer:
            ask = consumer.end_offsets

            async def lose_then_tell(partitions: Sequence[TopicPartition]) -> Any:
                consumer.end_offsets = ask
                ends = await ask(partitions)
                await delete_topics(self.bootstrap, [TOPICS[TOPIC]])
                await ensure_topics(self.bootstrap, [TOPICS[TOPIC]])
                return ends

            consumer.end_offsets = lose_then_tell
            yield consumer


@pytest.mark.parametrize("start", [0, 2], ids=["from the beginning", "from the middle"])
async def test_a_reading_whose_topic_loses_its_tail_ends_with_an_error_and_is_done_again(
    ground: Ground, start: int
) -> None:
    log = Log()
    await put(ground.bootstrap_servers, *(log.say(ONE, f"text {n}") for n in range(4)))
    async with asyncio.timeout(60):
        with pytest.raises(KafkaError):
            await read_range(Losing(ground.bootstrap_servers), "test", PARTITION, start, 4)
