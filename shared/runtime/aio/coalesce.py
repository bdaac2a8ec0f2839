"""Questions that come in the same turn of the loop, asked as one: a round trip for all of them instead of one each."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


@dataclass
class Coalesced(Generic[K, V]):
    """`ask` answers many keys at once; a key that is missing in its answer has none."""

    ask: Callable[[Sequence[K]], Awaitable[Mapping[K, V]]]
    _waiting: "dict[K, asyncio.Future[V | None]]" = field(default_factory=dict)
    _asking: "set[asyncio.Task[None]]" = field(default_factory=set)

    async def one(self, key: K) -> V | None:
        """The answer for `key`. Raises what `ask` raises."""
        loop = asyncio.get_running_loop()
        if not self._waiting:
            task = loop.create_task(self._answer(), name="ask-together")
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)
        if key not in self._waiting:
            self._waiting[key] = loop.create_future()
        # Shielded: who gives up must not take the answer from others who wait for the same.
        return await asyncio.shield(self._waiting[key])

    async def _answer(self) -> None:
        waiting, self._waiting = self._waiting, {}
        try:
            found = await self.ask(list(waiting))
        except Exception as error:
            for future in waiting.values():
                future.set_exception(error)
                future.exception()  # whoever asked may have given up by now
        else:
            for key, future in waiting.items():
                future.set_result(found.get(key))
