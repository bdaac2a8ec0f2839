"""Runs the floors of tests, each as a process of its own, and fails on any failed, broken or skipped test.

`python -m tests.floors` runs all but `cluster` and `upgrade`, `python -m tests.floors unit contract` only these. A
floor without a test is an error, so that a renamed folder cannot pass unseen; only a floor whose folder is absent is
left out, and says so. So is one whose program this machine lacks (`_PROGRAMS`); where CI is set, that is a failure.

Three run at a time, for those that need Kafka and PostgreSQL wait for their servers half of the time: the longest
first, and whoever has ended takes the next. Beside them, one after the other, run those that need no server. The first
one prints as it goes, each other what it said when it has ended.

A test that takes longer than `_SECONDS` ends its floor, however long that has run: it is told to stop as by Ctrl-C, and
ended with all that it started if it does not; the test that ran is named.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from xml.etree import ElementTree

import psutil

from shared.command import run_command

ROOT = Path(__file__).resolve().parents[1]
_PYTHON = sys.executable
_AT_ONCE = 3
"""Floors at a time: two cores are full with three, and one alone leaves half of them idle."""
_SECONDS = 600
_LOOK_EVERY_S = 5.0
_STOP_S = 30
"""So long may take what pytest does at Ctrl-C: end the fixtures, and write the results of the tests that have ended."""
_LATE = 124
"""Instead of an exit status: it was still at work at the limit. As timeout(1) says it."""
_AT_LIMIT = f"ended after {_SECONDS} s"
_NO_TESTS = 5
_REASON_LINES = 12


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one floor ended: numbers of tests (or checks), wall-clock seconds, a word if it is not plain success, and
    each failed test with the end of its reason.
    """

    floor: str
    passed: int
    failed: int
    skipped: int
    seconds: float
    note: str = ""
    failures: tuple[str, ...] = ()

    @property
    def fine(self) -> bool:
        return not (self.failed or self.skipped)


Run = Callable[[str, bool], Outcome]
"""Runs the floor of this name; whether beside another one."""


def main(wanted: Sequence[str]) -> int:
    """Runs the floors named, or all, prints the table, and returns 1 if anything failed or was skipped (2: no such)."""
    unknown = [name for name in wanted if name not in _FLOORS]
    if unknown:
        print(f"no floor {', '.join(unknown)}; there are {', '.join(_FLOORS)}", file=sys.stderr)
        return 2
    outcomes = _run_all([floor for floor in _FLOORS if floor in (wanted or _FLOORS.keys() - _ASKED_FOR)])
    _print_table(outcomes)
    return 0 if all(outcome.fine for outcome in outcomes) else 1


def _run_all(floors: Sequence[str]) -> list[Outcome]:
    if len(floors) == 1:
        return [_run(floors[0])]
    first, *others = sorted(floors, key=_LONGEST_FIRST.index)
    print(f"== {first}, and beside it {', '.join(others)}", flush=True)
    with ThreadPoolExecutor(_AT_ONCE) as pool, ThreadPoolExecutor(1) as beside:
        lanes = {floor: beside for floor in floors if floor in _SERVERLESS and first not in _SERVERLESS}
        begun = {
            floor: lanes.get(floor, pool).submit(_FLOORS[floor], floor, floor != first) for floor in (first, *others)
        }
        return [begun[floor].result() for floor in floors]


def _run(floor: str) -> Outcome:
    print(f"== {floor}", flush=True)
    return _FLOORS[floor](floor, False)


def _check(*command: str) -> Run:
    def run(floor: str, apart: bool) -> Outcome:
        status, seconds = _process([_PYTHON, "-m", *command], floor if apart else None)
        return Outcome(floor, int(status == 0), int(status != 0), 0, seconds, _AT_LIMIT if status == _LATE else "")

    return run


def _tests(floor: str, apart: bool) -> Outcome:
    folder = _folder(floor)
    if not folder.is_dir():
        return Outcome(floor, 0, 0, 0, 0.0, "absent")
    if lacking := _lacking(floor):
        return Outcome(floor, 0, int("CI" in os.environ), 0, 0.0, lacking)
    with tempfile.TemporaryDirectory() as scratch:
        results, running = Path(scratch) / "results.xml", Path(scratch) / "running"
        command = (*_pytest(folder, results, running), *_elsewhere(folder))
        status, seconds = _process(command, floor if apart else None, running)
        outcome = _outcome(floor, status, seconds, results)
        return _late(outcome, running) if status == _LATE else outcome


def _lacking(floor: str) -> str:
    """Why this machine cannot run `floor`; nothing if it can."""
    program, package = _PROGRAMS.get(floor, ("", ""))
    if not program or shutil.which(program):
        return ""
    return f"left out: {program} is not installed (apt-get install {package})"


def _pytest(folder: Path, results: Path, running: Path) -> Sequence[str]:
    written = (f"--junit-xml={results}", "-p", "tests.running", f"--running={running}")
    return (_PYTHON, "-m", "pytest", "-q", str(folder), *written)


def _elsewhere(folder: Path) -> Sequence[str]:
    """What leaves out of `folder` what lies in it and is a floor of its own."""
    return [f"--ignore={other}" for other in map(_folder, _FOLDERS) if folder in other.parents]


def _folder(floor: str) -> Path:
    return ROOT / "tests" / _FOLDERS.get(floor, floor)


