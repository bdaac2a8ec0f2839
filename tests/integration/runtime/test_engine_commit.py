"""One transaction holds everything; whoever writes at the same time, nothing is lost, doubled or out of order."""

import asyncio
from itertools import chain
from uuid import UUID

import orjson
import pytest

from deploy.postgres.provision import Databases
from shared.errors import Fenced, Refused, Unavailable
from shared.events.envelope import headers, read_body, read_envelope
from shared.runtime.engine.engine import Engine
from shared.runtime.kernel.decider import Message, task_id
from shared.runtime.kernel.message import Item, Request
from tests.controls import submit_dossier
from tests.deciders import INTAKE
from tests.integration.runtime.log import Log
from tests.integration.runtime.stage import (
    AT,
    Killed,
    Once,
    Stage,
    command,
    dies_before_commit,
    in_order,
    not_ready,
    outcome,
    staged,
)
from tests.integration.runtime.toy import dossiers, name

FIRST, SECOND, THIRD = dossiers(3, 3)
NUL = "nul \x00 nul"


async def test_two_engines_that_write_the_same_fifty_dossiers_at_once_leave_no_hole_and_no_double(stage: Stage) -> None:
    fifty = [name("dossier", n) for n in range(50)]

    async def write(who: str) -> None:
        engine = stage.engine()
        for turn in range(5):
            handled = await engine.handle([command(one, f"{who} {turn} twice", f"{one} {who} {turn}") for one in fifty])
            assert {one.outcome for one in handled} == {"ok"}

    await asyncio.gather(write("left"), write("right"))
    await stage.check_store()
    assert await stage.count("events") == 50 * 2 * 5 * 2
    for one in fifty:
        texts = await stage.said(one)
        assert in_order(texts)
        assert list((await stage.state(one)).notification.texts) == texts


async def test_two_replicas_with_five_hundred_submissions_each_give_every_number_once(
    module_databases: Databases,
) -> None:
    async def submit(stage: Stage, who: str) -> None:
        engine = stage.engine(INTAKE)
        for batch in range(20):
            await engine.handle([_submission(f"{who} {batch} {n}") for n in range(25)])

    async with staged(module_databases, "intake", INTAKE.shape) as stage:
        await asyncio.gather(submit(stage, "left"), submit(stage, "right"))
        rows = await stage.admin.fetch("SELECT convert_from(data, 'UTF8')::jsonb ->> 'code' AS code FROM events")
        kept = await stage.admin.fetch("SELECT state -> 'intake' ->> 'code' AS code FROM states")
        await stage.check_store()
    codes = [f"H26.33.04-260916-{number:04d}" for number in range(1, 1001)]
    assert sorted(row["code"] for row in rows) == codes
    assert sorted(row["code"] for row in kept) == codes


def _submission(key: str) -> Item:
    dossier = name("submission", key)
    request = Request("app", "POST", "/dossiers", key, b"", 202, lambda state: {"code": state.intake.code})
    return Item(message=Message(name(key), dossier, AT, submit_dossier()), request=request, dossier_id=dossier)


async def test_a_text_that_the_database_cannot_hold_parks_its_dossier_and_no_other(stage: Stage) -> None:
    log = Log()
    records = [log.say(name("dossier", n), NUL if n == 11 else f"text {n}") for n in range(16)]
    listener = stage.listener()
    await listener.prepare()
    await listener.handle(records)
    await stage.check_store()
    assert await stage.count("events") == 15
    told = "reason = 'rule-raised' AND error_code = 'DOS-NOT-500'"
    assert await stage.count("dead_letters", f"settled_at IS NULL AND {told}") == 1
    assert [n for n in range(16) if await stage.parked(name("dossier", n))] == [11]
    heard = await stage.admin.fetch("SELECT shard, position FROM heard WHERE source = 'intake'")
    assert {row["shard"]: row["position"] for row in heard if row["position"]} == log.sequences


async def test_a_command_that_the_database_cannot_hold_fails_alone_and_stores_nothing(stage: Stage) -> None:
    items = [command(name("dossier", n), NUL if n == 4 else f"text {n}") for n in range(8)]
    handled = await stage.engine().handle(items)
    assert [n for n, one in enumerate(handled) if one.outcome != "ok"] == [4]
    assert handled[4].outcome == "failed"
    assert await stage.count("events") == await stage.count("states") == await stage.count("requests") == 7


