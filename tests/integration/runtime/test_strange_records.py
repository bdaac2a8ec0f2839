"""No record that a broker takes from anybody stops one of our readers."""

from uuid import uuid4

import pytest
from aiokafka.structs import TopicPartition

from deploy.local.ground import Ground
from shared.runtime.kafka.clients import Broker
from shared.runtime.kafka.records import read_range
from shared.runtime.keys.heard import SOURCE, KeyListener
from shared.runtime.keys.judged import Judge
from shared.runtime.keys.sealing import Kek, Keks, new_data_key
from shared.runtime.observe.metrics import Metrics
from shared.runtime.recovery.ends import last_sequences
from shared.runtime.store.headers import name_bytes
from shared.topics import KEYS
from tests import raw
from tests.ground import empty_topics
from tests.integration.runtime.log import TOPIC, WRITER, Log
from tests.integration.runtime.stage import Stage
from tests.integration.runtime.toy import dossiers
from tests.integration.runtime.wire import put, running, soon

(ONE,) = dossiers(2, 1)
SHARD = 2
ODD = raw.record(b"key", b"odd", [(b"name\xff", b"1")])


@pytest.fixture(autouse=True)
async def _topics_without_a_past(ground: Ground) -> None:
    await empty_topics(ground)


async def test_records_are_read_again_across_a_name_that_is_not_utf_8(ground: Ground) -> None:
    log = Log()
    await put(ground.bootstrap_servers, log.say(ONE, "first"))
    await raw.send(ground.bootstrap_servers, TOPIC, SHARD, raw.batch(ODD))
    await put(ground.bootstrap_servers, log.say(ONE, "second"))
    got = await read_range(Broker(ground.bootstrap_servers), "test", TopicPartition(TOPIC, SHARD), 0, 3)
    assert [one.offset for one in got] == [0, 1, 2]
    assert [(name_bytes(name), content) for name, content in got[1].headers] == [(b"name\xff", b"1")]


@pytest.mark.parametrize("codec", raw.CODECS)
async def test_a_restored_store_is_compared_with_the_last_event_before_a_strangers_record(
    ground: Ground, codec: str
) -> None:
    await put(ground.bootstrap_servers, Log().say(ONE, "first"))
    await raw.send(ground.bootstrap_servers, TOPIC, SHARD, raw.batch(ODD, codec=codec))
    assert (await last_sequences(Broker(ground.bootstrap_servers), WRITER))[SHARD] == 1


async def test_keys_are_heard_across_what_is_no_key(ground: Ground, stage: Stage) -> None:
    kek = Kek(bytes(32))
    judge, wrapped = Judge(Keks([kek]), Metrics("test")), kek.wrap(uuid4(), new_data_key())
    key, body = str(wrapped.dossier_id).encode(), b'{"kek_id":"kek-1","wrapped":"%s"}' % wrapped.wrapped.hex().encode()
    nul = raw.record(str(uuid4()).encode(), b'{"kek_id":"kek\\u0000","wrapped":"00"}')
    for odd in (ODD, nul, raw.record(key, body)):
        await raw.send(ground.bootstrap_servers, KEYS.name, SHARD, raw.batch(odd))

    async def heard() -> bool:
        return await stage.count("heard", f"source = '{SOURCE}' AND next_offset = 3") == 1

    async with running(KeyListener("test", stage.pool, Broker(ground.bootstrap_servers), judge).run()):
        await soon(heard, "the keys to be heard")
    assert await stage.count("data_keys") == 1
