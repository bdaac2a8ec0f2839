"""A store that is older than its own topic commits nothing; a topic that lost its tail is published again."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from uuid import UUID

import pytest

from deploy.kafka.topics import delete_topics, ensure_topics
from deploy.local.ground import Ground
from shared.errors import Misconfigured, Unavailable
from shared.runtime.admin.deadletters import redrive
from shared.runtime.kafka.clients import Broker
from shared.runtime.kernel.message import Record
from shared.runtime.recovery.ends import TAIL, last_sequences
from shared.runtime.recovery.guard import RestoreGuard
from shared.topics import TOPICS, Topic, topic_of
from tests.ground import empty_topics, frozen
from tests.integration.runtime.log import AT
from tests.integration.runtime.stage import NOWHERE, Stage, command
from tests.integration.runtime.test_relay import complete, ends, on_topic, publish_all, published, relay, store
from tests.integration.runtime.toy import NAME, dossiers
from tests.integration.runtime.wire import put, read_topic, soon

DOSSIER: UUID = dossiers(4, 1)[0]
SHARD = 4


@pytest.fixture(autouse=True)
async def _topics_without_a_past(ground: Ground) -> None:
    await empty_topics(ground)


def guard(stage: Stage, bootstrap: str) -> RestoreGuard:
    """The guard of a starting process."""
    return RestoreGuard(NAME, stage.pool, Broker(bootstrap), wait_s=60.0 if bootstrap != NOWHERE else 2.0)


@dataclass
class LosesItsConnection(RestoreGuard):
    """The first time, in the middle of the comparison."""

    comparisons: int = 0

    async def _published(self) -> Mapping[int, int]:
        self.comparisons += 1
        if self.comparisons == 1:
            self.lost()
        return await super()._published()


async def restore_an_older_backup(stage: Stage, shard: int = SHARD) -> None:
    """The last event of this shard is gone, and the counter stands where it stood before it."""
    end = (await ends(stage))[shard]
    await stage.admin.execute("DELETE FROM events WHERE shard = $1 AND position = $2", shard, end)
    await stage.admin.execute("UPDATE shards SET next_position = next_position - 1 WHERE shard = $1", shard)
    await stage.admin.execute("UPDATE relay SET published = $2 WHERE shard = $1 AND published > $2", shard, end - 1)


async def commit(stage: Stage, guard: RestoreGuard) -> str:
    """What becomes of a command while this guard watches."""
    engine = stage.engine(ready=guard.ready, on_lost=guard.lost, saw=guard.saw)
    (handled,) = await engine.handle([command(DOSSIER, "one more")])
    return handled.outcome


async def test_a_store_that_is_as_far_as_its_topic_is_ready(ground: Ground, stage: Stage) -> None:
    await store(stage, "first")
    await publish_all(stage, relay(ground, stage))
    assert await last_sequences(Broker(ground.bootstrap_servers), NAME) == await ends(stage)
    assert await commit(stage, guard(stage, ground.bootstrap_servers)) == "ok"


async def test_a_store_that_is_ahead_of_its_topic_is_ready(ground: Ground, stage: Stage) -> None:
    await store(stage, "first")
    assert await commit(stage, guard(stage, ground.bootstrap_servers)) == "ok"


async def test_a_store_restored_from_an_older_backup_commits_nothing_and_says_which_shard(
    ground: Ground, stage: Stage
) -> None:
    await store(stage, "first")
    await publish_all(stage, relay(ground, stage))
    await restore_an_older_backup(stage)
    before = await stage.count("events")
    watching = guard(stage, ground.bootstrap_servers)
    with pytest.raises(Unavailable, match=rf"older than its topic in shards \[{SHARD}\]"):
        await commit(stage, watching)
    assert "older than its topic" in watching.reason
    assert await stage.count("events") == before


async def test_a_starting_process_waits_for_kafka_before_it_commits(stage: Stage) -> None:
    watching = guard(stage, NOWHERE)
    with pytest.raises(Unavailable, match="waiting for Kafka"):
        await commit(stage, watching)
    assert await stage.count("events") == 0


async def test_a_running_process_goes_on_after_a_lost_database_although_kafka_is_down(
    ground: Ground, stage: Stage
) -> None:
    watching = guard(stage, ground.bootstrap_servers)
    await watching.ready()
    watching.broker, watching.wait_s = Broker(NOWHERE), 2.0
    watching.lost()
    assert await commit(stage, watching) == "ok"


async def test_a_relay_waits_for_the_comparison_while_kafka_is_down_although_commits_go_on(
    ground: Ground, stage: Stage
) -> None:
    await store(stage, "first")
    await publish_all(stage, relay(ground, stage))
    watching = guard(stage, ground.bootstrap_servers)
    await watching.ready()
    watching.broker, watching.wait_s = Broker(NOWHERE), 2.0
    with pytest.raises(Unavailable, match="waiting for Kafka"):
        await watching.again({SHARD: 1})
    assert await commit(stage, watching) == "ok"
    watching.broker, watching.wait_s = Broker(ground.bootstrap_servers), 10.0
    await watching.again()
    assert (await published(stage))[SHARD] == 1, "what lies behind a hole was forgotten"


async def test_what_others_have_published_meanwhile_is_not_taken_for_lost_while_kafka_is_down(
    ground: Ground, stage: Stage
) -> None:
    watching = guard(stage, ground.bootstrap_servers)
    await watching.ready()
    await store(stage, "another replica's")
    await publish_all(stage, relay(ground, stage))
    watching.broker, watching.wait_s = Broker(NOWHERE), 2.0
    watching.lost()
    await watching.ready()
    assert await published(stage) == await ends(stage)


async def test_commits_go_on_while_a_relay_compares_with_a_kafka_that_does_not_answer(
    ground: Ground, stage: Stage
) -> None:
    watching = guard(stage, ground.bootstrap_servers)
    await watching.ready()
    with frozen(ground.kafka):
        comparing = asyncio.create_task(watching.again())
        await soon(lambda: _is_comparing(watching), "the comparison to be under way")
        assert await commit(stage, watching) == "ok"
        assert not comparing.done()
    await comparing


async def _is_comparing(watching: RestoreGuard) -> bool:
    return watching._lock.locked()


async def test_a_topic_that_is_gone_while_a_process_runs_is_waited_for(ground: Ground, stage: Stage) -> None:
    watching, own = guard(stage, ground.bootstrap_servers), TOPICS[topic_of(NAME)]
    await watching.ready()
    await delete_topics(ground.bootstrap_servers, [own])
    try:
        with pytest.raises(Unavailable, match="no topic"):
            await watching.again()
    finally:
        await ensure_topics(ground.bootstrap_servers, [own])
    await watching.again()


async def test_a_running_process_notices_an_older_database_although_kafka_is_down(ground: Ground, stage: Stage) -> None:
    watching = guard(stage, ground.bootstrap_servers)
    assert await commit(stage, watching) == "ok"
    await restore_an_older_backup(stage)
    watching.broker, watching.wait_s = Broker(NOWHERE), 2.0
    watching.lost()
    with pytest.raises(Unavailable, match="older than its topic"):
        await commit(stage, watching)
    assert await stage.count("events") == 0


async def test_a_commit_over_the_connection_that_has_just_led_to_another_server_waits_for_the_comparison(
    ground: Ground, stage: Stage
) -> None:
    """It is past the question whether the store is ready, and what another replica has committed it cannot know."""
    watching = guard(stage, ground.bootstrap_servers)

    async def ready_and_then_led_elsewhere() -> None:
        await watching.ready()
        watching.lost()

    engine = stage.engine(ready=ready_and_then_led_elsewhere, on_lost=watching.lost, seen=watching.seen)
    with pytest.raises(Unavailable, match="yet to be compared"):
        await engine.handle([command(DOSSIER, "one more")])
    assert await stage.count("events") == 0
    with pytest.raises(Unavailable, match="yet to be compared"):
        await redrive(engine, bytes, DOSSIER)


async def test_a_connection_lost_during_the_comparison_has_it_made_once_more(ground: Ground, stage: Stage) -> None:
    watching = LosesItsConnection(NAME, stage.pool, Broker(ground.bootstrap_servers), wait_s=60.0)
    await watching.ready()
    assert (watching.checked, watching.comparisons) == (True, 2)


async def test_a_batch_sent_once_more_by_a_leader_that_woke_up_late_does_not_hide_our_last_event(
    ground: Ground, stage: Stage
) -> None:
    await store(stage, "many", 900)
    await publish_all(stage, relay(ground, stage))
    batch = (await read_topic(ground.bootstrap_servers, topic_of(NAME)))[SHARD][:60]
    await put(ground.bootstrap_servers, *batch)
    assert await last_sequences(Broker(ground.bootstrap_servers), NAME) == await ends(stage)


async def test_a_topic_that_lost_its_tail_gets_it_again(ground: Ground, stage: Stage) -> None:
    await store(stage, "first")
    await publish_all(stage, relay(ground, stage))
    await empty_topics(ground)
    await guard(stage, ground.bootstrap_servers).ready()
    assert set((await published(stage)).values()) == {0}
    await publish_all(stage, relay(ground, stage))
    assert await on_topic(ground) == complete(await ends(stage))


async def test_what_others_wrote_to_the_topic_does_not_hide_our_last_event(ground: Ground, stage: Stage) -> None:
    await store(stage, "first")
    await publish_all(stage, relay(ground, stage))
    noise = Record(topic_of(NAME), SHARD, 0, AT, None, (("x", b"\xff"),), b"noise")
    await put(ground.bootstrap_servers, *[noise] * (TAIL + 1))
    assert await last_sequences(Broker(ground.bootstrap_servers), NAME) == await ends(stage)


async def test_a_topic_with_another_number_of_partitions_stops_the_start(ground: Ground, stage: Stage) -> None:
    own = TOPICS[topic_of(NAME)]
    await delete_topics(ground.bootstrap_servers, [own])
    await ensure_topics(ground.bootstrap_servers, [Topic(own.name, own.writer, own.readers, partitions=3)])
    try:
        with pytest.raises(Misconfigured, match="3 partitions"):
            await guard(stage, ground.bootstrap_servers).run()
    finally:
        await delete_topics(ground.bootstrap_servers, [own])
        await ensure_topics(ground.bootstrap_servers, [own])


async def test_a_topic_that_is_heard_and_has_another_number_of_partitions_stops_the_start(
    ground: Ground, stage: Stage
) -> None:
    narrow = Topic("test.heard", "intake", (NAME,), partitions=3)
    await ensure_topics(ground.bootstrap_servers, [narrow])
    hearing = replace(guard(stage, ground.bootstrap_servers), hears=[narrow.name])
    with pytest.raises(Misconfigured, match=r"test\.heard has 3 partitions"):
        await hearing.run()
    await delete_topics(ground.bootstrap_servers, [narrow])


async def test_a_missing_topic_stops_the_start(ground: Ground, stage: Stage) -> None:
    own = TOPICS[topic_of(NAME)]
    await delete_topics(ground.bootstrap_servers, [own])
    try:
        with pytest.raises(Misconfigured, match="no topic"):
            await guard(stage, ground.bootstrap_servers).run()
    finally:
        await ensure_topics(ground.bootstrap_servers, [own])


async def test_a_restore_that_no_connection_tells_of_is_noticed_under_the_locks(ground: Ground, stage: Stage) -> None:
    """An idle process whose pool quietly reconnects: nothing was lost that it could have seen."""
    watching = guard(stage, ground.bootstrap_servers)
    engine = stage.engine(ready=watching.ready, on_lost=watching.lost, saw=watching.saw, seen=watching.seen)
    await engine.handle([command(DOSSIER, "first")])
    await publish_all(stage, relay(ground, stage))
    await restore_an_older_backup(stage)
    before = await ends(stage)
    with pytest.raises(Unavailable):
        await engine.handle([command(DOSSIER, "after the restore")])
    with pytest.raises(Unavailable):
        await engine.handle([command(DOSSIER, "and again")])
    assert await ends(stage) == before
