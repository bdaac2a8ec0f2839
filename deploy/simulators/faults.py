"""How a simulator misbehaves on command: slow, down, refusing, wrong, and for which share of the calls."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

Mode = Literal["up", "down", "refuse", "error", "garbage", "hang", "wrong"]


class Settings(BaseModel):
    """What every simulator can be told at run time.

    mode: `up` answers; `down` says "unavailable" (503, 421); `refuse` stops listening and cuts open connections;
    `error` fails inside (500, 451); `garbage` answers bytes that are not the protocol; `hang` never answers;
    `wrong` answers in good form with false content.
    delay_ms, delay_jitter_ms: each call waits delay_ms plus a random part of delay_jitter_ms before it is handled.
    fail_ratio: the share of calls that meet the mode (absent: all); in mode `up` that share meets `error`.
    when: whether the failure comes `before` the call has its effect or `after` it, so that only the answer is lost.
    seed: sets the random numbers back to this seed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    mode: Mode = "up"
    delay_ms: int = Field(default=0, ge=0, le=600_000)
    delay_jitter_ms: int = Field(default=0, ge=0, le=600_000)
    fail_ratio: float | None = Field(default=None, ge=0, le=1)
    when: Literal["before", "after"] = "before"
    seed: int | None = None

    @property
    def refuses_all(self) -> bool:
        return self.mode == "refuse" and self.fail_ratio in (None, 1)


S = TypeVar("S", bound=Settings)


class Faults(Generic[S]):
    """The settings in force, the random numbers they use, and counts of what was met."""

    def __init__(self, settings: S, seed: int) -> None:
        self.initial = settings
        self.settings = settings
        self.random = random.Random(seed)  # noqa: S311 (repeatable on purpose, guards nothing)
        self.counts: Counter[str] = Counter()
        self.told: list[Callable[[], Awaitable[None]]] = []
        self._changed = asyncio.Event()

    async def tell(self, changes: dict[str, Any]) -> None:
        """Changes the settings named. Raises pydantic.ValidationError, and changes nothing, for a bad one."""
        await self._put(type(self.settings).model_validate({**self.settings.model_dump(), **changes}))
        if changes.get("seed") is not None:
            self.random.seed(self.settings.seed)

    async def reset(self) -> None:
        """Back to the settings of the start."""
        await self._put(self.initial)

    async def _put(self, settings: S) -> None:
        self.settings = settings
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
        for obey in self.told:
            await obey()

    def draw(self) -> Mode:
        """What the next call meets; counted."""
        mode, ratio = self.settings.mode, self.settings.fail_ratio
        if ratio is None:
            met: Mode = mode
        elif self.random.random() >= ratio:
            met = "up"
        else:
            met = "error" if mode == "up" else mode
        self.counts[met] += 1
        return met

    async def delay(self) -> None:
        """Waits as long as this call has to."""
        milliseconds = self.settings.delay_ms + self.random.random() * self.settings.delay_jitter_ms
        if milliseconds:
            await asyncio.sleep(milliseconds / 1000)

    async def until_changed(self) -> None:
        """Returns when somebody changes the settings."""
        await self._changed.wait()
