"""The relay publishes each shard in order and moves its cursor after Kafka's word, whoever dies or sleeps."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import pytest

from deploy.local.ground import Ground
from shared.runtime.engine.engine import Engine
from shared.runtime.kafka.clients import Broker
from shared.runtime.kernel.message import Item, Request
from shared.runtime.keys.sealing import Kek, new_data_key
from shared.runtime.observe.metrics import Metrics
from shared.runtime.publishing.relay import LOOK_S, Relay
from shared.topics import KEYS, SHARDS, topic_of
from tests.ground import empty_topics, frozen
from tests.integration.runtime.stage import NOWHERE, Killed, Stage, command
from tests.integration.runtime.toy import NAME, name
from tests.integration.runtime.wire import first_seen, read_topic, running, sequences, soon

TOPIC = topic_of(NAME)
MUTE = 3


class DiesBeforeItsCursor(Relay):
    """Killed after Kafka's acknowledgement and before the cursor moves."""

    async def _move(self, rows: Any) -> None:
        raise Killed


class DiesBeforeKeys(Relay):
    """Killed when it would publish data keys."""

    async def _publish_keys(self, producer: Any) -> None:
        raise Killed


@dataclass
class Sleeps(Relay):
    """Stopped (SIGSTOP, say) after Kafka's acknowledgement, until somebody wakes it."""

    asleep: asyncio.Event = field(default_factory=asyncio.Event)
    awake: asyncio.Event = field(default_factory=asyncio.Event)

    async def _move(self, rows: Any) -> None:
        self.asleep.set()
        await self.awake.wait()
        await super()._move(rows)


@dataclass
class IsOvertaken(Relay):
    """Something is committed at the moment when it has published its keys."""

    meanwhile: Item | None = None
    engine: Engine | None = None

    async def _publish_keys(self, producer: Any) -> None:
        await super()._publish_keys(producer)
        if self.engine is not None and self.meanwhile is not None:
            await self.engine.handle([self.meanwhile])


def with_key(dossier: UUID, text: str) -> Item:
    """The first command of a dossier, whose data key is made with it."""
    item = command(dossier, text)
    key = Kek(bytes(32)).wrap(dossier, new_data_key())
    request = Request("app", "POST", "/say", text, b"", 202, lambda state: {}, key)
    return Item(message=item.message, request=request, dossier_id=dossier)


def relay(ground: Ground, stage: Stage, kind: type[Relay] = Relay, **parts: Any) -> Any:
    """A relay of the toy's process."""
    return kind(NAME, stage.pool, Broker(ground.bootstrap_servers), Metrics(NAME), **parts)


async def store(stage: Stage, who: str, count: int = 60) -> None:
    """So many events, over all shards."""
    await stage.engine().handle([command(name("dossier", n), f"{who} {n}") for n in range(count)])


async def ends(stage: Stage) -> dict[int, int]:
    """Shard → the position of its last event."""
    return {row["shard"]: row["next_position"] - 1 for row in await stage.admin.fetch("SELECT * FROM shards")}


async def published(stage: Stage) -> dict[int, int]:
    """Shard → how far the relay says it has come."""
    return {row["shard"]: row["published"] for row in await stage.admin.fetch("SELECT * FROM relay")}


async def publish_all(stage: Stage, *relays: Relay) -> None:
    """Let these relays run until nothing is left."""
    async with running(*(one.run() for one in relays)):
        await level(stage)


async def level(stage: Stage) -> None:
    """Wait until everything is published."""

    async def is_level() -> bool:
        return await published(stage) == await ends(stage)

    await soon(is_level, "everything to be published")


async def on_topic(ground: Ground) -> dict[int, list[int]]:
    """Partition → the sequences that lie on it."""
    lying = await read_topic(ground.bootstrap_servers, TOPIC)
    return {shard: sequences(lying[shard]) for shard in range(SHARDS)}


def complete(ends: dict[int, int]) -> dict[int, list[int]]:
    """Every position of every shard once, in order."""
    return {shard: list(range(1, end + 1)) for shard, end in ends.items()}


@pytest.fixture(autouse=True)
async def _topics_without_a_past(ground: Ground) -> None:
    await empty_topics(ground)


