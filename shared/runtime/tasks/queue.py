"""Durable tasks: work on the outside world, and alarms. Claimed under a lease, run, and their outcome committed once.

A queue of our own: it enqueues in the engine's transaction, and an outcome commits only while its worker still holds
the claim, which PyPI `pgqueuer` (completed by id, not fenced) does not offer.
"""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import asyncpg
import structlog

from shared.errors import DossierError, KeyNotHere, Misconfigured, MovedOn, TooNew, Transient, Unavailable
from shared.registry import OUTAGES
from shared.runtime.aio.clock import now
from shared.runtime.aio.crash import crash_point
from shared.runtime.aio.fatal import end_at_once
from shared.runtime.aio.pacing import LONGEST_S, rest
from shared.runtime.engine.batcher import Batcher
from shared.runtime.kernel.decider import Message, Outcome
from shared.runtime.kernel.message import Claim, Item
from shared.runtime.kernel.stored import read_stored
from shared.runtime.observe.metrics import Metrics
from shared.runtime.store.lost import LOST_CONNECTION
from shared.runtime.tasks import claims
from shared.runtime.tasks.breaker import Breaker
from shared.runtime.tasks.hands import WorkersHands
from shared.runtime.tasks.kinds import Attempt, Row, TaskKind, failed

log = structlog.get_logger(__name__)

KEY_LATE = timedelta(minutes=2)
"""A data key that has not come after this long is an alert (metric `dossier_keys_late`), not only a wait."""

AHEAD = 3
"""So many times its room of an outside system's tasks a worker has in hand at most: with the system, or with an outcome
that is yet to be committed. As many are done a second time where a process is killed while its database stands still.
"""

MARGIN_S = 5.0
"""A task's lease outlasts its time-out by this, to commit the outcome in."""


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
    """Raises Unavailable while the store may be an older one, which holds tasks that were done after its backup, or
    while states have another shape, so that no outcome could be committed.
    """
    shape: int = 1
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
            await claims.take_back(self.pool, self.instance)
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
        return await claims.claim(self.pool, kinds, self.lease_s, self.instance, self.shape)

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
        except (Transient, KeyNotHere, TooNew, Unavailable, TimeoutError, *LOST_CONNECTION) as again:
            await self._again(row, kind, again)
        except Exception as bug:
            # A bug of the task's function: its dossier is parked like that of a rule that raised.
            await self._end(row, Item(claim=claim, failure=bug, dossier_id=row["dossier_id"], message=failed(row)))
        else:
            if outcome is None:
                return
            crash_point("after-effect")
            message = Message(row["id"], row["dossier_id"], now(), outcome, row["subject"])
            await self._end(row, Item(message=message, claim=claim, dossier_id=row["dossier_id"]))

    async def _come_to(self, kind: TaskKind, row: Row, claim: Claim) -> Outcome | None:
        """What the task comes to; None if it is ended, or the claim of a slow one holds no more. Raises what its
        function raises.
        """
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
        return await claims.lengthen(self.pool, claim, kind.timeout_s + MARGIN_S)

    async def _work(self, kind: TaskKind, row: Row) -> Outcome | None:
        attempt = Attempt(
            row["id"], row["dossier_id"], read_stored(kind.payload, row["payload"]),
            row["attempts"], row["enqueued_at"], row["claim"],
        )  # fmt: skip
        async with asyncio.timeout(kind.timeout_s):
            outcome = await kind.run(attempt)
        if kind.dependency is not None:
            self.breakers[kind.dependency].succeeded()
        return outcome

    async def _end(self, row: Row, item: Item) -> None:
        """Commit the outcome, however long the database takes; if the claim has run out, somebody else says it."""
        while True:
            try:
                handled = await self.outcomes.submit(item)
                break
            except MovedOn as moved:
                # Of another release by now: who has that takes it up once the lease is over.
                log.warning("task-left", kind=row["kind"], task=str(row["id"]), why=str(moved))
                self.metrics.task_attempts.labels(row["kind"], "stale").inc()
                return
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
            await claims.release(self.pool, Claim(row["id"], row["claim"]), error, wait)
        except LOST_CONNECTION as lost:
            log.warning("task-release-failed", why=type(lost).__name__)

    def _backoff(self, attempts: int) -> float:
        """Seconds until the next attempt: exponential with full jitter."""
        return random.uniform(0.05, min(self.backoff_max_s, self.backoff_s * 2 ** min(attempts, 10)))  # noqa: S311
