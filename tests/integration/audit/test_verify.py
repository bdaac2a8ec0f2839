"""`verify` against a superuser who rewrites a writer's store, or audit's own: each manipulation is named."""

import asyncio
import itertools
import json
import sys
from dataclasses import replace

import pytest

from services.audit.report import Report
from tests.integration.audit.stage import NAMES, SHARD, WRITER, Stage, chain, event

pytestmark = pytest.mark.integration

LENGTH = 8
LOOKS = 8
_THIRD = "WHERE id = (SELECT record_id FROM trail WHERE shard = 4 AND sequence = 3)"


async def _honest(stage: Stage) -> None:
    """A writer with two shards, all published and heard."""
    await stage.store(*chain(LENGTH), *chain(3, shard=0))
    await stage.publish(*chain(LENGTH), *chain(3, shard=0))
    await stage.audited(LENGTH + 3)


async def _tamper(stage: Stage, *statements: str, service: str = WRITER) -> Report:
    """Do this to a database as its superuser, and look again."""
    await _honest(stage)
    async with stage.administrator(service) as conn:
        for statement in statements:
            await conn.execute(statement)
    return await stage.verified()


def _found(report: Report) -> list[tuple[int, int, int, str, str]]:
    assert not report.clean
    assert {one.writer for one in report.findings} <= {WRITER}
    return [(one.shard, one.first, one.last, one.what, one.detail) for one in report.findings]


async def test_store_and_trail_of_an_honest_writer_agree(stage: Stage) -> None:
    await _honest(stage)
    report = await stage.verified()
    assert report.clean
    assert [(line.shard, line.published, line.seen, line.repeats) for line in report.lines if line.seen] == [
        (0, 3, 3, 0),
        (SHARD, LENGTH, LENGTH, 0),
    ]


async def test_versions_and_types_that_this_release_does_not_know_are_stored_and_compared_as_they_were_written(
    stage: Stage,
) -> None:
    kinds = ("citizen-verified.v1", "citizen-verified.v2", "citizen-verified.v9", "moon-landed.v1")
    written = [
        one.headed(ce_type=f"vn.gov.dossier.{kind}").saying(one.value[:-1] + b',"not_foreseen":1}')
        for one, kind in zip(chain(len(kinds)), kinds, strict=True)
    ]
    await stage.store(*written)
    await stage.publish(*written)
    await stage.audited(len(written))
    assert (await stage.verified()).clean
    rows = await stage.pool.fetch("SELECT type, value FROM trail JOIN records ON id = record_id ORDER BY sequence")
    assert [tuple(row) for row in rows] == [(one.headers["ce_type"], one.value) for one in written]
    assert await stage.discrepancies() == []


async def test_a_row_deleted_in_the_middle_is_named(stage: Stage) -> None:
    report = await _tamper(stage, f"DELETE FROM events WHERE shard = {SHARD} AND position = 4")
    assert _found(report) == [(SHARD, 4, 4, "missing in the store", "deleted")]


async def test_the_last_rows_cut_off_are_named_even_if_every_counter_was_set_back(stage: Stage) -> None:
    report = await _tamper(
        stage,
        f"DELETE FROM events WHERE shard = {SHARD} AND position > 6",
        f"UPDATE shards SET next_position = 7 WHERE shard = {SHARD}",
        f"UPDATE relay SET published = 6 WHERE shard = {SHARD}",
    )
    assert _found(report) == [(SHARD, 7, 8, "missing in the store", "cut off at the end")]


@pytest.mark.parametrize("kept", [0, 6])
async def test_the_last_rows_cut_off_on_both_sides_are_named(stage: Stage, kept: int) -> None:
    await _honest(stage)
    for service, table, column in ((WRITER, "events", "position"), ("audit", "trail", "sequence")):
        async with stage.administrator(service) as conn:
            await conn.execute(f"DELETE FROM {table} WHERE shard = {SHARD} AND {column} > {kept}")
    cut = (SHARD, kept + 1, LENGTH, "missing in the trail", "heard, then cut off; missing in the store too")
    assert _found(await stage.verified()) == [cut]


