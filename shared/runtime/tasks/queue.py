"""Durable tasks: work on the outside world, and alarms. Claimed under a lease, run, and their outcome committed once.

A queue of our own: it enqueues in the engine's transaction, and an outcome commits only while its worker still holds
the claim, which PyPI `pgqueuer` (completed by id, not fenced) does not offer.
"""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeAlias
from uuid import UUID, uuid4

import asyncpg
import structlog

from shared.errors import DossierError, KeyNotHere, Misconfigured, Transient, Unavailable
from shared.events.base import Model
from shared.registry import OUTAGES
from shared.runtime.aio.clock import now
from shared.runtime.aio.crash import crash_point
from shared.runtime.aio.fatal import end_at_once
from shared.runtime.aio.pacing import LONGEST_S, rest
from shared.runtime.engine.batcher import Batcher
from shared.runtime.kernel.decider import Message, Outcome
from shared.runtime.kernel.message import Claim, Item
from shared.runtime.observe.metrics import Metrics
from shared.runtime.store.hands import NOTHING
from shared.runtime.store.lost import LOST_CONNECTION
from shared.runtime.store.sql import Taken, TaskWrite
from shared.runtime.tasks.breaker import Breaker

log = structlog.get_logger(__name__)

KEY_LATE = timedelta(minutes=2)
"""A data key that has not come after this long is an alert (metric `dossier_keys_late`), not only a wait."""

AHEAD = 3
"""So many times its room of an outside system's tasks a worker has in hand at most: with the system, or with an outcome
that is yet to be committed. As many are done a second time where a process is killed while its database stands still.
"""

MARGIN_S = 5.0
"""A task's lease outlasts its time-out by this, to commit the outcome in."""


@dataclass(frozen=True, slots=True)
class Job:
    """A claimed task as its function sees it. `payload` is the model that the rule put in."""

    id: UUID
    dossier_id: UUID
    payload: Any
    attempts: int
    enqueued_at: datetime


Row: TypeAlias = "asyncpg.Record | Mapping[str, Any]"
"""A claimed task as the database, or whoever enqueued it, tells it."""

Work = Callable[[Job], Awaitable[Outcome]]


@dataclass(frozen=True, slots=True)
class TaskKind:
    """One kind of task: its payload's model, its function, and the outside system it needs (for room and breaker). One
    that is `slow` may take longer than a lease: its claim is lengthened when it begins.
    """

    payload: type[Model]
    run: Work
    dependency: str | None = None
    timeout_s: float = 20.0
    slow: bool = False


async def ring(payload: Model) -> Outcome:
    """An alarm's function: its payload is its outcome."""
    if not isinstance(payload, Outcome):
        raise TypeError("an alarm's payload is the outcome that it rings with")
    return payload


def nothing_lacks() -> None:
    """For a worker that runs without a guard, in tests."""


