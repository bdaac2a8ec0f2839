"""A worker's hands: what a commit enqueues, and there is room for, is begun at once, under the claim of that commit."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from shared.runtime.aio.clock import now
from shared.runtime.store.hands import NOTHING
from shared.runtime.store.sql import Taken, TaskWrite
from shared.runtime.tasks import claims

if TYPE_CHECKING:
    from shared.runtime.tasks.queue import Worker


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
        self._give_back(taken)
        for task in [taken.tasks[id_] for id_ in claimed]:
            self.worker.start(
                {"id": task.id, "kind": task.kind, "dossier_id": task.dossier_id, "subject": task.subject,
                 "payload": task.payload, "attempts": 1, "claim": taken.claim, "enqueued_at": now()}
            )  # fmt: skip

    def let_go(self, taken: Taken) -> None:
        """Begin nothing; what was committed all the same is free as soon as the database is there again."""
        self._give_back(taken)
        self._adrift |= dict.fromkeys(taken.tasks, taken.claim)

    async def free_adrift(self) -> None:
        """Free what nobody has begun. Raises what a lost connection raises."""
        if not (adrift := dict(self._adrift)):
            return
        await claims.free(self.worker.pool, adrift)
        self._adrift = {task: claim for task, claim in self._adrift.items() if adrift.get(task) != claim}

    def _give_back(self, taken: Taken) -> None:
        """The room that was held; what waits for it is looked for."""
        self.worker.busy.subtract(self._dependencies(taken.tasks))
        if taken.tasks and not self.worker.has_all_begun:
            self.worker.wake()

    def _dependencies(self, tasks: Mapping[UUID, TaskWrite]) -> list[str | None]:
        return [self.worker.kinds[task.kind].dependency for task in tasks.values()]
