"""What operators are told as numbers, and only the database or the pool knows."""

import asyncio
from dataclasses import replace
from typing import Any

import asyncpg
import pytest

from deploy.local.ground import Ground
from deploy.postgres.provision import Databases
from shared.errors import KeyNotHere
from shared.runtime.kernel.view import Figure, View
from shared.runtime.process.gauges import REST, SIZE_EVERY_S, Gauges
from shared.runtime.process.wiring import Runtime, waiting, wire
from shared.runtime.service.service import Service
from shared.runtime.tasks.kinds import Attempt
from shared.runtime.tasks.queue import KEY_LATE
from tests.integration.runtime.stage import AT, Stage, command
from tests.integration.runtime.toy import NAME, Worked, name
from tests.integration.runtime.whole import runtime, service, settings
from tests.integration.runtime.wire import running, soon

LATE, POOL = "dossier_keys_late", "dossier_db_pool_waiting"


def value(process: Runtime, metric: str, **labels: str) -> float | None:
    """What the process exports under this name."""
    return process.metrics.registry.get_sample_value(metric, labels)


async def _no_key(attempt: Attempt) -> Worked:
    raise KeyNotHere("the data key has not come yet")


async def test_a_task_whose_data_key_is_late_is_told_until_it_has_come(
    ground: Ground, module_databases: Databases, stage: Stage
) -> None:
    process = runtime(ground, module_databases, stage)
    for n in range(2):
        await stage.engine().handle([command(name("dossier", n), f"work {n}")])

    async def both_were_tried() -> bool:
        return await stage.count("tasks", "last_error LIKE 'KeyNotHere%' AND claim IS NULL") == 2

    async with running(stage.worker(_no_key).run()):
        await soon(both_were_tried, "both tasks to be tried")
    await Gauges(process).refresh()
    assert value(process, LATE, task="work") == 0, "a key that came a moment ago is not late"
    await stage.admin.execute(
        "UPDATE tasks SET enqueued_at = now() - $1::interval WHERE dossier_id = $2", KEY_LATE * 1.1, name("dossier", 0)
    )
    await Gauges(process).refresh()
    assert value(process, LATE, task="work") == 1
    await stage.admin.execute("UPDATE tasks SET last_error = 'Transient: the register is down'")
    await Gauges(process).refresh()
    assert value(process, LATE, task="work") == 0, "the register is late, not the key"


async def test_tasks_that_wait_for_a_connection_are_counted_while_they_wait(module_databases: Databases) -> None:
    async def ask(pool: Any) -> None:
        await pool.fetchval("SELECT 1")

    async with asyncpg.create_pool(module_databases.url(NAME), min_size=1, max_size=1) as pool:
        assert waiting(pool) == 0
        async with pool.acquire():
            asking = [asyncio.create_task(ask(pool)) for _ in range(3)]

            async def three_wait() -> bool:
                return waiting(pool) == 3

            await soon(three_wait, "three to wait")
            asking[0].cancel()
            await asyncio.gather(asking[0], return_exceptions=True)
            assert waiting(pool) == 2
        await asyncio.gather(*asking[1:])
        assert waiting(pool) == 0


async def test_the_number_that_waits_for_a_connection_is_exported_as_it_is_at_the_moment(
    ground: Ground, module_databases: Databases, stage: Stage
) -> None:
    process = runtime(ground, module_databases, stage)
    assert value(process, POOL) == 0
    held = [await stage.pool.acquire() for _ in range(stage.pool.get_max_size())]
    asking = asyncio.create_task(stage.pool.fetchval("SELECT 1"))

    async def one_waits() -> bool:
        return value(process, POOL) == 1

    await soon(one_waits, "one to wait")
    for connection in held:
        await stage.pool.release(connection)
    assert await asking == 1
    assert value(process, POOL) == 0


class Clock:
    """A clock on which everything takes so long."""

    def __init__(self) -> None:
        self.at, self.takes = 0.0, 0.0

    def __call__(self) -> float:
        self.at += self.takes
        return self.at


TALLIES = f"""CREATE TABLE IF NOT EXISTS tallies (dossier_id uuid PRIMARY KEY, status smallint);
    TRUNCATE tallies; GRANT SELECT, INSERT, DELETE ON tallies TO dossier_{NAME}"""


async def counting(stage: Stage) -> Service:
    """The toy, whose dossiers are all in status 1."""
    await stage.admin.execute(TALLIES)
    decider = replace(stage.toy.decider, views=(View("tallies", lambda state: {"status": 1}),))
    return replace(service(stage), decider=decider, figures=(Figure("dossiers", "tallies", by="status"),))


async def refreshed_with(process: Runtime, stage: Stage, locked: str) -> None:
    """Refresh while nobody can read this table."""
    async with stage.admin.transaction():
        await stage.admin.execute(f"LOCK TABLE {locked} IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(asyncpg.LockNotAvailableError):
            await Gauges(process).refresh()


async def test_a_database_that_does_not_answer_stops_no_number_that_needs_none_nor_one_table_those_of_another(
    ground: Ground, module_databases: Databases, stage: Stage
) -> None:
    at_once = {"lock_timeout": "50ms"}
    async with asyncpg.create_pool(module_databases.url(NAME), min_size=1, server_settings=at_once) as pool:
        process = wire(await counting(stage), settings(ground, module_databases), pool)
        process.resources.progress.oldest = AT
        await refreshed_with(process, stage, "relay")
        assert value(process, "dossier_consumer_oldest_unhandled_timestamp_seconds") == AT.timestamp()
        await stage.engine().handle([command(name("dossier", 0), "work 0")])
        await refreshed_with(process, stage, "states")
        assert value(process, "dossier_outbox_pending_events") == 1
        assert value(process, "dossier_tasks_pending", task="work") == 1


async def test_counting_the_dossiers_rests_the_longer_the_longer_it_takes(
    ground: Ground, module_databases: Databases, stage: Stage
) -> None:
    process, clock = wire(await counting(stage), settings(ground, module_databases), stage.pool), Clock()
    gauges, engine = Gauges(process, clock), stage.engine(process.service.decider)

    async def told_after_one_more(n: int) -> float | None:
        await engine.handle([command(name("dossier", n), f"dossier {n}")])
        await gauges.refresh()
        return value(process, "dossier_dossiers", status="1")

    clock.takes = 3.0
    assert await told_after_one_more(0) == 1
    clock.takes = 0.0
    clock.at += 3.0 * REST - 1
    assert await told_after_one_more(1) == 1, "counted again too soon"
    clock.at += 2
    assert await told_after_one_more(2) == 3


async def test_the_size_of_the_database_is_told_as_it_was_a_minute_ago_at_most(
    ground: Ground, module_databases: Databases, stage: Stage
) -> None:
    process, clock = wire(await counting(stage), settings(ground, module_databases), stage.pool), Clock()
    gauges = Gauges(process, clock)
    await gauges.refresh()
    first = value(process, "dossier_database_bytes")
    assert first is not None
    await stage.admin.execute("CREATE TABLE large AS SELECT repeat('x', 1000) FROM generate_series(1, 5000)")
    await gauges.refresh()
    assert value(process, "dossier_database_bytes") == first, "asked again too soon"
    clock.at += SIZE_EVERY_S
    await gauges.refresh()
    assert value(process, "dossier_database_bytes") == await stage.admin.fetchval(
        "SELECT pg_database_size(current_database())"
    )
    assert (value(process, "dossier_database_bytes") or 0) > first + 5_000_000
