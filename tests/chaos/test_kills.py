"""Whatever dies, and wherever: every accepted application ends, and everything was said exactly once.

Each test kills one part under load, starts it again, waits until every dossier that was begun has ended, and asks the
oracle about the whole past of the platform; what an operator's commands say of that past is asked in the end.
"""

import asyncio
import signal

import pytest

from deploy.waiting import until
from shared.services import SERVICES
from tests.chaos.rig import END_S, Rig
from tests.chaos.schedule import Fault

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.chaos]

CRASHES = [
    pytest.param("verification", "before-commit:3", id="verification dies before its commit"),
    pytest.param("intake", "after-commit:3", id="intake dies after its commit and before it has answered or published"),
    pytest.param("payment", "after-publish:3", id="payment dies after Kafka's word and before its cursor has moved"),
    pytest.param("notification", "before-acknowledge:3", id="notification dies before it acknowledges"),
    pytest.param("audit", "before-acknowledge:3", id="audit dies before it acknowledges"),
    pytest.param("notification", "after-effect:3", id="notification dies after the mail and before its outcome"),
]


@pytest.mark.parametrize(("service", "point"), CRASHES)
async def test_nothing_is_lost_or_doubled_when(rig: Rig, service: str, point: str) -> None:
    async with rig.load():
        await rig.die_at(service, point)
        await rig.revive(service)
    assert not (await rig.verdict()).faults


@pytest.mark.parametrize("service", SERVICES)
async def test_nothing_is_lost_or_doubled_when_killed_at_any_moment(rig: Rig, service: str) -> None:
    async with rig.load():
        await rig.kill(service)
        assert len(rig.alive()) == len(SERVICES) - 1
        await rig.revive(service)
    assert not (await rig.verdict()).faults


async def test_a_service_that_is_told_to_end_while_it_starts_ends(rig: Rig) -> None:
    process = rig.process("verification")
    process.signal(signal.SIGTERM)
    assert await process.ended() == 0
    starts = process.log.read_text().count('"started"')

    async def started_again() -> bool:
        return process.log.read_text().count('"started"') > starts

    process.start()
    await until(started_again, seconds=END_S, what="verification to start", every=0.01)
    process.signal(signal.SIGTERM)
    assert await process.ended() == 0
    await rig.revive("verification")


async def test_nothing_is_lost_or_doubled_when_the_broker_is_killed(rig: Rig) -> None:
    broker = rig.stack.ground.kafka
    assert broker is not None
    async with rig.load():
        await rig.kill_server(broker)
        await rig.revive_server(broker)
    assert len(rig.alive()) == len(SERVICES)
    assert not (await rig.verdict()).faults


async def test_nothing_is_lost_or_doubled_when_the_database_is_killed(rig: Rig) -> None:
    database = rig.stack.ground.postgres
    assert database is not None
    async with rig.load():
        await rig.kill_server(database)
        await rig.revive_server(database)
    assert len(rig.alive()) == len(SERVICES)
    assert not (await rig.verdict()).faults


TOGETHER = [  # twelve seconds are more than the ten of a session (shared/runtime/kafka/consumer.py)
    Fault(1, "stop-consumer", "verification", 0, "", 0.0, 12.0, 1, 0.0),
    Fault(2, "cut-commit", "intake", 0, "", 0.0, 0.0, 3, 0.0),
    Fault(3, "net-half-open", "payment", 0, "database", 0.0, 5.0, 1, 0.0),
    Fault(4, "net-reset", "notification", 0, "broker", 0.0, 3.0, 1, 0.0),
]


async def test_nothing_is_lost_or_doubled_by_a_stop_beyond_the_session_a_cut_commit_and_a_dead_network(
    rig: Rig,
) -> None:
    async with rig.load():
        await asyncio.gather(*(rig.meet(fault) for fault in TOGETHER))
    assert len(rig.alive()) == len(SERVICES)
    assert not (await rig.verdict()).faults


async def test_the_kills_left_repeats_on_topics_and_second_copies_of_mails_which_nobody_took_for_news(rig: Rig) -> None:
    verdict = await rig.verdict(commands=True)
    assert not verdict.faults
    assert verdict.repeats > 0
    assert verdict.second_copies > 0
    assert verdict.dossiers >= len(rig.kills)
