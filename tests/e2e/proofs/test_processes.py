"""Each service is a process of its own, and none holds another up."""

import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import psutil
import pytest

from shared.services import SERVICES
from tests.e2e.bad_input.wire import Request, half_sent
from tests.e2e.proofs.people import cast
from tests.e2e.proofs.play import SOON_S, Play

pytestmark = pytest.mark.asyncio(loop_scope="session")


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(url, timeout=30)
    try:
        yield connection
    finally:
        await connection.close()


async def test_every_service_is_a_process_of_its_own(play: Play) -> None:
    commands = {each.service: psutil.Process(each.pid).cmdline() for each in play.stack.processes}
    assert set(commands) == set(SERVICES)
    assert len({each.pid for each in play.stack.processes}) == len(SERVICES)
    assert all(f"services.{service}" in command for service, command in commands.items())


async def test_killing_one_service_leaves_the_others_alive_and_loses_nothing(play: Play) -> None:
    played = await play.begin(cast(3, first=30))
    await play.filed(played)
    (killed,) = play.stack.of("verification")
    async with play.all_standing_after():
        killed.signal(signal.SIGKILL)
        assert await killed.ended() == -signal.SIGKILL
        for process in play.stack.processes:
            if process is not killed:
                assert (await play.ask(process, "/livez"))[0] == 200, process.service
    await play.all_well(played)


async def test_a_service_told_to_end_drains_and_exits_with_0(play: Play) -> None:
    played = await play.begin(cast(4, first=33))
    await play.filed(played)
    async with play.all_standing_after():
        for process in play.stack.processes:
            process.signal(signal.SIGTERM)
        codes = {process.service: await process.ended(SOON_S) for process in play.stack.processes}
        assert codes == dict.fromkeys(SERVICES, 0)
        assert not [each.service for each in play.stack.processes if "drain-timed-out" in each.last_words(50)]
        assert await claimed(play) == dict.fromkeys(SERVICES, 0), "a task left claimed would wait for its lease to end"
    await play.all_well(played)


async def test_half_a_body_that_came_leaves_the_rest_of_its_process_time_to_drain(play: Play) -> None:
    (desk,) = play.stack.of("intake")
    token = play.stack.clients()["citizen-app-a"].token
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json", "idempotency-key": "half"}
    filing = Request("POST", "/v1/dossiers", headers, b'{"half": 1}')
    async with play.all_standing_after(), half_sent(desk.port, filing):
        assert (await play.ask(desk, "/livez"))[0] == 200
        desk.signal(signal.SIGTERM)
        assert await desk.ended(SOON_S) == 0
        assert "drain-timed-out" not in desk.last_words(50)


async def claimed(play: Play) -> dict[str, int]:
    """Each service's tasks that some worker has claimed."""
    counts = {}
    for service in SERVICES:
        async with connected(play.stack.ground.databases().auditor_url(service)) as connection:
            counts[service] = await connection.fetchval("SELECT count(*) FROM tasks WHERE claim IS NOT NULL")
    return counts
