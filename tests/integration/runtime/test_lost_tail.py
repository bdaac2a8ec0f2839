"""A topic that loses its tail while a relay runs gets it again, in order, and nothing is said behind the hole."""

from typing import Any

import pytest

from deploy.kafka.topics import delete_topics, ensure_topics
from deploy.local.ground import Ground
from shared.runtime.kafka.clients import Broker
from shared.runtime.publishing.relay import Relay
from shared.runtime.recovery.guard import RestoreGuard
from shared.topics import KEYS, SHARDS, TOPICS
from tests.ground import empty_topics
from tests.integration.runtime.stage import Stage
from tests.integration.runtime.test_relay import (
    TOPIC,
    complete,
    ends,
    level,
    on_topic,
    published,
    relay,
    store,
    with_key,
)
from tests.integration.runtime.toy import NAME, name
from tests.integration.runtime.wire import read_topic, running, soon


class SeesTooLate(Relay):
    """Finds the topic as long as it was: its records were on their way when the tail was lost."""

    async def _look_at_tail(self, reader: Any) -> None:
        return None


@pytest.fixture(autouse=True)
async def _topics_without_a_past(ground: Ground) -> None:
    await empty_topics(ground)


def guard(ground: Ground, stage: Stage, **parts: Any) -> RestoreGuard:
    """The guard of the toy's process."""
    return RestoreGuard(NAME, stage.pool, Broker(ground.bootstrap_servers), **parts)


def guarded(ground: Ground, stage: Stage, kind: type[Relay] = Relay, keys: bool = False) -> Any:
    """A relay as a process has it, with the guard that compares."""
    return relay(ground, stage, kind, owns_keys=keys, compare=guard(ground, stage, makes_keys=keys).again)


async def lose(ground: Ground, topic: str = TOPIC) -> None:
    """The topic loses all that lies on it; its offsets begin anew."""
    await delete_topics(ground.bootstrap_servers, [TOPICS[topic]])
    await ensure_topics(ground.bootstrap_servers, [TOPICS[topic]])


async def test_what_an_idle_relay_had_published_comes_again_in_order(ground: Ground, stage: Stage) -> None:
    await store(stage, "first")
    async with running(guarded(ground, stage).run()):
        await level(stage)
        await lose(ground)

        async def is_there_again() -> bool:
            return await on_topic(ground) == complete(await ends(stage))

        await soon(is_there_again, "the lost tail to be on the topic again")


async def test_what_is_said_after_the_loss_stands_behind_what_was_lost(ground: Ground, stage: Stage) -> None:
    await store(stage, "first")
    running_relay = guarded(ground, stage)
    async with running(running_relay.run()):
        await level(stage)
        await lose(ground)
        await store(stage, "second", 30)
        running_relay.wake()

        async def is_whole() -> bool:
            lying = await on_topic(ground)
            return {shard: numbers[-1:] for shard, numbers in lying.items()} == {
                shard: [end] for shard, end in (await ends(stage)).items()
            }

        await soon(is_whole, "everything to be on the topic")
    assert await on_topic(ground) == complete(await ends(stage)), "a reader that begins at 1 meets a gap"


async def test_records_that_were_on_their_way_are_said_again_behind_what_was_lost(ground: Ground, stage: Stage) -> None:
    await store(stage, "first")
    late = guarded(ground, stage, SeesTooLate)
    async with running(late.run()):
        await level(stage)
        before = await ends(stage)
        await lose(ground)
        await store(stage, "second", 30)
        late.wake()

        async def is_whole() -> bool:
            lying, wanted = await on_topic(ground), complete(await ends(stage))
            return all(numbers[-len(wanted[shard]) :] == wanted[shard] for shard, numbers in lying.items())

        await soon(is_whole, "everything to be on the topic in order")
    orphans = {shard: numbers[0] for shard, numbers in (await on_topic(ground)).items() if numbers[0] > 1}
    assert orphans, "nothing was behind the hole: this test shows nothing"
    assert all(number == before[shard] + 1 for shard, number in orphans.items())


async def store_with_key(stage: Stage, *numbers: int) -> None:
    """Dossiers whose data keys are made here."""
    await stage.engine().handle([with_key(name("dossier", n), f"key {n}") for n in numbers])


async def keys_on_topic(ground: Ground) -> set[str]:
    """The dossiers whose keys lie on the keys topic."""
    lying = await read_topic(ground.bootstrap_servers, KEYS.name)
    return {(one.key or b"").decode() for records in lying.values() for one in records}


async def all_keys(stage: Stage) -> set[str]:
    """The dossiers whose keys lie in the store."""
    return {str(row["dossier_id"]) for row in await stage.admin.fetch("SELECT dossier_id FROM data_keys")}


async def publish_keys(ground: Ground, stage: Stage) -> None:
    """Let a relay run until no key is left."""

    async def all_published() -> bool:
        return not await stage.count("data_keys", "NOT published")

    async with running(relay(ground, stage, owns_keys=True).run()):
        await soon(all_published, "the keys to be published")


async def published_with_keys(ground: Ground, stage: Stage, count: int = 40) -> None:
    """So many dossiers, published with their keys."""
    await store_with_key(stage, *range(count))
    await publish_keys(ground, stage)
    assert await keys_on_topic(ground) == await all_keys(stage)


async def test_keys_that_the_topic_lost_are_published_again_after_a_start(ground: Ground, stage: Stage) -> None:
    await published_with_keys(ground, stage)
    await lose(ground, KEYS.name)
    await guard(ground, stage, makes_keys=True).ready()
    assert await stage.count("data_keys", "published") == 0
    await publish_keys(ground, stage)
    assert await keys_on_topic(ground) == await all_keys(stage)


async def test_keys_that_the_topic_still_has_are_not_published_again(ground: Ground, stage: Stage) -> None:
    await published_with_keys(ground, stage)
    await guard(ground, stage, makes_keys=True).ready()
    assert await stage.count("data_keys", "NOT published") == 0


async def test_a_running_relay_publishes_the_keys_again_that_the_topic_lost(ground: Ground, stage: Stage) -> None:
    await store_with_key(stage, *range(40))
    async with running(guarded(ground, stage, keys=True).run()):
        await level(stage)
        await lose(ground, KEYS.name)

        async def are_there_again() -> bool:
            return await keys_on_topic(ground) == await all_keys(stage)

        await soon(are_there_again, "the lost keys to be on the topic again")


async def test_keys_are_published_again_although_the_topic_has_grown_over_their_places(
    ground: Ground, stage: Stage
) -> None:
    await published_with_keys(ground, stage)
    late = guarded(ground, stage, SeesTooLate, keys=True)
    async with running(late.run()):
        await level(stage)
        await lose(ground, KEYS.name)
        await store_with_key(stage, *range(40, 120))
        late.wake()

        async def are_there_again() -> bool:
            return await keys_on_topic(ground) == await all_keys(stage)

        await soon(are_there_again, "the lost keys to be on the topic again")


async def test_what_nobody_lost_is_not_said_twice(ground: Ground, stage: Stage) -> None:
    async with running(guarded(ground, stage).run()):
        for turn in range(4):
            await store(stage, f"turn {turn}", 24)
            await level(stage)
    assert await on_topic(ground) == complete(await ends(stage))
    assert len(await published(stage)) == SHARDS
