"""Another commit beside this checkout: both measured in turn, A B A B …, one figure at a time, and their ratios.

A machine's speed changes by the minute; what two checkouts do in the same minutes can be compared. The other commit is
checked out under `.local/bench/against`, with this checkout's packages and jars if it wants the same ones. There its
own services, provisioning and stack run, under the measuring code of this checkout, which may know figures that the
other does not.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console

from deploy.local.machine import LOCAL, ROOT
from shared.errors import Misconfigured
from tests.bench.figures import Asked, Figure, Values

MEASURING = "tests/bench"
"""What is taken along; its folders (programs that answer for the outside) belong to the services that they drive."""
_PACKAGES = ("requirements/runtime.txt", "requirements/tools.txt", "requirements/dev.txt")
_PLACES = "from deploy.local import machine; print(machine.LIBS, machine.KAFKA_VERSION, sep=chr(10))"


@dataclass(frozen=True)
class Checkout:
    """One of the two: how it is called, and where it lies."""

    name: str
    root: Path

    @property
    def python(self) -> str:
        """The interpreter with its packages."""
        return str(self.root / ".venv" / "bin" / "python")

    def measure(self, figures: Sequence[Figure], asked: Asked) -> Mapping[str, Values]:
        """One run of these figures, in a process of its own, by name. Raises CalledProcessError."""
        build = self.root / "build" / "against"
        only = ";".join(figure.name for figure in figures)
        amounts = [f"--{name}={amount}" for name, amount in asdict(asked).items()]
        command = [self.python, "-m", "tests.bench", f"--only={only}", "--runs=1", f"--build={build}", *amounts]
        subprocess.run(command, cwd=self.root, stdout=subprocess.DEVNULL, check=True)  # noqa: S603 - the command is ours
        told = json.loads((build / "bench.json").read_text())
        return {each["figure"]: each["runs"][0] for each in told["figures"]}


@dataclass(frozen=True)
class Compared:
    """One figure's pairs of runs: (the other's, ours), taken one right after the other."""

    figure: Figure
    pairs: Sequence[tuple[Values, Values]]

    @property
    def ratios(self) -> list[float]:
        """How many times as good ours is as the other's, pair by pair."""
        of = [(other[self.figure.value], ours[self.figure.value]) for other, ours in self.pairs]
        return [other / ours if self.figure.lower else ours / other for other, ours in of]

    def medians(self, value: str) -> tuple[float, float]:
        """The medians of one value: the other's and ours; NaN where one of them does not tell it."""
        return tuple(median(run.get(value, float("nan")) for run in runs) for runs in zip(*self.pairs, strict=True))


def compare(figures: Sequence[Figure], asked: Asked, runs: int, rev: str, build: Path, console: Console) -> None:
    """Measure both, show the ratios and write them down as `against.md` and `against.json`."""
    other, ours = checked_out(rev, console), Checkout("this", ROOT)
    measures = list(dict.fromkeys(figure.measure for figure in figures))
    found: dict[str, list[tuple[Values, Values]]] = {figure.name: [] for figure in figures}
    for run in range(runs):
        for measure in measures:
            some = [figure for figure in figures if figure.measure is measure]
            pair = [each.measure(some, asked) for each in (other, ours)]
            for figure in some:
                found[figure.name].append((pair[0][figure.name], pair[1][figure.name]))
                was, is_ = (each[figure.name][figure.value] for each in pair)
                console.print(f"pair {run + 1} of {runs}, {figure.name}: {was:,.3f} → {is_:,.3f} {figure.unit}")
    compared = [Compared(figure, found[figure.name]) for figure in figures]
    told = table(compared, other.name, asdict(asked))
    build.mkdir(parents=True, exist_ok=True)
    (build / "against.md").write_text(told)
    (build / "against.json").write_text(json.dumps({each.figure.name: each.pairs for each in compared}, indent=1))
    console.print(told, highlight=False, markup=False, soft_wrap=True)


