"""Runs the floors of tests, each as a process of its own, and fails on any failed, broken or skipped test.

`python -m tests.floors` runs all, `python -m tests.floors unit contract` only these. A floor without a test is an
error, so that a renamed folder cannot pass unseen; only a floor whose folder is absent is left out, and says so.

The floors that need no Kafka and no PostgreSQL run one after the other beside those that do, for these wait for their
servers half of the time; each prints what it said when it has ended.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[1]
_PYTHON = sys.executable
_SECONDS = 900
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
    outcomes = _run_all([floor for floor in _FLOORS if not wanted or floor in wanted])
    _print_table(outcomes)
    return 0 if all(outcome.fine for outcome in outcomes) else 1


def _run_all(floors: Sequence[str]) -> list[Outcome]:
    with ThreadPoolExecutor(1) as beside:
        quick = {floor: beside.submit(_FLOORS[floor], floor, True) for floor in floors if floor not in _ON_SERVERS}
        outcomes = {floor: _run(floor) for floor in floors if floor in _ON_SERVERS}
        outcomes |= {floor: future.result() for floor, future in quick.items()}
    return [outcomes[floor] for floor in floors]


def _run(floor: str) -> Outcome:
    print(f"== {floor}", flush=True)
    return _FLOORS[floor](floor, False)


def _check(*command: str) -> Run:
    def run(floor: str, apart: bool) -> Outcome:
        status, seconds = _process([_PYTHON, "-m", *command], floor if apart else None)
        return Outcome(floor, int(status == 0), int(status != 0), 0, seconds)

    return run


def _tests(floor: str, apart: bool) -> Outcome:
    folder = ROOT / "tests" / floor
    if not folder.is_dir():
        return Outcome(floor, 0, 0, 0, 0.0, "absent")
    with tempfile.TemporaryDirectory() as scratch:
        results = Path(scratch) / "results.xml"
        command = [_PYTHON, "-m", "pytest", "-q", str(folder), f"--junit-xml={results}"]
        status, seconds = _process(command, floor if apart else None)
        return _outcome(floor, status, seconds, results)


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


def _failures(suites: Sequence[ElementTree.Element]) -> Iterator[str]:
    """Each failed or broken test: its name and the last lines of its traceback, for a log that is kept only in part."""
    for case in (case for suite in suites for case in suite.iter("testcase")):
        for reason in (*case.findall("failure"), *case.findall("error")):
            last = "\n".join(f"    {line}" for line in (reason.text or "").splitlines()[-_REASON_LINES:])
            yield f"{case.get('classname')}::{case.get('name')}\n{last}"


def _process(command: Sequence[str], apart: str | None) -> tuple[int, float]:
    """Exit status and seconds; what it prints goes on as it comes, or, for a floor `apart`, in one piece at its end."""
    begun = time.monotonic()
    kept = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT} if apart else {}
    try:
        ended = subprocess.run(command, cwd=ROOT, timeout=_SECONDS, check=False, text=True, **kept)  # type: ignore[call-overload]  # noqa: S603
        status, said = ended.returncode, ended.stdout
    except subprocess.TimeoutExpired:
        status, said = 124, f"ended after {_SECONDS} s\n"
    if said:
        print(f"\n== {apart}\n{said}", end="", flush=True)
    return status, time.monotonic() - begun


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
    **dict.fromkeys(("unit", "contract", "architecture", "integration", "e2e", "chaos"), _tests),
}
_ON_SERVERS = ("integration", "e2e", "chaos")

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
