"""A consumer misses nothing: a gap is read again, what is missing for good or forked stops one shard and no other."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from deploy.local.ground import Ground
from shared.errors import Misconfigured
from shared.runtime.admin.operator import skip_heard
from shared.runtime.engine.listener import Listener
from shared.runtime.kafka.clients import Broker
from shared.runtime.kernel.message import Handled, Item, Record
from shared.topics import SHARDS
from tests.ground import empty_topics
from tests.integration.runtime.log import AT, TOPIC, WRITER, Log, record_of
from tests.integration.runtime.stage import Killed, Once, Stage
from tests.integration.runtime.toy import dossiers
from tests.integration.runtime.wire import put

(ONE,), (OTHER,) = dossiers(2, 1), dossiers(9, 1)
SHARD = 2


@pytest.fixture(autouse=True)
async def _topics_without_a_past(ground: Ground) -> None:
    await empty_topics(ground)


async def _listener(ground: Ground, stage: Stage) -> Listener:
    listener = stage.listener(bootstrap=ground.bootstrap_servers)
    await listener.prepare()
    return listener


async def _heard(stage: Stage) -> tuple[str, ...]:
    return (await stage.state(ONE)).intake.texts


async def test_records_that_were_missed_are_read_again_from_the_topic(ground: Ground, stage: Stage) -> None:
    log = Log()
    records = [log.say(ONE, f"text {n}") for n in range(6)]
    await put(ground.bootstrap_servers, *records)
    listener = await _listener(ground, stage)
    await listener.handle(records[:2])
    await listener.handle(records[4:])
    assert await _heard(stage) == tuple(f"text {n}" for n in range(6))
    assert not listener.stopped


async def test_a_topic_filled_with_large_records_is_committed_in_pieces(ground: Ground, stage: Stage) -> None:
    log = Log()
    large = [replace(log.noise(SHARD), value=b"x" * 1_048_576) for _ in range(20)]
    sizes: list[int] = []
    engine = stage.engine()
    handle = engine.handle

    async def weighed(items: Sequence[Item]) -> list[Handled]:
        sizes.append(sum(len(item.record.value or b"") for item in items if item.record is not None))
        return await handle(items)

    engine.handle = weighed  # type: ignore[method-assign]
    listener = stage.listener(engine)
    await listener.prepare()
    await listener.handle([*large, log.say(ONE, "text")])
    assert sizes == [8 << 20, 8 << 20, sizes[-1]]
    assert sizes[-1] <= 8 << 20
    assert await _heard(stage) == ("text",)
    assert await stage.count("dead_letters") == 20


async def test_a_skip_does_not_go_beyond_an_event_that_lies_on_the_topic(ground: Ground, stage: Stage) -> None:
    """A digit too many, and all that is there would be dropped as repeats, with no way back."""
    log = Log()
    first = log.say(ONE, "first")
    log.sequences[SHARD] += 3
    behind = log.say(ONE, "behind")
    noise = replace(first, headers=(), value=b"noise")
    await put(ground.bootstrap_servers, first, noise, behind)
    listener = await _listener(ground, stage)
    await listener.handle([first, replace(behind, offset=2)])
    broker = Broker(ground.bootstrap_servers)
    for beyond in (5, 40):
        with pytest.raises(Misconfigured, match="sequence 5 lies on the topic: a skip goes to 4 at most"):
            await skip_heard(stage.pool, WRITER, SHARD, beyond, broker)
    assert await skip_heard(stage.pool, WRITER, SHARD, 4, broker) is not None
    await listener.resume()
    assert await _heard(stage) == ("first", "behind")
    with pytest.raises(Misconfigured, match="stands at 5 and no later event"):
        await skip_heard(stage.pool, WRITER, SHARD, 6, broker)


async def test_the_place_of_the_last_data_key_is_not_moved_by_a_skip(ground: Ground, stage: Stage) -> None:
    await stage.admin.execute("INSERT INTO heard (source, shard, next_offset) VALUES ('keys', 2, 7)")
    assert await skip_heard(stage.pool, "keys", SHARD, 5) is None
    assert await stage.admin.fetchval("SELECT position FROM heard WHERE source = 'keys'") == 0


async def test_a_record_that_kafka_holds_before_its_turn_is_found_from_the_beginning(
    ground: Ground, stage: Stage
) -> None:
    log = Log()
    first, second = log.say(ONE, "first"), log.say(ONE, "second")
    await put(ground.bootstrap_servers, first, second)
    listener = await _listener(ground, stage)
    await stage.admin.execute("UPDATE heard SET next_offset = 2 WHERE source = $1 AND shard = $2", WRITER, SHARD)
    await listener.reload()
    await listener.handle([replace(second, offset=2)])
    await listener.resume()
    assert not listener.stopped
    assert await _heard(stage) == ("first", "second")


async def test_a_gap_that_cannot_be_filled_stops_its_shard_and_no_other(ground: Ground, stage: Stage) -> None:
    log = Log()
    first, _, third = (log.say(ONE, text) for text in ("first", "lost", "third"))
    await put(ground.bootstrap_servers, first, third)
    third = replace(third, offset=1)
    listener = await _listener(ground, stage)
    await listener.handle([first, third, log.say(OTHER, "other")])
    assert await _heard(stage) == ("first",)
    assert (await stage.state(OTHER)).intake.texts == ("other",)
    assert set(listener.stopped) == {(WRITER, SHARD)}


async def test_an_operator_skips_what_is_lost_and_the_shard_goes_on_with_all_that_came_since(
    ground: Ground, stage: Stage
) -> None:
    log = Log()
    first, _, third, fourth = (log.say(ONE, text) for text in ("first", "lost", "third", "fourth"))
    await put(ground.bootstrap_servers, first, third, fourth)
    listener = await _listener(ground, stage)
    await listener.handle([first, replace(third, offset=1)])
    await listener.handle([replace(fourth, offset=2)])
    await listener.resume()
    assert await _heard(stage) == ("first",)
    await skip_heard(stage.pool, WRITER, SHARD, 2)
    await listener.resume()
    assert await _heard(stage) == ("first", "third", "fourth")
    assert not listener.stopped
    assert await stage.count("operator_acts", "act = 'heard skip'") == 1


async def test_a_shard_goes_on_by_itself_when_its_writer_publishes_again_what_the_topic_has_lost(
    ground: Ground, stage: Stage
) -> None:
    log = Log()
    first, second, third = (log.say(ONE, text) for text in ("first", "second", "third"))
    await put(ground.bootstrap_servers, first, third, second, third)
    listener = await _listener(ground, stage)
    await listener.handle([first, replace(third, offset=1)])
    assert await _heard(stage) == ("first",)
    await listener.handle([replace(second, offset=2), replace(third, offset=3)])
    assert await _heard(stage) == ("first", "second", "third")
    assert not listener.stopped


@pytest.mark.parametrize("sequence", [2, 3], ids=["the last one again, another", "the next one, another past"])
async def test_a_fork_stops_its_shard(ground: Ground, stage: Stage, sequence: int) -> None:
    log = Log()
    records = [log.say(ONE, "first"), log.say(ONE, "second")]
    listener = await _listener(ground, stage)
    await listener.handle(records)
    forged = record_of(ONE, "forged", sequence, 2)
    changed = {"ce_id": b"5b1f8a34-2c7e-4f0d-9b61-3d2a7c5e8f90", "ce_previous": b"0e6a9d12-7b3c-4c58-8f24-1a9b6d3c5e70"}
    forged = replace(forged, headers=tuple((key, changed.get(key, value)) for key, value in forged.headers))
    await listener.handle([forged, log.say(OTHER, "other")])
    assert await _heard(stage) == ("first", "second")
    assert (await stage.state(OTHER)).intake.texts == ("other",)
    assert set(listener.stopped) == {(WRITER, SHARD)}


def _odd(offset: int, *head: tuple[str, bytes], value: bytes | None = b"{}") -> Record:
    return Record(TOPIC, SHARD, offset, AT, b"k", head, value)


ODD = {
    "no headers": _odd(0),
    "a header that is not UTF-8": _odd(0, ("ce_id", b"\xff")),
    "a header whose name holds a NUL": _odd(0, ("ce\x00id", b"1")),
    "a writer whose name holds a NUL": replace(
        record_of(ONE, "text", 1, 0),
        headers=tuple(
            (key, b"urn:dossier:in\x00take:2" if key == "ce_source" else value)
            for key, value in record_of(ONE, "text", 1, 0).headers
        ),
    ),
    "a foreign partition": replace(record_of(OTHER, "text", 1, 0), partition=SHARD),
    "a partition that somebody has added": replace(record_of(OTHER, "text", 1, 0), partition=SHARDS),
    "no value": _odd(0, value=None),
    "one mebibyte": _odd(0, value=b"x" * 1_048_576),
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD.keys())
async def test_a_record_without_a_place_is_kept_as_it_came_and_hearing_goes_on(
    ground: Ground, stage: Stage, odd: Record
) -> None:
    log = Log()
    log.noise(SHARD)
    listener = await _listener(ground, stage)
    await asyncio.wait_for(listener.handle([odd, log.say(ONE, "text")]), 60)
    assert await _heard(stage) == ("text",)
    (kept,) = await stage.admin.fetch("SELECT value, dossier_id FROM dead_letters")
    assert (kept["value"], kept["dossier_id"]) == (odd.value, None)


async def test_a_batch_whose_acknowledgement_was_lost_has_no_second_effect(ground: Ground, stage: Stage) -> None:
    log = Log()
    records = [log.say(ONE, "work one"), log.say(OTHER, "two"), log.say(ONE, "twice three")]
    dying = stage.listener(stage.engine(saw=Once(Killed())))
    await dying.prepare()
    with pytest.raises(Killed):
        await dying.handle(records)
    await (await _listener(ground, stage)).handle(records)
    assert await _heard(stage) == ("work one", "twice three")
    assert await stage.said(ONE) == ["0|work one", "1|twice three", "2|twice three"]
    assert await stage.count("tasks") == 1


async def test_a_restarted_consumer_reads_on_where_the_database_says(ground: Ground, stage: Stage) -> None:
    log = Log()
    listener = await _listener(ground, stage)
    await listener.handle([log.say(ONE, "first"), log.noise(SHARD), log.say(OTHER, "other")])
    offsets = await (await _listener(ground, stage)).next_offsets()
    assert {key: offset for key, offset in offsets.items() if offset} == {(TOPIC, SHARD): 2, (TOPIC, 9): 1}
