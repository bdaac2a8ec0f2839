"""A store restored from an older backup takes back from its own topic what it lacks, and nothing happens twice."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest

from deploy.local.ground import Ground
from shared.errors import Unavailable
from shared.events.base import Event
from shared.runtime.engine.engine import Engine
from shared.runtime.kafka.clients import Broker
from shared.runtime.kernel.decider import Decider, Message, Task, task_id
from shared.runtime.kernel.message import Record
from shared.runtime.kernel.sharding import shard_of
from shared.runtime.keys.judged import Judge
from shared.runtime.keys.sealing import Kek, Keks, new_data_key
from shared.runtime.observe.metrics import Metrics
from shared.runtime.recovery.chain import Head, Taken
from shared.runtime.recovery.guard import RestoreGuard
from shared.runtime.recovery.restore import TakingBack
from shared.runtime.store.reading import StateReader
from shared.topics import KEYS, topic_of
from tests.ground import empty_topics
from tests.integration.runtime.log import AT, Log
from tests.integration.runtime.stage import NOWHERE, Killed, Stage, command, outcome, work
from tests.integration.runtime.test_relay import ends, publish_all, published, relay, store, with_key
from tests.integration.runtime.toy import NAME, Tally, Work, dossiers, name
from tests.integration.runtime.wire import put, read_topic, running, soon

SHARD = 4
KEK = Kek(bytes(32))
JUDGE = Judge(Keks([KEK]), Metrics(NAME))
DOSSIER, OTHER = dossiers(SHARD, 2)
TABLES = ("events", "states", "shards", "relay", "heard", "requests", "numbers", "tasks", "data_keys")


@pytest.fixture(autouse=True)
async def _topics_without_a_past(ground: Ground) -> None:
    await empty_topics(ground)


async def back_up(stage: Stage, *more: str, into: str = "kept") -> None:
    """Keep all tables as they are now."""
    await stage.admin.execute(f"DROP SCHEMA IF EXISTS {into} CASCADE; CREATE SCHEMA {into}")
    for table in (*TABLES, *more):
        await stage.admin.execute(f"CREATE TABLE {into}.{table} AS TABLE {table}")


async def restore(stage: Stage, *more: str, out_of: str = "kept") -> None:
    """All tables as they were when they were kept."""
    async with stage.admin.transaction():
        for table in (*TABLES, *more):
            await stage.admin.execute(f"TRUNCATE {table}; INSERT INTO {table} SELECT * FROM {out_of}.{table}")


@dataclass
class DiesAfterAPiece(TakingBack):
    """Killed when the first piece is in the store."""

    async def _store(self, head: Head, missing: Sequence[Taken]) -> Head:
        await super()._store(head, missing)
        raise Killed


def drawn(event: Event) -> tuple[str, int] | None:
    """The toy's numbers stand before what it says."""
    return "codes", int(getattr(event, "message_id", "0").partition("|")[0])


def owed(state: Tally, last: Message[Event]) -> tuple[Task, ...]:
    """What the toy has said last of "alarm" is to be worked on."""
    texts = [text for text in state.notification.texts if "alarm" in text]
    return tuple(Task("work", Work(text="rung")) for _ in texts)


def decider(stage: Stage) -> Decider[Any]:
    return replace(stage.toy.decider, drawn=drawn, owed=owed)


def taking_back(ground: Ground, stage: Stage, kind: type[TakingBack] = TakingBack, **parts: Any) -> TakingBack:
    return kind(decider(stage), stage.pool, Broker(ground.bootstrap_servers), Metrics(NAME), **parts)


def guard(ground: Ground, stage: Stage, taking: TakingBack | None = None, **parts: Any) -> RestoreGuard:
    """The guard of a starting process that takes back."""
    taking = taking or taking_back(ground, stage)
    return RestoreGuard(
        NAME, stage.pool, Broker(ground.bootstrap_servers), wait_s=60.0, take_back=taking.run, **parts
    )  # fmt: skip


def engine(stage: Stage, watching: RestoreGuard) -> Engine:
    return stage.engine(
        decider(stage), ready=watching.ready, on_lost=watching.lost, saw=watching.saw, seen=watching.seen
    )


async def rows(stage: Stage, table: str, order: str) -> list[Mapping[str, Any]]:
    return [dict(row) for row in await stage.admin.fetch(f"SELECT * FROM {table} ORDER BY {order}")]


