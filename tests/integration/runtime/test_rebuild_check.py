"""`rebuild --check`: live states against the audit trail; a dossier behind a dead letter is left out and counted."""

import os
import signal
from dataclasses import replace
from typing import Any

import asyncpg
import pytest

from deploy.local.ground import Ground
from deploy.postgres.provision import Databases
from services.audit.trail import Trail
from shared.runtime.admin.deadletters import Redriven, discard, redrive
from shared.runtime.kafka.clients import Broker
from shared.runtime.kernel.message import Record
from shared.runtime.observe.metrics import Metrics
from shared.runtime.recovery.rebuild import NOT_COMPARED, check
from shared.runtime.service.service import Service
from tests.ground import empty_topics
from tests.integration.runtime.log import Log
from tests.integration.runtime.stage import Stage, as_it_is, staged
from tests.integration.runtime.test_relay import publish_all, relay
from tests.integration.runtime.toy import Toy, dossiers
from tests.integration.runtime.whole import service, settings
from tests.integration.runtime.wire import put, running, soon

SOUND, PARKED = dossiers(5, 2)


async def heard(ground: Ground, stage: Stage) -> list[Record]:
    """Two dossiers of one shard; at one of them the rule raised, and what came later waits."""
    stage.toy = Toy({"bug"})
    log = Log()
    records = [log.say(SOUND, "one"), log.say(PARKED, "first"), log.say(PARKED, "bug"), log.say(PARKED, "behind")]
    records.append(log.say(SOUND, "two"))
    await put(ground.bootstrap_servers, *records)
    listener = stage.listener(bootstrap=ground.bootstrap_servers)
    await listener.prepare()
    await listener.handle(records)
    await publish_all(stage, relay(ground, stage))
    return records


async def audited(ground: Ground, databases: Databases, records: int) -> None:
    """Audit stores what lies on the topics."""
    async with asyncpg.create_pool(databases.url("audit"), min_size=1, max_size=4) as pool:

        async def are_stored() -> bool:
            return bool(await pool.fetchval("SELECT count(*) FROM records") >= records)

        async with running(Trail(pool, Broker(ground.bootstrap_servers), Metrics("audit")).run()):
            await soon(are_stored, "audit to store the records")


async def checked(doubted: Service, ground: Ground, databases: Databases) -> tuple[int, list[str]]:
    """What `rebuild --check` comes to, looking once, and what it tells."""
    said: list[str] = []
    return await check(doubted, settings(ground, databases), said.append, patience=1), said


@pytest.mark.usefixtures("quiet")
async def test_a_parked_dossier_is_left_out_and_counted_and_any_other_must_be_what_its_events_come_to(
    ground: Ground, module_databases: Databases, stage: Stage
) -> None:
    await empty_topics(ground)
    records = await heard(ground, stage)
    assert await stage.parked(PARKED)
    await audited(ground, module_databases, len(records) + await stage.count("events"))
    code, said = await checked(service(stage), ground, module_databases)
    assert (code, "0 differ, 1 left out behind dead letters" in said[-1]) == (0, True), said
    await stage.admin.execute("UPDATE states SET state = '{}' WHERE dossier_id = $1", PARKED)
    code, _ = await checked(service(stage), ground, module_databases)
    assert code == 0, "what is left out is not compared"
    await stage.admin.execute("UPDATE states SET state = '{}' WHERE dossier_id = $1", SOUND)
    code, said = await checked(service(stage), ground, module_databases)
    assert (code, str(SOUND) in said[0]) == (1, True), said
    assert "1 differ, 1 left out behind dead letters" in said[-1]


@pytest.mark.usefixtures("quiet")
async def test_a_record_of_the_trail_that_cannot_be_read_is_counted(ground: Ground, fresh_databases: Databases) -> None:
    await empty_topics(ground)
    async with staged(fresh_databases) as stage:
        log = Log()
        records = [log.say(SOUND, "one"), replace(log.say(PARKED, "torn"), value=b"{")]
        await put(ground.bootstrap_servers, *records)
        listener = stage.listener(bootstrap=ground.bootstrap_servers)
        await listener.prepare()
        await listener.handle(records)
        await publish_all(stage, relay(ground, stage))
        await audited(ground, fresh_databases, len(records) + await stage.count("events"))
        code, said = await checked(service(stage), ground, fresh_databases)
    assert (code, said[-1].split(", ")[-1]) == (0, "unreadable records passed over: 1"), said


def killed(state: Any, event: Any) -> Any:
    """As the kernel does where there is no memory for all states."""
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.usefixtures("quiet")
async def test_a_rebuild_that_is_killed_in_the_middle_has_found_no_difference(
    ground: Ground, fresh_databases: Databases
) -> None:
    await empty_topics(ground)
    async with staged(fresh_databases) as stage:
        records = await heard(ground, stage)
        await audited(ground, fresh_databases, len(records) + await stage.count("events"))
        doomed = service(stage)
        doomed = replace(doomed, decider=replace(doomed.decider, folds=dict.fromkeys(doomed.decider.folds, killed)))
        code, said = await checked(doomed, ground, fresh_databases)
    assert (code, len(said)) == (NOT_COMPARED, 1)
    assert "not compared, one of the processes was killed" in said[0]


@pytest.mark.usefixtures("quiet")
async def test_a_dossier_is_left_out_whose_dead_letter_was_given_up_after_a_redrive_in_vain(
    ground: Ground, fresh_databases: Databases
) -> None:
    await empty_topics(ground)
    async with staged(fresh_databases) as stage:
        records = await heard(ground, stage)
        assert (await redrive(stage.engine(), bytes, PARKED)).parked
        assert await discard(stage.pool, await stage.admin.fetchval("SELECT id FROM dead_letters"), as_it_is)
        assert await redrive(stage.engine(), bytes, PARKED) == Redriven(1, parked=False)
        await publish_all(stage, relay(ground, stage))
        await audited(ground, fresh_databases, len(records) + await stage.count("events"))
        code, said = await checked(service(stage), ground, fresh_databases)
    assert (code, "0 differ, 1 left out" in said[-1]) == (0, True), said
