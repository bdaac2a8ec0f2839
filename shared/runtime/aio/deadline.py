"""An answer in time or none, whatever the database does."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

DOOR_S = 5.0
"""Nobody at the door waits longer than this for the database."""

_left: "set[asyncio.Task[Any]]" = set()
"""What runs under a limit, or is still coming to its end after it; without a reference a task may vanish."""


async def with_deadline(work: Coroutine[Any, Any, T], seconds: float) -> T:
    """What `work` returns. Raises TimeoutError after `seconds`, and what `work` raises.

    Unlike asyncio.wait_for it does not wait for what it has cancelled: asyncpg takes leave of its server first, which
    a server that has stopped does not answer. So what became of the work is unknown after a TimeoutError.
    """
    task = asyncio.create_task(work)
    _left.add(task)
    task.add_done_callback(_reap)
    try:
        done, _ = await asyncio.wait([task], timeout=seconds)
    finally:
        task.cancel()
    if not done:
        raise TimeoutError
    return task.result()


def _reap(task: "asyncio.Task[Any]") -> None:
    _left.discard(task)
    if not task.cancelled():
        task.exception()  # looked at here, so that nobody complains that nobody did
