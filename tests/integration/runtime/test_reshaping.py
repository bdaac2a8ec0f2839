"""`rebuild --apply`: all states made anew in another shape out of what was said and heard, while the service runs."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from deploy.local.ground import Ground as LocalGround
from deploy.postgres.provision import Databases
from deploy.waiting import until
from shared.errors import MovedOn, Poison, Unavailable
from shared.events.base import Event
from shared.runtime.admin.cli import apply
from shared.runtime.admin.deadletters import discard, redrive
from shared.runtime.admin.operator import skip_heard
from shared.runtime.kafka.clients import Broker
from shared.runtime.kernel import hearing
from shared.runtime.kernel.decider import Decider, Evolve, Message
from shared.runtime.kernel.view import View
from shared.runtime.process.wiring import connection
from shared.runtime.recovery import reshaping
from shared.runtime.recovery.reshaping import Ground, reshape
from shared.runtime.service.service import Service
from shared.runtime.store.shapes import refuse_other_shapes, take_shape
from shared.runtime.tasks.claims import claim
from tests.ground import empty_topics
from tests.integration.runtime.log import WRITER, Log
from tests.integration.runtime.stage import Stage, as_it_is, command, work
from tests.integration.runtime.toy import NAME, Tally, Toy, Worked, dossiers
from tests.integration.runtime.whole import service, settings
from tests.integration.runtime.wire import put, running, soon

SOUND, PARKED, GIVEN_UP, REDRIVEN = dossiers(3, 4)
ELSEWHERE = dossiers(7, 1)[0]
VIEW = """CREATE TABLE IF NOT EXISTS longest (dossier_id uuid PRIMARY KEY, words integer, longest text);
    TRUNCATE longest; GRANT SELECT, INSERT, DELETE ON longest TO dossier_notification"""


class Longest(Tally):
    """What the next release remembers besides: the longest that was heard, which needs the whole history."""

    longest: str = ""


def _row(state: Longest) -> Mapping[str, Any] | None:
    return {"words": len(state.intake.texts), "longest": state.longest} if state.longest else None


def _longer(before: Evolve) -> Evolve:
    def fold(state: Any, event: Message[Any]) -> Any:
        folded = before(state, event)
        return folded.model_copy(update={"longest": max(state.longest, event.body.code, key=len)})

    return fold


def next_release(toy: Toy) -> Decider[Longest]:
    """The toy's next release: a state with one field more, folded out of what older releases have folded too."""
    now = toy.decider
    folds: dict[type[Event], Evolve] = dict(now.folds)
    heard = next(event for event in folds if event.__name__ == "DossierSubmitted")
    folds[heard] = _longer(folds[heard])
    return Decider(NAME, Longest(), now.rules, folds, shape=2, views=(View("longest", _row),))


@pytest.fixture
async def kafka(ground: LocalGround, stage: Stage) -> str:
    """A Kafka without records; and the next release's view, which is empty."""
    await empty_topics(ground)
    await stage.admin.execute(VIEW)
    return ground.bootstrap_servers


@pytest.fixture
def remake(kafka: str, ground: LocalGround, module_databases: Databases, stage: Stage) -> Callable[..., Awaitable[int]]:
    """Makes all states of the toy anew, as a release's `decider` does it."""
    connect = partial(connection, settings(ground, module_databases), NAME)

    async def make(decider: Decider[Any], tell: Callable[[str, int, int], None] = lambda *_: None) -> int:
        return await reshape(Ground(decider, Broker(kafka), connect, (WRITER,)), stage.pool, tell)

    return make


async def hear(stage: Stage, kafka: str, log: Log, *said: tuple[UUID, str]) -> None:
    """These dossiers' applications (with these texts) are put on the topic and heard."""
    records = [log.say(dossier, text) for dossier, text in said]
    await put(kafka, *records)
    listener = stage.listener(bootstrap=kafka)
    await listener.prepare()
    await listener.handle(records)


async def remembered(stage: Stage) -> dict[UUID, Longest]:
    """All states, as the next release reads them."""
    rows = await stage.admin.fetch("SELECT dossier_id, state FROM states")
    return {row["dossier_id"]: Longest.model_validate_json(row["state"]) for row in rows}


