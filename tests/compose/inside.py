"""`python -m tests.compose.inside permissions|copies`: what only somebody in the cluster's own network can try.

Runs in the container `init`, which has every principal's password. Prints one line; exit 1 if it is not as it should.
"""

import asyncio
import dataclasses
import sys
from typing import Any

from aiokafka.errors import SaslAuthenticationFailed

from deploy.compose.__main__ import BROKERS
from deploy.kafka.acls import ADMIN
from deploy.kafka.topics import administrator
from deploy.waiting import until
from shared.runtime.kafka.clients import Broker
from shared.runtime.service.settings import KafkaSettings, load
from shared.topics import TOPICS
from tests.secured.asking import PRINCIPALS, client, does, entrance, may

CAUGHT_UP_S = 180.0


async def permissions(settings: KafkaSettings) -> str:
    """Every principal on every topic, and strangers at the door. Raises AssertionError."""
    refused = 0
    for who in PRINCIPALS:
        async with client(settings.broker(who)) as asking:
            found = await does(asking)
        assert found == may(who), f"{who}: {found} instead of {may(who)}"
        refused += sum(not let for topic in found.values() for let in topic.values())
    await _strangers(settings.broker("intake"))
    asked = len(PRINCIPALS) * len(TOPICS) * 2
    return f"{len(PRINCIPALS)} principals on {len(TOPICS)} topics: {refused} of {asked} refused, as they should be"


async def _strangers(known: Broker) -> None:
    assert known.login is not None, "the cluster asks nobody who it is"
    assert await entrance(known) is None
    for wrong in (
        dataclasses.replace(known.login, password="wrong"),  # noqa: S106
        dataclasses.replace(known.login, username="nobody"),
    ):
        assert await entrance(dataclasses.replace(known, login=wrong)) is SaslAuthenticationFailed
    assert await entrance(Broker(known.bootstrap)) is not None, "let in without a name"


async def copies(settings: KafkaSettings) -> str:
    """Return once every partition is on all brokers and level there. Raises TimeoutError."""
    broker = settings.broker(ADMIN)
    async with administrator(broker.bootstrap, login=broker.login) as admin:

        async def level() -> bool:
            described: list[dict[str, Any]] = await admin.describe_topics()
            sizes = [len(one["isr"]) for topic in described for one in topic["partitions"]]
            return bool(sizes) and min(sizes) == len(BROKERS)

        await until(level, seconds=CAUGHT_UP_S, what="every partition to be level on every broker", every=1)
    return f"every partition level on {len(BROKERS)} brokers"


def main() -> None:
    """What the command line names."""
    what = {"permissions": permissions, "copies": copies}[sys.argv[1]]
    sys.stdout.write(asyncio.run(what(load(KafkaSettings))) + "\n")


if __name__ == "__main__":
    main()
