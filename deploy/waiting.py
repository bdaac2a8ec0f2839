"""Waiting for a condition with a deadline, instead of sleeping and hoping."""

import asyncio
import time
from collections.abc import Awaitable, Callable


async def until(condition: Callable[[], Awaitable[bool]], *, seconds: float, what: str, every: float = 0.1) -> None:
    """Returns as soon as `condition()` is true, asked again after `every` seconds.

    Raises TimeoutError naming `what` after `seconds`; an exception of `condition` passes through.
    """
    deadline = time.monotonic() + seconds
    while not await condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:g} s for {what}")
        await asyncio.sleep(every)
