"""`python -m tests.sabotage [words]`: take out each guard (whose name has one of the words) and see its test turn red.

Each guard is cut out of a copy of the tree, so the tree itself is never touched. First every named test must be green
on an uncut copy. Then each must fail, by what it asserts: a test that cannot be imported or set up proves nothing.
Ends with 1 if a guard's removal goes unnoticed, with 2 if there is no such guard.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from shared.command import run_command
from tests.sabotage.guards import GUARDS, Cut, Guard

ROOT = Path(__file__).resolve().parents[2]
LINKED = (".venv", ".local/kafka/libs")
"""What a copy shares with the tree: packages and jars."""

AT_ONCE = 2
SECONDS = 180
OWN_FAILURES = ("AssertionError", "assert ", "TimeoutError", "Failed: DID NOT RAISE")
"""How the report of a test begins that failed by what it asserts or waits for."""


class Mislaid(Exception):
    """A cut's old text is not in its file exactly once: the guard has moved, and its cut must follow."""


@dataclass(frozen=True, slots=True)
class Ran:
    """One run of tests: pytest's exit code, how many ran, and the first line of each failure and error."""

    code: int
    tests: int
    failures: tuple[str, ...]
    errors: tuple[str, ...]
    seconds: float

    @property
    def green(self) -> bool:
        return self.code == 0 and self.tests > 0

    @property
    def red(self) -> bool:
        """Whether one test ran, and failed by its own assertion."""
        own = len(self.failures) == 1 and self.failures[0].startswith(OWN_FAILURES)
        return self.code == 1 and self.tests == 1 and own and not self.errors

    def __str__(self) -> str:
        return "; ".join([*self.failures, *self.errors]) or f"exit {self.code}, {self.tests} tests"


def main(words: Sequence[str]) -> int:
    """Run what is asked for, print the table, return the exit code."""
    chosen = [guard for guard in GUARDS if not words or any(word in guard.name for word in words)]
    if not chosen:
        print(f"no such guard; there are: {'; '.join(guard.name for guard in GUARDS)}", file=sys.stderr)
        return 2
    began = time.monotonic()
    uncut = _run((), sorted({guard.test for guard in chosen}))
    print(
        f"with every guard in place: {uncut.tests} tests, {'green' if uncut.green else uncut} ({uncut.seconds:.0f} s)"
    )
    if not uncut.green:
        return 1
    with ThreadPoolExecutor(AT_ONCE) as pool:
        unnoticed = sum([not _told(guard, ran) for guard, ran in zip(chosen, pool.map(_cut_out, chosen), strict=True)])
    print(f"{len(chosen) - unnoticed} of {len(chosen)} removals noticed, {time.monotonic() - began:.0f} s")
    return 1 if unnoticed else 0


def _told(guard: Guard, ran: Ran) -> bool:
    """Print the guard's lines of the table; whether its removal was noticed."""
    print(f"{'noticed' if ran.red else 'UNNOTICED':<11}without: {guard.name} ({ran.seconds:.0f} s)")
    print(f"{'':<11}{guard.test.rpartition('::')[2]}\n{'':<11}{str(ran)[:140]}", flush=True)
    return ran.red


def _cut_out(guard: Guard) -> Ran:
    return _run(guard.cuts, [guard.test])


def _run(cuts: Sequence[Cut], tests: Sequence[str]) -> Ran:
    """Run `tests` in a copy of the tree with `cuts` made. Raises Mislaid."""
    with tempfile.TemporaryDirectory(prefix="sabotage-") as folder:
        scratch = Path(folder)
        # PostgreSQL runs as another user than root and must be able to walk to its data.
        scratch.chmod(0o755)
        tree = copy_tree(scratch / "tree")
        for cut in cuts:
            make(cut, tree)
        return run_pytest(tree, scratch, tests)


def copy_tree(target: Path) -> Path:
    """The tree's own files, tracked or not yet, without what is ignored; packages and jars as links."""
    for name in _files():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target / name)
    for name in LINKED:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).symlink_to(ROOT / name)
    return target


def _files() -> Iterator[str]:
    listed = subprocess.run(
        ["git", "ls-files", "-coz", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True, text=True
    )
    return (name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file())


def make(cut: Cut, tree: Path) -> None:
    """Make one cut in `tree`; one without an old text makes a new file. Raises Mislaid unless its old text is there
    exactly once.
    """
    file = tree / cut.file
    file.parent.mkdir(parents=True, exist_ok=True)
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    if text.count(cut.old) != 1:
        raise Mislaid(f"{cut.file}: found {text.count(cut.old)} times, not once:\n{cut.old}")
    file.write_text(text.replace(cut.old, cut.new), encoding="utf-8")


def run_pytest(tree: Path, scratch: Path, tests: Sequence[str]) -> Ran:
    """Run pytest with these words in a copy of the tree; what it leaves lies in `scratch`."""
    report = scratch / "report.xml"
    command = [str(tree / ".venv/bin/python"), "-m", "pytest", "-q", "-p", "no:cacheprovider", "--no-header"]
    own = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTEST_ADDOPTS")}
    began = time.monotonic()
    try:
        done = subprocess.run(
            [*command, f"--basetemp={scratch / 'pytest'}", f"--junit-xml={report}", *tests],
            cwd=tree, capture_output=True, text=True, timeout=SECONDS, check=False, env=own,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return Ran(124, 0, (), (f"no end within {SECONDS} s",), time.monotonic() - began)
    seconds = time.monotonic() - began
    if not report.exists():
        return Ran(done.returncode, 0, (), (done.stdout[-300:] + done.stderr[-300:],), seconds)
    return _read(report, done.returncode, seconds)


def _read(report: Path, code: int, seconds: float) -> Ran:
    """What pytest's own report says, so that a broken import is not taken for a test that noticed."""
    cases = list(ElementTree.parse(report).getroot().iter("testcase"))
    found = {
        kind: tuple(_first_line(one) for case in cases for one in case.iter(kind)) for kind in ("failure", "error")
    }
    return Ran(code, len(cases), found["failure"], found["error"], seconds)


def _first_line(problem: ElementTree.Element) -> str:
    return (problem.get("message") or "").strip().partition("\n")[0]


if __name__ == "__main__":
    run_command(lambda: main(sys.argv[1:]))
