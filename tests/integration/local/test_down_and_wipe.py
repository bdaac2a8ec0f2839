"""`down` ends what runs below `.local/`, wherever there; `wipe` removes it, but never from under a running program."""

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from deploy.local.__main__ import down, wipe
from deploy.local.machine import ROOT
from deploy.local.server import GroundError

HOLDER = """
import signal, sys
from pathlib import Path
from deploy.local.ground import lock
held = lock(Path(sys.argv[1]))
print("held", flush=True)
signal.pause()
"""
FOLDERS = [".", "run", "demo"]


@asynccontextmanager
async def using(folder: Path) -> AsyncIterator[Process]:
    """A program that uses `folder`, as `make run` does."""
    program = await asyncio.create_subprocess_exec(sys.executable, "-c", HOLDER, str(folder), stdout=PIPE, cwd=ROOT)
    assert program.stdout is not None
    try:
        assert await asyncio.wait_for(program.stdout.readline(), 60) == b"held\n"
        yield program
    finally:
        if program.returncode is None:
            program.kill()
        await program.wait()


def left_behind(local: Path) -> list[Path]:
    """What servers and stacks leave: data and secrets of each, and Kafka's jars, which are to stay."""
    data = [
        local / folder / name
        for folder in FOLDERS
        for name in ("kafka/data/log", "postgres/PG_VERSION", "secrets/kek", "ports.json")
    ]
    data += [local / "run/logs/intake-0.log", local / "demo/outside/mail"]
    for path in [*data, local / "kafka/libs/a.jar"]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return data


@pytest.mark.parametrize("folder", FOLDERS)
async def test_down_ends_the_program_that_uses_any_of_the_folders(
    folder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with using(tmp_path / folder) as program:
        assert await asyncio.to_thread(down, tmp_path) == 0
        assert await asyncio.wait_for(program.wait(), 60) == -15
    assert f"process {program.pid}, which used {tmp_path / folder}, has ended" in capsys.readouterr().out


def test_down_says_so_if_nothing_is_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert down(tmp_path) == 0
    assert capsys.readouterr().out == "nothing is up\n"


def test_wipe_leaves_nothing_but_the_jars(tmp_path: Path) -> None:
    data = left_behind(tmp_path)
    assert wipe(tmp_path) == 0
    assert not [path for path in data if path.exists()]
    assert {path.name for path in tmp_path.iterdir()} == {"kafka", "ground.lock"}
    assert (tmp_path / "kafka/libs/a.jar").exists()
    assert wipe(tmp_path) == 0, "there was nothing to wipe, and that is no fault"


@pytest.mark.parametrize("folder", FOLDERS)
async def test_nothing_is_wiped_while_any_of_it_is_in_use(folder: str, tmp_path: Path) -> None:
    data = left_behind(tmp_path)
    async with using(tmp_path / folder) as program:
        with pytest.raises(GroundError, match=f"is in use by process {program.pid}: end it with Ctrl-C or `down`"):
            wipe(tmp_path)
    assert all(path.exists() for path in data)