async def events(stage: Stage) -> list[dict[str, Any]]:
    """All events, but for the time at which they were stored."""
    return [
        {**row, "headers": orjson.loads(row["headers"]), "recorded_at": None}
        for row in await rows(stage, "events", "shard, position")
    ]


async def test_a_store_restored_from_an_older_backup_is_as_it_was(ground: Ground, stage: Stage) -> None:
    await store(stage, "before")
    await publish_all(stage, relay(ground, stage))
    await back_up(stage)
    await store(stage, "lost")
    await publish_all(stage, relay(ground, stage))
    said, shards, cursor = await events(stage), await rows(stage, "shards", "shard"), await published(stage)
    states = await rows(stage, "states", "dossier_id")
    await restore(stage)
    told: list[int] = []
    await guard(ground, stage, tell_behind=told.append).ready()
    assert (await events(stage), await rows(stage, "shards", "shard"), await published(stage)) == (said, shards, cursor)
    assert await rows(stage, "states", "dossier_id") == states
    assert (told[0], told[-1]) == (60, 0)
    await stage.check_store()


async def test_what_is_said_after_taking_back_continues_the_chain(ground: Ground, stage: Stage) -> None:
    await back_up(stage)
    await store(stage, "lost")
    await publish_all(stage, relay(ground, stage))
    await restore(stage)
    await engine(stage, guard(ground, stage)).handle([command(DOSSIER, "new")])
    await publish_all(stage, relay(ground, stage))
    await stage.check_store()
    on_topic = await read_topic(ground.bootstrap_servers, topic_of(NAME))
    assert sum(map(len, on_topic.values())) == 61, "something was published a second time"


async def test_no_running_number_is_given_twice(ground: Ground, stage: Stage) -> None:
    plain = stage.engine()
    await plain.handle([command(DOSSIER, "one", series="codes")])
    await back_up(stage)
    await plain.handle([command(DOSSIER, "two", series="codes"), command(DOSSIER, "three", series="codes")])
    await publish_all(stage, relay(ground, stage))
    await restore(stage)
    await engine(stage, guard(ground, stage)).handle([command(OTHER, "four", series="codes")])
    assert await stage.said(OTHER) == ["4|four"]


async def test_a_command_repeated_after_the_restore_is_answered_and_changes_nothing(
    ground: Ground, stage: Stage
) -> None:
    await back_up(stage)
    await stage.engine().handle([command(DOSSIER, "once", "key")])
    await publish_all(stage, relay(ground, stage))
    await restore(stage)
    (handled,) = await engine(stage, guard(ground, stage)).handle([command(DOSSIER, "once", "key")])
    assert (handled.outcome, handled.answer) == ("ok", {"said": 1})
    assert await stage.said(DOSSIER) == ["0|once"]
    assert (await stage.state(DOSSIER)).notification.texts == ("0|once",)


async def test_what_is_heard_again_is_folded_once_and_said_once(ground: Ground, stage: Stage) -> None:
    log = Log()
    records = [log.say(DOSSIER, text) for text in ("one", "two", "quiet")]
    await back_up(stage)
    await _hear(stage, stage.engine(), records)
    await publish_all(stage, relay(ground, stage))
    before = await stage.state(DOSSIER)
    await restore(stage)
    await _hear(stage, engine(stage, guard(ground, stage)), records)
    assert await stage.state(DOSSIER) == before
    assert len(await stage.said(DOSSIER)) == 2


async def _hear(stage: Stage, engine: Engine, records: Sequence[Record]) -> None:
    listener = stage.listener(engine)
    await listener.prepare()
    await listener.handle(records)


async def test_a_running_listener_hears_again_what_the_restored_database_has_not_heard(
    ground: Ground, stage: Stage
) -> None:
    """Its consumer has read on already, and nothing new need come on these partitions."""
    log = Log()
    watching = guard(ground, stage)
    listener = stage.listener(engine(stage, watching), ground.bootstrap_servers)
    await listener.prepare()
    await back_up(stage)
    records = [log.say(dossier, "quiet") for dossier in (DOSSIER, OTHER)]
    await put(ground.bootstrap_servers, *records)
    await listener.handle(records)
    await restore(stage)
    watching.lost()
    listener.look_back()
    await listener.hear_again()
    assert (await stage.state(DOSSIER)).intake.texts == ("quiet",)
    assert (await stage.state(OTHER)).intake.texts == ("quiet",)


