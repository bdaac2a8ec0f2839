"""Gauges that are asked for every few seconds and not at every scrape, most of them of the database."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from shared.errors import KekNotHere, KeyNotHere
from shared.lifecycle import Status
from shared.runtime.process.wiring import Runtime
from shared.runtime.store.lost import LOST_CONNECTION
from shared.runtime.store.shapes import other_shapes
from shared.runtime.store.unreached import counted
from shared.runtime.tasks.queue import KEY_LATE

log = structlog.get_logger(__name__)

EVERY_S = 5.0
SIZE_EVERY_S = 60.0
REST = 20
"""Counting all dossiers goes through all of them: it rests for so many times as long as it has taken."""

_LATE = "SELECT unit, status, count(*) FROM states WHERE attention_at < now() GROUP BY unit, status"
"""Only the late ones are looked at: all others are passed over in the index."""
_UNPAID = "SELECT count(*), min(attention_at) AS oldest FROM states WHERE attention_at IS NOT NULL"
_BY_STATUS = "SELECT status, count(*) FROM states WHERE status IS NOT NULL GROUP BY status"


@dataclass
class Gauges:
    """Refreshes the gauges of one process. `clock` tells seconds."""

    runtime: Runtime
    clock: Callable[[], float] = time.monotonic
    _count_at: float = 0.0
    _size_at: float = 0.0
    _limits_at: float = 0.0

    async def run(self) -> None:
        """Refresh until cancelled; a lost database leaves the last values."""
        while True:
            try:
                await self.refresh()
            except (TimeoutError, *LOST_CONNECTION) as lost:
                log.info("gauges-stale", why=type(lost).__name__)
            await asyncio.sleep(EVERY_S)

    async def refresh(self) -> None:
        """Ask once: first what needs no database, last what takes the longest. Raises as a lost database does."""
        self._consumer()
        await self._outbox()
        await self._tasks()
        await self._waiting()
        await self._size()
        await self._limits()
        await self._dossiers()

    async def _outbox(self) -> None:
        row = await self.runtime.pool.fetchrow(
            """SELECT coalesce(sum(s.next_position - 1 - r.published), 0)::bigint AS pending,
                      coalesce(extract(epoch FROM min(e.recorded_at)), 0)::float AS oldest
               FROM relay r JOIN shards s USING (shard)
               LEFT JOIN events e ON e.shard = r.shard AND e.position = r.published + 1"""
        )
        if row is not None:
            self.runtime.metrics.outbox_pending.set(row["pending"])
            self.runtime.metrics.outbox_oldest.set(row["oldest"])

    async def _tasks(self) -> None:
        rows = await self.runtime.pool.fetch(
            """SELECT kind, count(*) AS pending,
                      coalesce(extract(epoch FROM min(run_at) FILTER (WHERE run_at <= now())), 0)::float AS oldest,
                      count(*) FILTER (WHERE last_error LIKE ANY($1)
                                             AND enqueued_at < now() - $2::interval) AS keys_late
               FROM tasks GROUP BY kind""",
            [f"{waits.__name__}:%" for waits in (KeyNotHere, KekNotHere)],
            KEY_LATE,
        )
        counted = {row["kind"]: row for row in rows}
        for kind in self.runtime.worker.kinds:
            row = counted.get(kind)
            self.runtime.metrics.tasks_pending.labels(kind).set(row["pending"] if row else 0)
            self.runtime.metrics.tasks_oldest.labels(kind).set(row["oldest"] if row else 0)
            self.runtime.metrics.keys_late.labels(kind).set(row["keys_late"] if row else 0)

    async def _waiting(self) -> None:
        metrics, pool = self.runtime.metrics, self.runtime.pool
        metrics.dead_letters.set(await pool.fetchval("SELECT count(*) FROM dead_letters WHERE settled_at IS NULL"))
        metrics.other_shapes.set(len(await other_shapes(pool, self.runtime.service.decider.shape)))
        metrics.parked.set(await pool.fetchval("SELECT count(*) FROM states WHERE parked"))
        if self.runtime.service.desk.lists_unreached:
            metrics.unreached.set(await counted(pool))

    async def _size(self) -> None:
        """Each of its files is looked at: once a minute is often enough for what grows over weeks."""
        now = self.clock()
        if now < self._size_at:
            return
        self._size_at = now + SIZE_EVERY_S
        row = await self.runtime.pool.fetchrow(
            "SELECT pg_database_size(current_database()) AS bytes, (SELECT max(at) FROM backups) AS backup"
        )
        if row is not None:
            self.runtime.metrics.database_bytes.set(row["bytes"])
            self.runtime.metrics.backup.set(row["backup"].timestamp() if row["backup"] else 0)

    async def _limits(self) -> None:
        """Whoever should have acted, or paid; rests as counting all dossiers does."""
        began = self.clock()
        if began < self._limits_at:
            return
        ask = self._unpaid if self.runtime.service.desk.awaits_money else self._late
        try:
            await ask()
        finally:
            ended = self.clock()
            self._limits_at = ended + REST * (ended - began)

    async def _late(self) -> None:
        metrics = self.runtime.metrics
        rows = await self.runtime.pool.fetch(_LATE)
        metrics.acceptance_overdue.set(sum(row["count"] for row in rows if row["status"] == Status.REGISTERED))
        results = Counter[str]()
        for row in rows:
            if row["status"] in (Status.ACCEPTED, Status.IN_PROCESS):
                results[row["unit"] or ""] += row["count"]
        metrics.results_overdue.clear()  # a unit that owes nothing any more is not told of
        for unit, count in results.items():
            metrics.results_overdue.labels(unit).set(count)

    async def _unpaid(self) -> None:
        row = await self.runtime.pool.fetchrow(_UNPAID)
        if row is not None:
            self.runtime.metrics.unpaid.set(row["count"])
            self.runtime.metrics.unpaid_oldest.set(row["oldest"].timestamp() if row["oldest"] else 0)

    async def _dossiers(self) -> None:
        began = self.clock()
        if began < self._count_at:
            return
        try:
            rows = await self.runtime.pool.fetch(_BY_STATUS)
        finally:
            ended = self.clock()
            self._count_at = ended + REST * (ended - began)
        counted = {row["status"]: row["count"] for row in rows}
        for status in Status:
            self.runtime.metrics.dossiers.labels(int(status)).set(counted.get(status, 0))

    def _consumer(self) -> None:
        runtime = self.runtime
        oldest = runtime.resources.progress.oldest
        runtime.metrics.oldest_unhandled.set(oldest.timestamp() if oldest else 0)
        runtime.metrics.gaps.set(len(runtime.listener.stopped))
