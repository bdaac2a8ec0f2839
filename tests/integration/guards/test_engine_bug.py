"""A bug in the engine ends the process, which acknowledges nothing; without the bug all is handled."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

from deploy.local.ground import Ground
from deploy.local.machine import ROOT
from deploy.postgres.provision import Databases
from shared.runtime.aio.fatal import EX_SOFTWARE
from tests.ground import empty_topics
from tests.integration.guards.working import PRIVATE
from tests.integration.runtime.log import WRITER, Log
from tests.integration.runtime.stage import Stage, command
from tests.integration.runtime.toy import NAME, dossiers
from tests.integration.runtime.wire import committed, put, soon

SHARD = 2
(ONE,) = dossiers(SHARD, 1)


@asynccontextmanager
async def _process(url: str, module: str, *arguments: str, output: int | None = None) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", f"tests.integration.guards.{module}", *arguments,
        cwd=ROOT, env={**os.environ, "DATABASE_URL": url}, stdout=output,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _positions(stage: Stage) -> tuple[int, int]:
    row = await stage.admin.fetchrow("SELECT * FROM heard WHERE source = $1 AND shard = $2", WRITER, SHARD)
    return row["position"], row["next_offset"]


async def test_a_bug_in_the_engine_ends_the_process_and_loses_nothing(
    stage: Stage, ground: Ground, module_databases: Databases, tmp_path: Path
) -> None:
    await empty_topics(ground)
    url, bootstrap, group, log = module_databases.url(NAME), ground.bootstrap_servers, f"bug-{uuid4()}", Log()
    arguments = ("listening", bootstrap, group, str(tmp_path))

    async def acknowledged_first() -> bool:
        return await committed(bootstrap, group) == 1

    async def acknowledged_all() -> bool:
        return await committed(bootstrap, group) == 3

    async def ended_or_acknowledged() -> bool:
        return process.returncode is not None or await acknowledged_all()

    async with _process(url, *arguments, "broken") as process:
        await put(bootstrap, log.say(ONE, "first"))
        await soon(acknowledged_first, "the first to be acknowledged")
        await put(bootstrap, log.say(ONE, "broken"), log.say(ONE, "third"))
        await soon(ended_or_acknowledged, "the process to end")
        assert process.returncode == EX_SOFTWARE
    assert await committed(bootstrap, group) == 1
    assert await _positions(stage) == (1, 1)
    async with _process(url, *arguments):
        await soon(acknowledged_all, "the rest to be acknowledged")
    assert (await stage.state(ONE)).intake.texts == ("first", "broken", "third")
    assert await stage.said(ONE) == ["0|first", "1|broken", "2|third"]


async def test_a_bug_at_the_outcome_of_a_task_ends_the_process_and_the_task_is_done_by_the_next(
    stage: Stage, module_databases: Databases
) -> None:
    async def done() -> bool:
        return await stage.count("tasks") == 0

    await stage.engine().handle([command(ONE, "work")])
    url = module_databases.url(NAME)
    async with _process(url, "working", "work", output=PIPE) as process:
        told, _ = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode == EX_SOFTWARE
    assert b"engine-bug" in told and b"ZeroDivisionError" in told and b"_row" in told
    assert PRIVATE.encode() not in told
    assert not await done()
    async with _process(url, "working"):
        await soon(done, "the task to be done")
    assert await stage.said(ONE) == ["0|work", "1|done"]