async def test_a_task_whose_outcome_was_said_is_not_done_again(ground: Ground, stage: Stage) -> None:
    """Neither if it stood in the backup, nor if what ordered it is heard again."""
    log, plain = Log(), stage.engine()
    await plain.handle([command(OTHER, "work in the backup")])
    await back_up(stage)
    order = log.say(DOSSIER, "work")
    await _hear(stage, plain, [order])
    for row in await rows(stage, "tasks", "id"):
        claim = await stage.claim(row["id"])
        await plain.handle([outcome(row["dossier_id"], claim, "done")])
    await publish_all(stage, relay(ground, stage))
    await restore(stage)
    assert await stage.count("tasks") == 1
    await _hear(stage, engine(stage, guard(ground, stage)), [order])
    assert await stage.count("tasks") == 0


async def test_a_task_whose_outcome_was_not_said_is_there_once_its_order_is_heard_again(
    ground: Ground, stage: Stage
) -> None:
    log = Log()
    await back_up(stage)
    order = log.say(DOSSIER, "work")
    await _hear(stage, stage.engine(), [order])
    await publish_all(stage, relay(ground, stage))
    before = [row["id"] for row in await rows(stage, "tasks", "id")]
    await restore(stage)
    await _hear(stage, engine(stage, guard(ground, stage)), [order])
    assert [row["id"] for row in await rows(stage, "tasks", "id")] == before


async def test_an_alarm_that_the_state_needs_rings(ground: Ground, stage: Stage) -> None:
    await back_up(stage)
    await stage.engine().handle([command(DOSSIER, "alarm", "key")])
    await publish_all(stage, relay(ground, stage))
    await restore(stage)
    watching = guard(ground, stage)
    worker = stage.worker(work, engine(stage, watching), whole=lambda: watching.seen(()))
    async with running(worker.run()):
        await watching.ready()
        await soon(lambda: _said(stage, "rung"), "the alarm to ring")
    (ring,) = [row for row in await rows(stage, "events", "position") if b"rung" in row["data"]]
    assert ring["caused_by"] == task_id(name("app", "key"), 1)


async def _said(stage: Stage, text: str) -> bool:
    return any(text in said for said in await stage.said(DOSSIER))


async def test_no_task_of_an_older_store_is_begun_before_it_is_whole(ground: Ground, stage: Stage) -> None:
    await stage.engine().handle([command(DOSSIER, "work")])
    await back_up(stage)
    (task,) = await rows(stage, "tasks", "id")
    await stage.engine().handle([outcome(DOSSIER, await stage.claim(task["id"]), "done")])
    await publish_all(stage, relay(ground, stage))
    await restore(stage)
    begun: list[UUID] = []

    async def note(attempt: Any) -> Any:
        begun.append(attempt.id)
        return await work(attempt)

    watching = guard(ground, stage)
    worker = stage.worker(note, engine(stage, watching), whole=lambda: watching.seen(()))
    async with running(worker.run()):
        await watching.ready()
        await engine(stage, watching).handle([command(OTHER, "work later")])
        await soon(lambda: _begun(begun), "the later task to be begun")
    assert task["id"] not in begun


async def _begun(begun: Sequence[UUID]) -> bool:
    return len(begun) > 0


async def test_data_keys_come_back_and_a_destroyed_one_stays_destroyed(ground: Ground, stage: Stage) -> None:
    await stage.engine().handle([with_key(OTHER, "destroyed later")])
    await publish_all(stage, relay(ground, stage, owns_keys=True))
    await back_up(stage)
    await stage.engine().handle([with_key(DOSSIER, "lost")])
    await publish_all(stage, relay(ground, stage, owns_keys=True))
    keys = await rows(stage, "data_keys", "dossier_id")
    await put(ground.bootstrap_servers, Record(KEYS.name, SHARD, 0, AT, str(OTHER).encode(), (), None))
    await restore(stage)
    await guard(ground, stage, taking_back(ground, stage, judge=JUDGE)).ready()
    found = {row["dossier_id"]: row for row in await rows(stage, "data_keys", "dossier_id")}
    assert found[DOSSIER] == next(row for row in keys if row["dossier_id"] == DOSSIER)
    assert found[OTHER]["wrapped"] is None
    assert found[OTHER]["destroyed_at"] is not None


