"""A supplement's deadline on a real database: the alarms that a request sets, what rings, and races with an answer."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, time, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from deploy.postgres.provision import Databases
from services.intake.state import State
from services.intake.supplements import LAPSE, REMIND, WITHIN, DeadlineRang, ReminderRang, owed
from services.intake.tasks import ring_in_time
from shared.events.base import Model
from shared.law.clock import WORKING_DAY, add_working_time, take_working_time
from shared.runtime.aio.clock import now
from shared.runtime.engine.batcher import Batcher
from shared.runtime.engine.engine import Engine
from shared.runtime.kernel.decider import Message
from shared.runtime.kernel.message import Item, Request
from shared.runtime.observe.metrics import Metrics
from shared.runtime.tasks.jobs import Job, Jobs
from shared.runtime.tasks.kinds import TaskKind
from shared.runtime.tasks.owed import Owed
from shared.runtime.tasks.queue import Worker
from shared.schedule import Daily, Missed
from tests.controls import AGENCY, request_supplement, submit_dossier, supply_dossier
from tests.deciders import INTAKE, LAW
from tests.integration.runtime.stage import Stage, staged
from tests.integration.runtime.toy import name
from tests.integration.runtime.wire import running, soon

CALENDAR = LAW.calendar(AGENCY)
HOUR = timedelta(hours=1)


@pytest_asyncio.fixture
async def desk(module_databases: Databases) -> AsyncIterator[Stage]:
    """Intake's database, empty."""
    async with staged(module_databases, "intake", INTAKE.shape) as stage:
        await stage.admin.execute("TRUNCATE jobs")
        yield stage


def asked(dossier: UUID, command: Model, at: datetime, key: str) -> Item:
    """Somebody asks the desk, at this time."""
    request = Request("app", "POST", f"/{dossier}", key, b"body", 200, lambda state: {})
    return Item(message=Message(name(dossier, key), dossier, at, command), request=request, dossier_id=dossier)


async def await_supplement(engine: Engine, dossiers: Sequence[UUID], at: datetime) -> datetime:
    """Dossiers of which a supplement is asked for at this time; returns the deadline."""
    for command, key in ((submit_dossier(), "file"), (request_supplement(), "ask")):
        handled = await engine.handle([asked(dossier, command, at, key) for dossier in dossiers])
        assert {one.outcome for one in handled} == {"ok"}
    return add_working_time(CALENDAR, at, WITHIN)


def worker(stage: Stage, engine: Engine) -> Worker:
    """A process's worker with the desk's alarms."""
    rings = partial(ring_in_time, now)
    kinds = {REMIND: TaskKind(ReminderRang, rings), LAPSE: TaskKind(DeadlineRang, rings)}
    return Worker(kinds, stage.pool, Batcher(engine.handle), Metrics("intake"), look_s=0.02, shape=INTAKE.shape)


def sweep(stage: Stage) -> Owed[State]:
    """The job's work."""
    return Owed("intake", State(), partial(owed, LAW), (REMIND, LAPSE), ("intake", "wanted"), stage.pool)


async def said(stage: Stage, dossier: UUID) -> list[str]:
    """The types of what was said of a dossier, in order, short."""
    rows = await stage.admin.fetch("SELECT type FROM events WHERE dossier_id = $1 ORDER BY position", dossier)
    return [row["type"].split(".")[3] for row in rows]


async def alarms(stage: Stage) -> list[tuple[str, datetime]]:
    """What waits in the queue."""
    rows = await stage.admin.fetch("SELECT kind, run_at FROM tasks ORDER BY run_at, kind")
    return [(row["kind"], row["run_at"]) for row in rows]


def nearly_over() -> datetime:
    """When something was asked for of which the deadline is an hour of working time ahead."""
    return take_working_time(CALENDAR, add_working_time(CALENDAR, now(), HOUR), WITHIN)


def long_over() -> datetime:
    """The same of a deadline that has passed."""
    return now() - timedelta(days=40)


FILED = ["dossier-submitted", "supplement-requested"]


async def test_the_reminder_rings_when_one_working_day_is_left_and_the_lapse_waits(desk: Stage) -> None:
    dossier, engine = name("dossier", 1), desk.engine(INTAKE)
    respond_by = await await_supplement(engine, [dossier], nearly_over())
    assert await alarms(desk) == [(REMIND, take_working_time(CALENDAR, respond_by, WORKING_DAY)), (LAPSE, respond_by)]

    async def is_reminded() -> bool:
        return await said(desk, dossier) == [*FILED, "supplement-reminder-due"]

    async with running(worker(desk, engine).run()):
        await soon(is_reminded, "the reminder")
    assert await alarms(desk) == [(LAPSE, respond_by)]


