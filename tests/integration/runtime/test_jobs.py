"""Jobs on a real database: begun when due, by one process at a time, and once for each time that counts."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from shared.errors import Misconfigured
from shared.law.calendar import VIETNAM, vietnam_time
from shared.runtime.aio.clock import now
from shared.runtime.engine.batcher import Batcher
from shared.runtime.observe.metrics import Metrics
from shared.runtime.tasks import jobs as module
from shared.runtime.tasks.jobs import Job, Jobs
from shared.runtime.tasks.kinds import TaskKind
from shared.runtime.tasks.queue import Worker
from shared.schedule import Daily, Every, Missed, When
from tests.integration.runtime.stage import Stage, work
from tests.integration.runtime.toy import NAME, Work
from tests.integration.runtime.wire import running, soon

pytestmark = pytest.mark.usefixtures("no_jobs_yet")

SWEEP = "sweep"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
async def no_jobs_yet(stage: Stage) -> None:
    """The table of jobs, emptied."""
    await stage.admin.execute("TRUNCATE jobs")


def two_hours_ago() -> Daily:
    """Daily, at a time of which today's was missed two hours ago (by the machine's clock, which is the database's)."""
    return Daily((vietnam_time(now()) - 2 * HOUR).time())


@dataclass
class Sweep:
    """What the job does: notes for which times, and how many run at once."""

    failing: int = 0
    ran: list[datetime] = field(default_factory=list)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    awake: asyncio.Event = field(default_factory=asyncio.Event)
    at_once: int = 0
    most_at_once: int = 0

    def __post_init__(self) -> None:
        self.awake.set()

    async def __call__(self, due: datetime) -> None:
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        self.begun.set()
        await self.awake.wait()
        self.at_once -= 1
        if self.failing:
            self.failing -= 1
            raise ZeroDivisionError("0912345678")
        self.ran.append(due)


@dataclass
class Process:
    """What a replica has for its jobs."""

    jobs: Jobs
    worker: Worker


def process(
    stage: Stage, run: Callable[[datetime], Awaitable[None]], when: When, missed: Missed = Missed.EACH, **settings: Any
) -> Process:
    """One of them, with the one job."""
    metrics = Metrics(NAME)
    jobs = Jobs([Job(SWEEP, when, run, missed)], stage.pool, metrics, lambda: None)
    worker = Worker(
        jobs.kinds({"work": TaskKind(Work, work)}), stage.pool, Batcher(stage.engine().handle), metrics,
        look_s=0.02, **settings,
    )  # fmt: skip
    return Process(jobs, worker)


async def down_since(stage: Stage, one: Process, outage: timedelta) -> None:
    """Nobody was there for so long, and now somebody begins."""
    await one.jobs.arm()
    await stage.admin.execute("UPDATE jobs SET handled_at = now() - $1::interval", outage)
    await one.jobs.arm()


async def due_at(stage: Stage) -> datetime:
    """The time that waits, as the one task of the job and its row tell."""
    (row,) = await stage.admin.fetch("SELECT run_at, payload FROM tasks")
    written = await stage.admin.fetchval("SELECT due_at FROM jobs WHERE name = $1", SWEEP)
    assert row["run_at"] == written
    at: datetime = written
    return at


async def caught_up(stage: Stage) -> bool:
    """Whether all that was due is settled."""
    return await stage.count("jobs", "due_at <= now()") == 0


async def test_a_job_that_is_new_has_missed_nothing_and_waits_for_its_next_time(stage: Stage) -> None:
    when = two_hours_ago()
    one, other = (process(stage, Sweep(), when) for _ in range(2))
    await asyncio.gather(one.jobs.arm(), other.jobs.arm(), one.jobs.arm())
    expected = when.after(now())
    assert await due_at(stage) == expected
    assert expected - now() > 21 * HOUR


