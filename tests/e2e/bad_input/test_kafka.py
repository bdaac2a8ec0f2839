"""What comes wrong from Kafka: kept to the byte or passed over, its dossier parked or its shard stopped, as the case
may be; the service lives on and all others are heard.
"""

from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio
from aiokafka.errors import MessageSizeTooLargeError

from deploy.local.ground import External
from deploy.stack import Stack
from deploy.waiting import until
from shared.runtime.store.headers import headers_of
from tests import controls
from tests.e2e.bad_input.answers import MARK
from tests.e2e.bad_input.forged import Forged
from tests.e2e.bad_input.records import TABLE, Row
from tests.e2e.bad_input.stage import FORK, GAP, REGISTER, SECOND, SHARD, Stage

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """A ground of its own, for what is written here may not reach any other test."""
    directory = tmp_path_factory.mktemp("forged")
    services = ("verification", "payment")
    async with Stack(directory, REGISTER, services=services, external=External(), say=print) as stack:
        database = await asyncpg.connect(stack.ground.databases().administrator_url("verification"))
        yield Stage(stack, database)
        await database.close()


@pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in TABLE])
async def test_a_bad_record_is_set_aside_and_its_shard_is_heard_on(row: Row, stage: Stage) -> None:
    record = row.spoil(stage.pen.next(SHARD))
    before, _ = await stage.heard(SHARD)
    offset = await stage.write(record)
    await stage.until_read(SHARD, offset)
    assert await stage.heard(SHARD) == (before + row.moves, offset + 1)
    assert_kept(record, row, await stage.letters(offset))
    state = await stage.state(record)
    assert (None if state is None else state["parked"]) == row.parked
    if row.moves:
        stage.pen.keep(record)
    await stage.follow(SHARD)
    assert await stage.alive()


def assert_kept(record: Forged, row: Row, letters: list[asyncpg.Record]) -> None:
    """There is the dead letter that the row expects, and it holds the record to the byte."""
    assert [letter["reason"] for letter in letters] == [row.reason] * (row.reason is not None)
    for letter in letters:
        assert letter["value"] == record.value
        assert letter["key"] == str(record.dossier).encode()
        assert headers_of(letter["headers"]) == tuple(record.headers)
        assert MARK not in letter["message"]


async def test_what_unpacks_to_more_than_a_record_may_have_does_not_come_in(stage: Stage) -> None:
    record = stage.pen.next(SHARD).saying(bytes(8 << 20)).written(codec="gzip")
    with pytest.raises(MessageSizeTooLargeError):
        await stage.write(record)


async def test_a_name_that_is_not_utf_8_is_shown_with_a_mark_in_its_place(stage: Stage) -> None:
    record = stage.pen.next(SHARD).with_headers([("trace\udcff", b"1")])
    offset = await stage.write(record)
    await stage.until_read(SHARD, offset)
    (letter,) = await stage.letters(offset)
    shown = await stage.operator("deadletters", "show", str(letter["id"]))
    assert shown.answer["headers"] == [["trace\ufffd", "1"]]


async def test_a_repeated_record_has_no_effect(stage: Stage) -> None:
    record = await stage.follow(SHARD)
    before = await stage.state(record)
    offset = await stage.write(record)
    await stage.until_read(SHARD, offset)
    assert await stage.heard(SHARD) == (record.sequence, offset + 1)
    assert await stage.state(record) == before
    assert await stage.letters(offset) == []


async def test_a_gap_stops_its_shard_until_an_operator_skips_it(stage: Stage) -> None:
    first = await stage.follow(GAP)
    third = stage.pen.next(GAP, skip=1)
    await stage.write(third)
    await stage.until_stopped(1)
    assert (await stage.heard(GAP))[0] == first.sequence
    assert await stage.state(third) is None
    await stage.follow(SHARD)
    assert await stage.alive()
    skipped = await stage.operator("heard", "skip", "intake", str(GAP), "2")
    assert (skipped.code, skipped.answer) == (0, {"source": "intake", "shard": GAP, "from": 1, "to": 2})
    await stage.until_handled(third)
    await stage.until_stopped(0)
    stage.pen.keep(third)
    await stage.follow(GAP)
    assert await stage.recorded_acts("heard skip") == [skipped.answer]


async def test_a_fork_stops_its_shard_until_an_operator_takes_the_new_past(stage: Stage) -> None:
    first = await stage.follow(FORK)
    other = stage.pen.next(FORK).headed(ce_previous=str(controls.MESSAGE))
    await stage.write(other)
    await stage.until_stopped(1)
    await stage.until_told("shard-stopped", other)
    assert (await stage.heard(FORK))[0] == first.sequence
    assert await stage.state(other) is None
    await stage.follow(SHARD)
    skipped = await stage.operator("heard", "skip", "intake", str(FORK), "1")
    assert skipped.code == 0
    await stage.until_handled(other)
    await stage.until_stopped(0)


