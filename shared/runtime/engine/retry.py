"""Work that must be done however long it takes: tried again until database and broker take it."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog
from aiokafka.errors import KafkaError

from shared.errors import MovedOn, Unavailable
from shared.runtime.store.lost import LOST_CONNECTION

log = structlog.get_logger(__name__)

T = TypeVar("T")
MAX_WAIT_S = 5.0


async def retry(
    work: Callable[[], Awaitable[T]], on_lost: Callable[[], None] = lambda: None, moves_on: bool = False
) -> T:
    """Do `work` until database and broker take it, with full jitter between attempts; `on_lost` is told of each time
    that the database did not. With `moves_on` it raises MovedOn instead of waiting until states have our shape again.
    """
    wait = 0.1
    while True:
        try:
            return await work()
        except (Unavailable, KafkaError, *LOST_CONNECTION) as lost:
            if moves_on and isinstance(lost, MovedOn):
                raise
            if isinstance(lost, LOST_CONNECTION):
                on_lost()
            log.warning("waiting", why=str(lost) if isinstance(lost, Unavailable) else type(lost).__name__)
            await asyncio.sleep(random.uniform(0.05, wait))  # noqa: S311 - jitter, not a secret
            wait = min(MAX_WAIT_S, wait * 2)