@pytest.mark.parametrize("headers", ["[]", "null", '"x"', "5", '{"ce_id": 1e400}'])
async def test_headers_that_are_none_are_named_as_altered(stage: Stage, headers: str) -> None:
    report = await _tamper(stage, f"UPDATE events SET headers = '{headers}' WHERE shard = {SHARD} AND position = 3")
    ((_, first, last, what, _),) = _found(report)
    assert (first, last, what) == (3, 3, "altered header")


async def test_rows_cut_off_before_they_were_published_are_missed_by_the_counter(stage: Stage) -> None:
    await _honest(stage)
    await stage.store(event(9), event(10), published=False)
    async with stage.administrator(WRITER) as conn:
        await conn.execute("DELETE FROM events WHERE position = 10")
    report = await stage.verified()
    assert _found(report) == [(SHARD, 10, 10, "missing in the store", "cut off before it was published")]


async def test_an_altered_value_is_named(stage: Stage) -> None:
    report = await _tamper(stage, f"UPDATE events SET data = '{{}}' WHERE shard = {SHARD} AND position = 3")
    assert _found(report) == [(SHARD, 3, 3, "altered value", "value")]


async def test_a_changed_header_is_named_with_its_name(stage: Stage) -> None:
    change = """jsonb_set(headers, '{ce_time}', '"2020-01-01T00:00:00.000Z"')"""
    report = await _tamper(stage, f"UPDATE events SET headers = {change} WHERE shard = {SHARD} AND position = 3")
    assert _found(report) == [(SHARD, 3, 3, "altered header", "header ce_time")]


async def test_a_header_taken_away_is_named_with_its_name(stage: Stage) -> None:
    report = await _tamper(
        stage, f"UPDATE events SET headers = headers - 'ce_causationid' WHERE shard = {SHARD} AND position = 3"
    )
    assert _found(report) == [(SHARD, 3, 3, "altered header", "header ce_causationid")]


@pytest.mark.parametrize(
    ("change", "what", "detail"),
    [
        ("event_id = gen_random_uuid()", "replaced", "column event_id"),
        ("type = 'other'", "altered column", "column type"),
        ("dossier_id = gen_random_uuid()", "altered key", "key, column dossier_id"),
        ("caused_by = gen_random_uuid()", "altered column", "column caused_by"),
    ],
)
async def test_a_changed_column_is_named_with_its_name(stage: Stage, change: str, what: str, detail: str) -> None:
    report = await _tamper(stage, f"UPDATE events SET {change} WHERE shard = {SHARD} AND position = 3")
    assert _found(report) == [(SHARD, 3, 3, what, detail)]


async def test_two_swapped_rows_are_named_as_swapped(stage: Stage) -> None:
    report = await _tamper(
        stage,
        f"UPDATE events SET position = 99 WHERE shard = {SHARD} AND position = 2",
        f"UPDATE events SET position = 2 WHERE shard = {SHARD} AND position = 5",
        f"UPDATE events SET position = 5 WHERE shard = {SHARD} AND position = 99",
    )
    assert _found(report) == [
        (SHARD, 2, 2, "swapped", f"holds the event of shard {SHARD} position 5"),
        (SHARD, 5, 5, "swapped", f"holds the event of shard {SHARD} position 2"),
    ]


async def test_two_swapped_values_under_their_own_headers_are_named_as_swapped(stage: Stage) -> None:
    report = await _tamper(
        stage,
        f"""UPDATE events e SET data = o.data FROM events o WHERE e.shard = {SHARD} AND o.shard = {SHARD}
            AND e.position IN (2, 5) AND o.position = 7 - e.position""",
    )
    assert _found(report) == [
        (SHARD, 2, 2, "swapped", f"value of shard {SHARD} position 5"),
        (SHARD, 5, 5, "swapped", f"value of shard {SHARD} position 2"),
    ]


def _copied(position: int, of: int = 3) -> str:
    return f"""INSERT INTO events
               SELECT shard, {position}, gen_random_uuid(), dossier_id, caused_by, type, headers, data FROM events
               WHERE shard = {SHARD} AND position = {of}"""


async def test_a_row_added_at_the_end_and_counted_as_published_was_never_on_the_topic(stage: Stage) -> None:
    report = await _tamper(
        stage,
        _copied(LENGTH + 1),
        f"UPDATE shards SET next_position = {LENGTH + 2} WHERE shard = {SHARD}",
        f"UPDATE relay SET published = {LENGTH + 1} WHERE shard = {SHARD}",
    )
    assert _found(report) == [(SHARD, 9, 9, "added to the store", "counted as published, never on the topic")]


