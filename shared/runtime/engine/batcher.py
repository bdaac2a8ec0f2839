"""Group commit: what arrives while one batch is being committed makes up the next. No timer, no waiting when idle."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from shared.errors import Unavailable
from shared.runtime.aio.pacing import rest
from shared.runtime.kernel.message import Handled, Item

ENOUGH = 32
"""So many items share what a batch costs whatever its size; to wait for more would gain nothing."""

Handle = Callable[[Sequence[Item]], Awaitable[list[Handled]]]


def _identity(item: Item) -> object:
    if item.request is not None:
        return item.request.identity
    return item.claim


@dataclass
class Batcher:
    """Collects items of many callers into batches of at most `size`; one batch is in work at a time."""

    handle: Handle
    size: int = 200
    limit: int = 5000
    _waiting: "deque[tuple[Item, asyncio.Future[Handled]]]" = field(default_factory=deque)
    _worker: "asyncio.Task[None] | None" = None
    _enough: asyncio.Event = field(default_factory=asyncio.Event)

    async def submit(self, item: Item) -> Handled:
        """What became of `item`, once committed. Raises Unavailable if the database is gone or too much is waiting."""
        if len(self._waiting) >= self.limit:
            raise Unavailable("too many requests are waiting")
        future: asyncio.Future[Handled] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if len(self._waiting) >= ENOUGH:
            self._enough.set()
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work(), name="batcher")
        return await future

    async def _work(self) -> None:
        clock = asyncio.get_running_loop().time
        while batch := self._next_batch():
            began = clock()
            if len(self._waiting) < ENOUGH:
                self._enough.clear()
            try:
                results: Sequence[Handled | Exception] = await self.handle([item for item, _ in batch])
            except Exception as failure:
                results = [failure] * len(batch)
            for (_, future), result in zip(batch, results, strict=True):
                _settle(future, result)
            await rest(clock() - began, self._enough)

    def _next_batch(self) -> "list[tuple[Item, asyncio.Future[Handled]]]":
        """The next items; a second one of the same idempotency key waits for the batch after. Whom nobody waits for
        any more comes again with the same key.
        """
        batch: list[tuple[Item, asyncio.Future[Handled]]] = []
        later: list[tuple[Item, asyncio.Future[Handled]]] = []
        seen: set[object] = set()
        while self._waiting and len(batch) < self.size:
            entry = self._waiting.popleft()
            if entry[1].cancelled():
                continue
            identity = _identity(entry[0])
            (later if identity in seen else batch).append(entry)
            seen.add(identity)
        self._waiting.extendleft(reversed(later))
        return batch

    async def drain(self) -> None:
        """Wait until everything that was submitted is committed."""
        if self._worker is not None:
            await self._worker


def _settle(future: "asyncio.Future[Handled]", result: Handled | Exception) -> None:
    if future.cancelled():
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)
