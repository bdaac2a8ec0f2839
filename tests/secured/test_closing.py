"""Whoever has done with the cluster is done: no agreement of the broker's on the end of a connection is waited for."""

import asyncio

import pytest
import uvloop
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.metadata import MetadataRequest

from shared.runtime.kafka.clients import Broker, mend_clients
from tests.secured.asking import client
from tests.secured.play import Play

pytestmark = pytest.mark.asyncio(loop_scope="session")

SHORTER_THAN_THE_END_OF_TLS_S = 15.0
"""An event loop waits for 30 s for the other side to agree."""


async def test_a_client_that_closes_while_answers_are_on_their_way_has_closed_at_once(play: Play) -> None:
    # In the loop that the services run in: another closes otherwise.
    await asyncio.to_thread(uvloop.run, _closes_at_once(play.broker("intake")))


async def _closes_at_once(broker: Broker) -> None:
    mend_clients()
    async with client(broker) as asking:
        node, question = asking.get_random_node(), MetadataRequest([])
        await asking.send(node, question)
        asked = [asyncio.ensure_future(asking.send(node, question)) for _ in range(5)]
        await asyncio.sleep(0)  # they are written, and the end of the connection is right behind them
        async with asyncio.timeout(SHORTER_THAN_THE_END_OF_TLS_S):
            await asking.close()
        refused = await asyncio.gather(*asked, return_exceptions=True)
        assert {type(one) for one in refused} == {KafkaConnectionError}, "answered before the end: this was no test"
