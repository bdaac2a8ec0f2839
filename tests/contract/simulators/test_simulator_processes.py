"""How the outside systems live as processes: they end with their parent, keep their ports, and stand alone."""

import ast
import asyncio
import os
import signal
import sys
from pathlib import Path

import psutil
import pytest

from deploy.simulators.journal import History, Journal, read_lines
from deploy.simulators.process import ROOT, NotStarted, Simulators
from tests.contract.simulators.outside import PEOPLE, until

HOME = ROOT / "deploy" / "simulators"
PARENT = """
import asyncio, sys
from pathlib import Path
from deploy.simulators.process import Simulators

async def main():
    async with Simulators(Path(sys.argv[1]), Path(sys.argv[2])) as outside:
        print(*(outside.pid(name) for name in ("register", "bank", "smtp")), flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.asyncio
async def test_the_outside_systems_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PARENT, str(tmp_path / "outside"), str(PEOPLE)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    assert parent.stdout is not None
    async with asyncio.timeout(60):
        children = [int(pid) for pid in (await parent.stdout.readline()).split()]
    assert len(children) == 3
    os.kill(parent.pid, signal.SIGKILL)
    assert await parent.wait() == -9
    await until(lambda: not any(_alive(pid) for pid in children))


def _alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


@pytest.mark.asyncio
async def test_a_stopped_system_refuses_and_comes_back_on_its_port(tmp_path: Path) -> None:
    async with Simulators(tmp_path / "outside", PEOPLE, only=["register"]) as outside:
        port = outside.port("register")
        await outside.stop("register")
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
        await outside.restart("register")
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()


@pytest.mark.asyncio
async def test_a_system_that_cannot_start_says_why(tmp_path: Path) -> None:
    people = tmp_path / "people.jsonl"
    people.write_text('{"id_number": "1"}\n')
    with pytest.raises(NotStarted, match="line 1 is not a person"):
        async with Simulators(tmp_path / "outside", people, only=["register"]):
            pytest.fail("a register with a bad line must not start")


def test_a_history_goes_on_after_a_line_that_a_kill_tore(tmp_path: Path) -> None:
    file = tmp_path / "histories" / "history.jsonl"
    History(file).record("call", answer=1)
    with file.open("ab") as torn:
        torn.write(b'{"n": 2, "ki')
    assert [line["n"] for line in read_lines(file)] == [1]
    History(file).record("call", answer=2)
    assert [(line["n"], line["answer"]) for line in read_lines(file)] == [(1, 1), (2, 2)]


def test_a_line_longer_than_any_buffer_is_written_whole(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journals" / "journal.jsonl")
    journal.append({"text": "ư" * 300_000})
    journal.close()
    assert [len(line["text"]) for line in read_lines(journal.path)] == [300_000]


def test_the_outside_systems_import_nothing_of_the_platform() -> None:
    for file in HOME.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [name for name in names if name.split(".")[0] in ("services", "shared")], file.name