async def shapes(stage: Stage) -> set[int]:
    """Which shapes there are."""
    return {row["shape"] for row in await stage.admin.fetch("SELECT DISTINCT shape FROM shards")}


async def letter_of(stage: Stage, dossier: UUID) -> UUID:
    """The open dead letter of a dossier."""
    found: UUID = await stage.admin.fetchval("SELECT id FROM dead_letters WHERE dossier_id = $1", dossier)
    return found


async def test_old_dossiers_have_the_new_field_and_their_rows_and_nothing_else_has_changed(
    kafka: str, stage: Stage, remake: Callable[..., Awaitable[int]]
) -> None:
    await hear(stage, kafka, Log(), (SOUND, "a"), (SOUND, "longer"), (ELSEWHERE, "bb"), (SOUND, "c"))
    await stage.engine().handle([command(SOUND, "said")])
    before = await remembered(stage)
    assert await remake(next_release(stage.toy)) == 2
    after = await remembered(stage)
    assert {dossier: state.longest for dossier, state in after.items()} == {SOUND: "longer", ELSEWHERE: "bb"}
    assert {dossier: state.model_copy(update={"longest": ""}) for dossier, state in after.items()} == before
    rows = await stage.admin.fetch("SELECT * FROM longest ORDER BY words")
    assert [tuple(row) for row in rows] == [(ELSEWHERE, 1, "bb"), (SOUND, 3, "longer")]
    assert await shapes(stage) == {2}
    await stage.check_store()


async def test_what_stands_among_the_dead_letters_is_in_no_state_until_it_is_redriven(
    kafka: str, stage: Stage, remake: Callable[..., Awaitable[int]]
) -> None:
    stage.toy = Toy({"bug"})
    log = Log()
    said = [(dossier, text) for dossier in (PARKED, GIVEN_UP, REDRIVEN) for text in ("first", "a bug", "behind")]
    await hear(stage, kafka, log, *said, (SOUND, "sound"))
    assert await discard(stage.pool, await letter_of(stage, GIVEN_UP), as_it_is, None)
    stage.toy.broken.clear()
    await redrive(stage.engine(), as_it_is, GIVEN_UP)
    await redrive(stage.engine(), as_it_is, REDRIVEN)
    before = await remembered(stage)
    await remake(next_release(stage.toy))
    after = await remembered(stage)
    assert {dossier: state.model_copy(update={"longest": ""}) for dossier, state in after.items()} == before
    assert [len(after[one].intake.texts) for one in (PARKED, GIVEN_UP, REDRIVEN)] == [1, 2, 3]
    assert await stage.parked(PARKED)
    await redrive(stage.engine(next_release(stage.toy)), as_it_is, PARKED)
    assert (await remembered(stage))[PARKED].intake.texts == ("first", "a bug", "behind")