@dataclass
class Worker:
    """Runs one service's tasks, `room` at a time for each outside system, which need not wait for outcomes to be
    committed: up to AHEAD times as many are in hand.

    `lease_s` must outlast the slowest task's time-out by MARGIN_S, or Misconfigured is raised: a task whose lease runs
    out while it works is begun by another worker too. `instance` is the stable name of this replica: what a process of
    that name had claimed is free as soon as the next one begins, and whoever had it can commit nothing any more.
    """

    kinds: Mapping[str, TaskKind]
    pool: "asyncpg.Pool[asyncpg.Record]"
    outcomes: Batcher
    metrics: Metrics
    room: int = 64
    lease_s: float = 30.0
    instance: str | None = None
    look_s: float = 0.5
    backoff_s: float = 0.25
    backoff_max_s: float = 15.0
    breakers: dict[str, Breaker] = field(default_factory=dict)
    running: set["asyncio.Task[None]"] = field(default_factory=set)
    busy: Counter[str | None] = field(default_factory=Counter)
    """Tasks that are with each outside system, or about to be; places for which a claim is on its way among them."""
    ending: Counter[str | None] = field(default_factory=Counter)
    """Tasks back from there, whose outcomes are not committed yet."""
    whole: Callable[[], object] = nothing_lacks
    """Raises Unavailable while the store may be an older one, which holds tasks that were done after its backup."""
    retired: bool = False
    _taken_back: bool = False
    _short: bool = False
    """Whether the last round had no room for all that may be due: only then is there more once a task has ended."""
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        clock = asyncio.get_running_loop().time
        self.hands = WorkersHands(self)
        for name, kind in self.kinds.items():
            if self.lease_s < kind.timeout_s + MARGIN_S and not kind.slow:
                raise Misconfigured(
                    f"TASK_LEASE_S is {self.lease_s:g}, but the task {name} may take {kind.timeout_s:g} s: "
                    f"at least {kind.timeout_s + MARGIN_S:g}"
                )
            if kind.dependency is not None:
                self.breakers.setdefault(kind.dependency, Breaker(clock))
                self.metrics.task_dependency.labels(name, kind.dependency).set(1)

    @property
    def has_all_begun(self) -> bool:
        """Whether nothing that is due waits for room, as far as the last look tells."""
        return not self._short

    @property
    def takes(self) -> bool:
        """Whether it begins tasks at all."""
        return self._taken_back and not self.retired

    def wake(self) -> None:
        """Tasks were enqueued in this process."""
        self._wake.set()

    async def run(self) -> None:
        """Claim and run tasks until `retire`; what runs then is finished by `drain`."""
        clock = asyncio.get_running_loop().time
        while not self.retired:
            began = clock()
            self._wake.clear()
            try:
                self.whole()
                await self._take_back()
                await self.hands.free_adrift()
                claimed = await self._claim_round()
            except (Unavailable, *LOST_CONNECTION) as lost:
                log.warning("tasks-interrupted", why=type(lost).__name__)
                claimed = 0
            # In a backlog room comes place by place, and each claim costs the same.
            await rest(LONGEST_S if self._short else clock() - began)
            if not (claimed and self._short):
                await self._nap()

    async def _take_back(self) -> None:
        """Free what an earlier process of this name had claimed; once, so that one that wakes up late frees nothing."""
        if self.instance is not None and not self._taken_back:
            await self.pool.execute(
                "UPDATE tasks SET claim = NULL, claimed_by = NULL, run_at = now() WHERE claimed_by = $1", self.instance
            )
        self._taken_back = True

    async def _nap(self) -> None:
        with contextlib.suppress(TimeoutError):
            # Not wait_for: on Python 3.11 it drops a cancellation that comes together with the waking.
            async with asyncio.timeout(self.look_s):
                await self._wake.wait()

    def retire(self) -> None:
        """Claim no more. Cancelling `run` instead could leave a task claimed and not run until its lease is over."""
        self.retired = True
        self.wake()

    async def drain(self) -> None:
        """Let the running tasks come to their outcomes."""
        if self.running:
            await asyncio.wait(self.running)

    async def _claim_round(self) -> int:
        """Claim for every outside system as much as there is room for, at once; returns how much that was."""
        rooms = {dependency: self.room_for(dependency) for dependency in self.groups()}
        open_ = {dependency: room for dependency, room in rooms.items() if room > 0}
        rows = await self._claim_reserved(open_) if open_ else ()
        if rows:
            # The claim may have met an older database. Then what it got is let go, and its lease runs out.
            self.whole()
        taken = Counter(self.kinds[row["kind"]].dependency for row in rows)
        self._short = any(taken[dependency] >= room for dependency, room in rooms.items())
        for row in rows:
            self.start(row)
        return len(rows)

    async def _claim_reserved(self, rooms: Mapping[str | None, int]) -> Sequence[asyncpg.Record]:
        """Claim, and meanwhile hold the room, or what is ordered in the same moment would begin in it too."""
        self.busy.update(rooms)
        try:
            return await self._claim(rooms)
        finally:
            self.busy.subtract(rooms)

    def room_for(self, dependency: str | None) -> int:
        """How many more tasks of one outside system may be begun now."""
        busy = self.busy[dependency]
        room = min(self.room - busy, AHEAD * self.room - busy - self.ending[dependency])
        breaker = self.breakers.get(dependency) if dependency else None
        if breaker is not None and dependency is not None:
            room = breaker.room(room, busy)
            self.metrics.circuit.labels(dependency).set(breaker.state)
        return room

    def groups(self) -> Mapping[str | None, Sequence[str]]:
        """Task kinds by the outside system that they need."""
        groups: dict[str | None, list[str]] = {}
        for name, kind in self.kinds.items():
            groups.setdefault(kind.dependency, []).append(name)
        return groups

    async def _claim(self, rooms: Mapping[str | None, int]) -> Sequence[asyncpg.Record]:
        groups = self.groups()
        kinds = [(kind, n, room) for n, (of, room) in enumerate(rooms.items()) for kind in groups[of]]
        # = ANY (ARRAY(…)) and not IN (…): a join could walk all tasks, and is planned so while there are none.
        return await self.pool.fetch(
            """UPDATE tasks SET claim = $1, claimed_by = $3, attempts = attempts + 1,
                                run_at = now() + make_interval(secs => $2)
               WHERE id = ANY (ARRAY(
                   SELECT due.id
                   FROM (SELECT n, room, array_agg(kind) AS kinds
                         FROM unnest($4::text[], $5::int[], $6::int[]) AS k(kind, n, room) GROUP BY n, room) g
                   CROSS JOIN LATERAL (SELECT id FROM tasks WHERE run_at <= now() AND kind = ANY(g.kinds)
                                       ORDER BY run_at LIMIT g.room FOR UPDATE SKIP LOCKED) due))
               RETURNING id, kind, dossier_id, payload, attempts, claim, enqueued_at""",
            uuid4(),
            self.lease_s,
            self.instance,
            [kind for kind, _, _ in kinds],
            [n for _, n, _ in kinds],
            [room for _, _, room in kinds],
        )

    def start(self, row: Row) -> None:
        """Run a claimed task."""
        dependency = self.kinds[row["kind"]].dependency
        task = asyncio.create_task(self._attempt(row), name=f"task-{row['kind']}")
        self.running.add(task)
        self.busy[dependency] += 1
        task.add_done_callback(lambda done: self._ended(done, dependency))

    def _ended(self, task: "asyncio.Task[None]", dependency: str | None) -> None:
        self.running.discard(task)
        self.ending[dependency] -= 1
        if self._short:
            self.wake()
        if not task.cancelled() and (bug := task.exception()) is not None:
            # Not even that its outcome failed can be committed. A process that went on would tell nobody.
            end_at_once(bug)

    async def _attempt(self, row: Row) -> None:
        kind = self.kinds[row["kind"]]
        claim = Claim(row["id"], row["claim"])
        try:
            outcome = await self._come_to(kind, row, claim)
        except (Transient, KeyNotHere, Unavailable, TimeoutError, *LOST_CONNECTION) as again:
            await self._again(row, kind, again)
        except Exception as bug:
            # A bug of the task's function: its dossier is parked like that of a rule that raised.
            await self._end(row, Item(claim=claim, failure=bug, dossier_id=row["dossier_id"], message=_failed(row)))
        else:
            if outcome is None:
                return
            crash_point("after-effect")
            message = Message(row["id"], row["dossier_id"], now(), outcome)
            await self._end(row, Item(message=message, claim=claim, dossier_id=row["dossier_id"]))

    async def _come_to(self, kind: TaskKind, row: Row, claim: Claim) -> Outcome | None:
        """What the task comes to; None if the claim of a slow one holds no more. Raises what its function raises."""
        try:
            return None if kind.slow and not await self._held(kind, claim) else await self._work(kind, row)
        finally:
            self._leaves(kind.dependency)

    def _leaves(self, dependency: str | None) -> None:
        """A task is back: the outside system may be asked by the next one."""
        self.busy[dependency] -= 1
        self.ending[dependency] += 1
        if self._short:
            self.wake()

    async def _held(self, kind: TaskKind, claim: Claim) -> bool:
        """Whether the claim still stands, and is now as long as the task may take."""
        held = await self.pool.execute(
            "UPDATE tasks SET run_at = now() + make_interval(secs => $3) WHERE id = $1 AND claim = $2",
            claim.task_id, claim.token, kind.timeout_s + MARGIN_S,
        )  # fmt: skip
        return str(held) == "UPDATE 1"

    async def _work(self, kind: TaskKind, row: Row) -> Outcome:
        job = Job(
            row["id"], row["dossier_id"], kind.payload.model_validate_json(row["payload"]),
            row["attempts"], row["enqueued_at"],
        )  # fmt: skip
        async with asyncio.timeout(kind.timeout_s):
            outcome = await kind.run(job)
        if kind.dependency is not None:
            self.breakers[kind.dependency].succeeded()
        return outcome

    async def _end(self, row: Row, item: Item) -> None:
        """Commit the outcome, however long the database takes; if the claim has run out, somebody else says it."""
        while True:
            try:
                handled = await self.outcomes.submit(item)
                break
            except Unavailable:
                await asyncio.sleep(random.uniform(0.1, 1.0))  # noqa: S311 - jitter, not a secret
        if isinstance(handled.error, Exception) and not isinstance(handled.error, DossierError):
            error = type(handled.error).__name__
            log.error("task-failed", kind=row["kind"], task=str(row["id"]), **item.named, error=error)
        self.metrics.task_attempts.labels(row["kind"], handled.outcome).inc()

    async def _again(self, row: Row, kind: TaskKind, why: Exception) -> None:
        outside = kind.dependency if isinstance(why, Transient | TimeoutError) else None
        if outside is not None:
            breaker = self.breakers[outside]
            breaker.succeeded() if isinstance(why, Transient) and why.well else breaker.failed()
        if isinstance(why, KeyNotHere) and now() - row["enqueued_at"] > KEY_LATE:
            log.error("data-key-late", kind=row["kind"], dossier_id=str(row["dossier_id"]))
        self.metrics.task_attempts.labels(row["kind"], "again").inc()
        asked = why.retry_after_s if isinstance(why, Transient) else None
        wait = asked if asked is not None else self._backoff(row["attempts"])
        error = f"{OUTAGES.get(outside or '', '')} {type(why).__name__}: {why}".lstrip()
        try:
            await self.pool.execute(
                """UPDATE tasks SET claim = NULL, claimed_by = NULL, last_error = $3,
                                    run_at = now() + make_interval(secs => $4) WHERE id = $1 AND claim = $2""",
                row["id"], row["claim"], error[:200], wait,
            )  # fmt: skip
        except LOST_CONNECTION as lost:
            log.warning("task-release-failed", why=type(lost).__name__)

    def _backoff(self, attempts: int) -> float:
        """Seconds until the next attempt: exponential with full jitter."""
        return random.uniform(0.05, min(self.backoff_max_s, self.backoff_s * 2 ** min(attempts, 10)))  # noqa: S311


