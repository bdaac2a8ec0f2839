"""A dead broker or register stops no citizen: applications are taken in, nothing is lost, all is drained after."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from deploy.stack import Process
from deploy.waiting import until
from shared.services import SERVICES
from tests.e2e.proofs.people import cast
from tests.e2e.proofs.play import SOON_S, Play

pytestmark = pytest.mark.asyncio(loop_scope="session")

OPEN = 2.0
IDENTITY = ("CitizenVerified", "CitizenMismatched", "CitizenNotFound")


async def test_applications_sent_while_kafka_is_down_are_taken_in_and_all_end_after(play: Play) -> None:
    kafka, (intake,) = play.stack.ground.kafka, play.stack.of("intake")
    assert kafka is not None
    assert await kafka.kill() == -9
    try:
        played = await play.begin(cast(10, first=40))
        await play.filed(played)
        status, told = await play.ask(intake, "/readyz")
        assert (status, json.loads(told)["faults"]) == (200, {})
        assert not any(one.case.events for one in played), "nothing can have been published"
    finally:
        await kafka.start()
    assert (await play.ask(intake, "/readyz"))[0] == 200
    await play.all_well(played)
    assert play.watcher.gaps == 0


@pytest.mark.parametrize("server", ["kafka", "postgres"])
async def test_a_service_told_to_end_while_a_server_is_down_ends_with_0(play: Play, server: str) -> None:
    down, processes = getattr(play.stack.ground, server), play.stack.processes
    async with play.all_standing_after():
        try:
            async with all_write(processes):
                assert await down.kill() == -9
            assert await ended_by_a_word(processes) == dict.fromkeys(SERVICES, 0)
            async with all_write(processes):
                for process in processes:
                    process.start()
            assert await ended_by_a_word(processes) == dict.fromkeys(SERVICES, 0)
        finally:
            await down.start()


async def ended_by_a_word(processes: Sequence[Process]) -> dict[str, int]:
    """SIGTERM to all of them, and their exit codes; none has used up its time to drain. Raises TimeoutError."""
    for process in processes:
        process.signal(signal.SIGTERM)
    codes = {process.service: await process.ended(SOON_S) for process in processes}
    assert not [process.service for process in processes if "drain-timed-out" in process.last_words(50)]
    return codes


@asynccontextmanager
async def all_write(processes: Sequence[Process]) -> AsyncIterator[None]:
    """Leave the block only when each of them has written something since: it has noticed, or begun to listen."""
    before = [process.log.stat().st_size for process in processes]

    async def all_have() -> bool:
        return all(process.log.stat().st_size > size for process, size in zip(processes, before, strict=True))

    yield
    await until(all_have, seconds=SOON_S, what="every service to write something into its log")


@pytest.mark.parametrize(("mode", "first", "down_s"), [("refuse", 50, 20), ("hang", 60, 3)])
async def test_nothing_is_lost_while_the_register_is_down(play: Play, mode: str, first: int, down_s: float) -> None:
    async with play.outside("register", mode=mode):
        played = await play.begin(cast(8, first))
        await play.filed(played)
        await breaker_opens(play)
        # How long it stays down is the point here, not a wait for something to become true.
        await asyncio.sleep(down_s)
        assert not any(one.case.all(*IDENTITY) for one in played)
        await play.metric_is("verification", "dossier_tasks_pending", len(played), task="look-up")
        assert (await play.ask(play.stack.of("verification")[0], "/livez"))[0] == 200
    await play.all_well(played)
    await play.metric_is("verification", "dossier_circuit_state", 0, dependency="register")
    await play.metric_is("verification", "dossier_tasks_pending", 0, task="look-up")


async def breaker_opens(play: Play) -> None:
    async def is_open() -> bool:
        return await play.metric("verification", "dossier_circuit_state", dependency="register") == OPEN

    await until(is_open, seconds=SOON_S, what="the breaker of the register to open")
