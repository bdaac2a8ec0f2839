"""What processes cost: seconds of CPU and megabytes, by name; a server counts with all that it started."""

from collections.abc import Mapping
from contextlib import suppress

import psutil

MB = 1024 * 1024


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and of its children, living ones and ended ones."""
    first = psutil.Process(pid)
    total = 0.0
    for process in (first, *first.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system
            if process is first:
                total += times.children_user + times.children_system
    return total


def megabytes(pid: int) -> float:
    """Resident memory of one process."""
    return float(psutil.Process(pid).memory_info().rss) / MB


class Meter:
    """CPU of named processes since it was made."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        self.pids = dict(pids)
        self._before = {name: cpu_seconds(pid) for name, pid in pids.items()}

    def read(self) -> dict[str, float]:
        """Name → seconds since then."""
        return {name: round(cpu_seconds(pid) - self._before[name], 2) for name, pid in self.pids.items()}
