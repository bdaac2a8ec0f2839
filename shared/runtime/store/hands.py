"""Who begins tasks in the process that orders them: claimed in the transaction that enqueues them, begun after it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from shared.runtime.store.sql import Taken, TaskWrite


class Hands(Protocol):
    """A worker, as the engine sees it."""

    def take(self, tasks: Sequence[TaskWrite], following: Collection[UUID]) -> Taken:
        """Which of these tasks, about to be enqueued, it would begin at once; it holds the room for them. `following`:
        those that an outcome orders.
        """
        ...

    def begin(self, taken: Taken, claimed: Collection[UUID]) -> None:
        """They are committed: begin those that are `claimed`; somebody else has ordered, or done, the others."""
        ...

    def let_go(self, taken: Taken) -> None:
        """They are not committed, as far as we know."""
        ...


@dataclass(frozen=True)
class NoHands:
    """Of a process that runs no tasks, or a test that looks at them."""

    def take(self, tasks: Sequence[TaskWrite], following: Collection[UUID]) -> Taken:
        """Nothing."""
        return NOTHING

    def begin(self, taken: Taken, claimed: Collection[UUID]) -> None:
        """Nothing was taken."""

    def let_go(self, taken: Taken) -> None:
        """Nothing was taken."""


NO_HANDS = NoHands()
NOTHING = Taken(UUID(int=0), None, 0.0, {})
