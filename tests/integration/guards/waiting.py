"""Seeing that somebody waits for a lock that we hold."""

import asyncio
from collections.abc import Sequence
from typing import Any

from deploy.waiting import until

_WAITING = "SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted"
"""Not pg_stat_activity: inside a transaction that one shows what it has shown before."""


async def until_they_wait(admin: Any, count: int) -> None:
    """Return once `count` connections to this database wait for a lock."""

    async def waiting() -> bool:
        found: int = await admin.fetchval(_WAITING)
        return found >= count

    await until(waiting, seconds=60, what=f"{count} to wait for a lock", every=0.02)


async def until_done_or_waiting(admin: Any, task: "asyncio.Task[Any]", count: int) -> None:
    """Return once `task` has ended, or `count` connections wait for a lock."""

    async def settled() -> bool:
        return task.done() or await admin.fetchval(_WAITING) >= count

    await until(settled, seconds=60, what="the task to end or to wait", every=0.02)


async def ended(tasks: Sequence["asyncio.Task[Any]"]) -> list[Any]:
    """What the tasks come to, within half a minute."""
    async with asyncio.timeout(30):
        return await asyncio.gather(*tasks)
