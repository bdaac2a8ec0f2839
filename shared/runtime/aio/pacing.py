"""How often a loop works: after each piece of work it rests for as long as that took.

What comes meanwhile makes up the next piece. So the busier a machine is, the fewer and larger are batches, each of
which costs several round trips whatever its size; and on an idle one whatever comes alone is taken at once.
"""

import asyncio
import contextlib

LONGEST_S = 0.025
"""Seconds."""


async def rest(took_s: float, enough: asyncio.Event | None = None, least_s: float = 0.0) -> None:
    """Rest for as long as the last piece of work took, at most `LONGEST_S` and at least `least_s` seconds, or until
    there is `enough` for the next.
    """
    seconds = max(min(took_s, LONGEST_S), least_s)
    if enough is None:
        await asyncio.sleep(seconds)
        return
    with contextlib.suppress(TimeoutError):
        # Not wait_for: on Python 3.11 it drops a cancellation that comes together with the event.
        async with asyncio.timeout(seconds):
            await enough.wait()
