"""Work on several cores: what each share comes to, what a killed process says, and that none outlives its parent."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path

import pytest

from shared.runtime.aio.parallel import MOST, cores, on_cores
from shared.topics import SHARDS

ROOT = Path(__file__).resolve().parents[3]
PARENT = """
import asyncio
from shared.runtime.aio.parallel import on_cores
from tests.unit.runtime.test_cores import stay
asyncio.run(on_cores(stay, None, [1, 2]))
"""


async def times(known: int, share: int) -> tuple[int, int]:
    return known * share, os.getpid()


async def die(known: None, share: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def raise_it(known: None, share: int) -> None:
    raise ValueError(f"share {share}")


async def stay(known: None, share: int) -> None:
    os.write(sys.stdout.fileno(), f"{os.getpid()}\n".encode())  # at once: two of them write here
    await asyncio.sleep(3600)


async def test_each_share_is_worked_on_by_another_process_that_knows_what_this_one_knows() -> None:
    found = await on_cores(times, 7, [1, 2, 3])
    assert [product for product, _ in found] == [7, 14, 21]
    assert os.getpid() not in {pid for _, pid in found}


async def test_a_process_that_is_killed_is_told_and_what_the_work_raises_is_raised() -> None:
    with pytest.raises(BrokenProcessPool):
        await on_cores(die, None, [1, 2])
    with pytest.raises(ValueError, match="share 1"):
        await on_cores(raise_it, None, [1])


@pytest.mark.parametrize(("seen", "used"), [(1, 1), (MOST, MOST), (64, MOST)])
def test_a_host_with_many_cores_gets_no_more_processes_than_a_container_has_memory_for(
    seen: int, used: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(seen)))
    assert cores() == used <= SHARDS


@contextmanager
def at_work() -> Iterator[tuple["subprocess.Popen[str]", list[int]]]:
    """A parent whose two processes are at work: it, and their ids. In a session of its own, as under a terminal."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT], cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert parent.stdout is not None
        yield parent, [int(parent.stdout.readline()) for _ in range(2)]
    finally:
        parent.kill()
        parent.communicate()


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_its_parent(end: signal.Signals) -> None:
    with at_work() as (parent, children):
        parent.send_signal(end)
        assert parent.wait(30) == -end
        _until(lambda: not any(_runs(child) for child in children))


def test_ctrl_c_ends_all_of_them() -> None:
    with at_work() as (parent, children):
        os.killpg(parent.pid, signal.SIGINT)  # as a terminal does: to each of them
        assert parent.wait(30) != 0
        _until(lambda: not any(_runs(child) for child in children))


def _runs(pid: int) -> bool:
    """Whether it is there, and not only waiting to be buried by whoever has adopted it."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def _until(holds: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "a process has outlived its parent"
        time.sleep(0.02)