@dataclass
class WorkersHands:
    """Those of a worker, as far as it has room. Where something waits for that room already, only a task that follows
    from another: what has begun is ended first, and nothing else overtakes.
    """

    worker: Worker
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
                {"id": task.id, "kind": task.kind, "dossier_id": task.dossier_id, "payload": task.payload,
                 "attempts": 1, "claim": taken.claim, "enqueued_at": now()}
            )  # fmt: skip

    def let_go(self, taken: Taken) -> None:
        """Begin nothing; what was committed all the same is free as soon as the database is there again."""
        self._give_back(taken)
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

    def _give_back(self, taken: Taken) -> None:
        """The room that was held; what waits for it is looked for."""
        self.worker.busy.subtract(self._dependencies(taken.tasks))
        if taken.tasks and not self.worker.has_all_begun:
            self.worker.wake()

    def _dependencies(self, tasks: Mapping[UUID, TaskWrite]) -> list[str | None]:
        return [self.worker.kinds[task.kind].dependency for task in tasks.values()]


class TaskFailed(Outcome):
    """Stands in a dead letter for the outcome that a failing function never came to."""

    kind: str
    payload: str


def _failed(row: Row) -> Message[Model]:
    return Message(row["id"], row["dossier_id"], now(), TaskFailed(kind=row["kind"], payload=row["payload"]))
