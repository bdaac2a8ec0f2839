"""Who begins tasks in the process that orders them: claimed in the transaction that enqueues them, begun after it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol
from uuid import UUID, uuid4

from shared.runtime.moment import now
from shared.runtime.store import Taken, TaskWrite

if TYPE_CHECKING:
    from shared.runtime.tasks import Worker


class Hands(Protocol):
    """A worker, as the engine sees it."""

    def take(self, tasks: Sequence[TaskWrite], following: Collection[UUID]) -> Taken:
        """Which of these tasks, about to be enqueued, it would begin at once; it holds the room for them. `following`:
        those that an outcome orders, so that a place becomes free with them.
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


@dataclass
class WorkersHands:
    """Those of a worker, as far as it has room. Where something waits for that room already, only a task that follows
    from another: what has begun is ended first, and nothing else overtakes.
    """

    worker: "Worker"
    _adrift: dict[UUID, UUID] = field(default_factory=dict)
    """Task → claim of what was taken in a commit that failed: whether it was made, the database knows."""

    def take(self, tasks: Sequence[TaskWrite], following: Collection[UUID]) -> Taken:
        """Claim what can be begun at once; an alarm cannot."""
        worker, taken = self.worker, dict[UUID, TaskWrite]()
        if not (tasks and worker.takes):
            return NOTHING
        rooms = {dependency: worker.room_for(dependency) for dependency in worker.groups()}
        for task in tasks if worker.has_all_begun else [task for task in tasks if task.id in following]:
            kind = worker.kinds.get(task.kind)
            if kind is not None and task.run_at is None and rooms[kind.dependency] > 0:
                rooms[kind.dependency] -= 1
                taken[task.id] = task
        worker.busy.update(self._dependencies(taken))
        return Taken(uuid4(), worker.instance, worker.lease_s, taken)

    def begin(self, taken: Taken, claimed: Collection[UUID]) -> None:
        """Begin what was enqueued under our claim."""
        self.worker.busy.subtract(self._dependencies(taken.tasks))
        for task in [taken.tasks[id_] for id_ in claimed]:
            self.worker.start(
                {"id": task.id, "kind": task.kind, "dossier_id": task.dossier_id, "payload": task.payload,
                 "attempts": 1, "claim": taken.claim, "enqueued_at": now()}
            )  # fmt: skip

    def let_go(self, taken: Taken) -> None:
        """Begin nothing; what was committed all the same is free as soon as the database is there again."""
        self.worker.busy.subtract(self._dependencies(taken.tasks))
        self._adrift |= dict.fromkeys(taken.tasks, taken.claim)

    async def free_adrift(self) -> None:
        """Free what nobody has begun. Raises what a lost connection raises."""
        if not (adrift := dict(self._adrift)):
            return
        await self.worker.pool.execute(
            """UPDATE tasks SET claim = NULL, claimed_by = NULL, run_at = now()
               WHERE id = ANY ($1) AND ((id, claim) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]))) IS TRUE""",
            list(adrift), list(adrift.values()),
        )  # fmt: skip
        self._adrift = {task: claim for task, claim in self._adrift.items() if adrift.get(task) != claim}

    def _dependencies(self, tasks: Mapping[UUID, TaskWrite]) -> list[str | None]:
        return [self.worker.kinds[task.kind].dependency for task in tasks.values()]