def _outcome(floor: str, status: int, seconds: float, results: Path) -> Outcome:
    if not results.exists():
        return Outcome(floor, 0, 1, 0, seconds, f"pytest ended with {status}")
    suites = list(ElementTree.parse(results).getroot().iter("testsuite"))  # noqa: S314 (written by pytest just now)
    total, failures, errors, skipped = (
        sum(int(suite.get(name, 0)) for suite in suites) for name in ("tests", "failures", "errors", "skipped")
    )
    failed = failures + errors
    if status == _NO_TESTS or (status != 0 and not failed):
        return Outcome(floor, 0, 1, skipped, seconds, "no tests" if status == _NO_TESTS else f"exit {status}")
    return Outcome(floor, total - failed - skipped, failed, skipped, seconds, failures=tuple(_failures(suites)))


def _late(outcome: Outcome, running: Path) -> Outcome:
    """The same, with the test that had not ended at the limit as one that failed."""
    test = running.read_text(encoding="utf-8") if running.exists() else "before the first test"
    failures = (*outcome.failures, f"{test}\n    was still running after {_SECONDS} s")
    return replace(outcome, note=_AT_LIMIT, failed=len(failures), failures=failures)


def _failures(suites: Sequence[ElementTree.Element]) -> Iterator[str]:
    """Each failed or broken test: its name and the last lines of its traceback, for a log that is kept only in part."""
    for case in (case for suite in suites for case in suite.iter("testcase")):
        for reason in (*case.findall("failure"), *case.findall("error")):
            last = "\n".join(f"    {line}" for line in (reason.text or "").splitlines()[-_REASON_LINES:])
            yield f"{case.get('classname')}::{case.get('name')}\n{last}"


def _process(command: Sequence[str], apart: str | None, running: Path | None = None) -> tuple[int, float]:
    """Exit status and seconds; what it prints goes on as it comes, or, for a floor `apart`, in one piece at its end.
    `running` is written anew whenever a test begins.
    """
    begun = time.monotonic()
    out, err = (subprocess.PIPE, subprocess.STDOUT) if apart else (None, None)
    said: str | None
    with subprocess.Popen(command, cwd=ROOT, text=True, stdout=out, stderr=err) as process:  # noqa: S603
        try:
            said = _read(process, running)
            status = process.returncode
        except subprocess.TimeoutExpired:
            status, said = _LATE, _stop(process)
    if said:
        print(f"\n== {apart}\n{said}", end="", flush=True)
    return status, time.monotonic() - begun


def _read(process: "subprocess.Popen[str]", running: Path | None) -> str | None:
    """What a process says until it ends. Raises TimeoutExpired if it, or one test of it, takes over `_SECONDS`."""
    begun = time.time()
    while True:
        last = running.stat().st_mtime if running is not None and running.exists() else begun
        left = last + _SECONDS - time.time()
        try:
            return process.communicate(timeout=max(0.0, min(left, _LOOK_EVERY_S)))[0]
        except subprocess.TimeoutExpired:
            if left <= _LOOK_EVERY_S and (running is None or not running.exists() or running.stat().st_mtime == last):
                raise


def _stop(process: "subprocess.Popen[str]") -> str | None:
    """Ends a process as Ctrl-C does, or with all that it has started if that does not end it; what it has said."""
    process.send_signal(signal.SIGINT)
    try:
        return process.communicate(timeout=_STOP_S)[0]
    except subprocess.TimeoutExpired:
        first = psutil.Process(process.pid)
        for each in (*first.children(recursive=True), first):
            with suppress(psutil.NoSuchProcess):
                each.kill()
        return process.communicate()[0]


def _print_table(outcomes: Sequence[Outcome]) -> None:
    print(f"\n{'floor':<14}{'passed':>8}{'failed':>8}{'skipped':>9}{'seconds':>9}")
    for each in outcomes:
        counts = f"{each.passed:>8}{each.failed:>8}{each.skipped:>9}{each.seconds:>9.1f}"
        print(f"{each.floor:<14}{counts}  {each.note}".rstrip())
    for failure in (failure for each in outcomes for failure in each.failures):
        print(f"failed: {failure}")
    passed, failed, skipped = (sum(column) for column in zip(*map(_counts, outcomes), strict=True))
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped (counts as failure)" if skipped else ""))


def _counts(outcome: Outcome) -> tuple[int, int, int]:
    return outcome.passed, outcome.failed, outcome.skipped


_FLOORS: Mapping[str, Run] = {
    "lint": _check("ruff", "check", "."),
    "types": _check("mypy"),
    **dict.fromkeys(
        (
            "unit",
            "contract",
            "architecture",
            "alerts",
            "secured",
            "integration",
            "runtime",
            "e2e",
            "demos",
            "bad-input",
            "kills",
            "cluster",
            "upgrade",
        ),
        _tests,
    ),
}
_FOLDERS = {
    "runtime": "integration/runtime",
    "e2e": "e2e/proofs",
    "demos": "e2e/demos",
    "bad-input": "e2e/bad_input",
    "kills": "chaos",
}
"""Where a floor lies, if not in the folder of its name."""
_PROGRAMS = {"alerts": ("promtool", "prometheus")}
"""What a floor needs that `make setup` does not bring: the program, and Debian's package of it."""
_LONGEST_FIRST = (
    "e2e", "integration", "runtime", "kills", "demos", "bad-input", "unit", "types", "secured", "alerts", "contract",
    "architecture", "lint", "cluster", "upgrade",
)  # fmt: skip
_SERVERLESS = {"lint", "types", "unit", "contract", "architecture"}
"""They fill what the waiting of the others leaves idle."""
_ASKED_FOR = {"cluster", "upgrade"}
"""Run only if they are named: three brokers, or two releases side by side, take minutes of both cores."""

if __name__ == "__main__":
    run_command(lambda: main(sys.argv[1:]))
