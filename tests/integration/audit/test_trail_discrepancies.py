"""What audit stores and tells when a topic does not tell one unbroken story. It never stops."""

import pytest

from services.audit.reading import digest
from services.audit.tasks import kinds
from shared.runtime.store.headers import headers_of, name_bytes
from tests import raw
from tests.integration.audit.stage import NAMES, SHARD, TOPIC, Event, Stage, chain, event

pytestmark = pytest.mark.integration


async def test_every_record_is_kept_byte_for_byte(stage: Stage) -> None:
    head = [("Odd\x00name", b"\xff\x00"), ("ce_id", b"1"), ("ce_id", b"2"), ("none", None)]
    await stage.put(b"\x00 not json \xff", *head, key=None)
    await stage.put(None)

    await stage.audited(2)

    rows = await stage.pool.fetch('SELECT key, headers, value, topic, partition FROM records ORDER BY "offset"')
    assert rows[0]["headers"] == (r'[["Odd\u0000name","ff00"],["ce_id","31"],["ce_id","32"],["none",null]]')
    assert (rows[0]["key"], rows[0]["value"]) == (None, b"\x00 not json \xff")
    assert (rows[1]["key"], rows[1]["value"]) == (b"k", None)
    assert (rows[0]["topic"], rows[0]["partition"]) == (TOPIC, SHARD)


async def test_a_record_that_no_library_would_write_is_stored_told_and_passed(stage: Stage) -> None:
    name = b"ce_\xff"
    await stage.publish(event(1))
    await raw.send(stage.bootstrap, TOPIC, SHARD, raw.batch(raw.record(b"k", b"v", [(name, b"1")], attributes=0xFF)))
    await stage.publish(event(2))

    await stage.audited(3)

    row = await stage.pool.fetchrow("SELECT * FROM records WHERE value = 'v'")
    assert [(name_bytes(name), content) for name, content in headers_of(row["headers"])] == [(name, b"1")]
    assert row["digest"] == digest(row["key"], headers_of(row["headers"]), row["value"])
    assert await stage.discrepancies() == [("unreadable", None, None)]
    assert await stage.count("trail") == 2
    await stage.store(event(1), event(2))
    assert [one.what for one in (await stage.verified()).findings] == ["unreadable"]


async def test_a_record_of_a_megabyte_is_stored_as_it_came(stage: Stage) -> None:
    big = event(1).saying(b"x" * 1_000_000)
    await stage.publish(big)

    await stage.audited(1)

    assert await stage.pool.fetchval("SELECT value FROM records") == big.value
    assert await stage.discrepancies() == []


async def test_an_unbroken_chain_has_a_place_for_every_event_and_no_discrepancy(stage: Stage) -> None:
    await stage.publish(*chain(30), *chain(5, shard=0))

    await stage.audited(35)

    rows = await stage.pool.fetch("SELECT sequence, event_id FROM trail WHERE shard = $1 ORDER BY sequence", SHARD)
    assert [(row[0], row[1]) for row in rows] == [(one.sequence, one.id) for one in chain(30)]
    assert await stage.count("trail") == 35
    assert await stage.discrepancies() == []


async def test_an_equal_repeat_is_a_record_more_and_no_position_more(stage: Stage) -> None:
    first, second, third = chain(3)
    await stage.publish(first, second, second, first, third)

    await stage.audited(5)

    assert (await stage.count("records"), await stage.count("trail")) == (5, 3)
    assert await stage.discrepancies() == []


GAP = [event(1), event(2), event(5), event(6)]
FORK = [event(1), event(2), event(3, previous=1), event(4)]
SECOND = [event(1), event(2), event(1).saying(b"{}"), event(3)]
RENAMED = [event(1), event(2).headed(ce_id=str(NAMES)), event(2), event(3, previous=0).headed(ce_previous=str(NAMES))]
FOREIGN = [event(1), event(1, writer="intake"), event(2)]
ELSEWHERE = [event(1), event(1, shard=SHARD + 1), event(2)]
NO_SEQUENCE = [event(1), event(2).headed(ce_sequence=""), event(2)]
HUGE_SEQUENCE = [event(1), event(2).headed(ce_sequence="9" * 20), event(2)]
NUL_TYPE = [event(1), event(2).headed(ce_type="a\x00b"), event(2)]


@pytest.mark.parametrize(
    ("events", "found"),
    [
        pytest.param(GAP, ("gap", 5, 3), id="a skipped sequence"),
        pytest.param(FORK, ("fork", 3, None), id="another previous"),
        pytest.param(SECOND, ("second-content", 1, None), id="another value under the same sequence"),
        pytest.param(RENAMED, ("second-content", 2, None), id="another id under the last sequence"),
        pytest.param(FOREIGN, ("foreign", 1, None), id="a foreign writer"),
        pytest.param(ELSEWHERE, ("foreign", 1, None), id="a foreign partition"),
        pytest.param(NO_SEQUENCE, ("unreadable", None, None), id="no sequence"),
        pytest.param(HUGE_SEQUENCE, ("unreadable", None, None), id="a sequence beyond all numbers"),
        pytest.param(NUL_TYPE, ("unreadable", None, None), id="a type with a NUL"),
    ],
)
async def test_what_does_not_fit_is_stored_and_told_once_and_the_shard_goes_on(
    stage: Stage, events: list[Event], found: tuple[str, int | None, int | None]
) -> None:
    await stage.publish(*events, partition=SHARD)

    await stage.audited(len(events))

    assert await stage.discrepancies() == [found]
    assert await stage.count("records") == len(events)
    (told,) = await stage.pool.fetch("SELECT kind, payload FROM tasks")
    alarm = kinds()[told["kind"]].payload.model_validate_json(told["payload"])
    assert (alarm.kind, alarm.sequence, alarm.expected) == found  # type: ignore[attr-defined]
    last = await stage.pool.fetchval("SELECT position FROM heard WHERE source = 'verification' AND shard = $1", SHARD)
    assert last == max(one.sequence for one in events)


async def test_a_gap_that_is_filled_later_is_one_discrepancy_and_not_wrong(stage: Stage) -> None:
    events = [event(1), event(4), event(2), event(3), event(5)]
    await stage.store(*chain(5))
    await stage.publish(*events)

    await stage.audited(5)

    assert await stage.discrepancies() == [("gap", 4, 2)]
    report = await stage.verified()
    (line,) = [line for line in report.lines if line.seen]
    assert (line.seen, line.gaps, line.filled, line.discrepancies) == (5, 0, 1, 0)
    assert report.clean


async def test_what_fills_a_gap_must_follow_what_stands_before_it(stage: Stage) -> None:
    await stage.publish(event(1), event(6), event(4), event(2, previous=0).headed(ce_previous=str(NAMES)))

    await stage.audited(4)

    assert await stage.discrepancies() == [("gap", 6, 2), ("gap", 4, 2), ("fork", 2, None)]
