"""Work on several cores at once: processes forked for it, which know what this one knows, and end with it."""

import asyncio
import ctypes
import os
import signal
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any, TypeVar

MOST = 4
"""Each copies, as it goes, most of what its parent had in memory; and a container sees cores that it may not use."""

_PR_SET_PDEATHSIG = 1

K = TypeVar("K")
S = TypeVar("S")
R = TypeVar("R")

_known: Any


def cores() -> int:
    """So many processes are worth it here, at most MOST."""
    return min(MOST, len(os.sched_getaffinity(0)))


async def on_cores(work: Callable[[K, S], Coroutine[Any, Any, R]], known: K, shares: Sequence[S]) -> list[R]:
    """What `work` comes to for each share, in as many processes. `known` is inherited; shares and results are pickled,
    and so is `work`: a function of a module.

    Raises what `work` raises, if that can be pickled, once the other shares have ended; and BrokenProcessPool if a
    process is killed, as for want of memory. The caller's loop stands still while they end.
    """
    with ProcessPoolExecutor(len(shares), get_context("fork"), _begin, (known, os.getpid())) as processes:
        loop = asyncio.get_running_loop()
        return list(await asyncio.gather(*(loop.run_in_executor(processes, _run, work, share) for share in shares)))


def _begin(known: Any, parent: int) -> None:
    """A process inherits its parent's way of taking Ctrl-C, which it could not follow, and would outlive it."""
    global _known
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)  # it was gone before we could ask to be told
    _known = known


def _run(work: Callable[[Any, S], Coroutine[Any, Any, R]], share: S) -> R:
    return asyncio.run(work(_known, share))
