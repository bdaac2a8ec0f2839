"""What a task is: its kind, one attempt at it as its function sees it, and the alarm, whose payload is its outcome."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID

import asyncpg

from shared.events.base import Model
from shared.runtime.aio.clock import now
from shared.runtime.kernel.decider import Message, Outcome


@dataclass(frozen=True, slots=True)
class Attempt:
    """A claimed task as its function sees it. `payload` is the model that the rule put in; `claim`, the right to end
    it, is for a function that does so itself.
    """

    id: UUID
    dossier_id: UUID
    payload: Any
    attempts: int
    enqueued_at: datetime
    claim: UUID | None = None


Row: TypeAlias = "asyncpg.Record | Mapping[str, Any]"
"""A claimed task as the database, or whoever enqueued it, tells it."""

Run = Callable[[Attempt], Awaitable[Outcome | None]]
"""Returns what the task came to; None if it has ended the task itself, or the task is no longer its own."""


@dataclass(frozen=True, slots=True)
class TaskKind:
    """One kind of task: its payload's model, its function, and the outside system it needs (for room and breaker). One
    that is `slow` may take longer than a lease: its claim is lengthened when it begins.
    """

    payload: type[Model]
    run: Run
    dependency: str | None = None
    timeout_s: float = 20.0
    slow: bool = False


async def ring(payload: Model) -> Outcome:
    """An alarm's function: its payload is its outcome."""
    if not isinstance(payload, Outcome):
        raise TypeError("an alarm's payload is the outcome that it rings with")
    return payload


class TaskFailed(Outcome):
    """Stands in a dead letter for the outcome that a failing function never came to."""

    kind: str
    payload: str


def failed(row: Row) -> Message[Model]:
    """The message that stands for the outcome of a failing function."""
    return Message(
        row["id"], row["dossier_id"], now(), TaskFailed(kind=row["kind"], payload=row["payload"]), row["subject"]
    )
