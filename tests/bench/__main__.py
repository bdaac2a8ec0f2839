"""`python -m tests.bench`: every figure, several times over, medians, a table and a plot. On a quiet machine."""

import argparse
import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from deploy.demo.asked import BUILD
from tests.bench.against import compare
from tests.bench.figures import FIGURES, Asked, Figure, Values
from tests.bench.report import Measured, conditions, table, write


def arguments() -> argparse.Namespace:
    """What was typed."""
    parser = argparse.ArgumentParser("tests.bench", description="How fast the platform is, and where the time goes.")
    add = parser.add_argument
    add("--runs", type=int, default=3, help="of each figure; their median counts")
    add("--dossiers", type=int, default=20_000, help="carried in each run")
    add("--long", type=int, default=1_000_000, help="events stored before the last run of the full store")
    add("--connections", type=int, default=64, help="over which applications are filed")
    add("--backlog", type=int, default=4000, help="applications of the backlog that is drained")
    add("--against", metavar="REV", help="measure that commit too, in turn with this checkout, and show the ratios")
    add("--only", default="", help="figures of these names, or whose names contain them; by semicolons")
    add("--build", type=Path, default=BUILD, help="where bench.json, bench.md and bench.svg are written")
    return parser.parse_args()


async def measure(figures: Sequence[Figure], asked: Asked, runs: int, console: Console) -> list[Measured]:
    """Every figure, `runs` times, one after the other; each run begins on an empty stack of its own."""
    measured = [Measured(figure) for figure in figures]
    for run in range(runs):
        found: dict[object, Values] = {}
        for n, one in enumerate(measured, start=1):
            console.print(
                f"run {run + 1} of {runs}, figure {n} of {len(figures)}: {one.figure.name} …", highlight=False
            )
            measure = one.figure.measure
            if measure not in found:
                found[measure] = await measure(asked)
            one.runs.append(found[measure])
            console.print(f"    {one.runs[-1][one.figure.value]:,.3f} {one.figure.unit}", highlight=False)
    return measured


def _meant(word: str, name: str) -> bool:
    """A word that is a figure's whole name means that one; any other all whose names contain it."""
    return word == name or (word in name and word not in {figure.name for figure in FIGURES})


def main() -> None:
    """Measure what is asked for, write it down and show it."""
    typed, console = arguments(), Console()
    words = [word for word in typed.only.split(";") if word]
    figures = [figure for figure in FIGURES if not words or any(_meant(word, figure.name) for word in words)]
    asked = Asked(typed.dossiers, typed.connections, typed.long, typed.backlog)
    if typed.against:
        compare(figures, asked, typed.runs, typed.against, typed.build, console)
        return
    where = conditions()
    measured = asyncio.run(measure(figures, asked, typed.runs, console))
    told = {**asdict(asked), "runs": typed.runs}
    write(typed.build, measured, where, told)
    console.print(table(measured, where, told), highlight=False, markup=False, soft_wrap=True)


if __name__ == "__main__":
    main()
