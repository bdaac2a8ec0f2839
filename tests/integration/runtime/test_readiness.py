"""/readyz names what is missing, in time, when a server stands still instead of refusing; /livez stays out of it."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from deploy.local.ground import Ground
from deploy.postgres.provision import Databases
from shared.errors import Unavailable
from shared.runtime.aio.deadline import DOOR_S
from shared.runtime.process.probes import ANSWER_S, Health
from shared.runtime.process.wiring import Runtime, wire
from shared.runtime.store.reading import StateReader
from tests.ground import empty_topics, frozen, frozen_database
from tests.integration.runtime.log import TOPIC
from tests.integration.runtime.stage import Stage
from tests.integration.runtime.test_health import Silent, long_after
from tests.integration.runtime.toy import NAME, Tally, dossiers
from tests.integration.runtime.whole import runtime, service, settings
from tests.integration.runtime.wire import running, soon

(DOSSIER,) = dossiers(2, 1)
SILENT_S = 4.0
"""What in production is ten seconds; longer than a busy broker takes here."""


@pytest_asyncio.fixture
async def process(ground: Ground, module_databases: Databases, stage: Stage) -> AsyncIterator[Runtime]:
    """A process that only hears, with everything that watches."""
    await empty_topics(ground)
    process = runtime(ground, module_databases, stage)
    process.watch.silent_s = SILENT_S
    async with running(process.guard.run(), process.watch.run()):
        yield process


async def ready(health: Health) -> None:
    """Wait until nothing is missing."""

    async def nothing_is_missing() -> bool:
        return await health.missing() == {}

    await soon(nothing_is_missing, "nothing to be missing")


async def test_a_service_that_only_hears_is_not_ready_without_kafka_and_is_again_with_it(
    process: Runtime, ground: Ground
) -> None:
    health = Health(process)
    await ready(health)

    async def kafka_is_missing() -> bool:
        return await health.missing() == {"kafka": "has not answered for 4 s"}

    with frozen(ground.kafka):
        await soon(kafka_is_missing, "kafka to be missing")
        assert health.alive() == {}
    await ready(health)


async def test_a_service_that_takes_in_work_by_itself_is_ready_without_kafka(
    process: Runtime, ground: Ground, module_databases: Databases, stage: Stage
) -> None:
    desk = wire(replace(service(stage), needs_kafka=False), settings(ground, module_databases), stage.pool)
    desk.watch.silent_s = SILENT_S
    async with running(desk.guard.run(), desk.watch.run()):
        await ready(Health(desk))
        await soon(lambda: _answers(desk), "Kafka to answer")
        with frozen(ground.kafka):
            await soon(lambda: _silent(desk), "Kafka to be silent")
            assert await Health(desk).missing() == {}


async def _answers(process: Runtime) -> bool:
    return process.watch.answers


async def _silent(process: Runtime) -> bool:
    return process.watch.fell_silent


async def test_a_process_is_not_ready_before_kafka_has_answered(process: Runtime) -> None:
    process.watch.answered_at = None
    assert "kafka" in await Health(process).missing()


async def test_records_that_wait_while_kafka_is_silent_do_not_turn_livez_red(process: Runtime, ground: Ground) -> None:
    health = Health(process)
    process.consumer = Silent(NAME, process.broker, [TOPIC], process.listener.handle,
                              process.listener.next_offsets, process.settings.data_dir)  # fmt: skip
    await ready(health)
    with frozen(ground.kafka):
        await soon(lambda: _silent(process), "Kafka to be silent")
        assert [await long_after(health) for _ in range(3)] == [200] * 3


async def test_a_database_that_stands_still_is_told_in_time_and_its_return_too(
    process: Runtime, ground: Ground
) -> None:
    health = Health(process)
    await ready(health)
    async with frozen_database(ground, ANSWER_S):
        faults = await health.missing()
        assert faults == {"store": "the database does not answer"}
    await ready(health)


async def test_who_reads_a_state_from_a_database_that_stands_still_is_told_so_in_time(
    process: Runtime, ground: Ground
) -> None:
    reader = StateReader(process.pool, Tally)
    assert await reader.one(DOSSIER) is None
    async with frozen_database(ground, DOOR_S):
        with pytest.raises(Unavailable):
            await reader.one(DOSSIER)
    assert await reader.one(DOSSIER) is None