async def test_a_row_added_at_the_end_behind_the_counters_back_is_named(stage: Stage) -> None:
    report = await _tamper(stage, _copied(LENGTH + 1))
    assert _found(report) == [(SHARD, 9, 9, "added to the store", "beyond the shard's counter")]


async def test_a_row_added_where_no_position_is_given_is_named(stage: Stage) -> None:
    report = await _tamper(stage, _copied(0))
    assert _found(report) == [(SHARD, 0, 0, "added to the store", "no writer gives such a position")]


async def test_a_row_squeezed_in_is_told_apart_from_those_it_pushed_on(stage: Stage) -> None:
    push = [f"UPDATE events SET position = {n + 1} WHERE shard = {SHARD} AND position = {n}" for n in range(8, 3, -1)]
    report = await _tamper(stage, *push, _copied(4), f"UPDATE shards SET next_position = 10 WHERE shard = {SHARD}")
    whats = [(one[1], one[3]) for one in _found(report)]
    assert whats == [(4, "added to the store"), (5, "moved"), (6, "moved"), (7, "moved"), (8, "moved")]


async def test_an_event_that_never_reached_the_topic_is_a_gap_and_not_an_added_row(stage: Stage) -> None:
    await stage.store(*chain(5))
    await stage.publish(event(1), event(2), event(4), event(5))
    await stage.audited(4)
    report = await stage.verified()
    assert _found(report) == [(SHARD, 3, 3, "gap on the topic", "missing in the trail, the chain leads to it")]
    assert [(line.gaps, line.discrepancies) for line in report.lines if line.seen] == [(1, 1)]


async def test_a_row_in_the_store_that_the_trails_chain_does_not_know_was_added(stage: Stage) -> None:
    await stage.store(*chain(5))
    await stage.publish(event(1), event(2), event(4, previous=2), event(5))
    await stage.audited(4)
    whats = [(one[1], one[3]) for one in _found(await stage.verified())]
    assert (3, "added to the store") in whats


async def test_positions_that_neither_side_has_are_a_gap(stage: Stage) -> None:
    events = [one for one in chain(6) if one.sequence not in (3, 4)]
    await stage.store(*events)
    await stage.publish(*events)
    await stage.audited(4)
    assert _found(await stage.verified()) == [(SHARD, 3, 4, "gap on the topic", "missing in the store too")]


async def test_a_broken_chain_is_named(stage: Stage) -> None:
    events = [event(1), event(2), event(3, previous=1), event(4)]
    await stage.store(*events)
    await stage.publish(*events)
    await stage.audited(4)
    assert _found(await stage.verified()) == [(SHARD, 3, 3, "chain broken", "previous is not the event before it")]


async def test_records_that_never_came_into_the_trail_are_named(stage: Stage) -> None:
    await stage.store(*chain(3))
    await stage.publish(*chain(2), event(1).saying(b"{}"), event(1, writer="intake"), event(2), event(3))
    await stage.put(b"rubbish")
    await stage.audited(7)
    report = await stage.verified()
    assert sorted((one[1], one[3]) for one in _found(report)) == [
        (0, "unreadable"),
        (1, "foreign"),
        (1, "second-content"),
    ]
    assert [(line.seen, line.repeats, line.discrepancies) for line in report.lines if line.seen] == [(3, 1, 3)]


@pytest.mark.parametrize(
    ("statement", "what", "detail"),
    [
        (f"UPDATE records SET value = '{{}}' {_THIRD}",
         "altered in the trail", "audit's own record does not have its digest"),
        (f"UPDATE records SET headers = '[[\"a\", \"no hex\"]]' {_THIRD}",
         "altered in the trail", "audit's own record does not have its digest"),
        (f"UPDATE records SET headers = '[[5, \"00\"]]' {_THIRD}",
         "altered in the trail", "audit's own record does not have its digest"),
        (f"UPDATE records SET headers = '5' {_THIRD}",
         "altered in the trail", "audit's own record does not have its digest"),
        ("UPDATE trail SET dossier_id = gen_random_uuid() WHERE shard = 4 AND sequence = 3",
         "altered column", "column dossier_id"),
        ("DELETE FROM trail WHERE shard = 4 AND sequence = 3",
         "gap on the topic", "missing in the trail, the chain leads to it"),
        ("DELETE FROM trail WHERE shard = 4 AND sequence = 8",
         "missing in the trail", "audit has heard it and does not hold it"),
    ],
)  # fmt: skip
async def test_a_change_in_audits_own_tables_is_laid_at_audits_door(
    stage: Stage, statement: str, what: str, detail: str
) -> None:
    report = await _tamper(stage, statement, service="audit")
    ((shard, _, _, found, told),) = _found(report)
    assert (shard, found, told) == (SHARD, what, detail)