def table(compared: Sequence[Compared], other: str, asked: Mapping[str, Any]) -> str:
    """Both, and the ratio with its spread, in Markdown; then whatever explains it."""
    lines = [f"| figure | {other} | this | times as good | of each pair |", "|---|---|---|---|---|"]
    for one in compared:
        was, is_ = one.medians(one.figure.value)
        spread = " ".join(f"{ratio:.2f}" for ratio in one.ratios)
        figures = f"{was:,.2f} | {is_:,.2f} | **{median(one.ratios):.2f}** | {spread}"
        lines.append(f"| {one.figure.name} ({one.figure.unit}) | {figures} |")
    lines += ["", f"Medians of both, {', '.join(f'{name} {amount}' for name, amount in asked.items())}:", ""]
    return "\n".join([*lines, *(_explaining(one) for one in compared), ""])


def _explaining(one: Compared) -> str:
    names = [name for name in one.pairs[0][1] if name != one.figure.value]
    values = {name: one.medians(name) for name in names}
    return f"* {one.figure.name}: " + ", ".join(
        f"{name} {was:,.2f} → {is_:,.2f}" for name, (was, is_) in values.items()
    )


def checked_out(rev: str, console: Console) -> Checkout:
    """That commit under `.local/bench/against`, able to run. Raises Misconfigured if git does not know it."""
    told = _git(ROOT, "rev-parse", "--verify", "--quiet", f"{rev}^{{commit}}")
    if told.returncode != 0:
        raise Misconfigured(f"--against: git knows no commit {rev}")
    commit = told.stdout.strip()
    root = LOCAL / "bench" / "against" / commit[:12]
    if not (root / ".git").exists():
        shutil.rmtree(root, ignore_errors=True)
        _git(ROOT, "clone", "--quiet", "--shared", "--no-checkout", str(ROOT), str(root)).check_returncode()
    _git(root, "checkout", "--quiet", "--force", "--detach", commit).check_returncode()
    _take_along(root)
    _set_up(root, console)
    return Checkout(commit[:7], root)


def _git(where: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["git", "-C", str(where), *words], capture_output=True, text=True, check=False)


def _take_along(root: Path) -> None:
    for file in (ROOT / MEASURING).glob("*.py"):
        shutil.copy(file, root / MEASURING / file.name)


def _set_up(root: Path, console: Console) -> None:
    """Packages and jars: this checkout's where it has all that are wanted, else its own."""
    if (root / ".venv").exists() and not (root / ".venv").is_symlink():
        return
    if not _pins(root) <= _pins(ROOT):
        (root / ".venv").unlink(missing_ok=True)
        console.print(f"packages and jars of {root.name}: make setup …")
        subprocess.run(["make", "setup"], cwd=root, check=True)
        return
    _link(root / ".venv", ROOT / ".venv")
    libs, version = _places(root)
    ours, our_version = _places(ROOT)
    if version == our_version:
        _link(libs, ours)
    elif not libs.exists():
        raise Misconfigured(f"--against: {root} wants Kafka {version}: fetch its jars into {libs}")


def _pins(root: Path) -> set[str]:
    """What a checkout wants installed, as `name==version`."""
    lines = [line for file in _PACKAGES for line in (root / file).read_text().splitlines()]
    return {line.partition(" ")[0] for line in lines if "==" in line and not line.startswith((" ", "#"))}


def _places(root: Path) -> tuple[Path, str]:
    """Where a checkout looks for Kafka's jars, and of which version."""
    asked = [sys.executable, "-c", _PLACES]
    told = subprocess.run(asked, cwd=root, capture_output=True, text=True, check=True).stdout  # noqa: S603
    libs, version = told.splitlines()
    return Path(libs), version


def _link(link: Path, target: Path) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    if link.is_symlink() or not link.exists():
        link.unlink(missing_ok=True)
        link.symlink_to(target)
