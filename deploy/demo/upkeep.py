"""Keeps a stack on this machine up as containers would be: what ends by itself is told, and started again."""

import asyncio
import signal
import time
from collections import defaultdict, deque
from collections.abc import Callable
from typing import NoReturn

from deploy.local.server import GroundError
from deploy.stack import Process, Stack

LOOK_EVERY_S = 0.5
_TOO_OFTEN = 3
_WITHIN_S = 60.0
_WRONG_SETTING = 2


async def keep_up(stack: Stack, say: Callable[[str], None]) -> NoReturn:
    """Start again each process of `stack` that ends, and say so. Raises GroundError for one that does not stay up, for
    a wrong setting, and where Kafka or PostgreSQL have ended.
    """
    ended: dict[int, deque[float]] = defaultdict(lambda: deque(maxlen=_TOO_OFTEN))
    while True:
        _see_to_the_ground(stack)
        for process in stack.processes:
            if process.exit_code is not None:
                _start_again(process, ended[id(process)], say)
                stack.write_down()
        await asyncio.sleep(LOOK_EVERY_S)


def _see_to_the_ground(stack: Stack) -> None:
    for server in (stack.ground.kafka, stack.ground.postgres):
        if server is not None and not server.running:
            raise GroundError(f"{server.name} has ended by itself; why stands at the end of {server.log}")


def _start_again(process: Process, ended: deque[float], say: Callable[[str], None]) -> None:
    ended.append(time.monotonic())
    what = f"{process.service} {process.number} {how(process.exit_code or 0)} (log {process.log})"
    often = len(ended) == _TOO_OFTEN and ended[-1] - ended[0] < _WITHIN_S
    if often or process.exit_code == _WRONG_SETTING:
        raise GroundError(f"{what} and does not stay up; its log ends:\n{process.last_words()}")
    say(f"{what}; it is started again")
    process.start()


def how(code: int) -> str:
    """How a process ended, in words: by a signal, where the code is below 0."""
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
