"""Audit's consumer under restarts, kills and rivals: every record once, whatever Kafka's own offsets say."""

import asyncio
import json
import signal
from typing import Any

import asyncpg
import pytest
from aiokafka.structs import TopicPartition

from deploy.local.ground import Ground
from deploy.waiting import until
from services.audit import trail as trail_module
from services.audit.trail import Seating
from shared.errors import Fenced
from shared.runtime.kafka.clients import Broker
from shared.runtime.kernel.hearing import Heard
from shared.runtime.store.sql import heard
from shared.topics import heard_by, topic_of
from tests.integration.audit.stage import INSTANCE, SHARD, TOPIC, WRITER, Stage, chain, event

pytestmark = pytest.mark.integration

PARTITION = TopicPartition(TOPIC, SHARD)


@pytest.mark.usefixtures("own_topic_empty")
async def test_a_kill_between_the_commit_and_kafkas_commit_doubles_nothing(stage: Stage) -> None:
    await stage.publish(*chain(50))
    async with stage.process(DOSSIER_CRASH_POINT="before-acknowledge") as killed:
        assert await asyncio.wait_for(killed.wait(), 90) == -signal.SIGKILL
    assert "crash-point" in (stage.folder / "audit.log").read_text()
    stored = await stage.count("records")
    assert 0 < stored <= 50

    async with stage.process():
        await stage.until_stored(50)
        await stage.publish(event(51))
        await stage.until_stored(51)

    assert (await stage.count("records"), await stage.count("trail")) == (51, 51)
    assert await stage.discrepancies() == []


@pytest.mark.usefixtures("own_topic_empty")
async def test_a_kill_before_the_commit_loses_nothing(stage: Stage) -> None:
    await stage.publish(*chain(20))
    async with stage.process(DOSSIER_CRASH_POINT="before-commit") as killed:
        assert await asyncio.wait_for(killed.wait(), 90) == -signal.SIGKILL
    assert await stage.count("records") == 0

    await stage.audited(20)

    assert (await stage.count("records"), await stage.count("trail")) == (20, 20)


@pytest.mark.usefixtures("own_topic_empty")
async def test_a_discrepancy_is_said_once_on_audits_own_topic_which_audit_hears_too(stage: Stage) -> None:
    await stage.publish(event(1), event(3))

    async def said_and_heard() -> bool:
        return bool(await stage.pool.fetchval("SELECT count(*) FROM trail WHERE source = 'audit'"))

    async with stage.process():
        await until(said_and_heard, seconds=90, what="audit to hear what it said")
        await stage.publish(event(4))
        await stage.until_stored(4)

    (row,) = await stage.pool.fetch("SELECT type, data FROM events")
    body = json.loads(row["data"])
    assert row["type"] == "vn.gov.dossier.discrepancy-found.v1"
    assert (body["kind"], body["topic"], body["sequence"], body["expected"]) == ("gap", TOPIC, 3, 2)
    assert (await stage.count("records"), await stage.count("tasks")) == (4, 0)
    report = await stage.verified()
    assert [line.seen for line in report.lines if line.writer == "audit" and line.seen] == [1]


async def _batch(stage: Stage, start: int) -> list[Any]:
    async with Broker(stage.bootstrap).reader("test") as reader:
        reader.assign([PARTITION])
        reader.seek(PARTITION, start)
        got = await reader.getmany(PARTITION, timeout_ms=60_000)
        return list(got[PARTITION])


async def test_a_rival_that_stored_first_fences_the_second_consumer(stage: Stage) -> None:
    await stage.publish(*chain(10))
    start = (await heard(stage.pool))[WRITER, SHARD].next_offset
    batch = await _batch(stage, start)
    rivals = [(stage.trail(), {PARTITION: Heard(next_offset=start)}) for _ in range(2)]

    (first, seats), (zombie, stale_seats) = rivals
    await first.store(batch, seats)
    with pytest.raises(Fenced):
        await zombie.store(batch, stale_seats)

    assert seats[PARTITION] == Heard(10, event(10).id, start + 10)
    assert stale_seats[PARTITION] == Heard(next_offset=start)
    assert (await stage.count("records"), await stage.count("trail")) == (10, 10)


async def test_a_batch_that_is_stored_again_from_its_beginning_changes_nothing(stage: Stage) -> None:
    await stage.publish(event(1), event(2), event(2), event(4), event(4).saying(b"{}"))
    start = (await heard(stage.pool))[WRITER, SHARD].next_offset
    batch = await _batch(stage, start)
    trail, seats = stage.trail(), {PARTITION: Heard(next_offset=start)}

    await trail.store(batch, seats)
    once = (await stage.count("records"), await stage.count("trail"), await stage.discrepancies())
    await trail.store(batch, seats)

    assert once == (5, 3, [("gap", 4, 3), ("second-content", 4, None)])
    assert (await stage.count("records"), await stage.count("trail"), await stage.discrepancies()) == once
    assert await stage.count("tasks") == 2


