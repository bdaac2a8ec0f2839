"""A rule that raises parks its dossier: what comes later waits in order, and a redrive takes it up in that order."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from deploy.waiting import until
from shared.errors import Unavailable
from shared.runtime.admin.deadletters import NOTHING_WAITS, Redriven, discard, redrive
from shared.runtime.kernel.decider import Task
from shared.runtime.store.headers import headers_json
from shared.runtime.tasks.kinds import Attempt
from tests.integration.runtime.log import Log
from tests.integration.runtime.stage import Stage, as_it_is, command, work
from tests.integration.runtime.toy import Worked, dossiers

ONE, OTHER = dossiers(5, 2)


async def _redriven(stage: Stage) -> Redriven:
    return await redrive(stage.engine(), lambda kept: kept, ONE)


@asynccontextmanager
async def _working(stage: Stage, run: Callable[[Attempt], Any] = work) -> AsyncIterator[None]:
    worker = stage.worker(run)
    running = asyncio.create_task(worker.run())
    try:
        yield
    finally:
        worker.retire()
        await running
        await worker.drain()


async def _hear(stage: Stage, log: Log, *texts: str, dossier: UUID = ONE) -> None:
    listener = stage.listener()
    await listener.prepare()
    await listener.handle([log.say(dossier, text) for text in texts])


async def test_what_comes_after_a_failure_waits_and_is_taken_up_in_order(stage: Stage) -> None:
    log = Log()
    stage.toy.broken = {"bug"}
    await _hear(stage, log, "one", "bug two", "three")
    await _hear(stage, log, "four", "bug five", "six")
    assert await stage.parked(ONE)
    assert await stage.said(ONE) == ["0|one"]
    assert (await stage.count("dead_letters"), await stage.count("parked_messages")) == (1, 4)
    stage.toy.broken = set()
    assert await _redriven(stage) == Redriven(5, parked=False)
    assert await stage.said(ONE) == ["0|one", "1|bug two", "2|three", "3|four", "4|bug five", "5|six"]
    assert (await stage.state(ONE)).intake.texts == ("one", "bug two", "three", "four", "bug five", "six")
    assert await stage.count("dead_letters", "settled_at IS NULL") == await stage.count("parked_messages") == 0
    await stage.check_store()


async def test_other_dossiers_of_the_same_shard_go_on(stage: Stage) -> None:
    log = Log()
    stage.toy.broken = {"bug"}
    listener = stage.listener()
    await listener.prepare()
    await listener.handle([log.say(ONE, "bug"), log.say(OTHER, "one"), log.say(ONE, "two"), log.say(OTHER, "three")])
    assert await stage.said(OTHER) == ["0|one", "1|three"]
    assert await stage.said(ONE) == []


async def test_a_redrive_stops_at_the_first_message_that_still_fails(stage: Stage) -> None:
    stage.toy.broken = {"bug a", "bug b"}
    await _hear(stage, Log(), "bug a", "two", "bug b", "four")
    stage.toy.broken = {"bug b"}
    assert await _redriven(stage) == Redriven(2, parked=True, failure="ZeroDivisionError")
    assert await stage.said(ONE) == ["0|bug a", "1|two"]
    assert await stage.parked(ONE)
    assert await _redriven(stage) == Redriven(0, parked=True, failure="ZeroDivisionError")
    stage.toy.broken = set()
    assert await _redriven(stage) == Redriven(2, parked=False)
    assert await stage.said(ONE) == ["0|bug a", "1|two", "2|bug b", "3|four"]


async def test_what_arrives_between_two_redrives_waits_behind_what_already_waits(stage: Stage) -> None:
    log = Log()
    stage.toy.broken = {"bug"}
    await _hear(stage, log, "bug one", "two")
    await _redriven(stage)
    await _hear(stage, log, "three")
    stage.toy.broken = set()
    await _redriven(stage)
    assert (await stage.state(ONE)).intake.texts == ("bug one", "two", "three")


async def test_a_command_to_a_parked_dossier_is_put_off_and_not_stored(stage: Stage) -> None:
    stage.toy.broken = {"bug"}
    await _hear(stage, Log(), "bug")
    (handled,) = await stage.engine().handle([command(ONE, "two")])
    assert isinstance(handled.error, Unavailable)
    assert handled.error.code == "DOS-INT-504"
    assert await stage.count("requests") == await stage.count("parked_messages") == 0
    stage.toy.broken = set()
    await _redriven(stage)
    await stage.engine().handle([command(ONE, "two")])
    assert await stage.said(ONE) == ["0|bug", "1|two"]


async def test_an_unreadable_body_parks_its_dossier_until_it_is_given_up(stage: Stage) -> None:
    log = Log()
    broken = replace(log.say(ONE, "one"), value=b"not JSON")
    listener = stage.listener()
    await listener.prepare()
    await listener.handle([broken, log.say(ONE, "two"), log.say(OTHER, "three")])
    assert await stage.said(OTHER) == ["0|three"]
    assert (await _redriven(stage)).parked
    kept = await stage.admin.fetchrow("SELECT id, value, reason FROM dead_letters WHERE settled_at IS NULL")
    assert (kept["value"], kept["reason"]) == (b"not JSON", "schema")
    assert await discard(stage.pool, kept["id"], as_it_is)
    assert not await discard(stage.pool, kept["id"], as_it_is)
    assert await _redriven(stage) == Redriven(1, parked=False)
    assert await stage.said(ONE) == ["0|two"]


async def test_an_event_of_a_later_release_that_waits_is_skipped_by_the_redrive_of_an_earlier_one(stage: Stage) -> None:
    """As it would be if it came now: what this code does not know is nobody's fault, and holds nobody up."""
    stage.toy.broken = {"bug"}
    log = Log()
    listener = stage.listener()
    await listener.prepare()
    records = log.say(ONE, "bug"), log.say(ONE, "of a later release"), log.say(ONE, "two")
    await listener.handle(records)
    head = [(key, b"vn.gov.dossier.moved.v1" if key == "ce_type" else value) for key, value in records[1].headers]
    await stage.admin.execute(
        "UPDATE parked_messages SET headers = $1::json WHERE value = $2", headers_json(head), records[1].value
    )
    stage.toy.broken = set()
    assert await _redriven(stage) == Redriven(3, parked=False)
    assert await stage.said(ONE) == ["0|bug", "1|two"]


