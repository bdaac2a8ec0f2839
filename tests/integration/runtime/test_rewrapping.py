"""All data keys under a new key-encryption key, on real servers: whole, after any interruption, for every reader."""

import os
from functools import partial
from uuid import UUID, uuid4

import pytest

from deploy.local.ground import Ground
from shared.errors import KekNotHere, KeyDestroyed, Misconfigured
from shared.runtime.kafka.clients import Broker
from shared.runtime.keys.heard import KeyListener
from shared.runtime.keys.judged import Judge
from shared.runtime.keys.keyring import KeyRing
from shared.runtime.keys.rewrapping import _wrap_anew, rewrap, status
from shared.runtime.keys.sealing import Kek, Keks, new_data_key
from shared.runtime.observe.metrics import Metrics
from shared.runtime.publishing.relay import Relay
from shared.topics import KEYS
from tests.ground import empty_topics
from tests.integration.runtime.stage import Stage
from tests.integration.runtime.toy import NAME
from tests.integration.runtime.wire import read_topic, running, soon

OLD, NEW = Kek(os.urandom(32), "kek-1"), Kek(os.urandom(32), "kek-2")
BOTH = Keks([OLD, NEW])
COUNT = 20


@pytest.fixture(autouse=True)
async def _topics_without_a_past(ground: Ground) -> None:
    await empty_topics(ground)


async def stored(stage: Stage, count: int = COUNT) -> dict[UUID, bytes]:
    """Data keys of so many dossiers, under the old one."""
    keys = {uuid4(): new_data_key() for _ in range(count)}
    await stage.keep([OLD.wrap(dossier, key) for dossier, key in keys.items()])
    return keys


def relay(ground: Ground, stage: Stage) -> Relay:
    """The relay of the keys' one writer."""
    return Relay(NAME, stage.pool, Broker(ground.bootstrap_servers), Metrics(NAME), owns_keys=True)


def hearing(ground: Ground, stage: Stage, keks: Keks) -> KeyListener:
    """A hearer that was given these."""
    return KeyListener(NAME, stage.pool, Broker(ground.bootstrap_servers), Judge(keks, Metrics(NAME)))


async def all_published(stage: Stage) -> None:
    async def none_left() -> bool:
        return await stage.count("data_keys", "NOT published") == 0

    await soon(none_left, "every key to be published")


async def opened(stage: Stage, kek: Keks, keys: dict[UUID, bytes]) -> bool:
    """Whether each of these is what the service holds, opened with these key-encryption keys."""
    ring = KeyRing(stage.pool, kek)
    return {dossier: await ring.data_key(dossier) for dossier in keys} == keys


def silent(done: int, total: int) -> None:
    """Nobody looks."""


async def test_every_key_lies_under_the_newest_and_opens_without_the_old_one(ground: Ground, stage: Stage) -> None:
    keys = await stored(stage)
    before = await status(stage.pool, BOTH)
    assert before == {"wraps": "kek-2", "keys": {"kek-1": COUNT}, "unpublished": COUNT, "remaining": COUNT}
    told: list[tuple[int, int]] = []
    async with running(relay(ground, stage).run()):
        after = await rewrap(stage.pool, BOTH, lambda done, total: told.append((done, total)), batch=6)
    assert after == {
        "rewrapped": COUNT, "wraps": "kek-2", "keys": {"kek-2": COUNT}, "unpublished": 0, "remaining": 0
    }  # fmt: skip
    assert told == [(0, 20), (6, 20), (12, 20), (18, 20), (20, 20)]
    assert await opened(stage, Keks([NEW]), keys)
    assert await stage.count("operator_acts", "act = 'keys rewrap'") == 1


async def test_one_that_is_killed_after_any_batch_is_gone_on_with(ground: Ground, stage: Stage) -> None:
    keys = await stored(stage)

    class Killed(BaseException):
        pass

    def dies(done: int, total: int) -> None:
        if done:
            raise Killed

    remaining = COUNT
    async with running(relay(ground, stage).run()):
        while remaining:
            with pytest.raises(Killed):
                await rewrap(stage.pool, BOTH, dies, batch=6)
            left = (await status(stage.pool, BOTH))["remaining"]
            assert left == max(0, remaining - 6), "a batch is whole or was not"
            remaining = left
        assert (await rewrap(stage.pool, BOTH, silent))["rewrapped"] == 0
    assert await opened(stage, Keks([NEW]), keys)


