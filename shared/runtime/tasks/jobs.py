"""Jobs: work that is due at times and not because of a message, run through the same queue as tasks.

Each job has one row, and in the queue one task: its next run, which any replica claims when it is due by the database's
clock, and whose end orders the next. So one process at a time runs it, a killed one is followed by another, and no time
is forgotten while nobody runs. A run may be begun again before its end was committed: what it does must bear that.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from uuid import UUID

import asyncpg
import structlog

from shared.errors import Misconfigured, Transient, Unavailable
from shared.events.base import Model
from shared.ids import derived_id
from shared.runtime.aio.crash import crash_point
from shared.runtime.aio.fatal import trace_only
from shared.runtime.engine.retry import retry
from shared.runtime.observe.metrics import Metrics
from shared.runtime.store.lost import LOST_CONNECTION
from shared.runtime.store.sql import Connection
from shared.runtime.tasks.kinds import Attempt, TaskKind
from shared.schedule import Missed, When, handled_by, is_left_out

log = structlog.get_logger(__name__)

LOOK_EVERY_S, LOOK_AGAIN_S = 15.0, 1.0
END_S = 10.0
"""So long the end of a run may take beside the run."""
AGAIN_S, AGAIN_MAX_S = 5.0, 600.0
"""After a failure a run is begun again, later each time."""
_NAMES = UUID("b0c46af0-4d26-5d1e-9d5f-5d2f6b1f3f0a")


@dataclass(frozen=True, slots=True)
class Job:
    """One row of a service's table of jobs: when it is due, what it does (`run`, given the due time, UTC; what it
    raises is a failure, and it is run again), and what becomes of missed times. A run takes `timeout_s` at most; one
    that has not ended `late_s` after its time is an alert.
    """

    name: str
    when: When
    run: Callable[[datetime], Awaitable[None]]
    missed: Missed
    timeout_s: float = 600.0
    late_s: float = 3600.0


class Due(Model):
    """A run's payload: the time (UTC) that it is for."""

    at: datetime


