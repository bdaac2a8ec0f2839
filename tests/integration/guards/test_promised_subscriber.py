"""The subscriber that the topics' page promises to strangers runs as it stands there, and keeps what is promised."""

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from deploy.local.ground import Ground
from shared.events.intake import DossierSubmitted
from shared.runtime.kernel.message import Record
from tests.ground import empty_topics
from tests.integration.runtime.log import Log, record_of
from tests.integration.runtime.toy import dossiers
from tests.integration.runtime.wire import put, soon
from tests.reference import EVENTS

SHARD, OTHER_SHARD = 2, 9
(ONE,), (OTHER,) = dossiers(SHARD, 1), dossiers(OTHER_SHARD, 1)
LINES, COLUMNS = 15, 110


def _text() -> str:
    (block,) = re.findall(r"```python\n(.*?)```", EVENTS.read_text(encoding="utf-8"), re.DOTALL)
    return str(block)


@asynccontextmanager
async def _subscribed(ground: Ground, folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _text(), cwd=folder, env={"KAFKA_BOOTSTRAP_SERVERS": ground.bootstrap_servers},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def _printed(process: asyncio.subprocess.Process, count: int) -> list[str]:
    """The codes of the next so many events that it tells."""
    assert process.stdout is not None
    lines = [(await asyncio.wait_for(process.stdout.readline(), 60)).decode() for _ in range(count)]
    assert {line.partition(" ")[0] for line in lines} == {DossierSubmitted.TYPE}
    return sorted(line.partition(" ")[2].strip() for line in lines)


async def _kept(folder: Path, *positions: int) -> None:
    """Wait until it has kept so many sequences of the two shards."""
    store = folder / "heard.json"

    async def has_kept() -> bool:
        heard = json.loads(store.read_text()) if store.exists() else None
        return heard is not None and (heard[SHARD][1], heard[OTHER_SHARD][1]) == positions

    await soon(has_kept, f"the positions {positions} to be kept")


def test_the_subscriber_is_short() -> None:
    lines = [line for line in _text().splitlines() if line.strip()]
    assert len(lines) <= LINES
    assert max(map(len, lines)) <= COLUMNS


async def test_the_subscriber_tells_every_event_once_also_over_a_restart_and_a_repeat(
    ground: Ground, tmp_path: Path
) -> None:
    await empty_topics(ground)
    bootstrap, log = ground.bootstrap_servers, Log()
    records = [log.say(ONE, "one"), log.say(ONE, "two"), log.say(OTHER, "other")]
    await put(bootstrap, *records)
    async with _subscribed(ground, tmp_path) as process:
        assert await _printed(process, 3) == ["one", "other", "two"]
        await _kept(tmp_path, 2, 1)
    await put(bootstrap, records[1], log.say(ONE, "three"))
    async with _subscribed(ground, tmp_path) as process:
        assert await _printed(process, 1) == ["three"]
        await put(bootstrap, records[0], log.say(OTHER, "another"))
        assert await _printed(process, 1) == ["another"]


def _gap() -> Record:
    return record_of(ONE, "behind a gap", 4, 2)


def _fork() -> Record:
    forked = record_of(ONE, "of another past", 3, 2)
    other = str(uuid4()).encode()
    return replace(forked, headers=tuple((k, other if k == "ce_previous" else v) for k, v in forked.headers))


@pytest.mark.parametrize("forged", [_gap(), _fork()], ids=["gap", "fork"])
async def test_the_subscriber_stops_at_a_gap_and_at_a_fork(ground: Ground, tmp_path: Path, forged: Record) -> None:
    await empty_topics(ground)
    log = Log()
    await put(ground.bootstrap_servers, log.say(ONE, "one"), log.say(ONE, "two"), forged)
    async with _subscribed(ground, tmp_path) as process:
        assert await _printed(process, 2) == ["one", "two"]
        assert process.stderr is not None
        told = await asyncio.wait_for(process.stderr.read(), 60)
        assert await asyncio.wait_for(process.wait(), 60) == 1
    assert told.decode().rstrip().endswith("AssertionError: gap or fork")
