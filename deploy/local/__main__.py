"""`python -m deploy.local COMMAND`: the local ground by hand.

doctor  what is missing on this machine and how to mend it (exit 1 if anything is)
up      starts Kafka and PostgreSQL, says where they are, and stays until Ctrl-C or `down`
down    ends what runs below `.local/`: `up`, `make run`, `make demo`
status  what runs: ready, heard, published, tasks, parked, dead letters (exit 1 if anything is not level)
archive makes Kafka start in half of the time from now on (part of `make setup`)
wipe    removes data and secrets below `.local/`, those of `make run` and `make demo` too; Kafka's jars stay
"""

import argparse
import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from deploy.local import doctor
from deploy.local.machine import LIBS, LOCAL
from shared.command import run_command
from shared.errors import DossierError

_DOWN_SECONDS = 120
_STACKS = ("run", "demo")
"""Folders below `.local/` with a ground of their own: those of `make run` and `make demo`."""


def main() -> int:
    """Runs the command named on the command line; returns its exit status (2: it does not fit)."""
    parser = argparse.ArgumentParser("deploy.local", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("command", choices=sorted([*_COMMANDS, "status"]))
    parser.add_argument("folder", nargs="?", type=Path, help="of `status`: what to look at (default: what runs)")
    asked = parser.parse_args()
    if asked.folder is not None and asked.command != "status":
        parser.error(f"{asked.command} takes no folder")
    try:
        return _status(asked.folder) if asked.command == "status" else _COMMANDS[asked.command]()
    except DossierError as wrong:
        print(wrong, file=sys.stderr)
        return 2


def _doctor() -> int:
    return doctor.report(doctor.examine())


def _up() -> int:
    asyncio.run(_stay_up())
    return 0


async def _stay_up() -> None:
    from deploy.local.ground import External, Ground
    from shared.services import SERVICES

    end = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, end.set)
    async with Ground(LOCAL, External.from_environment(), say=print) as ground:
        print(f"KAFKA_BOOTSTRAP_SERVERS={ground.bootstrap_servers}")
        for service in SERVICES:
            role, where = ground.databases().url(service).rsplit("@", 1)
            print(f"{service}: {role.rsplit(':', 1)[0]}@{where}")
        print(f"passwords: {ground.secrets.directory}; Ctrl-C ends it", flush=True)
        await end.wait()


def down(local: Path = LOCAL) -> int:
    """Ends the processes that use `local` or a stack's folder in it; 1 if one does not end."""
    from deploy.local.ground import holder_of

    folders = (local, *(local / name for name in _STACKS))
    up = {folder: holder for folder in folders if (holder := holder_of(folder)) is not None}
    if not up:
        print("nothing is up")
    for holder in up.values():
        os.kill(holder, signal.SIGTERM)
    return max((_ended(folder, holder) for folder, holder in up.items()), default=0)


def _ended(folder: Path, holder: int) -> int:
    """Waits until the process no longer holds the folder; 1 if it does not let go."""
    from deploy.local.ground import holder_of

    deadline = time.monotonic() + _DOWN_SECONDS
    while holder_of(folder) == holder:
        if time.monotonic() > deadline:
            print(f"process {holder}, which uses {folder}, does not end", file=sys.stderr)
            return 1
        time.sleep(0.1)
    print(f"process {holder}, which used {folder}, has ended")
    return 0


def _status(folder: Path | None) -> int:
    from deploy.local.status import status

    return asyncio.run(status([folder] if folder else [LOCAL / name for name in _STACKS]))


def _archive() -> int:
    from deploy.local.kafka import make_archive

    made = asyncio.run(make_archive(LIBS))
    print("Kafka's classes are archived" if made else "this Java keeps no archive of classes: Kafka starts as ever")
    return 0


def wipe(local: Path = LOCAL) -> int:
    """Removes data and secrets of `local` and of the stacks' folders in it, and says what. Raises GroundError if one is
    in use.
    """
    from deploy.local.ground import wipe_all

    gone = wipe_all(local, [local / name for name in _STACKS])
    for path in gone:
        print(f"removed {path}")
    print(f"data and secrets below {local}: {'gone' if gone else 'there were none'}")
    return 0


_COMMANDS: Mapping[str, Callable[[], int]] = {
    "doctor": _doctor,
    "up": _up,
    "down": down,
    "archive": _archive,
    "wipe": wipe,
}

if __name__ == "__main__":
    run_command(main)
