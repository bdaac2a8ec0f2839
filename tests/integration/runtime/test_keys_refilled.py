"""Whoever hears keys misses none when their topic lost its tail and was filled again while nobody listened."""

from uuid import UUID

import orjson
import pytest

from deploy.local.ground import Ground
from shared.runtime.kafka.clients import Broker
from shared.runtime.kernel.message import Record
from shared.runtime.keys.heard import KeyListener
from shared.runtime.keys.judged import Judge
from shared.runtime.keys.sealing import Kek, Keks, new_data_key
from shared.runtime.observe.metrics import Metrics
from shared.topics import KEYS
from tests.ground import empty_topics
from tests.integration.runtime.log import AT
from tests.integration.runtime.stage import Stage
from tests.integration.runtime.test_lost_tail import lose
from tests.integration.runtime.toy import NAME, name
from tests.integration.runtime.wire import put, running, soon

KEK = Kek(bytes(32))


@pytest.fixture(autouse=True)
async def _topics_without_a_past(ground: Ground) -> None:
    await empty_topics(ground)


async def publish(ground: Ground, *numbers: int) -> None:
    """The keys of these dossiers, on one partition in this order."""
    for number in numbers:
        key = KEK.wrap(name("dossier", number), new_data_key())
        value = orjson.dumps({"kek_id": key.kek_id, "wrapped": key.wrapped.hex()})
        await put(ground.bootstrap_servers, Record(KEYS.name, 0, 0, AT, str(key.dossier_id).encode(), (), value))


async def hear(ground: Ground, stage: Stage, *numbers: int) -> None:
    """Listen until the keys of these dossiers are here."""
    wanted = {name("dossier", number) for number in numbers}

    async def have_come() -> bool:
        found: set[UUID] = {row["dossier_id"] for row in await stage.admin.fetch("SELECT dossier_id FROM data_keys")}
        return wanted <= found

    judge = Judge(Keks([KEK]), Metrics(NAME))
    listener = KeyListener(NAME, stage.pool, Broker(ground.bootstrap_servers), judge)
    async with running(listener.run()):
        await soon(have_come, f"the keys {numbers} to come")


async def test_keys_that_lie_where_others_were_heard_are_heard(ground: Ground, stage: Stage) -> None:
    await publish(ground, 1, 2, 3)
    await hear(ground, stage, 1, 2, 3)
    await lose(ground, KEYS.name)
    await publish(ground, 4, 5, 1, 2, 3, 6)
    await hear(ground, stage, 4, 5, 6)


async def test_a_topic_that_is_shorter_than_what_was_heard_is_heard_anew(ground: Ground, stage: Stage) -> None:
    await publish(ground, 1, 2, 3)
    await hear(ground, stage, 1, 2, 3)
    await lose(ground, KEYS.name)
    await publish(ground, 4)
    await hear(ground, stage, 4)


async def test_reading_on_behind_the_last_key_forgets_nothing(ground: Ground, stage: Stage) -> None:
    await publish(ground, 1, 2)
    await hear(ground, stage, 1, 2)
    await stage.admin.execute("DELETE FROM data_keys")
    await publish(ground, 3)
    await hear(ground, stage, 2, 3)
    assert await stage.count("data_keys") == 2, "the topic was read from its beginning without need"
