"""`verify` against whoever writes to the keys topic beside intake: what a hearer has made of it is named."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import orjson
import pytest
from aiokafka.structs import TopicPartition

from deploy.kafka.topics import delete_topics, ensure_topics
from deploy.waiting import until
from shared.runtime.kafka.clients import Broker
from shared.runtime.kernel.message import WrappedKey
from shared.runtime.kernel.sharding import shard_of
from shared.runtime.keys.heard import KeyListener
from shared.runtime.keys.judged import Judge
from shared.runtime.keys.sealing import Kek, Keks, new_data_key
from shared.runtime.keys.sent import note_keys, send_key
from shared.runtime.observe.metrics import Metrics
from shared.topics import KEYS
from tests.integration.audit.stage import Stage
from tests.integration.runtime.wire import running

pytestmark = pytest.mark.integration

HEARER = "payment"
KEK, NEWER = Kek(bytes(32)), Kek(bytes([1]) * 32, "kek-2")
ONE, OTHER, UNKNOWN = (uuid4() for _ in range(3))


@pytest.fixture
async def keys(stage: Stage) -> AsyncIterator["Keys"]:
    """No keys, on the topic neither; none are left behind."""
    keys = Keys(stage)
    await delete_topics(stage.bootstrap, [KEYS])
    await ensure_topics(stage.bootstrap)
    await keys.forget()
    yield keys
    await keys.forget()


class Keys:
    """Hands on the keys of intake and of one hearer."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.judge = Judge(Keks([KEK, NEWER]), Metrics(HEARER))

    def refused(self, reason: str) -> float:
        """How many keys the hearer has not kept for this reason."""
        return self.judge.metrics.registry.get_sample_value("dossier_keys_refused_total", {"reason": reason}) or 0.0

    async def forget(self) -> None:
        """Nobody has a key."""
        for service in (KEYS.writer, *KEYS.readers):
            async with self.stage.administrator(service) as conn:
                await conn.execute("TRUNCATE data_keys; DELETE FROM heard WHERE source = 'keys'")

    async def make(self, *dossiers: UUID) -> None:
        """Intake makes these keys."""
        rows = [KEK.wrap(dossier, new_data_key()) for dossier in dossiers]
        async with self.stage.administrator(KEYS.writer) as conn:
            await conn.executemany(
                "INSERT INTO data_keys (dossier_id, kek_id, wrapped, published) VALUES ($1, $2, $3, false)",
                [(row.dossier_id, row.kek_id, row.wrapped) for row in rows],
            )

    async def publish(self) -> None:
        """Intake's relay publishes what is yet to be published."""
        async with (
            self.stage.administrator(KEYS.writer) as conn,
            Broker(self.stage.bootstrap).producer("test") as producer,
        ):
            rows = await conn.fetch("SELECT dossier_id, kek_id, wrapped FROM data_keys WHERE NOT published")
            sent = [await (await send_key(producer, row)) for row in rows]
            await note_keys(conn, rows, sent)

    async def put(self, dossier: UUID, value: bytes | None) -> None:
        """Somebody writes to the topic."""
        await self.stage.producer.send_and_wait(KEYS.name, value, str(dossier).encode(), shard_of(dossier))

    async def heard(self) -> None:
        """The hearer hears to the topic's end."""
        async with Broker(self.stage.bootstrap).reader("test") as reader:
            tps = [TopicPartition(KEYS.name, n) for n in range(KEYS.partitions)]
            reader.assign(tps)
            ends = await reader.end_offsets(tps)

        async def level() -> bool:
            rows = await pool.fetch("SELECT shard, next_offset FROM heard WHERE source = 'keys'")
            at = {row["shard"]: row["next_offset"] for row in rows}
            return all(at.get(tp.partition, 0) >= end for tp, end in ends.items())

        async with (
            asyncpg.create_pool(self.stage.databases.url(HEARER), min_size=1, max_size=2) as pool,
            running(KeyListener(HEARER, pool, Broker(self.stage.bootstrap), self.judge).run()),
        ):
            await until(level, seconds=90, what="all keys to be heard")

    async def found(self) -> list[tuple[str, str]]:
        """What `verify` says, and of which dossier."""
        report = await self.stage.verified()
        assert {one.writer for one in report.findings} <= {"keys"}
        assert all(f"as {HEARER} holds it" in one.detail for one in report.findings)
        return [(one.what, one.detail.split()[1].rstrip(",")) for one in report.findings]


