"""A process that is started again under its name goes on at once; the one before it, should it wake up, has no say."""

import asyncio
from typing import Any

import pytest

from deploy.local.ground import Ground
from shared.errors import Misconfigured
from shared.runtime.engine.batcher import Batcher
from shared.runtime.kernel.message import Claim, Handled
from shared.runtime.observe.metrics import Metrics
from shared.runtime.publishing.relay import Relay
from shared.runtime.tasks.kinds import Attempt, TaskKind
from shared.runtime.tasks.queue import MARGIN_S, Worker
from tests.ground import empty_topics
from tests.integration.runtime.stage import Stage, command, outcome, work
from tests.integration.runtime.test_relay import Sleeps, complete, ends, leaders, level, on_topic, relay, store
from tests.integration.runtime.toy import NAME, Work, Worked, name
from tests.integration.runtime.wire import first_seen, running, soon

INSTANCE, OTHER = "toy-0", "toy-1"


async def test_a_relay_started_again_under_its_name_leads_at_once_and_publishes_in_order(
    ground: Ground, stage: Stage
) -> None:
    await empty_topics(ground)
    await store(stage, "first")
    stopped = relay(ground, stage, Sleeps, instance=INSTANCE)
    async with running(stopped.run()):
        await asyncio.wait_for(stopped.asleep.wait(), 60)
        await stage.admin.execute("UPDATE relay SET lease_until = now() + interval '1 hour'")
        again = relay(ground, stage, instance=INSTANCE)
        async with running(again.run()):
            await level(stage)
            stopped.awake.set()
            await store(stage, "second")
            again.wake()
            await level(stage)
            assert await leaders(stage) == {again.me}
    assert {shard: first_seen(numbers) for shard, numbers in (await on_topic(ground)).items()} == complete(
        await ends(stage)
    )


async def test_a_stopped_relay_that_wakes_takes_nothing_back_and_moves_nothing(ground: Ground, stage: Stage) -> None:
    stopped, again = relay(ground, stage, instance=INSTANCE), relay(ground, stage, instance=INSTANCE)
    await store(stage, "first")
    assert await stopped._lease()
    rows = await stopped._unpublished()
    assert await again._lease()
    assert not await stopped._lease()
    await stopped._move(rows)
    assert await stage.count("relay", "published > 0") == 0
    assert not await stopped._unpublished(), "who does not lead has nothing to publish"
    assert await leaders(stage) == {again.me}


@pytest.mark.parametrize("instance", [OTHER, None])
async def test_a_relay_of_another_name_or_of_none_waits_for_the_lease(
    ground: Ground, stage: Stage, instance: str | None
) -> None:
    first, other = relay(ground, stage, instance=INSTANCE), relay(ground, stage, instance=instance)
    assert await first._lease()
    assert not await other._lease()


class Hangs:
    """Work that a stopped process has begun and does not end."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.awake = asyncio.Event()

    async def __call__(self, attempt: Attempt) -> Worked:
        self.begun.set()
        await self.awake.wait()
        return Worked(text=attempt.payload.text)


async def _ordered(stage: Stage) -> Any:
    dossier = name("dossier", 1)
    await stage.engine().handle([command(dossier, "work one")])
    return dossier


async def test_tasks_of_a_killed_worker_are_begun_at_once_under_its_name_and_count_once(stage: Stage) -> None:
    dossier, hangs = await _ordered(stage), Hangs()
    stopped = stage.worker(hangs, instance=INSTANCE, lease_s=3600.0)
    again = stage.worker(work, instance=INSTANCE, lease_s=3600.0)

    async def is_done() -> bool:
        return await stage.said(dossier) == ["0|work one", "1|done one"]

    async with running(stopped.run()):
        await asyncio.wait_for(hangs.begun.wait(), 60)
        async with running(again.run()):
            await soon(is_done, "the task to be done by the next process")
        hangs.awake.set()
        await asyncio.wait_for(stopped.drain(), 60)
    assert await stage.said(dossier) == ["0|work one", "1|done one"]
    assert await stage.count("tasks") == 0


async def test_the_outcome_of_a_claim_that_was_taken_back_is_stale(stage: Stage) -> None:
    dossier = await _ordered(stage)
    stopped, again = stage.worker(work, instance=INSTANCE), stage.worker(work, instance=INSTANCE)
    await stopped._take_back()
    (row,) = await stopped._claim({None: 1})
    await again._take_back()
    (handled,) = await stage.engine().handle([outcome(dossier, Claim(row["id"], row["claim"]), "work one")])
    assert isinstance(handled, Handled)
    assert handled.outcome == "stale"
    assert await again._claim({None: 1})
    await again._take_back()
    await stopped._take_back()
    assert await stage.count("tasks", f"claimed_by = '{INSTANCE}'") == 1, "taken back by name only at the beginning"


@pytest.mark.parametrize("instance", [OTHER, None])
async def test_a_worker_of_another_name_or_of_none_leaves_claims_alone(stage: Stage, instance: str | None) -> None:
    await _ordered(stage)
    first, other = stage.worker(work, instance=INSTANCE), stage.worker(work, instance=instance)
    assert await first._claim({None: 1})
    await other._take_back()
    assert not await other._claim({None: 1})


async def test_a_lease_that_the_slowest_task_could_outlast_is_refused(stage: Stage) -> None:
    kinds = {"quick": TaskKind(Work, work, timeout_s=1.0), "slow": TaskKind(Work, work, timeout_s=20.0)}

    def worker(lease_s: float) -> Worker:
        return Worker(kinds, stage.pool, Batcher(stage.engine().handle), Metrics(NAME), lease_s=lease_s)

    worker(20.0 + MARGIN_S)
    with pytest.raises(Misconfigured, match=r"TASK_LEASE_S is 24\.9.*slow.*at least 25"):
        worker(24.9)


def test_a_relay_begins_under_an_id_of_its_own(ground: Ground, stage: Stage) -> None:
    assert relay(ground, stage, Relay, instance=INSTANCE).me != relay(ground, stage, Relay, instance=INSTANCE).me
