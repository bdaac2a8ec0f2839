"""The step that every worker does, and how it is timed.

Consume a record, validate it (pydantic), decide, produce one of the same size with as many headers: at least once, that
is, outputs are acknowledged by the broker before the offsets of their inputs are committed. Needs pydantic and nothing
else of the platform's packages: the peers run in an environment of their own.
"""

import argparse
import json
import os
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from shared.events.intake import SupplementRequested

PARTITIONS = 12
BATCH = 500
LINGER_MS = 5
BATCH_BYTES = 262_144
CAUSE = "ce_causationid"
ID = "ce_id"

Headers = Sequence[tuple[str, bytes]]


@dataclass
class Asked:
    """What the command line asks for, and the clock: it starts with the first record, and `done` ends the process."""

    bootstrap: str
    source: str
    target: str
    group: str
    records: int
    count: int = 0
    _began: tuple[float, float] | None = field(default=None)

    def begin(self) -> None:
        """Some records are here; only the first call counts."""
        self._began = self._began or (time.perf_counter(), _cpu())

    def done(self, count: int) -> None:
        """The outputs of `count` records more are acknowledged. With the last of all: prints the figures, and exits."""
        self.count += count
        if self.count < self.records or self._began is None:
            return
        began, cpu = self._began
        spent = {"records": self.count, "seconds": time.perf_counter() - began, "cpu_s": _cpu() - cpu, "mb": _mb()}
        os.write(1, json.dumps(spent).encode() + b"\n")  # not print: Faust takes stdout for its log
        os._exit(0)


def asked() -> Asked:
    """The command line that all workers share."""
    parser = argparse.ArgumentParser()
    for name in ("bootstrap", "source", "target", "group"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--records", type=int, required=True)
    return Asked(**vars(parser.parse_args(sys.argv[1:])))


def decide(heard: SupplementRequested) -> SupplementRequested:
    """What follows: the same again, unless nothing was asked for."""
    return heard if heard.papers or heard.correct_applicant else heard.model_copy(update={"note": None})


def answer(value: bytes) -> bytes:
    """Validate, decide, serialise."""
    return decide(SupplementRequested.model_validate_json(value)).model_dump_json().encode()


def caused(headers: Headers) -> list[tuple[str, bytes]]:
    """The headers of the record that follows: as many, and the cause is the id of the one heard."""
    cause = next(content for name, content in headers if name == ID)
    return [(name, cause if name == CAUSE else content) for name, content in headers]


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _mb() -> float:
    # Not getrusage: there a process inherits the peak of the one that started it.
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) / 1024