async def test_what_is_redriven_while_states_are_in_the_making_is_in_them(
    kafka: str, stage: Stage, remake: Callable[..., Awaitable[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.toy = Toy({"bug"})
    log = Log()
    await hear(stage, kafka, log, *((PARKED, text) for text in ("first", "a bug", "behind")))
    stage.toy.broken.clear()
    move = reshaping._move_all

    async def redriven_first(*given: Any) -> int:
        await redrive(stage.engine(), as_it_is, PARKED)
        await hear(stage, kafka, log, (PARKED, "after it"))
        return await move(*given)

    monkeypatch.setattr(reshaping, "_move_all", redriven_first)
    monkeypatch.setattr(reshaping, "NEARLY", 0)
    await remake(next_release(stage.toy))
    assert (await remembered(stage))[PARKED].intake.texts == ("first", "a bug", "behind", "after it")


async def test_what_an_operator_has_skipped_and_what_follows_nothing_is_passed_over(
    kafka: str, stage: Stage, remake: Callable[..., Awaitable[int]]
) -> None:
    log = Log()
    await hear(stage, kafka, log, (SOUND, "one"))
    noise = log.noise(3)
    await put(kafka, noise, log.say(SOUND, "never heard"))
    listener = stage.listener(bootstrap=kafka)
    await listener.prepare()
    await listener.handle([noise])
    assert await skip_heard(stage.pool, WRITER, 3, 2) is not None
    await hear(stage, kafka, log, (SOUND, "three"))
    assert (await remembered(stage))[SOUND].intake.texts == ("one", "three")
    await remake(next_release(stage.toy))
    state = (await remembered(stage))[SOUND]
    assert (state.intake.texts, state.longest) == (("one", "three"), "three")


async def test_a_process_of_the_other_shape_writes_nothing_more_and_says_why(
    kafka: str, stage: Stage, remake: Callable[..., Awaitable[int]]
) -> None:
    await hear(stage, kafka, Log(), (SOUND, "one"))
    old, new = stage.engine(), stage.engine(next_release(stage.toy))
    with pytest.raises(MovedOn):
        await new.handle([command(SOUND, "too early")])
    await remake(next_release(stage.toy))
    with pytest.raises(MovedOn):
        await old.handle([command(SOUND, "too late")])
    with pytest.raises(MovedOn, match="rebuild --apply"):
        await refuse_other_shapes(stage.pool, NAME, 1)
    await new.handle([command(SOUND, "in time")])
    assert await stage.said(SOUND) == ["0|one", "1|in time"]


async def test_whoever_hears_in_the_other_shape_lets_go_and_the_next_one_begins_where_the_database_stands(
    kafka: str, stage: Stage, remake: Callable[..., Awaitable[int]]
) -> None:
    log = Log()
    await hear(stage, kafka, log, (SOUND, "one"))
    old, new = stage.listener(bootstrap=kafka), stage.listener(stage.engine(next_release(stage.toy)), kafka)
    await old.prepare()
    await remake(next_release(stage.toy))
    records = [log.say(SOUND, "two"), log.say(ELSEWHERE, "three")]
    await put(kafka, *records)
    async with asyncio.timeout(10):
        await old.handle(records)
    assert (old.let_go, old.engine.moved_on) == (True, True)
    await new.prepare()
    await new.handle(records)
    assert (new.let_go, new.engine.moved_on) == (False, False)
    assert (await remembered(stage))[SOUND].intake.texts == ("one", "two")


async def test_whoever_looks_back_in_the_other_shape_goes_on_living(
    kafka: str, stage: Stage, remake: Callable[..., Awaitable[int]]
) -> None:
    log = Log()
    await hear(stage, kafka, log, (SOUND, "one"))
    old = stage.listener(bootstrap=kafka)
    await old.prepare()
    await remake(next_release(stage.toy))
    record = log.say(SOUND, "two")
    await put(kafka, record)
    old._read_to[WRITER, 3] = 2
    old.look_back()
    running = asyncio.create_task(old.run())

    async def let_go() -> bool:
        return old.let_go or running.done()

    await until(let_go, seconds=20, what="the listener to let go")
    assert not running.done()
    running.cancel()


async def test_a_process_of_the_other_shape_begins_no_task(
    kafka: str, stage: Stage, remake: Callable[..., Awaitable[int]]
) -> None:
    await hear(stage, kafka, Log(), (SOUND, "work"))
    await remake(next_release(stage.toy))
    old, new = stage.worker(work), stage.worker(work, stage.engine(next_release(stage.toy)), shape=2)
    assert not await claim(stage.pool, [("work", 0, 9)], 30.0, None, old.shape)
    assert [row["kind"] for row in await claim(stage.pool, [("work", 0, 9)], 30.0, None, new.shape)] == ["work"]


async def test_an_outcome_of_before_the_move_is_left_to_the_other_release(
    kafka: str, stage: Stage, remake: Callable[..., Awaitable[int]]
) -> None:
    await hear(stage, kafka, Log(), (SOUND, "work"))
    working, moved = asyncio.Event(), asyncio.Event()

    async def slow(job: Any) -> Worked:
        working.set()
        await moved.wait()
        return Worked(text=job.payload.text)

    worker = stage.worker(slow)

    async def left() -> bool:
        return not worker.running

    async with running(worker.run()):
        await working.wait()
        await remake(next_release(stage.toy))
        moved.set()
        await soon(left, "the task to be left")
    assert await stage.count("tasks") == 1
    assert await stage.said(SOUND) == ["0|work"]


async def test_what_this_release_cannot_read_and_the_one_before_could_keeps_states_as_they_are(
    kafka: str, stage: Stage, remake: Callable[..., Awaitable[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    await hear(stage, kafka, Log(), (SOUND, "one"))

    def narrower(*_: object) -> Event:
        raise Poison("schema", "code: string_too_short")

    monkeypatch.setattr(hearing, "read_body", narrower)
    with pytest.raises(Unavailable, match="offset 0, was read before and is not now"):
        await remake(next_release(stage.toy))
    assert await shapes(stage) == {1}


async def test_after_a_failure_between_two_shards_only_the_others_are_made_anew(
    kafka: str, stage: Stage, remake: Callable[..., Awaitable[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    await hear(stage, kafka, Log(), (SOUND, "one"), (ELSEWHERE, "two"))
    whole = reshaping._move_all

    async def some(ground: Any, conn: Any, shards: Any, tell: Any) -> int:
        await whole(ground, conn, list(shards)[:5], tell)
        raise Unavailable("Kafka is gone")

    monkeypatch.setattr(reshaping, "_move_all", some)
    with pytest.raises(Unavailable, match="Kafka is gone"):
        await remake(next_release(stage.toy))
    assert await shapes(stage) == {1, 2}
    monkeypatch.setattr(reshaping, "_move_all", whole)
    told: list[tuple[str, int, int]] = []
    assert await remake(next_release(stage.toy), lambda *one: told.append(one)) == 1
    assert told[-1] == ("shards", 7, 7)
    assert await shapes(stage) == {2}


async def test_what_was_passed_over_in_a_rebuild_that_was_given_up_is_folded_once_in_the_next(
    kafka: str, stage: Stage, remake: Callable[..., Awaitable[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.toy = Toy({"bug"})
    await hear(stage, kafka, Log(), *((PARKED, text) for text in ("first", "a bug")))
    whole = reshaping._move_all

    async def killed(*_: Any) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(reshaping, "_move_all", killed)
    with pytest.raises(KeyboardInterrupt):
        await remake(next_release(stage.toy))
    assert await stage.count("passed_over") == 1
    monkeypatch.setattr(reshaping, "_move_all", whole)
    stage.toy.broken.clear()
    await redrive(stage.engine(), as_it_is, PARKED)
    await remake(replace(next_release(stage.toy), shape=3))
    assert (await remembered(stage))[PARKED].intake.texts == ("first", "a bug")


async def test_a_skip_of_a_service_that_was_stopped_then_is_no_hole_in_what_was_heard(
    kafka: str, stage: Stage, remake: Callable[..., Awaitable[int]]
) -> None:
    await hear(stage, kafka, Log(), (SOUND, "one"))
    assert await skip_heard(stage.pool, WRITER, 3, 60) is not None
    await remake(next_release(stage.toy))
    assert await shapes(stage) == {2}


async def test_one_goes_back_by_the_same_way(kafka: str, stage: Stage, remake: Callable[..., Awaitable[int]]) -> None:
    await hear(stage, kafka, Log(), (SOUND, "one"))
    await remake(next_release(stage.toy))
    await stage.engine(next_release(stage.toy)).handle([command(SOUND, "meanwhile")])
    await remake(stage.toy.decider)
    assert await shapes(stage) == {1}
    await stage.engine().handle([command(SOUND, "back")])
    assert await stage.said(SOUND) == ["0|one", "1|meanwhile", "2|back"]
    assert await stage.admin.fetchval("SELECT state ->> 'longest' FROM states") is None


async def test_under_load_nothing_is_lost_and_every_state_is_what_its_messages_come_to(
    kafka: str, stage: Stage, remake: Callable[..., Awaitable[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reshaping, "PIECE", 5)
    log = Log()
    await hear(stage, kafka, log, *((SOUND, f"{n}") for n in range(30)))
    engines = (stage.engine(), stage.engine(next_release(stage.toy)))
    asked = 0
    ended = asyncio.Event()

    async def ask() -> None:
        nonlocal asked
        while not ended.is_set():
            for engine in engines:
                try:
                    await engine.handle([command(SOUND, f"asked-{asked}")])
                except MovedOn:
                    continue
                asked += 1
                break

    asking = asyncio.create_task(ask())
    await remake(next_release(stage.toy))
    await remake(stage.toy.decider)
    await remake(next_release(stage.toy))
    ended.set()
    await asking
    await stage.check_store()
    said = await stage.said(SOUND)
    assert len(said) == 30 + asked > 30
    assert [int(text.partition("|")[0]) for text in said] == list(range(len(said)))
    state = (await remembered(stage))[SOUND]
    assert (list(state.notification.texts), len(state.intake.texts)) == (said, 30)


async def test_what_was_made_before_it_was_ended_is_not_made_again(
    kafka: str, stage: Stage, remake: Callable[..., Awaitable[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reshaping, "PIECE", 5)
    monkeypatch.setattr(reshaping, "NEARLY", 0)
    await hear(stage, kafka, Log(), *((SOUND, f"{n:02}") for n in range(20)))
    move = reshaping._move_all

    async def killed(*_: Any) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(reshaping, "_move_all", killed)
    with pytest.raises(KeyboardInterrupt):
        await remake(next_release(stage.toy))
    made = await stage.admin.fetchval("SELECT next_offset FROM rebuilding WHERE shard = 3 AND source = 'intake'")
    assert (made, await shapes(stage)) == (20, {1})
    await stage.admin.execute("UPDATE rebuilt SET state = jsonb_set(state, '{longest}', '\"kept from before\"')")
    monkeypatch.setattr(reshaping, "_move_all", move)
    await remake(next_release(stage.toy))
    assert (await remembered(stage))[SOUND].longest == "kept from before"
    assert await stage.count("rebuilt") == await stage.count("rebuilding") == 0


async def test_a_topic_that_does_not_hold_what_was_heard_is_no_ground_for_states(
    kafka: str, stage: Stage, remake: Callable[..., Awaitable[int]]
) -> None:
    await hear(stage, kafka, Log(), (SOUND, "one"), (SOUND, "two"))
    await stage.admin.execute("UPDATE heard SET position = 5 WHERE shard = 3 AND source = 'intake'")
    with pytest.raises(Unavailable, match="does not hold what notification has heard"):
        await remake(next_release(stage.toy))
    assert await shapes(stage) == {1}


async def test_two_do_not_make_states_anew_at_once(
    kafka: str, stage: Stage, remake: Callable[..., Awaitable[int]]
) -> None:
    await hear(stage, kafka, Log(), (SOUND, "one"))
    await stage.admin.execute("SELECT pg_advisory_lock($1)", reshaping._LOCK)
    with pytest.raises(Unavailable, match="by another process"):
        await remake(next_release(stage.toy))
    await stage.admin.execute("SELECT pg_advisory_unlock($1)", reshaping._LOCK)


async def test_a_store_in_which_nothing_is_takes_the_shape_of_whoever_comes_first(stage: Stage) -> None:
    await take_shape(stage.pool, 4)
    assert await shapes(stage) == {4}
    await stage.engine(replace(stage.toy.decider, shape=4)).handle([command(SOUND, "first")])
    await take_shape(stage.pool, 5)
    assert await shapes(stage) == {4}


async def test_the_command_makes_states_anew_only_where_it_is_needed(
    kafka: str, ground: LocalGround, module_databases: Databases, stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    await hear(stage, kafka, Log(), (SOUND, "one"))
    told = settings(ground, module_databases)
    assert await apply(service(stage), told, needed=True) == 0
    assert "all states have the shape of this release" in capsys.readouterr().out
    newer: Service = replace(service(stage), decider=next_release(stage.toy))
    assert await apply(newer, told, needed=True) == 0
    shown = capsys.readouterr()
    assert "1 states made anew, of shape 2" in shown.out
    assert "12/12 shards" in shown.err
    assert await shapes(stage) == {2}
