"""Tasks that states owe and the queue lacks, ordered: of before there was such a task, or lost with a database."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

import asyncpg
import structlog
from pydantic import BaseModel

from shared.ids import derived_id
from shared.runtime.kernel.decider import Task, event_id
from shared.runtime.kernel.stored import as_stored, read_stored
from shared.runtime.store import sql
from shared.runtime.store.sql import TaskWrite

log = structlog.get_logger(__name__)

S = TypeVar("S", bound=BaseModel)
PAGE = 500
"""States that one statement looks at, whether they owe anything or not: it takes no longer where there are millions."""


@dataclass(frozen=True)
class Owed(Generic[S]):
    """What the states of `service` owe (`owed`), of these `kinds`; a state without anything at `where` (a path of its
    fields) owes nothing and is not read. One that is parked is left alone: what it waits for may wait with it.
    """

    service: str
    empty: S
    owed: Callable[[S], Sequence[Task]]
    kinds: Collection[str]
    where: tuple[str, ...]
    pool: "asyncpg.Pool[asyncpg.Record]"

    async def order(self, due: datetime) -> None:
        """Look through all states, and order what the queue lacks: a job's function, which may be run again."""
        after, ordered = UUID(int=0), 0
        while rows := await self.pool.fetch(_PAGE, after, list(self.where), PAGE):
            after = rows[-1]["dossier_id"]
            ordered += await self._order_of([row for row in rows if row["state"] is not None])
        if ordered:
            log.warning("owed-tasks-ordered", tasks=ordered, kinds=sorted(self.kinds))

    async def _order_of(self, rows: Sequence[Any]) -> int:
        """Order what these states owe and the queue lacks; returns how much that was."""
        wanted = [task for row in rows for task in self._tasks(row)]
        if not wanted:
            return 0
        # Asked for after the states: a task that was committed with one of them is found.
        there = await self.pool.fetch(_THERE, list(self.kinds), [row["dossier_id"] for row in rows])
        waiting = {(one["dossier_id"], one["kind"]) for one in there}
        lacking = [task for task in wanted if (task.dossier_id, task.kind) not in waiting]
        async with self.pool.acquire() as conn:
            await sql.enqueue(conn, lacking)
        return len(lacking)

    def _tasks(self, row: Any) -> list[TaskWrite]:
        state = read_stored(type(self.empty), row["state"])
        return [self._ordered(row["dossier_id"], task) for task in self.owed(state)]

    def _ordered(self, dossier: UUID, task: Task) -> TaskWrite:
        """Under an id of its kind and time: ordered twice, it is there once."""
        id_ = derived_id(dossier, f"owed/{task.kind}/{task.after.isoformat() if task.after else 'at once'}")
        said = event_id(id_, self.service, 1)
        return TaskWrite(id_, task.kind, dossier, as_stored(task.payload), task.after, said)


_PAGE = """SELECT dossier_id, CASE WHEN NOT parked AND state #> $2::text[] IS NOT NULL THEN state::text END AS state
    FROM states WHERE dossier_id > $1 ORDER BY dossier_id LIMIT $3"""
_THERE = "SELECT dossier_id, kind FROM tasks WHERE kind = ANY ($1) AND dossier_id = ANY ($2)"