async def test_after_an_outage_over_both_each_dossier_lapses_once_and_nobody_is_reminded(desk: Stage) -> None:
    dossiers, engine = [name("dossier", n) for n in range(20)], desk.engine(INTAKE)
    respond_by = await await_supplement(engine, dossiers, long_over())

    async def is_quiet() -> bool:
        return await desk.count("tasks") == 0

    replicas = [worker(desk, desk.engine(INTAKE)) for _ in range(2)]
    async with running(*(one.run() for one in replicas)):
        await soon(is_quiet, "all alarms")
    for dossier in dossiers:
        assert await said(desk, dossier) == [*FILED, "supplement-lapsed"]
    rows = await desk.admin.fetch("SELECT data FROM events WHERE type LIKE '%supplement-lapsed%'")
    late = [int(Lapse.model_validate_json(row["data"]).late_s) for row in rows]
    assert all(one >= (now() - respond_by).total_seconds() - 120 for one in late)
    assert await desk.count("states", "state #>> '{intake,status}' = '1'") == len(dossiers)
    await desk.check_store()


class Lapse(Model):
    """What of the event is looked at."""

    model_config = {"extra": "ignore"}
    late_s: int


async def test_of_an_answer_and_a_lapse_at_once_one_commit_decides(desk: Stage) -> None:
    """Each of two replicas loads the same state; whoever commits second decides again on what the first has said."""
    dossiers = [name("dossier", n) for n in range(60)]
    await await_supplement(desk.engine(INTAKE), dossiers, long_over())
    ringing, answering = desk.engine(INTAKE), desk.engine(INTAKE)

    async def answer(dossier: UUID) -> Any:
        (handled,) = await answering.handle([asked(dossier, supply_dossier(), now(), "answer")])
        return handled.outcome

    async with running(worker(desk, ringing).run()):
        answers = [await answer(dossier) for dossier in dossiers]
        await soon(lambda: _no_alarm(desk), "all alarms")
    for dossier, outcome in zip(dossiers, answers, strict=True):
        assert outcome in ("ok", "refused")
        wins = "supplement-received" if outcome == "ok" else "supplement-lapsed"
        assert await said(desk, dossier) == [*FILED, wins]
    await desk.check_store()


async def _no_alarm(stage: Stage) -> bool:
    return await stage.count("tasks") == 0


async def test_the_job_sets_the_alarms_that_are_not_there_and_no_others(desk: Stage) -> None:
    engine = desk.engine(INTAKE)
    old, half, whole, answered, parked = (name("dossier", n) for n in range(5))
    respond_by = await await_supplement(engine, [old, half, whole, answered, parked], nearly_over())
    await engine.handle([asked(answered, supply_dossier(), now(), "answer")])
    await desk.admin.execute("UPDATE states SET parked = true WHERE dossier_id = $1", parked)
    await desk.admin.execute("DELETE FROM tasks WHERE dossier_id = ANY ($1)", [old, answered, parked])
    await desk.admin.execute("DELETE FROM tasks WHERE dossier_id = $1 AND kind = $2", half, LAPSE)
    await sweep(desk).order(now())
    remind_at = take_working_time(CALENDAR, respond_by, WORKING_DAY)
    assert await alarms(desk) == [(REMIND, remind_at)] * 3 + [(LAPSE, respond_by)] * 3
    again = await alarms(desk)
    await asyncio.gather(sweep(desk).order(now()), sweep(desk).order(now()))
    assert await alarms(desk) == again


async def test_a_dossier_of_before_there_were_alarms_lapses_after_the_nightly_run(desk: Stage) -> None:
    """The job as the desk's table has it, due now; then the alarm that it sets."""
    engine, dossier = desk.engine(INTAKE), name("dossier", 1)
    await await_supplement(engine, [dossier], long_over())
    await desk.admin.execute("TRUNCATE tasks")
    jobs = Jobs([Job("nightly", Daily(time(2)), sweep(desk).order, Missed.ONCE)], desk.pool, Metrics("intake"), int)
    await jobs.arm()
    await desk.admin.execute("UPDATE jobs SET handled_at = now() - interval '2 days'")
    await jobs.arm()
    one = worker(desk, engine)
    one.kinds = jobs.kinds(one.kinds)

    async def is_lapsed() -> bool:
        return await said(desk, dossier) == [*FILED, "supplement-lapsed"]

    async with running(one.run()):
        await soon(is_lapsed, "the lapse")


@pytest.mark.parametrize("page", [1, 2])
async def test_the_job_looks_through_all_pages_also_behind_one_that_owes_nothing(
    desk: Stage, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr("shared.runtime.tasks.owed.PAGE", page)
    dossiers = [name("dossier", n) for n in range(5)]
    await await_supplement(desk.engine(INTAKE), dossiers, nearly_over())
    answers = [asked(dossier, supply_dossier(), now(), "answer") for dossier in sorted(dossiers)[1:4]]
    assert [one.outcome for one in await desk.engine(INTAKE).handle(answers)] == ["ok"] * 3
    before = [one for n, one in enumerate(await alarms(desk)) if n % 5 < 2]
    await desk.admin.execute("TRUNCATE tasks")
    await sweep(desk).order(now())
    assert await alarms(desk) == before
