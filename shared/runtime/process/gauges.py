"""Gauges that are asked for every few seconds and not at every scrape, most of them of the database."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from shared.errors import KekNotHere, KeyNotHere
from shared.runtime.kernel.view import Figure
from shared.runtime.process.wiring import Runtime
from shared.runtime.store.figures import numbers
from shared.runtime.store.lost import LOST_CONNECTION
from shared.runtime.store.shapes import other_shapes
from shared.runtime.tasks.queue import KEY_LATE

log = structlog.get_logger(__name__)

EVERY_S = 5.0
SIZE_EVERY_S = 60.0
REST = 20
"""Counting all dossiers goes through all of them: a figure rests for so many times as long as it has taken."""


@dataclass
class Gauges:
    """Refreshes the gauges of one process. `clock` tells seconds."""

    runtime: Runtime
    clock: Callable[[], float] = time.monotonic
    _size_at: float = 0.0
    _rests_until: dict[Figure, float] = field(default_factory=dict)

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
        for figure in self.runtime.service.figures:
            await self._tell(figure)

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

    async def _tell(self, figure: Figure) -> None:
        began = self.clock()
        if began < self._rests_until.get(figure, 0.0):
            return
        try:
            found = await numbers(self.runtime.pool, figure)
        finally:
            ended = self.clock()
            self._rests_until[figure] = ended + REST * (ended - began)
        gauge = getattr(self.runtime.metrics, figure.gauge)
        if figure.by is None:
            gauge.set(found[None])
            return
        gauge.clear()  # what there is none of any more is not told of
        for content, number in {**dict.fromkeys(figure.always, 0.0), **found}.items():
            gauge.labels(content).set(number)

    def _consumer(self) -> None:
        runtime = self.runtime
        oldest = runtime.resources.progress.oldest
        runtime.metrics.oldest_unhandled.set(oldest.timestamp() if oldest else 0)
        runtime.metrics.gaps.set(len(runtime.listener.stopped))
