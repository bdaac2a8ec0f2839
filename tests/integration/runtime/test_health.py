"""/livez tells of progress: red where only a restart helps, green where nothing waits or where no restart helps."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any

import pytest
from starlette.requests import Request

from deploy.local.ground import Ground
from deploy.postgres.provision import Databases
from shared.runtime.kafka.consumer import KafkaConsumer
from shared.runtime.process.probes import STUCK_S, Health, operations_routes
from shared.runtime.process.wiring import Runtime
from tests.ground import empty_topics
from tests.integration.runtime.log import TOPIC, Log
from tests.integration.runtime.stage import Stage
from tests.integration.runtime.toy import NAME, dossiers
from tests.integration.runtime.whole import runtime
from tests.integration.runtime.wire import running, soon

(DOSSIER,) = dossiers(2, 1)
LONG_S = STUCK_S + 1
"""No test waits for it: a test says that so much time has passed."""


class Silent(KafkaConsumer):
    """A consumer that says it is alive, has records before it, and hands none on."""

    @property
    def alive(self) -> bool:
        return True

    def committed_lag(self) -> Mapping[str, int]:
        return {TOPIC: 3}


class Level(Silent):
    """A consumer that has handed on all there is."""

    def committed_lag(self) -> Mapping[str, int]:
        return {TOPIC: 0}


@pytest.fixture
async def process(ground: Ground, module_databases: Databases, stage: Stage) -> Runtime:
    """A process whose store has been compared with its topic."""
    await empty_topics(ground)
    process = runtime(ground, module_databases, stage)
    await process.guard.ready()
    await process.listener.prepare()
    return process


def livez(health: Health) -> Callable[[], Coroutine[Any, Any, Any]]:
    """What answers at /livez."""
    (route,) = [one for one in operations_routes(health, health.runtime.metrics) if one.path == "/livez"]
    return partial(route.endpoint, Request({"type": "http"}))


async def status(health: Health) -> int:
    """The HTTP status at /livez now."""
    answered: int = (await livez(health)()).status_code
    return answered


async def long_after(health: Health) -> int:
    """The status at /livez when the next look at the progress comes late."""
    health.passed(LONG_S)
    return await status(health)


async def test_a_batch_that_hangs_turns_livez_red_until_it_is_finished(process: Runtime, stage: Stage) -> None:
    health, go_on = Health(process), asyncio.Event()

    async def hang() -> None:
        await go_on.wait()

    process.engine.ready = hang
    handling = asyncio.create_task(process.listener.handle([Log().say(DOSSIER, "one")]))
    await soon(lambda: _in_hand(process), "the batch to be in hand")
    assert [await status(health), await long_after(health)] == [200, 503]
    assert list(health.alive()) == ["consumer"]
    go_on.set()
    await asyncio.wait_for(handling, 60)
    assert [await long_after(health), await long_after(health)] == [200, 200]
    assert await stage.said(DOSSIER) == ["0|one"]


async def _in_hand(process: Runtime) -> bool:
    return process.resources.progress.began_at is not None


async def test_records_that_nobody_hands_on_turn_livez_red(process: Runtime) -> None:
    health = Health(process)
    process.consumer = _consumer(Silent, process)
    assert [await status(health), await long_after(health)] == [200, 503]


async def test_the_pulse_counts_the_time_that_passes(process: Runtime) -> None:
    health = Health(process, stuck_s=0.1)
    process.consumer = _consumer(Silent, process)

    async def is_red() -> bool:
        return await status(health) == 503

    async with running(health.pulse()):
        await soon(is_red, "livez to be red")


async def test_a_process_without_anything_to_do_stays_green(process: Runtime) -> None:
    health = Health(process)
    process.consumer = _consumer(Level, process)
    assert [await long_after(health) for _ in range(3)] == [200] * 3


async def test_batch_after_batch_stays_green_although_records_always_wait(process: Runtime) -> None:
    health, log = Health(process), Log()
    process.consumer = _consumer(Silent, process)
    for _ in range(3):
        await process.listener.handle([log.say(DOSSIER, "quiet")])
        assert await long_after(health) == 200


async def test_a_database_that_is_away_does_not_turn_livez_red_nor_does_its_return(
    process: Runtime, stage: Stage
) -> None:
    health = Health(process)
    role = await stage.pool.fetchval("SELECT current_user")
    process.engine.on_lost = process.guard.lost
    async with running(health.pulse(), process.guard.run()):
        await stage.admin.execute(f"ALTER ROLE {role} CONNECTION LIMIT 0")
        try:
            await stage.admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1", role)
            handling = asyncio.create_task(process.listener.handle([Log().say(DOSSIER, "one")]))
            await soon(lambda: _is_missed(process), "the database to be missed")
            assert [await long_after(health) for _ in range(3)] == [200] * 3
            assert not handling.done(), "the database was never away"
        finally:
            await stage.admin.execute(f"ALTER ROLE {role} CONNECTION LIMIT -1")
        seen = set()

        async def handled() -> bool:
            seen.add(await status(health))
            return handling.done()

        await soon(handled, "the batch to be handled")
    assert seen == {200}


async def _is_missed(process: Runtime) -> bool:
    return not process.guard.checked


async def test_a_loop_that_has_ended_turns_livez_red(process: Runtime) -> None:
    async def end() -> None:
        return None

    process.loops["relay"] = asyncio.create_task(end())
    await process.loops["relay"]
    assert Health(process).alive() == {"relay": "ended"}
    assert await status(Health(process)) == 503


async def test_loops_that_end_in_a_drain_do_not_turn_livez_red(process: Runtime) -> None:
    health = Health(process)
    process.loops["http"] = asyncio.create_task(asyncio.sleep(0))
    await process.loops["http"]
    health.ending = True
    assert await status(health) == 200, "who restarts it then cuts off what is in hand"
    assert await health.missing() == {"process": "is ending"}


def _consumer(kind: type[KafkaConsumer], process: Runtime) -> KafkaConsumer:
    listener, settings = process.listener, process.settings
    return kind(NAME, process.broker, [TOPIC], listener.handle, listener.next_offsets, settings.data_dir)