async def test_a_key_that_was_destroyed_stays_destroyed(ground: Ground, stage: Stage) -> None:
    gone, *others = await stored(stage, 3)
    await stage.pool.execute(
        "UPDATE data_keys SET wrapped = NULL, destroyed_at = now(), published = false WHERE dossier_id = $1", gone
    )
    async with running(relay(ground, stage).run()):
        assert (await rewrap(stage.pool, BOTH, silent))["rewrapped"] == len(others)
    with pytest.raises(KeyDestroyed):
        await KeyRing(stage.pool, BOTH).data_key(gone)


async def test_a_key_destroyed_between_its_reading_and_its_wrapping_is_not_brought_back(stage: Stage) -> None:
    (dossier,) = await stored(stage, 1)
    rows = await stage.pool.fetch("SELECT dossier_id, kek_id, wrapped FROM data_keys")
    await stage.pool.execute(
        "UPDATE data_keys SET wrapped = NULL, destroyed_at = now(), published = true WHERE dossier_id = $1", dossier
    )
    async with stage.pool.acquire() as conn:
        assert await _wrap_anew(conn, BOTH, rows) == 0
    with pytest.raises(KeyDestroyed):
        await KeyRing(stage.pool, BOTH).data_key(dossier)


async def test_a_reader_that_has_only_the_new_one_reads_the_topic_from_its_beginning(
    ground: Ground, stage: Stage
) -> None:
    keys = await stored(stage)
    async with running(relay(ground, stage).run()):
        await all_published(stage)
        await rewrap(stage.pool, BOTH, silent)
    records = await read_topic(ground.bootstrap_servers, KEYS.name)
    assert sum(len(some) for some in records.values()) == 2 * COUNT, "nothing is compacted yet"
    await stage.empty()
    new = Keks([NEW])

    async def all_open() -> bool:
        try:
            return await stage.count("data_keys") == COUNT and await opened(stage, new, keys)
        except KekNotHere:
            return False

    async with running(hearing(ground, stage, new).run()):
        await soon(all_open, "every key to be heard")


async def test_who_wraps_does_not_start_without_one_that_is_needed_and_who_hears_waits_for_the_topic(
    stage: Stage,
) -> None:
    await stored(stage, 1)
    with pytest.raises(Misconfigured, match="kek-1"):
        await KeyRing(stage.pool, Keks([NEW])).check()
    await KeyRing(stage.pool, Keks([NEW])).check(hears=True)
    await KeyRing(stage.pool, BOTH).check()
    other = Keks([Kek(os.urandom(32), "kek-1"), NEW])
    for hears in (False, True):
        with pytest.raises(Misconfigured, match="kek-1"):
            await KeyRing(stage.pool, other).check(hears)


async def heard_by(ground: Ground, stage: Stage, keks: Keks, name: str, count: int = COUNT) -> KeyListener:
    """Listen with these until so many keys lie under the one of that name."""
    listener = hearing(ground, stage, keks)

    async def so_many() -> bool:
        return await stage.count("data_keys", f"kek_id = '{name}'") == count

    async with running(listener.run()):
        await soon(so_many, f"{count} keys under {name}")
    return listener


async def test_who_is_given_the_new_one_too_late_goes_on_with_the_keys_that_it_has_and_then_takes_the_new(
    ground: Ground, stage: Stage
) -> None:
    keys = await stored(stage)
    async with running(relay(ground, stage).run()):
        await all_published(stage)
        await rewrap(stage.pool, BOTH, silent)
    await stage.empty()
    early = hearing(ground, stage, Keks([OLD]))
    counted = partial(early.judge.metrics.registry.get_sample_value, "dossier_keys_refused_total")

    async def all_seen() -> bool:
        return counted({"reason": "kek-missing"}) == await stage.count("data_keys") == COUNT

    async with running(early.run()):
        await soon(all_seen, "every key under the new one to be heard")
    assert await opened(stage, Keks([OLD]), keys)
    await heard_by(ground, stage, BOTH, "kek-2")
    assert await opened(stage, Keks([NEW]), keys)