async def test_an_outcome_whose_rule_raises_is_kept_and_its_effect_not_repeated(stage: Stage) -> None:
    effects: list[str] = []

    async def effect(attempt: Attempt) -> Worked:
        effects.append(attempt.payload.text)
        return Worked(text=attempt.payload.text)

    stage.toy.broken = {"done"}
    await stage.engine().handle([command(ONE, "work")])
    async with _working(stage, effect):
        await until(lambda: _parked(stage), seconds=60, what="the dossier to be parked")
    assert await stage.count("tasks") == 0
    stage.toy.broken = set()
    assert await _redriven(stage) == Redriven(1, parked=False)
    assert await stage.said(ONE) == ["0|work", "1|done"]
    assert effects == ["work"]


async def test_an_outcome_for_a_parked_dossier_waits_with_the_rest(stage: Stage) -> None:
    stage.toy.broken = {"bug"}
    await _hear(stage, Log(), "work", "bug", "three")
    async with _working(stage):
        await until(lambda: _no_tasks(stage), seconds=60, what="the task to end")
    assert await stage.said(ONE) == ["0|work"]
    stage.toy.broken = set()
    assert await _redriven(stage) == Redriven(3, parked=False)
    assert await stage.said(ONE) == ["0|work", "1|bug", "2|three", "3|done"]


@pytest.mark.parametrize("failures", [1, 2, 3])
async def test_a_task_whose_function_fails_runs_again_at_every_redrive_until_it_succeeds(
    stage: Stage, failures: int
) -> None:
    left = failures

    async def fragile(attempt: Attempt) -> Worked:
        nonlocal left
        left -= 1
        if left >= 0:
            raise ZeroDivisionError
        return Worked(text=attempt.payload.text)

    await stage.engine().handle([command(ONE, "work")])
    for _ in range(failures):
        async with _working(stage, fragile):
            await until(lambda: _parked(stage), seconds=60, what="the dossier to be parked")
        assert await stage.count("dead_letters", "settled_at IS NULL") == 1
        assert not (await _redriven(stage)).parked
    async with _working(stage, fragile):
        await until(lambda: _no_tasks(stage), seconds=60, what="the task to end")
    assert await stage.said(ONE) == ["0|work", "1|done"]


