"""The engine: load, decide, commit. One transaction holds events, states, tasks, positions heard and answers.

Consumers, the HTTP door and finished tasks of any replica may call `handle` at the same time; the row locks of the
shards make one writer at a time of them, and the version of each state makes every write say what it expected.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import asyncpg
import structlog

from shared.errors import Behind, Conflict, DossierError, Fenced, MovedOn, Unavailable
from shared.runtime.aio.crash import crash_point
from shared.runtime.kernel.decider import Decider
from shared.runtime.kernel.kept import KeptStates
from shared.runtime.kernel.message import Handled, Item
from shared.runtime.kernel.work import Draft
from shared.runtime.observe.metrics import Metrics
from shared.runtime.store.commit import Commit
from shared.runtime.store.hands import Hands, NoHands
from shared.runtime.store.lost import LOST_CONNECTION

log = structlog.get_logger(__name__)

MAX_RACES = 5
_RACES = (Conflict, asyncpg.UniqueViolationError, asyncpg.DeadlockDetectedError, asyncpg.SerializationError)
_NOT_HELD = (*_RACES, asyncpg.DataError, asyncpg.IntegrityConstraintViolationError)


@dataclass
class Engine:
    """Handles batches for one service over one pool. `ready` runs before every commit and raises Unavailable to
    refuse it.
    """

    decider: Decider[Any]
    pool: "asyncpg.Pool[asyncpg.Record]"
    metrics: Metrics
    keep_secret: Callable[[bytes], bytes]
    ready: Callable[[], Awaitable[None]]
    on_lost: Callable[[], None] = lambda: None
    on_committed: Callable[[bool, bool], None] = lambda events, tasks: None
    saw: Callable[[Mapping[int, int]], None] = lambda ends: None
    seen: Callable[[Collection[int]], Mapping[int, int]] = lambda shards: {}
    kept: KeptStates = field(default_factory=KeptStates)
    hands: Hands = field(default_factory=NoHands)
    moved_on: bool = False
    """Whether states have another shape by now, as far as the last commit tells: nothing that is begun can be ended."""

    async def handle(self, items: Sequence[Item]) -> list[Handled]:
        """Handle one batch, all or nothing, and say what became of each item.

        Raises Fenced (other consumer was faster: read the positions again) and Unavailable (database gone), and what a
        bug raises at the commit of a record or outcome; what stood before it in the batch is then committed.
        """
        lost_races = 0
        while True:
            await self.ready()
            try:
                handled = await self._attempt(items, pessimistic=lost_races > 0)
                self.moved_on = False
                return handled
            except _RACES as race:
                log.info("conflict", why=type(race).__name__, items=len(items))
                self.metrics.conflicts.inc()
                lost_races += 1
                # Locked first and still not won: two items of this batch are each other's rivals, or the store
                # contradicts itself, and then no repetition helps.
                if lost_races > (1 if len(items) > 1 else MAX_RACES):
                    return await self._halve(items, race)
            except LOST_CONNECTION as lost:
                self._lose()
                raise Unavailable(f"database: {type(lost).__name__}") from lost
            except Behind:
                self._lose()
                raise
            except (Fenced, Unavailable) as refused:
                self.moved_on = self.moved_on or isinstance(refused, MovedOn)
                raise
            except Exception as fault:
                return await self._halve(items, fault)

    def _lose(self) -> None:
        self.kept.forget()
        self.on_lost()

    async def _halve(self, items: Sequence[Item], fault: Exception) -> list[Handled]:
        """Find the one message that cannot be committed, and treat it as one whose rule raised: a command fails, a
        record or outcome becomes a dead letter, so that no effect is repeated. A record raises at what is no fault of
        its data, for it comes again by itself once the bug is mended.
        """
        if len(items) > 1:
            middle = len(items) // 2
            return await self.handle(items[:middle]) + await self.handle(items[middle:])
        (item,) = items
        if item.request is not None:
            return [Handled("failed", error=fault)]
        if item.failure is not None or (item.record is not None and not isinstance(fault, _NOT_HELD)):
            raise fault
        return await self.handle([replace(item, failure=fault)])

    async def _attempt(self, items: Sequence[Item], pessimistic: bool) -> list[Handled]:
        lost = self.kept.lost
        async with self.pool.acquire() as conn:
            commit = Commit(self.decider, conn, items, self.seen, self.keep_secret, self.kept.of, self.hands.take)
            try:
                await commit.make(pessimistic)
            except BaseException:
                self.hands.let_go(commit.taken)
                raise
            crash_point("after-commit")
        self.moved_on = False
        self.kept.keep(commit.states(), lost)
        self.hands.begin(commit.taken, commit.claimed)
        self.saw(commit.ends)
        self._account(commit)
        self.on_committed(bool(commit.rows), commit.enqueued)
        return [draft.handled for draft in commit.drafts]

    def _account(self, commit: Commit) -> None:
        for row in commit.rows:
            self.metrics.recorded.labels(row.type).inc()
        for draft in commit.drafts:
            self._tell(draft)

    @staticmethod
    def _tell(draft: Draft) -> None:
        """A line for what was not handled, with the id of the event, command or outcome, where one could be read."""
        item = draft.item
        if draft.dead is not None:
            log.error("dead-letter", **item.named, exc_info=_own(draft.dead))
        elif draft.parked:
            log.warning("parked", **item.named)
        elif draft.handled.outcome == "skipped" and item.place is not None and item.place.event_id is not None:
            log.info("skipped", **item.named)


def _own(failure: Exception) -> Exception | None:
    """Only our own errors go to the log whole: any other may quote the data that it failed on."""
    return failure if isinstance(failure, DossierError) else TypeError(type(failure).__name__)