def forged(dossier: UUID, kek: Kek) -> Record:
    """A key of somebody's own, in the place of this dossier's."""
    key = kek.wrap(dossier, new_data_key())
    value = orjson.dumps({"kek_id": key.kek_id, "wrapped": key.wrapped.hex()})
    return Record(KEYS.name, shard_of(dossier), 0, AT, str(dossier).encode(), (), value)


@pytest.mark.parametrize("kek", [KEK, Kek(bytes([1]) * 32)], ids=["under our own", "that does not open"])
async def test_a_key_that_somebody_has_put_on_the_topic_is_not_taken_back_and_ours_is_published_again(
    ground: Ground, stage: Stage, kek: Kek
) -> None:
    await stage.engine().handle([with_key(OTHER, "kept")])
    await publish_all(stage, relay(ground, stage, owns_keys=True))
    await back_up(stage)
    await stage.engine().handle([with_key(DOSSIER, "lost")])
    await publish_all(stage, relay(ground, stage, owns_keys=True))
    keys = {row["dossier_id"]: row["wrapped"] for row in await rows(stage, "data_keys", "dossier_id")}
    await put(ground.bootstrap_servers, forged(OTHER, kek), forged(DOSSIER, kek))
    await restore(stage)
    await guard(ground, stage, taking_back(ground, stage, judge=JUDGE)).ready()
    assert {row["dossier_id"]: row["wrapped"] for row in await rows(stage, "data_keys", "dossier_id")} == keys
    assert await stage.count("data_keys", f"NOT published AND dossier_id = '{OTHER}'") == 1

    async def is_out() -> bool:
        return await stage.count("data_keys", "NOT published") == 0

    async with running(relay(ground, stage, owns_keys=True).run()):
        await soon(is_out, "ours to be published again")
    lying = (await read_topic(ground.bootstrap_servers, KEYS.name))[shard_of(OTHER)]
    last = [one for one in lying if one.key == str(OTHER).encode()][-1]
    assert keys[OTHER].hex() in (last.value or b"").decode()


async def test_a_key_made_again_for_a_repeated_application_does_not_take_the_place_of_its_own(
    ground: Ground, stage: Stage
) -> None:
    await back_up(stage)
    first = with_key(DOSSIER, "application")
    await stage.engine().handle([first])
    await publish_all(stage, relay(ground, stage, owns_keys=True))
    await restore(stage)
    watching = guard(ground, stage, taking_back(ground, stage, judge=JUDGE))
    assert first.request is not None
    another = replace(first.request, data_key=Kek(bytes(32)).wrap(DOSSIER, new_data_key()))
    await engine(stage, watching).handle([replace(first, request=another)])
    (kept,) = await rows(stage, "data_keys", "dossier_id")
    assert first.request.data_key is not None
    assert kept["wrapped"] == first.request.data_key.wrapped


async def test_a_fork_stays_refused_and_says_so(ground: Ground, stage: Stage) -> None:
    await store(stage, "before")
    await back_up(stage)
    await store(stage, "lost")
    await publish_all(stage, relay(ground, stage))
    await restore(stage)
    await stage.admin.execute("UPDATE shards SET last_event_id = $2 WHERE shard = $1", SHARD, uuid4())
    watching = guard(ground, stage)
    end = (await ends(stage))[SHARD]
    with pytest.raises(Unavailable, match=f"cannot be taken back: event {end + 1} of shard {SHARD} .* a fork"):
        await engine(stage, watching).handle([command(DOSSIER, "new")])
    assert "a fork" in watching.reason
    assert (await ends(stage))[SHARD] == end


async def three_taken_off(ground: Ground, stage: Stage) -> Sequence[Any]:
    """Three events said after a backup, as they lay on the topic, which is empty again."""
    await back_up(stage)
    for text in ("one", "two", "three"):
        await stage.engine().handle([command(DOSSIER, text)])
    await publish_all(stage, relay(ground, stage))
    three: Sequence[Any] = (await read_topic(ground.bootstrap_servers, topic_of(NAME)))[SHARD]
    await empty_topics(ground)
    return three