async def test_what_audit_has_not_read_yet_is_counted_and_waited_for(stage: Stage) -> None:
    await _honest(stage)
    await stage.store(event(9), event(10))
    await stage.publish(event(9), event(10))

    behind = await stage.verified()
    assert (behind.not_yet_heard, behind.findings, behind.clean) == (2, [], False)

    waiting = asyncio.create_task(stage.verified(wait_s=30))
    await stage.audited(LENGTH + 5)
    assert (await waiting).clean


async def test_beside_a_writer_at_work_nothing_wrong_is_found(stage: Stage) -> None:
    enough = asyncio.Event()

    async def work() -> None:
        for one in map(event, itertools.count(1)):
            await stage.store(one, published=False)
            await stage.publish(one)
            await stage.published(one)
            if enough.is_set():
                return

    async with stage.listening():
        working = asyncio.create_task(work())
        reports = [await stage.verified(wait_s=30) for _ in range(LOOKS)]
        enough.set()
        await working
    assert [report.findings for report in reports if not report.clean] == []
    assert len({sum(line.seen for line in report.lines) for report in reports}) > 1


async def test_without_kafka_what_is_not_heard_cannot_be_called_added(stage: Stage) -> None:
    await _honest(stage)
    await stage.store(event(9))
    report = await stage.verified(kafka=False)
    assert (report.not_yet_heard, report.findings) == (1, [])


async def _command(stage: Stage, *arguments: str, **more: str) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.audit", "verify", "--wait", "0", *arguments,
        env=stage.environment(**more), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode, out.decode(), err.decode()


async def test_the_command_prints_a_table_and_ends_with_0_when_clean_and_1_when_not(stage: Stage) -> None:
    await _honest(stage)
    file = stage.folder / "report.json"

    code, out, err = await _command(stage, "--json", str(file))
    assert (code, err) == (0, "")
    assert out.splitlines()[-1] == "11 positions seen, 0 repeats: clean"
    assert json.loads(file.read_text())["clean"] is True

    async with stage.administrator(WRITER) as conn:
        await conn.execute("DELETE FROM events WHERE position = 2")
    code, out, _ = await _command(stage, "--json", str(file))
    assert code == 1
    assert f"WRONG verification shard {SHARD} sequence 2: missing in the store (deleted)" in out
    assert [one["what"] for one in json.loads(file.read_text())["findings"]] == ["missing in the store"] * 2


async def test_a_wrong_setting_ends_with_2_and_a_sentence(stage: Stage) -> None:
    code, _, err = await _command(stage, "--databases", "nowhere_{service}")
    assert (code, "nowhere_audit" in err) == (2, True)
    code, _, err = await _command(stage, DATABASE_URL="somewhere")
    assert (code, "DATABASE_URL" in err) == (2, True)
    code, _, err = await _command(stage, SECRETS_DIR="/nonexistent")
    assert (code, "auditor_db_password" in err) == (2, True)


async def test_more_differences_than_anyone_reads_end_the_comparison(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.audit.comparison.MOST_FINDINGS", 5)
    report = await _tamper(stage, f"UPDATE events SET data = '{{}}' WHERE shard = {SHARD}")
    assert "stopped here" in {one.what for one in report.findings}


async def test_a_key_that_is_not_the_dossier_is_named(stage: Stage) -> None:
    await stage.store(event(1))
    await stage.publish(replace(event(1), dossier=NAMES))
    await stage.audited(1)
    assert _found(await stage.verified()) == [(SHARD, 1, 1, "altered key", "key")]