@pytest.mark.parametrize(("missed", "runs"), [(Missed.EACH, 3), (Missed.ONCE, 1), (Missed.SKIP, 0)])
async def test_missed_times_are_caught_up_as_the_table_says(stage: Stage, missed: Missed, runs: int) -> None:
    sweep, when = Sweep(), two_hours_ago()
    one = process(stage, sweep, when, missed)
    await down_since(stage, one, 3 * DAY)
    async with running(one.worker.run()):
        await soon(lambda: caught_up(stage), "all that was missed")
    assert len(sweep.ran) == runs
    assert sweep.ran == [when.after(now() - (3 - n) * DAY) for n in range(runs)], "in order, the oldest first"
    assert await due_at(stage) == when.after(now())


async def test_of_many_replicas_one_at_a_time_runs_each_time_once(stage: Stage) -> None:
    sweep = Sweep()
    replicas = [process(stage, sweep, Every(60)) for _ in range(4)]
    await down_since(stage, replicas[0], 30 * HOUR)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one.worker.run()) for one in replicas]
        tasks += [group.create_task(one.jobs.arm()) for one in replicas]
        await soon(lambda: caught_up(stage), "thirty hours")
        for one in replicas:
            one.worker.retire()
    assert sweep.most_at_once == 1
    assert sweep.ran == [sweep.ran[0] + n * HOUR for n in range(30)]
    assert all(task.done() for task in tasks)


async def test_a_killed_run_is_done_by_the_next_process_and_the_old_one_settles_nothing(stage: Stage) -> None:
    sweep, hangs, when = Sweep(), Sweep(), two_hours_ago()
    hangs.awake.clear()
    stopped = process(stage, hangs, when, Missed.ONCE, instance="toy-0")
    again = process(stage, sweep, when, Missed.ONCE, instance="toy-0")
    await down_since(stage, stopped, DAY)
    async with running(stopped.worker.run()):
        await asyncio.wait_for(hangs.begun.wait(), 60)
        async with running(again.worker.run()):
            await soon(lambda: caught_up(stage), "the run of the next process")
        settled = await stage.admin.fetchrow("SELECT * FROM jobs")
        hangs.awake.set()
        await asyncio.wait_for(stopped.worker.drain(), 60)
    assert len(sweep.ran) == len(hangs.ran) == 1
    assert await stage.admin.fetchrow("SELECT * FROM jobs") == settled
    assert await due_at(stage) == when.after(now())


async def test_a_run_that_was_taken_over_settles_nothing_while_the_next_one_runs(stage: Stage) -> None:
    when = two_hours_ago()
    first, second = Sweep(), Sweep()
    first.awake.clear()
    second.awake.clear()
    stopped = process(stage, first, when, Missed.ONCE, instance="toy-0")
    again = process(stage, second, when, Missed.ONCE, instance="toy-0")
    await down_since(stage, stopped, DAY)
    async with running(stopped.worker.run()):
        await asyncio.wait_for(first.begun.wait(), 60)
        stopped.worker.retire()
        async with running(again.worker.run()):
            await asyncio.wait_for(second.begun.wait(), 60)
            first.awake.set()
            await asyncio.wait_for(stopped.worker.drain(), 60)
            assert len(first.ran) == 1
            assert not await caught_up(stage), "who has lost the claim has ended nothing"
            second.awake.set()
            await soon(lambda: caught_up(stage), "the end of the run that holds the claim")
    assert await due_at(stage) == when.after(now())