async def test_an_outcome_whose_rule_raises_after_a_redrive_is_kept_and_its_effect_not_repeated(stage: Stage) -> None:
    effects: list[str] = []

    async def fragile(attempt: Attempt) -> Worked:
        effects.append(attempt.payload.text)
        if len(effects) == 1:
            raise ZeroDivisionError
        return Worked(text=attempt.payload.text)

    await stage.engine().handle([command(ONE, "work")])
    async with _working(stage, fragile):
        await until(lambda: _parked(stage), seconds=60, what="the function to fail")
    assert await _redriven(stage) == Redriven(1, parked=False)
    stage.toy.broken = {"done"}
    async with _working(stage, fragile):
        await until(lambda: _parked(stage), seconds=60, what="the rule to raise")
    stage.toy.broken = set()
    assert await _redriven(stage) == Redriven(1, parked=False)
    assert await stage.said(ONE) == ["0|work", "1|done"]
    assert (effects, await stage.count("tasks")) == (["work", "work"], 0)


async def test_a_redrive_where_nothing_waits_says_so_and_stores_nothing(stage: Stage) -> None:
    assert await _redriven(stage) == Redriven(0, parked=False, failure=NOTHING_WAITS)
    assert await stage.count("states") == await stage.count("operator_acts") == 0
    await _hear(stage, Log(), "one")
    assert await _redriven(stage) == Redriven(0, parked=False, failure=NOTHING_WAITS)


async def test_a_dossier_whose_only_dead_letter_was_given_up_goes_on_after_a_redrive(stage: Stage) -> None:
    stage.toy.broken = {"bug"}
    await _hear(stage, Log(), "bug")
    assert await discard(stage.pool, await stage.admin.fetchval("SELECT id FROM dead_letters"), as_it_is)
    assert await _redriven(stage) == Redriven(0, parked=False)
    assert not await stage.parked(ONE)


async def test_what_cannot_be_opened_again_stops_its_dossier_as_it_came_and_can_be_given_up(stage: Stage) -> None:
    stage.toy.broken = {"bug"}
    await _hear(stage, Log(), "work", "bug", "three")
    async with _working(stage):
        await until(lambda: _no_tasks(stage), seconds=60, what="the outcome to wait behind the bug")
    await stage.admin.execute("UPDATE parked_messages SET value = 'spoiled' WHERE origin = 'task'")
    stage.toy.broken = set()
    assert await _redriven(stage) == Redriven(2, parked=True, failure="JSONDecodeError")
    assert await stage.said(ONE) == ["0|work", "1|bug", "2|three"]
    (letter,) = await stage.admin.fetch("SELECT * FROM dead_letters WHERE settled_at IS NULL")
    assert (letter["value"], letter["error_type"], letter["redrives"]) == (b"spoiled", "JSONDecodeError", 1)
    assert await discard(stage.pool, letter["id"], as_it_is)
    assert await _redriven(stage) == Redriven(0, parked=False)


async def _fails(attempt: Attempt) -> Worked:
    raise ZeroDivisionError


@pytest.mark.parametrize(
    ("run", "value", "told"),
    [
        pytest.param(_fails, None, {"text": "work"}, id="its function fails: what it was to do"),
        pytest.param(work, None, {"text": "work"}, id="its outcome's rule raises: the outcome"),
        pytest.param(_fails, b"spoiled", {}, id="cannot be opened"),
        pytest.param(_fails, b'{"type": "Unknown"}', {}, id="of a form that this release does not know"),
        pytest.param(_fails, b'{"type": "Worked", "body": {"text": 5}}', {}, id="which the service cannot read"),
    ],
)
async def test_a_service_is_told_which_of_its_tasks_was_given_up(
    stage: Stage, run: Callable[[Attempt], Any], value: bytes | None, told: Mapping[str, Any]
) -> None:
    known: list[Mapping[str, Any]] = []

    def given_up(task: Mapping[str, Any]) -> Task:
        known.append(task)
        return Task("work", Worked.model_validate({"text": "nothing", **task}))

    stage.toy.broken = {"done"}
    await stage.engine().handle([command(ONE, "work")])
    async with _working(stage, run):
        await until(lambda: _parked(stage), seconds=60, what="the dossier to be parked")
    letter = await stage.admin.fetchval("SELECT id FROM dead_letters")
    if value is not None:
        await stage.admin.execute("UPDATE dead_letters SET value = $1", value)
    assert await discard(stage.pool, letter, as_it_is, given_up)
    assert known[-1] == told
    assert await stage.count("tasks", f"dossier_id = '{ONE}'") == 1


async def _parked(stage: Stage) -> bool:
    return await stage.parked(ONE)


async def _no_tasks(stage: Stage) -> bool:
    return await stage.count("tasks") == 0