async def test_a_hole_in_the_topic_stays_refused_and_says_so(ground: Ground, stage: Stage) -> None:
    one, _, three = await three_taken_off(ground, stage)
    await put(ground.bootstrap_servers, one, three)
    await restore(stage)
    watching = guard(ground, stage)
    with pytest.raises(Unavailable, match=f"no event 2 of shard {SHARD}.*a hole"):
        await watching.ready()
    with pytest.raises(Unavailable, match="a hole"):
        await engine(stage, watching).handle([command(OTHER, "new")])


async def test_what_was_sent_behind_a_hole_and_then_once_more_is_taken_back_in_order(
    ground: Ground, stage: Stage
) -> None:
    one, two, three = await three_taken_off(ground, stage)
    await put(ground.bootstrap_servers, one, three, two, three)
    await restore(stage)
    await guard(ground, stage).ready()
    assert [text.partition("|")[2] for text in await stage.said(DOSSIER)] == ["one", "two", "three"]
    await stage.check_store()


async def lost_in_the_store(ground: Ground, stage: Stage) -> tuple[list[dict[str, Any]], list[Mapping[str, Any]]]:
    """Sixty events said and published after a backup that is then restored: these events, and the states they made."""
    await back_up(stage)
    await store(stage, "lost")
    await publish_all(stage, relay(ground, stage))
    said, states = await events(stage), await rows(stage, "states", "dossier_id")
    await restore(stage)
    return said, states


async def test_a_kill_in_the_middle_of_taking_back_is_harmless(ground: Ground, stage: Stage) -> None:
    said, states = await lost_in_the_store(ground, stage)
    with pytest.raises(Killed):
        await guard(ground, stage, taking_back(ground, stage, DiesAfterAPiece)).ready()
    assert 0 < await stage.count("events") < 60
    await guard(ground, stage).ready()
    assert await events(stage) == said
    assert await rows(stage, "states", "dossier_id") == states


async def test_two_replicas_take_back_together_and_nothing_twice(ground: Ground, stage: Stage) -> None:
    said, states = await lost_in_the_store(ground, stage)
    takers = [taking_back(ground, stage) for _ in range(2)]
    await asyncio.gather(*(guard(ground, stage, taker).ready() for taker in takers))
    assert await events(stage) == said
    assert await rows(stage, "states", "dossier_id") == states
    assert sum(taker.metrics.taken_back._value.get() for taker in takers) == 60


async def test_a_running_process_takes_back_after_a_lost_connection(ground: Ground, stage: Stage) -> None:
    watching = guard(ground, stage)
    running_engine = engine(stage, watching)
    await back_up(stage)
    await running_engine.handle([command(DOSSIER, "lost")])
    await publish_all(stage, relay(ground, stage))
    await restore(stage)
    watching.lost()
    await running_engine.handle([command(DOSSIER, "new")])
    assert [text.partition("|")[2] for text in await stage.said(DOSSIER)] == ["lost", "new"]
    await stage.check_store()


async def test_a_running_process_waits_for_kafka_to_take_back(ground: Ground, stage: Stage) -> None:
    watching = guard(ground, stage)
    await back_up(stage)
    await engine(stage, watching).handle([command(DOSSIER, "lost")])
    await publish_all(stage, relay(ground, stage))
    await restore(stage)
    watching.broker, watching.wait_s = Broker(NOWHERE), 2.0
    watching.lost()
    with pytest.raises(Unavailable, match="once Kafka answers"):
        await engine(stage, watching).handle([command(DOSSIER, "new")])
    watching.broker, watching.wait_s = Broker(ground.bootstrap_servers), 60.0
    await watching.ready()
    assert await stage.said(DOSSIER) == ["0|lost"]


async def test_nobody_is_shown_a_dossier_as_it_was_in_the_backup(ground: Ground, stage: Stage) -> None:
    await back_up(stage)
    await stage.engine().handle([command(DOSSIER, "lost")])
    await publish_all(stage, relay(ground, stage))
    await restore(stage)
    watching = guard(ground, stage)
    reader = StateReader(stage.pool, Tally, watching.readable)
    with pytest.raises(Unavailable):
        await reader.one(DOSSIER)
    await watching.ready()
    assert await reader.one(DOSSIER) == Tally.model_validate((await stage.state(DOSSIER)).model_dump())
