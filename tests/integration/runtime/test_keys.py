"""The keys that a service holds must open under the key-encryption key that it is given."""

import asyncio
import os
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer

from deploy.local.ground import Ground
from shared.errors import Misconfigured
from shared.runtime.kafka.clients import Broker
from shared.runtime.keys.keyring import KeyRing
from shared.runtime.keys.sealing import Kek, new_data_key
from shared.runtime.keys.sent import note_keys, send_key, unpublished_keys
from shared.topics import KEYS
from tests.ground import empty_topics, frozen
from tests.integration.runtime.stage import Stage
from tests.integration.runtime.toy import NAME
from tests.integration.runtime.wire import read_topic, soon


async def test_a_service_with_another_key_encryption_key_does_not_start(stage: Stage) -> None:
    right, wrong = Kek(os.urandom(32)), Kek(os.urandom(32))
    key = right.wrap(uuid4(), new_data_key())
    await KeyRing(stage.pool, wrong).check()
    await stage.pool.execute(
        "INSERT INTO data_keys (dossier_id, kek_id, wrapped) VALUES ($1, $2, $3)",
        key.dossier_id,
        key.kek_id,
        key.wrapped,
    )
    await KeyRing(stage.pool, right).check()
    with pytest.raises(Misconfigured):
        await KeyRing(stage.pool, wrong).check()


async def test_a_key_that_is_destroyed_while_it_is_on_its_way_is_told_as_destroyed_after_it(
    ground: Ground, stage: Stage
) -> None:
    await empty_topics(ground)
    key = Kek(os.urandom(32)).wrap(uuid4(), new_data_key())
    await stage.keep([key])
    async with Broker(ground.bootstrap_servers).producer(NAME) as producer:
        await producer.partitions_for(KEYS.name)
        with frozen(ground.kafka):
            publishing = asyncio.create_task(_publish_keys(stage, producer))
            await soon(lambda: _is_on_its_way(producer), "the key to be on its way")
            await stage.pool.execute("UPDATE data_keys SET wrapped = NULL, destroyed_at = now(), published = false")
        assert await publishing == 1
        assert await _publish_keys(stage, producer) == 1
        assert not await _publish_keys(stage, producer)
    lying = [
        one.value for records in (await read_topic(ground.bootstrap_servers, KEYS.name)).values() for one in records
    ]
    assert [value is None for value in lying] == [False, True]


async def _publish_keys(stage: Stage, producer: AIOKafkaProducer) -> int:
    rows = await unpublished_keys(stage.pool, 10)
    await note_keys(stage.pool, rows, await asyncio.gather(*[await send_key(producer, row) for row in rows]))
    return len(rows)


async def _is_on_its_way(producer: AIOKafkaProducer) -> bool:
    return bool(producer._message_accumulator._batches or producer._sender._in_flight)