async def test_the_last_sequence_with_another_id_is_a_fork(stage: Stage) -> None:
    first = await stage.follow(SECOND)
    second = stage.pen.next(SECOND).headed(ce_sequence=f"{first.sequence:020d}")
    await stage.write(second)
    await stage.until_stopped(1)
    assert await stage.state(second) is None
    await stage.follow(SHARD)
    assert (await stage.operator("heard", "skip", "intake", str(SECOND), "1")).code == 0
    await stage.until_stopped(0)
    await stage.follow(SECOND)
    assert await stage.state(second) is None


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("intake", "99", "1"), "no such shard"),
        (("weather", "4", "1"), "no such writer"),
        (("intake", "4", "0"), "back into what was heard"),
        (("intake", "4", str(10**20)), "beyond every position"),
        (("intake", "four", "1"), "a word for a number"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_skip_that_makes_no_sense_is_refused_in_a_sentence(
    words: tuple[str, ...], what: str, stage: Stage
) -> None:
    await stage.follow(SHARD)
    before = await stage.heard(SHARD)
    ended = await stage.operator("heard", "skip", *words)
    assert ended.code in (1, 2), what
    assert "Traceback" not in ended.err
    assert await stage.heard(SHARD) == before


async def test_a_parked_dossier_waits_in_order_until_its_dead_letter_is_settled(stage: Stage) -> None:
    bad = stage.pen.next(SHARD).saying(MARK.encode())
    stage.pen.keep(bad)
    corrected = stage.pen.next(SHARD, bad.dossier, controls.applicant_corrected())
    stage.pen.keep(corrected)
    await stage.until_read(SHARD, await stage.write(bad, corrected))

    (listed,) = [letter for letter in (await stage.operator("deadletters", "list")).answer if of(letter, bad)]
    assert (listed["reason"], listed["waiting"]) == ("schema", 1)

    shown = await stage.operator("deadletters", "show", listed["id"])
    assert shown.answer["value_bytes"] == len(MARK.encode())
    assert ["ce_id", str(bad.id)] in shown.answer["headers"]
    assert MARK not in shown.out

    again = await stage.operator("deadletters", "redrive", str(bad.dossier))
    assert (again.answer["handled"], again.answer["parked"], again.answer["failure"]) == (0, True, "Poison")

    assert (await stage.operator("deadletters", "discard", listed["id"])).code == 0
    assert (await stage.operator("deadletters", "discard", listed["id"])).code == 1
    last = await stage.operator("deadletters", "redrive", str(bad.dossier))
    assert (last.answer["handled"], last.answer["parked"], last.answer["failure"]) == (1, False, None)
    state = await stage.state(bad)
    assert state is not None and not state["parked"]
    assert [len(await stage.recorded_acts(act)) for act in ("redrive", "discard")] == [2, 1]


async def test_the_log_names_the_event_that_failed_or_waits_or_is_passed_over(stage: Stage) -> None:
    bad = stage.pen.next(SHARD).saying(b"{}")
    stage.pen.keep(bad)
    waiting = stage.pen.next(SHARD, bad.dossier, controls.applicant_corrected())
    stage.pen.keep(waiting)
    unknown = stage.pen.next(SHARD).headed(ce_type="vn.gov.dossier.dossier-archived.v1")
    stage.pen.keep(unknown)
    await stage.until_read(SHARD, await stage.write(bad, waiting, unknown))
    for event, record in (("dead-letter", bad), ("parked", waiting), ("skipped", unknown)):
        await stage.until_told(event, record)


async def test_an_unknown_dead_letter_is_none(stage: Stage) -> None:
    assert (await stage.operator("deadletters", "show", str(controls.MESSAGE))).code == 1
    assert (await stage.operator("deadletters", "show", "42")).code == 2


async def test_the_other_service_that_hears_the_topic_lives_on_too(stage: Stage) -> None:
    record = await stage.follow(SHARD)
    payment = await asyncpg.connect(stage.stack.ground.databases().administrator_url("payment"))

    async def known() -> bool:
        return bool(await payment.fetchval("SELECT 1 FROM states WHERE dossier_id = $1", record.dossier))

    await until(known, seconds=90, what="payment to hear it too")
    await payment.close()
    assert [process.exit_code for process in stage.stack.processes] == [None, None]


async def test_no_log_names_what_bad_records_said(stage: Stage) -> None:
    for process in stage.stack.processes:
        log = process.log.read_text(errors="replace")
        assert MARK not in log
        assert "engine-bug" not in log


def of(letter: dict[str, object], record: Forged) -> bool:
    """Whether a listed dead letter is about the record's dossier."""
    return letter["dossier_id"] == str(record.dossier)
