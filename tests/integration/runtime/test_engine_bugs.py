"""A bug that shows only at the commit, such as a state that no longer fits its model, stops its own message alone."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from shared.runtime.engine.engine import Engine
from shared.runtime.kernel.decider import task_id
from shared.runtime.kernel.message import Item
from tests.integration.runtime.log import WRITER, Log
from tests.integration.runtime.stage import Stage, command, drawing, outcome
from tests.integration.runtime.toy import Tally, dossiers

SHARD = 3
DOSSIERS = dossiers(SHARD, 8)
SICK = DOSSIERS[4]

Ailment = Callable[[Stage], Awaitable[tuple[Engine, Item]]]


def _row(state: Tally) -> None:
    if any("sick" in text for text in state.notification.texts):
        raise ZeroDivisionError("a bug of the view")


def _no_answer(state: Any) -> dict[str, Any]:
    raise ZeroDivisionError("a bug of the answer")


async def _state(stage: Stage) -> tuple[Engine, Item]:
    await stage.engine().handle([command(SICK, "before")])
    await stage.admin.execute("UPDATE states SET state = '{\"intake\": 5}' WHERE dossier_id = $1", SICK)
    return stage.engine(), command(SICK, "sick")


async def _view(stage: Stage) -> tuple[Engine, Item]:
    return stage.engine(drawing(stage.toy.decider, _row)), command(SICK, "sick")


async def _answer(stage: Stage) -> tuple[Engine, Item]:
    item = command(SICK, "sick")
    assert item.request is not None
    return stage.engine(), replace(item, request=replace(item.request, answer=_no_answer))


AILMENTS = {
    "a state that is not its model's": _state,
    "a view that raises": _view,
    "an answer that raises": _answer,
}


@pytest.mark.parametrize("ailment", AILMENTS.values(), ids=AILMENTS.keys())
async def test_a_command_at_which_the_commit_raises_fails_alone(stage: Stage, ailment: Ailment) -> None:
    engine, sick = await ailment(stage)
    handled = await engine.handle([sick if one == SICK else command(one, f"fine {one}") for one in DOSSIERS])
    assert [one.outcome for one in handled] == ["failed" if one == SICK else "ok" for one in DOSSIERS]
    assert await stage.count("requests", "key = 'sick'") == await stage.count("dead_letters") == 0
    assert await stage.count("requests", "key LIKE 'fine%'") == 7
    await stage.check_store()


async def test_a_record_at_which_the_commit_raises_is_not_passed_over(stage: Stage) -> None:
    log = Log()
    records = [log.say(one, "sick" if one == SICK else "fine") for one in DOSSIERS]
    buggy = stage.listener(stage.engine(drawing(stage.toy.decider, _row)))
    await buggy.prepare()
    with pytest.raises(ZeroDivisionError):
        await buggy.handle(records)
    row = await stage.admin.fetchrow("SELECT * FROM heard WHERE source = $1 AND shard = $2", WRITER, SHARD)
    assert (row["position"], await stage.count("dead_letters")) == (DOSSIERS.index(SICK), 0)
    mended = stage.listener()
    await mended.prepare()
    await mended.handle(records)
    assert [await stage.said(one) for one in DOSSIERS] == [["0|sick" if one == SICK else "0|fine"] for one in DOSSIERS]


def _row_of_the_new_state(state: Tally) -> None:
    if any("done" in text for text in state.notification.texts):
        raise ZeroDivisionError("a bug of the view")


async def test_an_outcome_at_which_the_commit_raises_is_kept_as_a_dead_letter_and_its_task_is_done(
    stage: Stage,
) -> None:
    item = command(SICK, "work")
    await stage.engine().handle([item])
    assert item.message is not None
    claim = await stage.claim(task_id(item.message.id, 1))
    buggy = stage.engine(drawing(stage.toy.decider, _row_of_the_new_state))
    (handled,) = await buggy.handle([outcome(SICK, claim, "work")])
    assert handled.outcome == "dead_lettered"
    assert (await stage.count("tasks"), await stage.count("dead_letters")) == (0, 1)
    assert await stage.parked(SICK)
    assert await stage.said(SICK) == ["0|work"]


async def test_outcomes_before_one_at_which_the_commit_raises_are_committed(stage: Stage) -> None:
    items = [command(one, "work sick" if one == SICK else "work", str(one)) for one in DOSSIERS]
    await stage.engine().handle(items)
    claims = [await stage.claim(task_id(item.message.id, 1)) for item in items if item.message is not None]
    outcomes = [outcome(one, claim, "work") for one, claim in zip(DOSSIERS, claims, strict=True)]
    with pytest.raises(ZeroDivisionError):
        await stage.engine(drawing(stage.toy.decider, _row)).handle(outcomes)
    assert await stage.said(DOSSIERS[0]) == ["0|work", "1|done"]
    assert await stage.said(SICK) == ["0|work sick"]
    assert {one.outcome for one in await stage.engine().handle(outcomes[4:])} == {"ok"}
    assert await stage.count("tasks") == 0
