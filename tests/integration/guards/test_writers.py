"""Two who write at the same time, held up by locks that the test holds itself, so that each race is sure to happen."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from deploy.local.ground import Ground
from shared.runtime.kafka.clients import Broker
from shared.runtime.observe.metrics import Metrics
from shared.runtime.publishing.relay import Relay
from tests.evidence import read_topics
from tests.ground import empty_topics
from tests.integration.guards.waiting import ended, until_done_or_waiting, until_they_wait
from tests.integration.runtime.stage import Stage, command, in_order
from tests.integration.runtime.toy import NAME, dossiers

SHARD = 3
FIRST, SECOND = dossiers(SHARD, 2)


@asynccontextmanager
async def _held(stage: Stage, statement: str) -> AsyncIterator[None]:
    """Hold what `statement` locks, in a transaction that leaves no trace."""
    transaction = stage.admin.transaction()
    await transaction.start()
    try:
        await stage.admin.execute(statement)
        yield
    finally:
        await transaction.rollback()


async def test_two_who_have_read_the_same_state_do_not_overwrite_each_other(stage: Stage) -> None:
    await stage.engine().handle([command(FIRST, "zero")])
    async with _held(stage, f"SELECT * FROM shards WHERE shard = {SHARD} FOR UPDATE"):
        both = [asyncio.create_task(stage.engine().handle([command(FIRST, text)])) for text in ("one", "two")]
        await until_they_wait(stage.admin, 2)
    await ended(both)
    texts = await stage.said(FIRST)
    assert in_order(texts)
    assert list((await stage.state(FIRST)).notification.texts) == texts


async def test_a_message_whose_events_are_stored_is_not_answered_again(stage: Stage) -> None:
    await stage.engine().handle([command(FIRST, "one")])
    await stage.admin.execute("TRUNCATE requests, states")
    async with asyncio.timeout(20):
        (handled,) = await stage.engine().handle([command(FIRST, "one")])
    assert handled.outcome == "ok"
    assert await stage.said(FIRST) == ["0|one"]


async def test_what_commits_later_never_stands_before_what_a_relay_has_passed(stage: Stage, ground: Ground) -> None:
    await empty_topics(ground)
    broker = Broker(ground.bootstrap_servers)
    relay = Relay(NAME, stage.pool, broker, Metrics(NAME))
    await relay._lease()
    async with broker.producer(NAME) as producer:
        taken = "INSERT INTO requests VALUES ('app', 'POST', '/say', 'slow', '', 202, '{}')"
        async with _held(stage, taken):
            slow = asyncio.create_task(stage.engine().handle([command(FIRST, "slow", "slow")]))
            await until_they_wait(stage.admin, 1)
            quick = asyncio.create_task(stage.engine().handle([command(SECOND, "quick", "quick")]))
            await until_done_or_waiting(stage.admin, quick, 2)
            await relay.publish(producer)
        await ended([slow, quick])
        while await relay.publish(producer):
            pass
    assert [told.sequence for told in await read_topics(ground.bootstrap_servers)] == [1, 2]