async def test_an_event_over_64_kib_is_refused_before_it_could_stop_a_relay(stage: Stage) -> None:
    (handled,) = await stage.engine().handle([command(FIRST, "x" * 66_000, "large")])
    assert isinstance(handled.error, Refused)
    assert handled.error.code == "DOS-INT-007"
    assert await stage.count("events") == await stage.count("states") == await stage.count("requests") == 0


async def test_a_heard_message_whose_answer_would_be_too_large_parks_its_dossier(stage: Stage) -> None:
    listener = stage.listener()
    await listener.prepare()
    await listener.handle([Log().say(FIRST, "x" * 65_500)])
    assert await stage.parked(FIRST)
    assert await stage.count("events") == 0


async def test_the_store_completes_headers_to_those_of_the_wire(stage: Stage) -> None:
    """The database gives an event its place; `headers` says what is published of it, place and all."""
    await stage.engine().handle([command(FIRST, "one"), command(FIRST, "two"), command(SECOND, "three")])
    rows = await stage.admin.fetch("SELECT type, headers, caused_by, data FROM events ORDER BY position")
    for row in rows:
        stored = orjson.loads(row["headers"])
        envelope = read_envelope(stored)
        body = read_body(row["type"], envelope.writer, row["data"])
        assert body is not None
        assert stored == headers(type(body), envelope, row["caused_by"])
    assert [orjson.loads(row["headers"])["ce_sequence"] for row in rows] == [f"{n:020d}" for n in (1, 2, 3)]


async def test_the_same_key_and_body_get_the_first_answer_again(stage: Stage) -> None:
    engine = stage.engine()
    (first,) = await engine.handle([command(FIRST, "one", "key")])
    await engine.handle([command(FIRST, "two", "other key")])
    (again,) = await engine.handle([command(FIRST, "one", "key")])
    assert (first.outcome, again.outcome) == ("ok", "duplicate")
    assert (again.answer, again.status) == (first.answer, first.status) == ({"said": 1}, 202)
    assert await stage.said(FIRST) == ["0|one", "1|two"]


async def test_the_same_key_with_another_body_is_refused(stage: Stage) -> None:
    engine = stage.engine()
    await engine.handle([command(FIRST, "one", "key")])
    (other,) = await engine.handle([command(FIRST, "two", "key", body=b"another")])
    assert isinstance(other.error, Refused)
    assert other.error.code == "DOS-INT-003"
    assert await stage.said(FIRST) == ["0|one"]


async def test_a_key_belongs_to_its_client(stage: Stage) -> None:
    engine = stage.engine()
    await engine.handle([command(FIRST, "one", "key"), command(FIRST, "two", "key", client="another app")])
    assert await stage.said(FIRST) == ["0|one", "1|two"]


async def test_two_replicas_asked_at_once_under_one_key_do_it_once(stage: Stage) -> None:
    tens = [[command(FIRST, f"text {n}", f"key {n}") for n in range(10)] for _ in range(4)]
    handled = await asyncio.gather(*(stage.engine().handle(ten) for ten in tens))
    outcomes = sorted(one.outcome for one in chain(*handled))
    assert outcomes == ["duplicate"] * 30 + ["ok"] * 10
    assert in_order(await stage.said(FIRST))
    assert await stage.count("events") == 10


async def test_a_message_that_comes_twice_in_one_batch_is_answered_once(stage: Stage) -> None:
    one = command(FIRST, "one")
    twin = command(FIRST, "one", "twin key")
    twin = Item(message=one.message, request=twin.request, dossier_id=FIRST)
    async with asyncio.timeout(30):
        await stage.engine().handle([one, twin])
    assert await stage.said(FIRST) == ["0|one"]


async def test_what_is_already_answered_is_neither_said_nor_folded_again_and_its_task_is_there(stage: Stage) -> None:
    engine = stage.engine()
    await engine.handle([command(FIRST, "work twice", "key")])
    await stage.admin.execute("TRUNCATE requests, tasks")
    (handled,) = await engine.handle([command(FIRST, "work twice", "key")])
    assert handled.outcome == "ok"
    assert await stage.said(FIRST) == ["0|work twice", "1|work twice"]
    assert list((await stage.state(FIRST)).notification.texts) == ["0|work twice", "1|work twice"]
    assert await stage.count("tasks") == 1


