"""One platform for all kills, and a table of them at the end."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from deploy.demo.data import generate, read_lines, write_lines
from deploy.demo.players import Desk, Theatre
from deploy.demo.watch import Watcher
from deploy.local.ground import External
from tests.chaos.rig import LANES, Rig
from tests.chaos.stage import Stage

APPLICATIONS = 5000
_rigs: list[Rig] = []


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def rig(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    """Ground, outside systems and services of our own, never external ones, and players who know the register."""
    folder: Path = tmp_path_factory.mktemp("chaos")
    data = generate(APPLICATIONS, datetime.now(UTC), seed=7)
    applications = write_lines(folder / "applications.jsonl", data.applications)
    register = write_lines(folder / "register.jsonl", data.register)
    truth: dict[str, Any] = {person["id_number"]: person for person in data.register}
    async with Stage(folder, register, external=External(), say=print) as stack:
        watcher = Watcher(stack.ground.bootstrap_servers)
        await watcher.start()
        desk = Desk(stack.http, [process.url for process in stack.of("intake")], stack.clients())
        theatre = Theatre(desk, watcher, stack.outside, truth, asyncio.Semaphore(LANES))
        rig = Rig(stack, theatre, read_lines(applications))
        _rigs.append(rig)
        yield rig
        await watcher.stop()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """What was killed, how many messages were in flight, and what the oracle counted in the end."""
    for rig in _rigs:
        terminalreporter.section("kills")
        for kill in rig.kills:
            terminalreporter.write_line(f"{kill.what:<14}{kill.how:<22}{kill.in_flight:>5} messages in flight")
        if rig.verdicts:
            terminalreporter.write_line(str(rig.verdicts[-1]))
