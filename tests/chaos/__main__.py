"""`python -m tests.chaos --seed 1 --dossiers 4000 --kills 220 --replicas 2 [--only kill,crash]`: see README.md here."""

import argparse
import asyncio
import logging
import sys
from collections.abc import Sequence

from deploy.local.machine import ROOT
from shared.command import run_command
from tests.bench.report import conditions
from tests.chaos.run import Wanted, play
from tests.chaos.schedule import KINDS, plan
from tests.chaos.table import markdown, write


def wanted(arguments: Sequence[str]) -> tuple[Wanted, bool]:
    """What the command line asks for, and whether only the schedule is to be printed."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="Faults under load, by seed.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--dossiers", type=int, default=4000)
    parser.add_argument("--kills", type=int, default=220, help="how many faults")
    parser.add_argument("--replicas", type=int, default=2)
    parser.add_argument("--only", default="", help=f"kinds, separated by commas: {', '.join(KINDS)}")
    parser.add_argument("--plan", action="store_true", help="print the schedule and do nothing")
    told = parser.parse_args(arguments)
    only = tuple(kind for kind in told.only.split(",") if kind)
    return Wanted(told.seed, told.dossiers, told.kills, told.replicas, only), told.plan


def main(arguments: Sequence[str]) -> int:
    """0 if nothing was wrong, 1 if anything was, 2 for an unknown kind."""
    asked, only_plan = wanted(arguments)
    try:
        faults = plan(asked.seed, asked.faults, asked.replicas, asked.only)
    except ValueError as unknown:
        print(unknown, file=sys.stderr)
        return 2
    if only_plan:
        print("\n".join(f"{fault.number:>4} {fault} for {fault.seconds} s" for fault in faults))
        return 0
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # that a dead broker does not answer is no news here
    ended = asyncio.run(play(asked, lambda text: print(text, flush=True)))
    told = conditions()
    write(ROOT / "build", ended, told)
    print(markdown(ended, told), flush=True)
    return 1 if ended.faults else 0


if __name__ == "__main__":
    run_command(lambda: main(sys.argv[1:]))