async def _working(stage: Stage, engine: Engine) -> UUID:
    await engine.handle([command(FIRST, "work", "key")])
    return task_id(name("app", "key"), 1)


async def test_the_outcome_of_a_task_is_committed_with_the_end_of_the_task(stage: Stage) -> None:
    engine = stage.engine()
    claim = await stage.claim(await _working(stage, engine))
    (handled,) = await engine.handle([outcome(FIRST, claim, "work")])
    assert handled.outcome == "ok"
    assert await stage.said(FIRST) == ["0|work", "1|done"]
    assert await stage.count("tasks") == 0


async def test_the_outcome_of_a_worker_that_has_lost_its_claim_is_dropped(stage: Stage) -> None:
    engine = stage.engine()
    task = await _working(stage, engine)
    slow, quick = await stage.claim(task), await stage.claim(task)
    (late,) = await engine.handle([outcome(FIRST, slow, "work")])
    assert late.outcome == "stale"
    assert await stage.count("tasks") == 1
    (handled,) = await engine.handle([outcome(FIRST, quick, "work")])
    (again,) = await engine.handle([outcome(FIRST, quick, "work")])
    assert (handled.outcome, again.outcome) == ("ok", "stale")
    assert await stage.said(FIRST) == ["0|work", "1|done"]


async def test_a_consumer_that_was_overtaken_is_fenced_and_stores_nothing(stage: Stage) -> None:
    log = Log()
    slow, quick = stage.listener(), stage.listener()
    await slow.prepare()
    await quick.prepare()
    records = [log.say(FIRST, "one"), log.say(SECOND, "two")]
    await quick.handle(records)
    items, _, _ = slow._classify(records)
    with pytest.raises(Fenced):
        await slow.engine.handle(items)
    await slow.handle([*records, log.say(FIRST, "three")])
    assert await stage.said(FIRST) == ["0|one", "1|three"]
    assert await stage.said(SECOND) == ["0|two"]
    await stage.check_store()


async def test_a_batch_that_dies_before_commit_leaves_nothing(stage: Stage) -> None:
    dying = stage.engine(dies_before_commit(stage, Killed()))
    items = [command(FIRST, "work"), command(SECOND, "two", series="numbers")]
    with pytest.raises(Killed):
        await dying.handle(items)
    for table in ("events", "states", "tasks", "requests", "numbers"):
        assert await stage.count(table) == 0
    await stage.engine().handle(items)
    assert (await stage.said(FIRST), await stage.said(SECOND)) == (["0|work"], ["1|two"])


async def test_a_batch_that_dies_after_commit_is_not_done_again(stage: Stage) -> None:
    dying = stage.engine(saw=Once(Killed()))
    with pytest.raises(Killed):
        await dying.handle([command(FIRST, "work")])
    (handled,) = await stage.engine().handle([command(FIRST, "work")])
    assert handled.outcome == "duplicate"
    assert await stage.said(FIRST) == ["0|work"]
    assert await stage.count("tasks") == 1


async def test_a_lost_database_is_told_and_the_guard_must_look_again(stage: Stage) -> None:
    lost: list[str] = []
    dying = stage.engine(dies_before_commit(stage, ConnectionResetError()), on_lost=lambda: lost.append("lost"))
    with pytest.raises(Unavailable):
        await dying.handle([command(FIRST, "one")])
    assert lost == ["lost"]
    assert await stage.count("events") == 0


async def test_nothing_is_committed_before_the_guard_agrees(stage: Stage) -> None:
    with pytest.raises(Unavailable):
        await stage.engine(ready=not_ready).handle([command(FIRST, "one")])
    assert await stage.count("events") == 0


async def test_a_rule_that_raises_at_a_command_parks_nothing(stage: Stage) -> None:
    stage.toy.broken = {"bug"}
    (failed, fine) = await stage.engine().handle([command(FIRST, "bug"), command(FIRST, "fine")])
    assert (failed.outcome, fine.outcome) == ("failed", "ok")
    assert await stage.said(FIRST) == ["0|fine"]
    assert not await stage.parked(FIRST)
    assert await stage.count("dead_letters") == 0