def wrapped(dossier: UUID) -> bytes:
    """A key that somebody has made, as it travels."""
    key = KEK.wrap(dossier, new_data_key())
    return orjson.dumps({"kek_id": key.kek_id, "wrapped": key.wrapped.hex()})


def of_another() -> bytes:
    """The key of another dossier, which does not unwrap for this one."""
    return wrapped(UNKNOWN)


KEPT_OUT: dict[str, tuple[UUID, Any, str]] = {
    "another's key": (ONE, of_another, "unopened"),
    "a key of somebody's own": (ONE, lambda: wrapped(ONE), "replaced"),
    "no key at all": (ONE, lambda: b'{"kek_id":"none","wrapped":"00"}', "kek-missing"),
    "too short to be one": (ONE, lambda: b'{"kek_id":"kek-1","wrapped":"00"}', "unopened"),
    "nothing": (ONE, lambda: b'{"kek_id":"kek-1","wrapped":""}', "unopened"),
    "what does not open, for nobody": (UNKNOWN, lambda: wrapped(ONE), "unopened"),
}


@pytest.mark.parametrize(("dossier", "value", "reason"), KEPT_OUT.values(), ids=KEPT_OUT.keys())
async def test_what_cannot_be_a_dossiers_key_takes_no_place_and_is_counted_once(
    keys: Keys, dossier: UUID, value: Any, reason: str
) -> None:
    await keys.make(ONE, OTHER)
    await keys.publish()
    await keys.heard()
    forged = value()
    for _ in range(2):
        await keys.put(dossier, forged)
        await keys.heard()
        assert (await keys.found(), keys.refused(reason)) == ([], 1)


async def test_a_key_that_was_altered_in_a_hearers_store_is_named(keys: Keys) -> None:
    await keys.make(ONE, OTHER)
    await keys.publish()
    await keys.heard()
    async with keys.stage.administrator(HEARER) as conn:
        altered = KEK.wrap(ONE, new_data_key()).wrapped
        await conn.execute("UPDATE data_keys SET wrapped = $2 WHERE dossier_id = $1", ONE, altered)
    assert await keys.found() == [("data key replaced", str(ONE))]


TAMPERED: dict[str, tuple[UUID, Any, str]] = {
    "a tombstone": (ONE, lambda: None, "data key destroyed, not by its writer"),
    "a key of nobody": (UNKNOWN, lambda: wrapped(UNKNOWN), "data key added: its writer does not know it"),
    "a tombstone of nobody": (UNKNOWN, lambda: None, "data key added: its writer does not know it"),
}


@pytest.mark.parametrize(("dossier", "value", "what"), TAMPERED.values(), ids=TAMPERED.keys())
async def test_what_a_hearer_cannot_tell_from_a_true_record_is_named(
    keys: Keys, dossier: UUID, value: Any, what: str
) -> None:
    await keys.make(ONE, OTHER)
    await keys.publish()
    await keys.heard()
    assert await keys.found() == []
    await keys.put(dossier, value())
    await keys.heard()
    assert await keys.found() == [(what, str(dossier))]


async def test_keys_that_are_yet_to_be_published_or_heard_are_no_finding(keys: Keys) -> None:
    await keys.make(ONE)
    assert await keys.found() == []
    await keys.publish()
    assert await keys.found() == []
    await keys.heard()
    await keys.make(OTHER)
    async with keys.stage.administrator(KEYS.writer) as conn:
        row = await conn.fetchrow("SELECT kek_id, wrapped FROM data_keys WHERE dossier_id = $1", ONE)
        anew = "UPDATE data_keys SET kek_id = $2, wrapped = $3, published = false WHERE dossier_id = $1"
        await conn.execute(anew, ONE, NEWER.name, NEWER.wrap(ONE, KEK.unwrap(WrappedKey(ONE, *row))).wrapped)
    assert await keys.found() == [], "a rewrapping is on its way"
    await keys.publish()
    assert await keys.found() == []
    await keys.heard()
    assert await keys.found() == []


async def test_a_key_that_intake_has_destroyed_is_destroyed(keys: Keys) -> None:
    await keys.make(ONE)
    await keys.publish()
    await keys.heard()
    async with keys.stage.administrator(KEYS.writer) as conn:
        await conn.execute(
            "UPDATE data_keys SET kek_id = NULL, wrapped = NULL, destroyed_at = now(), published = false"
        )
    await keys.publish()
    assert await keys.found() == []
    await keys.heard()
    assert await keys.found() == []