async def test_a_job_that_fails_is_run_again_for_the_same_time_and_parks_nobody(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AGAIN_S", 0.01)
    sweep, when = Sweep(failing=2), two_hours_ago()
    one = process(stage, sweep, when, Missed.ONCE)
    await down_since(stage, one, DAY)
    with capture_logs() as told:
        async with running(one.worker.run()):
            await soon(lambda: caught_up(stage), "the third attempt")
    assert sweep.ran == [when.after(now() - DAY)]
    assert await _failures(stage, 0)
    assert await stage.count("dead_letters") == await stage.count("states") == 0
    assert [str(line["exc_info"]) for line in told if line["event"] == "job-failed"] == ["ZeroDivisionError"] * 2


async def test_failures_are_counted_until_a_run_ends_well(stage: Stage) -> None:
    sweep, when = Sweep(failing=1), two_hours_ago()
    one = process(stage, sweep, when, Missed.ONCE)
    await down_since(stage, one, DAY)
    async with running(one.worker.run()):
        await soon(lambda: _failures(stage, 1), "the failure")
        await one.jobs.tell()
        assert one.jobs.metrics.registry.get_sample_value("dossier_job_failures", {"task": SWEEP}) == 1
        await soon(lambda: _waits(stage), "the task to be let go")


async def _waits(stage: Stage) -> bool:
    return await stage.count("tasks", "claim IS NULL AND last_error LIKE '%ZeroDivisionError'") == 1


async def _failures(stage: Stage, count: int) -> bool:
    return bool(await stage.admin.fetchval("SELECT failures FROM jobs") == count)


async def test_a_database_that_ends_every_connection_takes_no_run_and_doubles_none(stage: Stage) -> None:
    sweep, when = Sweep(), two_hours_ago()
    sweep.awake.clear()
    one = process(stage, sweep, when, Missed.ONCE)
    await down_since(stage, one, DAY)
    async with running(one.worker.run()):
        await asyncio.wait_for(sweep.begun.wait(), 60)
        await stage.admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        sweep.awake.set()
        await soon(lambda: caught_up(stage), "the end of the run")
    assert len(sweep.ran) == 1
    assert await due_at(stage) == when.after(now())


async def test_a_run_is_over_when_its_time_is_out(stage: Stage) -> None:
    sweep, when = Sweep(), two_hours_ago()
    sweep.awake.clear()
    one = process(stage, sweep, when, Missed.ONCE)
    one.jobs.table = [Job(SWEEP, when, sweep, Missed.ONCE, timeout_s=0.05)]
    one.worker.kinds = one.jobs.kinds({})
    await down_since(stage, one, DAY)
    async with running(one.worker.run()):
        await soon(lambda: _failures(stage, 1), "the failure")
    assert not sweep.ran


async def test_another_schedule_of_another_release_moves_the_next_time_unless_it_runs(stage: Stage) -> None:
    early, late = Daily((vietnam_time(now()) + HOUR).time()), Daily((vietnam_time(now()) + 2 * HOUR).time())
    await process(stage, Sweep(), early).jobs.arm()
    assert await due_at(stage) == early.after(now())
    await process(stage, Sweep(), late).jobs.arm()
    assert await due_at(stage) == late.after(now())
    await stage.admin.execute("UPDATE tasks SET claim = gen_random_uuid()")
    await process(stage, Sweep(), early).jobs.arm()
    assert await due_at(stage) == late.after(now()), "somebody runs it"


async def test_how_a_job_stands_is_told(stage: Stage) -> None:
    one = process(stage, Sweep(), two_hours_ago(), Missed.ONCE)
    sample = one.jobs.metrics.registry.get_sample_value
    label = {"task": SWEEP}
    await down_since(stage, one, DAY)
    await one.jobs.tell()
    missed = (await due_at(stage)).timestamp()
    assert sample("dossier_job_due_timestamp_seconds", label) == missed
    assert sample("dossier_job_last_success_timestamp_seconds", label) == 0
    assert sample("dossier_job_patience_seconds", label) == 3600
    async with running(one.worker.run()):
        await soon(lambda: caught_up(stage), "the run")
    await one.jobs.tell()
    succeeded = sample("dossier_job_last_success_timestamp_seconds", label)
    assert succeeded is not None
    assert abs(succeeded - now().timestamp()) < 60
    assert sample("dossier_job_due_timestamp_seconds", label) == missed + DAY.total_seconds()


async def test_names_that_are_taken_are_refused(stage: Stage) -> None:
    row = Job(SWEEP, Every(1), Sweep(), Missed.SKIP)
    for table, others in (([row, row], {}), ([row], {SWEEP: TaskKind(Work, work)})):
        with pytest.raises(Misconfigured, match="same name"):
            Jobs(table, stage.pool, Metrics(NAME), lambda: None).kinds(others)


def test_times_are_told_to_the_job_in_utc_and_kept_in_vietnam() -> None:
    due = Daily(datetime(2026, 1, 1, 2).time()).after(datetime(2026, 11, 30, 12, tzinfo=UTC))
    assert due == datetime(2026, 12, 1, 2, tzinfo=VIETNAM)