async def test_every_event_is_published_once_and_in_order_with_its_own_bytes(ground: Ground, stage: Stage) -> None:
    await store(stage, "first")
    await publish_all(stage, relay(ground, stage))
    assert await on_topic(ground) == complete(await ends(stage))
    lying = await read_topic(ground.bootstrap_servers, TOPIC)
    sent = {(shard, one.value, one.key) for shard, records in lying.items() for one in records}
    stored = await stage.admin.fetch("SELECT shard, data, dossier_id FROM events")
    assert sent == {(row["shard"], row["data"], str(row["dossier_id"]).encode()) for row in stored}


async def test_after_a_kill_between_kafkas_word_and_the_cursor_nothing_is_skipped(ground: Ground, stage: Stage) -> None:
    await store(stage, "first")
    with pytest.raises(Killed):
        await relay(ground, stage, DiesBeforeItsCursor).run()
    assert set((await published(stage)).values()) == {0}
    await store(stage, "second")
    await publish_all(stage, relay(ground, stage))
    lying = await on_topic(ground)
    assert {shard: first_seen(numbers) for shard, numbers in lying.items()} == complete(await ends(stage))
    assert sum(map(len, lying.values())) == 60 + 120, "what was acknowledged before the kill is published again"


async def test_a_stopped_leader_that_wakes_after_its_lease_moves_nothing(ground: Ground, stage: Stage) -> None:
    await store(stage, "first")
    sleeper = relay(ground, stage, Sleeps)
    async with running(sleeper.run()):
        await asyncio.wait_for(sleeper.asleep.wait(), 60)
        await stage.admin.execute(
            "UPDATE relay SET leader = $1, lease_until = now() + interval '1 min'", other := uuid4()
        )
        sleeper.awake.set()

        async def has_seen_that_it_leads_no_more() -> bool:
            sleeper._renew_at = 0.0
            return not sleeper.leading

        await soon(has_seen_that_it_leads_no_more, "the sleeper to stop leading")
        assert set((await published(stage)).values()) == {0}
    assert await leaders(stage) == {other}
    await publish_all(stage, relay(ground, stage, me=other))
    assert {shard: first_seen(numbers) for shard, numbers in (await on_topic(ground)).items()} == complete(
        await ends(stage)
    )


async def until_it_leads(relay: Relay) -> None:
    """Wait until a relay has the lease of every shard."""

    async def leads() -> bool:
        return len(relay.leading) == SHARDS

    await soon(leads, "the relay to lead")


async def leaders(stage: Stage) -> set[UUID]:
    """Who leads the shards."""
    return {row["leader"] for row in await stage.admin.fetch("SELECT leader FROM relay")}


async def test_of_two_relays_one_leads_and_nothing_is_published_twice(ground: Ground, stage: Stage) -> None:
    left, right = relay(ground, stage), relay(ground, stage)
    async with running(left.run()):
        # Two that begin in the same moment may share the shards between them, which is right too.
        await until_it_leads(left)
        async with running(right.run()):
            for turn in range(5):
                await store(stage, f"turn {turn}", 30)
                left.wake()
                right.wake()
            await level(stage)
    assert await on_topic(ground) == complete(await ends(stage))
    assert len(await leaders(stage)) == 1


@dataclass
class Counts(Relay):
    """Counts how often it asks for the lease."""

    asked: int = 0

    async def _lease(self) -> bool:
        self.asked += 1
        return await super()._lease()


async def test_a_relay_that_follows_does_not_ask_without_pause_once_it_was_woken(ground: Ground, stage: Stage) -> None:
    leader, follower = relay(ground, stage), relay(ground, stage, Counts)
    async with running(leader.run()):
        await until_it_leads(leader)
        async with running(follower.run()):

            async def woken() -> bool:
                follower.wake()
                return bool(follower._wake.is_set())

            await soon(woken, "the follower to hear its own word")
            loop, before = asyncio.get_running_loop(), follower.asked
            began = loop.time()

            async def has_asked_thrice() -> bool:
                return bool(follower.asked >= before + 3)

            await soon(has_asked_thrice, "the follower to ask again")
            assert loop.time() - began >= 1.5 * LOOK_S


async def test_a_relay_that_ends_leaves_the_lease_to_the_next_at_once(ground: Ground, stage: Stage) -> None:
    await store(stage, "first")
    await publish_all(stage, relay(ground, stage))
    held = await stage.count("relay", "lease_until > now()")
    assert held == 0


