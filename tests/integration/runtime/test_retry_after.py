"""A task that an outside system puts off runs again when that system said, and not before."""

from datetime import timedelta
from uuid import UUID

import pytest

from shared.errors import Transient
from shared.runtime.engine.batcher import Batcher
from shared.runtime.kernel.decider import Outcome
from shared.runtime.observe.metrics import Metrics
from shared.runtime.tasks.kinds import Attempt, TaskKind
from shared.runtime.tasks.queue import Worker
from tests.integration.runtime.stage import Stage
from tests.integration.runtime.toy import NAME, Work

TASK, DOSSIER = UUID(int=1), UUID(int=2)


async def attempted(stage: Stage, why: Transient, failures: int = 0) -> Worker:
    """A worker after one attempt that failed like this; the outside system had failed so often in a row before."""

    async def busy(attempt: Attempt) -> Outcome:
        worker.retire()  # one attempt is enough
        raise why

    await stage.admin.execute(
        "INSERT INTO tasks (id, kind, dossier_id, payload, run_at) VALUES ($1, 'work', $2, $3, now())",
        TASK, DOSSIER, Work(text="asked").model_dump_json(),
    )  # fmt: skip
    kinds = {"work": TaskKind(Work, busy, "register")}
    worker = Worker(kinds, stage.pool, Batcher(stage.engine().handle), Metrics(NAME))
    worker.breakers["register"].failures = failures
    await worker.run()
    await worker.drain()
    return worker


async def put_off(stage: Stage, why: Transient) -> tuple[timedelta, str]:
    """How long after its attempt the task is due again, and what it is noted to have failed with."""
    before = await stage.admin.fetchval("SELECT clock_timestamp()")
    await attempted(stage, why)
    row = await stage.admin.fetchrow("SELECT run_at, last_error FROM tasks")
    assert row is not None
    return row["run_at"] - before, row["last_error"]


@pytest.mark.parametrize("seconds", [100.0, 900.0])
async def test_a_task_waits_as_long_as_the_outside_system_asks_for(stage: Stage, seconds: float) -> None:
    waits, noted = await put_off(stage, Transient("register", "HTTP 503", retry_after_s=seconds))
    assert timedelta(seconds=seconds) <= waits < timedelta(seconds=seconds + 90)
    assert noted == "DOS-VER-020 Transient: HTTP 503"


async def test_a_task_that_nobody_put_off_is_soon_tried_again(stage: Stage) -> None:
    waits, _ = await put_off(stage, Transient("register", "no answer"))
    assert waits < timedelta(seconds=90)


async def test_a_system_that_does_not_answer_is_a_failure_more(stage: Stage) -> None:
    assert (await attempted(stage, Transient("register", "HTTP 503"), failures=3)).breakers["register"].failures == 4


async def test_a_system_that_answers_nothing_useful_about_one_task_is_well_and_the_others_do_not_wait(
    stage: Stage,
) -> None:
    odd = Transient("register", "a record without a name", retry_after_s=300.0, well=True)
    assert (await attempted(stage, odd, failures=3)).breakers["register"].failures == 0
