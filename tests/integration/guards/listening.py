"""The toy, hearing, as a process: python -m tests.integration.guards.listening KAFKA GROUP FOLDER [WORD].

With a WORD its engine has a bug: it raises for a record that holds that word. DATABASE_URL comes from the environment:
it has a password, and arguments are for all to read.
"""

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import asyncpg

from shared.runtime.engine.engine import Engine
from shared.runtime.engine.listener import Listener
from shared.runtime.kafka.clients import Broker
from shared.runtime.kafka.consumer import KafkaConsumer
from shared.runtime.kernel.message import Handled, Item
from shared.runtime.observe.metrics import Metrics
from tests.integration.runtime.log import TOPIC
from tests.integration.runtime.stage import Stage
from tests.integration.runtime.toy import NAME


class Buggy(Engine):
    """An engine that raises where nothing foresees it."""

    word = b""

    async def handle(self, items: Sequence[Item]) -> list[Handled]:
        if any(self.word in (item.record.value or b"") for item in items if item.record is not None):
            raise ZeroDivisionError("a bug in the engine")
        return await super().handle(items)


async def _listen(bootstrap: str, group: str, folder: str, word: str = "") -> None:
    async with asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=1, max_size=4) as pool:
        engine = Stage(pool, None).engine()
        if word:
            engine.__class__, Buggy.word = Buggy, word.encode()
        listener = Listener(NAME, pool, engine, Broker(bootstrap), Metrics(NAME))
        await listener.prepare()
        consumer = KafkaConsumer(
            group, Broker(bootstrap), [TOPIC], listener.handle, listener.next_offsets, Path(folder), instance="only"
        )
        await consumer.start()
        while consumer.alive:
            await asyncio.sleep(0.1)


if __name__ == "__main__":
    asyncio.run(_listen(*sys.argv[1:]))