@dataclass
class Jobs:
    """The jobs of one service, in one process. `whole`: as a worker's."""

    table: Sequence[Job]
    pool: "asyncpg.Pool[asyncpg.Record]"
    metrics: Metrics
    whole: Callable[[], object]

    def kinds(self, others: Mapping[str, TaskKind]) -> Mapping[str, TaskKind]:
        """The service's kinds of task, with a run of each job. Raises Misconfigured for a name that is taken."""
        runs = {
            job.name: TaskKind(Due, partial(self._attempt, job), timeout_s=job.timeout_s + END_S, slow=True)
            for job in self.table
        }
        if len(runs) < len(self.table) or runs.keys() & others.keys():
            raise Misconfigured("two jobs, or a job and a task, have the same name")
        return {**others, **runs}

    async def run(self) -> None:
        """See to it that every job waits for its next time, and tell how they stand, until cancelled."""
        while True:
            try:
                self.whole()
                await self.arm()
                await self.tell()
            except (Unavailable, TimeoutError, *LOST_CONNECTION) as lost:
                log.info("jobs-unknown", why=type(lost).__name__)
                await asyncio.sleep(LOOK_AGAIN_S)
            else:
                await asyncio.sleep(LOOK_EVERY_S)

    async def arm(self) -> None:
        """Every job has its row and one task, at the time that its schedule of today says. Raises what a lost
        connection raises.
        """
        for job in self.table:
            async with self.pool.acquire() as conn, conn.transaction():
                await conn.execute(_FIRST, job.name)
                row = await conn.fetchrow(_LOCK, job.name)
                assert row is not None  # it was there, or is now
                due, before = job.when.after(row["handled_at"]), _run_id(job.name, row["due_at"])
                if due != row["due_at"] and await conn.fetchval(_DROP, before) == _IS_RUNNING:
                    continue  # by the schedule of before; its end orders the next by that of today
                await _order(conn, job.name, due)

    async def tell(self) -> None:
        """Set the gauges: each process tells of the whole service."""
        rows = await self.pool.fetch(_TOLD, [job.name for job in self.table])
        for row in rows:
            name = row["name"]
            self.metrics.job_due.labels(name).set(row["due_at"].timestamp())
            self.metrics.job_success.labels(name).set(row["succeeded_at"].timestamp() if row["succeeded_at"] else 0)
            self.metrics.job_failures.labels(name).set(row["failures"])
        for job in self.table:
            self.metrics.job_patience.labels(job.name).set(job.late_s)

    async def _attempt(self, job: Job, attempt: Attempt) -> None:
        """One run, from its claim to its end. Raises Transient after a failure."""
        due, began = attempt.payload.at, await self.pool.fetchval("SELECT now()")
        if is_left_out(job.missed, due, began):
            log.warning("job-left-out", job=job.name, due=due.isoformat())
        else:
            await self._run(job, due, attempt.attempts)
            crash_point("after-effect")
        await retry(partial(self._end, job, attempt, began))

    async def _run(self, job: Job, due: datetime, attempts: int) -> None:
        limit = asyncio.timeout(job.timeout_s)
        try:
            async with limit:
                await job.run(due)
        except Exception as failure:
            if isinstance(failure, (Unavailable, *LOST_CONNECTION)) and not limit.expired():
                raise
            log.error("job-failed", job=job.name, due=due.isoformat(), exc_info=trace_only(failure))
            await self.pool.execute("UPDATE jobs SET failures = failures + 1 WHERE name = $1", job.name)
            wait = min(AGAIN_MAX_S, AGAIN_S * 2 ** min(attempts - 1, 10))
            raise Transient(job.name, type(failure).__name__, wait) from failure

    async def _end(self, job: Job, attempt: Attempt, began: datetime) -> None:
        """Settle the run and order the next one, if the claim on it still holds."""
        handled = handled_by(job.missed, attempt.payload.at, began)
        left_out = is_left_out(job.missed, attempt.payload.at, began)
        async with self.pool.acquire() as conn, conn.transaction():
            await conn.fetchrow(_LOCK, job.name)
            if await conn.fetchval(_ENDED, attempt.id, attempt.claim) is None:
                log.warning("job-taken-over", job=job.name, due=attempt.payload.at.isoformat())
                return
            await conn.execute(_SETTLE, job.name, handled, left_out)
            await _order(conn, job.name, job.when.after(handled))
        self.metrics.task_attempts.labels(job.name, "left_out" if left_out else "ok").inc()


def _run_id(name: str, due: datetime) -> UUID:
    return derived_id(_NAMES, f"{name}/{due.astimezone(UTC).isoformat()}")


async def _order(conn: Connection, name: str, due: datetime) -> None:
    """Put the run of that time into the queue, unless it is there, and write it down as the next."""
    payload = Due(at=due.astimezone(UTC)).model_dump_json()
    await conn.execute(_ENQUEUE, _run_id(name, due), name, derived_id(_NAMES, name), payload, due)
    await conn.execute("UPDATE jobs SET due_at = $2 WHERE name = $1 AND due_at <> $2", name, due)


_FIRST = """INSERT INTO jobs (name, handled_at, due_at) VALUES ($1, now(), now()) ON CONFLICT (name) DO NOTHING"""
"""What was due before a job was known was not missed."""
_LOCK = "SELECT least(handled_at, now()) AS handled_at, due_at FROM jobs WHERE name = $1 FOR UPDATE"
"""A clock that was wrong once has settled nothing of what lies before us."""
_DROP = """WITH dropped AS (DELETE FROM tasks WHERE id = $1 AND claim IS NULL RETURNING id)
    SELECT count(*) FROM tasks WHERE id = $1 AND claim IS NOT NULL"""
_IS_RUNNING = 1
_ENQUEUE = """INSERT INTO tasks (id, kind, dossier_id, payload, run_at) VALUES ($1, $2, $3, $4::jsonb, $5)
    ON CONFLICT (id) DO NOTHING"""
_ENDED = "DELETE FROM tasks WHERE id = $1 AND claim = $2 RETURNING id"
_SETTLE = """UPDATE jobs SET handled_at = $2, failures = CASE WHEN $3 THEN failures ELSE 0 END,
        succeeded_at = CASE WHEN $3 THEN succeeded_at ELSE now() END WHERE name = $1"""
_TOLD = "SELECT name, due_at, succeeded_at, failures FROM jobs WHERE name = ANY ($1)"
