"""How often a loop works: after each piece of work it rests for as long as that took.

What comes meanwhile makes up the next piece. So the busier a machine is, the fewer and larger are batches, each of
which costs several round trips whatever its size; and on an idle one whatever comes alone is taken at once.
"""

import asyncio

LONGEST_S = 0.025


async def rest(took_s: float, longest_s: float = LONGEST_S) -> None:
    """Rest for as long as the last piece of work took, at most `longest_s`."""
    await asyncio.sleep(min(took_s, longest_s))