async def test_events_wait_while_kafka_is_down_and_go_out_when_it_is_back(ground: Ground, stage: Stage) -> None:
    await store(stage, "first")
    lonely = relay(ground, stage)
    lonely.broker = Broker(NOWHERE)

    async def lost_leadership() -> bool:
        return not lonely.leading

    async with running(lonely.run()):
        await soon(lost_leadership, "the relay to notice")
    assert set((await published(stage)).values()) == {0}
    lonely.broker = Broker(ground.bootstrap_servers)
    await publish_all(stage, lonely)
    assert await on_topic(ground) == complete(await ends(stage))


class IsNotAnsweredAbout(Relay):
    """Never hears what became of the batches of one shard, as of a partition that too few brokers hold."""

    async def _send(self, producer: Any, rows: Any) -> int:
        mute = [row for row in rows if row["shard"] == MUTE]
        sent = await super()._send(producer, [row for row in rows if row["shard"] != MUTE])
        if mute:
            self._events.launch(MUTE, mute, asyncio.get_running_loop().create_future())
        return sent + len(mute)


async def test_a_shard_about_which_kafka_is_silent_holds_up_no_other(ground: Ground, stage: Stage) -> None:
    silent = relay(ground, stage, IsNotAnsweredAbout)
    async with running(silent.run()):
        for turn in range(3):
            await store(stage, f"turn {turn}")
            silent.wake()

            async def others_are_level() -> bool:
                done, all_of_it = await published(stage), await ends(stage)
                return all(done[shard] == all_of_it[shard] for shard in range(SHARDS) if shard != MUTE)

            await soon(others_are_level, "the other shards to be published")
        assert (await published(stage))[MUTE] == 0
    await publish_all(stage, relay(ground, stage))
    assert await on_topic(ground) == complete(await ends(stage))


async def test_the_key_of_a_dossier_is_on_its_topic_before_the_dossiers_first_event(
    ground: Ground, stage: Stage
) -> None:
    dossier = name("dossier", 1)
    await stage.engine().handle([with_key(dossier, "one")])
    with pytest.raises(Killed):
        await relay(ground, stage, DiesBeforeKeys, owns_keys=True).run()
    assert not any((await on_topic(ground)).values())
    await publish_all(stage, relay(ground, stage, owns_keys=True))
    keys = [one.key for records in (await read_topic(ground.bootstrap_servers, KEYS.name)).values() for one in records]
    assert keys == [str(dossier).encode()]
    assert await stage.count("data_keys", "NOT published") == 0


async def _dossiers_on(ground: Ground, topic: str) -> set[str]:
    lying = await read_topic(ground.bootstrap_servers, topic)
    return {(one.key or b"").decode() for records in lying.values() for one in records}


async def test_an_event_that_is_committed_while_keys_are_published_waits_for_its_own_key(
    ground: Ground, stage: Stage
) -> None:
    first, meanwhile = name("dossier", 1), name("dossier", 2)
    engine = stage.engine()
    await engine.handle([with_key(first, "one")])
    item = with_key(meanwhile, "two")
    overtaken = relay(ground, stage, IsOvertaken, owns_keys=True, meanwhile=item, engine=engine)
    await overtaken._lease()
    async with overtaken.broker.producer(NAME) as producer:
        await overtaken.publish(producer)
        assert await _dossiers_on(ground, TOPIC) == await _dossiers_on(ground, KEYS.name) == {str(first)}
        await overtaken.publish(producer)
    both = {str(first), str(meanwhile)}
    assert await _dossiers_on(ground, TOPIC) == await _dossiers_on(ground, KEYS.name) == both


async def test_a_relay_that_is_told_to_end_at_the_moment_it_is_woken_ends(ground: Ground, stage: Stage) -> None:
    napping = relay(ground, stage)
    task = asyncio.create_task(napping.run())
    await until_it_leads(napping)
    for _ in range(20):
        napping._wake.set()
        await asyncio.sleep(0)
    await store(stage, "first")
    await level(stage)
    napping._wake.set()
    task.cancel()
    done, _ = await asyncio.wait([task], timeout=30)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert done, "the cancellation was swallowed"


async def test_a_producer_that_is_given_up_while_the_broker_stands_still_sends_nothing_more(ground: Ground) -> None:
    async with AsyncExitStack() as lent:
        producer = await lent.enter_async_context(Broker(ground.bootstrap_servers).producer(NAME))
        await producer.send_and_wait(TOPIC, b"acknowledged", partition=0)
        with frozen(ground.kafka):
            await producer.send(TOPIC, b"never acknowledged", partition=0)
            await lent.aclose()
            done, _ = await asyncio.wait([producer._sender.sender_task], timeout=60)
    assert done
