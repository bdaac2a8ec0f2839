"""A floor that does not end is ended, and says which test it hung in and how the others went."""

import os
import select
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests import floors
from tests.floors import Outcome

TESTS = """
import asyncio, os, signal, subprocess, sys, threading
import pytest

WRITE = int(os.environ["BEGUN"])

def test_that_passes(): pass

def test_that_fails(): raise AssertionError("on purpose")

"""
WAITS = """
def test_that_hangs():
    os.write(WRITE, b"x")
    threading.Event().wait()
"""
AWAITS = """
@pytest.mark.asyncio
async def test_that_hangs():
    os.write(WRITE, b"x")
    await asyncio.Event().wait()
"""
DEAF = """
def test_that_hangs():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"], pass_fds=[WRITE])
    os.write(WRITE, b"x")
    threading.Event().wait()
"""
HUNG = "test_some.py::test_that_hangs\n    was still running after 600 s"


BACKGROUND = ("sh", "-c", 'trap "" INT; exec "$0" "$@"')
"""As a shell starts what is typed with `&` behind it."""


def stopped(folder: Path, hanging: str, *started: str) -> Outcome:
    """What is told of a floor that is stopped while its last test hangs; it and its children have ended."""
    (folder / "test_some.py").write_text(TESTS + hanging)
    results, running = folder / "results.xml", folder / "running"
    read, write = os.pipe()
    process = subprocess.Popen(
        # By itself pytest would take a folder above both for its root, if this checkout lies in a temporary one.
        [*started, *floors._pytest(folder, results, running), f"--rootdir={folder}"],
        cwd=floors.ROOT, env={**os.environ, "BEGUN": str(write)}, pass_fds=[write], stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        os.close(write)
        assert os.read(read, 1) == b"x", "the run ended before the test that hangs"
        floors._stop(process)
    assert select.select([read], [], [], 60) == ([read], [], []) and os.read(read, 1) == b"", "something lives on"
    os.close(read)
    return floors._late(floors._outcome("some", floors._LATE, 600.0, results), running)


@pytest.mark.parametrize(
    ("hanging", "started"),
    [(WAITS, ()), (AWAITS, ()), (WAITS, BACKGROUND)],
    ids=["waits", "awaits", "waits in the background"],
)
def test_a_test_that_does_not_end_is_named_with_those_that_had_failed_before(
    hanging: str, started: Sequence[str], tmp_path: Path
) -> None:
    outcome = stopped(tmp_path, hanging, *started)
    assert (outcome.passed, outcome.failed, outcome.note) == (1, 2, "ended after 600 s")
    first, last = outcome.failures
    assert first.startswith("test_some::test_that_fails") and "on purpose" in first
    assert last == HUNG


def test_a_test_that_hears_no_signal_is_killed_with_its_children_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(floors, "_STOP_S", 0.2)
    outcome = stopped(tmp_path, DEAF)
    assert (outcome.failed, outcome.failures) == (1, (HUNG,))


def test_a_check_that_does_not_end_has_failed_and_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "endless.py").write_text("import signal\nsignal.pause()\n")
    monkeypatch.setattr(floors, "_SECONDS", 0.2)
    monkeypatch.setattr(floors, "ROOT", tmp_path)
    outcome = floors._check("endless")("some", True)
    assert (outcome.passed, outcome.failed, outcome.note) == (0, 1, "ended after 600 s")


@pytest.mark.parametrize(("surroundings", "failed"), [({}, 0), ({"CI": "true"}, 1)])
def test_a_floor_whose_program_is_missing_is_left_out_and_named_but_not_in_ci(
    surroundings: dict[str, str], failed: int, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "tests.floors", "alerts"]
    environment = {"PATH": str(tmp_path), **surroundings}
    told = subprocess.run(
        command, cwd=floors.ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert "left out: promtool is not installed (apt-get install prometheus)" in told.stdout
    assert f"0 passed, {failed} failed" in told.stdout
    assert told.returncode == failed


def test_every_file_of_tests_belongs_to_one_floor() -> None:
    """A floor that lies within another one is no part of that one."""
    folders = {name: floors._folder(name) for name, run in floors._FLOORS.items() if run is floors._tests}
    for file in (floors.ROOT / "tests").rglob("test_*.py"):
        homes = [
            name
            for name, folder in folders.items()
            if folder in file.parents
            and not any(Path(each.removeprefix("--ignore=")) in file.parents for each in floors._elsewhere(folder))
        ]
        assert len(homes) == 1, f"{file} belongs to {homes}"