async def test_a_replica_without_a_partition_tells_kafka_nothing(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rebalance takes all seats between two acknowledgements."""
    monkeypatch.setattr(trail_module, "ACKNOWLEDGE_EVERY_S", 0.0)
    await stage.publish(*chain(3))
    trail = stage.trail()
    async with Broker(stage.bootstrap).reader("audit", group_id="audit") as consumer:
        consumer.subscribe([TOPIC], listener=Seating(trail, consumer))
        while await stage.count("records") < 3:
            await trail.round(consumer)
        trail.seats.clear()
        await trail.round(consumer)
        told = await consumer.committed(PARTITION)
    assert told == (await heard(stage.pool))[WRITER, SHARD].next_offset


async def test_a_seat_that_is_anothers_by_now_is_neither_measured_nor_kept(stage: Stage) -> None:
    """Who is fenced in the middle of a rebalance seats itself anew by the old assignment."""
    elsewhere = TopicPartition(topic_of("payment"), 0)
    trail = stage.trail()
    async with Broker(stage.bootstrap).reader("audit", group_id="audit") as consumer:
        seating = Seating(trail, consumer)
        consumer.subscribe([TOPIC], listener=seating)
        while PARTITION not in trail.seats:
            await trail.round(consumer)
        trail.seats[elsewhere] = Heard()
        await trail.round(consumer)
        await seating.on_partitions_assigned(consumer.assignment())
    assert PARTITION in trail.seats
    assert elsewhere not in trail.seats


async def test_two_replicas_at_once_store_every_record_once(stage: Stage) -> None:
    async with stage.listening():
        await stage.publish(*[one for shard in range(12) for one in chain(20, shard)])
        async with stage.listening(instance=None):
            await stage.publish(*[event(sequence, shard) for sequence in range(21, 41) for shard in range(12)])
            await stage.until_stored(480)
        await stage.publish(*[event(41, shard) for shard in range(12)])
        await stage.until_stored(492)

    assert (await stage.count("records"), await stage.count("trail")) == (492, 492)
    assert await stage.discrepancies() == []


async def test_reading_begins_where_the_database_says_and_not_where_kafka_says(stage: Stage) -> None:
    start = (await heard(stage.pool))[WRITER, SHARD].next_offset
    await stage.publish(*chain(8))
    async with Broker(stage.bootstrap).reader("test", group_id="audit", group_instance_id=INSTANCE) as liar:
        liar.subscribe([topic.name for topic in heard_by("audit")])
        await until(lambda: _has(liar), seconds=90, what="an assignment")
        await liar.commit({PARTITION: start + 5})

    await stage.audited(8)

    assert await stage.count("trail") == 8
    assert await stage.discrepancies() == []


async def _has(consumer: Any) -> bool:
    return PARTITION in consumer.assignment()


async def test_a_restarted_database_is_waited_for(stage: Stage, ground: Ground) -> None:
    async with stage.listening():
        await stage.publish(*chain(5))
        await stage.until_stored(5)
        assert ground.postgres is not None
        await ground.postgres.stop()
        await stage.publish(*[event(sequence) for sequence in range(6, 11)])
        await ground.postgres.start()
        await _insist_stored(stage, 10)

    assert (await stage.count("records"), await stage.count("trail")) == (10, 10)


async def _insist_stored(stage: Stage, records: int) -> None:
    async def stored() -> bool:
        try:
            return await stage.count("records") >= records
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return False

    await until(stored, seconds=90, what=f"{records} records")


@pytest.mark.parametrize("table", ["records", "trail", "discrepancies", "events"])
@pytest.mark.parametrize("act", ["UPDATE {} SET {} = NULL", "DELETE FROM {}", "TRUNCATE {}"])
async def test_the_services_role_cannot_change_what_it_stored(stage: Stage, table: str, act: str) -> None:
    column = {"events": "type", "discrepancies": "kind"}.get(table, "digest")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await stage.pool.execute(act.format(table, column))


async def test_audit_never_reads_the_topic_of_keys(stage: Stage) -> None:
    await stage.producer.send_and_wait("gov.dossier.keys.v1", b"{}", b"k", SHARD)
    await stage.publish(event(1))
    await stage.producer.send_and_wait(topic_of("audit"), b"{}", b"k", SHARD)

    await stage.audited(2)

    topics = {row[0] for row in await stage.pool.fetch("SELECT DISTINCT topic FROM records")}
    assert topics == {TOPIC, topic_of("audit")}
