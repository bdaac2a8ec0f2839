"""Gauges that are asked for every few seconds and not at every scrape, most of them of the database."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from shared.errors import KekNotHere, KeyNotHere
from shared.lifecycle import Status
from shared.runtime.engine import LOST_CONNECTION
from shared.runtime.tasks import KEY_LATE
from shared.runtime.unreached import counted
from shared.runtime.wiring import Runtime

log = structlog.get_logger(__name__)

EVERY_S = 5.0
SIZE_EVERY_S = 60.0
REST = 20
"""Counting all dossiers goes through all of them: it rests for so many times as long as it has taken."""

_BY_STATUS = "SELECT status, count(*) FROM states WHERE status IS NOT NULL GROUP BY status"


@dataclass
class Gauges:
    """Refreshes the gauges of one process. `clock` tells seconds."""

    runtime: Runtime
    clock: Callable[[], float] = time.monotonic
    _count_at: float = 0.0
    _size_at: float = 0.0

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
        metrics.parked.set(await pool.fetchval("SELECT count(*) FROM states WHERE parked"))
        metrics.acceptance_overdue.set(await pool.fetchval("SELECT count(*) FROM states WHERE attention_at < now()"))
        if self.runtime.service.desk.lists_unreached:
            metrics.unreached.set(await counted(pool))

    async def _size(self) -> None:
        """Each of its files is looked at: once a minute is often enough for what grows over weeks."""
        now = self.clock()
        if now < self._size_at:
            return
        self._size_at = now + SIZE_EVERY_S
        self.runtime.metrics.database_bytes.set(
            await self.runtime.pool.fetchval("SELECT pg_database_size(current_database())")
        )

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
