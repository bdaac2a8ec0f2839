"""Connections that do nothing take no place from those that do something, whoever holds them and however many."""

import asyncio
from contextlib import AsyncExitStack
from ipaddress import ip_network

import pytest

from shared.runtime.http.crowd import Crowd, address_of, networks
from tests.integration.runtime.desk import HALF, HEAD, PATIENCE_S, REST, Desk, desk, rest_of

WHOLE = HEAD + HALF + REST
ATTACKER, OTHER, THIRD = "127.0.0.1", "127.0.0.2", "127.0.0.3"


async def is_served(server: Desk, source: str) -> bool:
    """Whether a request from there is answered at once."""
    reader, writer = await server.connected(WHOLE, source)
    try:
        return (await asyncio.wait_for(reader.readline(), 5)).startswith(b"HTTP/1.1 200 ")
    finally:
        writer.close()


@pytest.mark.parametrize("sent", [b"", HEAD[:30], WHOLE], ids=["nothing", "half a head", "one request each"])
async def test_2000_idle_connections_of_one_address_keep_nobody_out(sent: bytes) -> None:
    async with desk() as server, AsyncExitStack() as held:
        for _ in range(2000):
            _, writer = await server.connected(sent, ATTACKER)
            held.callback(writer.close)
        assert await is_served(server, OTHER)
        assert await is_served(server, THIRD)
        assert await is_served(server, ATTACKER), "and its own next one takes the place of its oldest"


async def test_idle_connections_of_many_addresses_keep_nobody_out() -> None:
    async with desk(places=300) as server, AsyncExitStack() as held:
        for n in range(600):
            _, writer = await server.connected(b"", f"127.0.1.{n % 200 + 1}")
            held.callback(writer.close)
        assert await is_served(server, OTHER)


async def test_who_has_a_request_under_way_is_not_sent_away() -> None:
    async with desk(each=2) as server:
        busy, writer = await server.connected(HEAD + HALF, ATTACKER)
        await asyncio.wait_for(server.reading.wait(), PATIENCE_S)
        idle, _ = await server.connected(b"", ATTACKER)
        _, newest = await server.connected(b"", ATTACKER)
        assert await rest_of(idle) == b"", "the idle one makes room"
        writer.write(REST)
        assert (await asyncio.wait_for(busy.readline(), PATIENCE_S)).startswith(b"HTTP/1.1 200 ")
        writer.close()
        newest.close()


async def test_an_address_whose_connections_all_work_is_told_to_come_again() -> None:
    told: list[int] = []
    async with desk(each=1, refused=told.append) as server:
        _, writer = await server.connected(HEAD + HALF, ATTACKER)
        await asyncio.wait_for(server.reading.wait(), PATIENCE_S)
        refused, _ = await server.connected(b"", ATTACKER)
        assert (await rest_of(refused)).startswith(b"HTTP/1.1 429 ")
        assert await is_served(server, OTHER)
        assert told == [429], "it asks for too much: that must not be counted, and page somebody, as a fault of ours"
        writer.close()


async def test_a_door_whose_places_all_work_is_told_to_be_full() -> None:
    async with desk(places=1) as server:
        _, writer = await server.connected(HEAD + HALF, ATTACKER)
        await asyncio.wait_for(server.reading.wait(), PATIENCE_S)
        refused, _ = await server.connected(b"", OTHER)
        assert (await rest_of(refused)).startswith(b"HTTP/1.1 503 ")
        writer.close()


async def test_a_trusted_proxy_may_have_as_many_as_there_is_room_for() -> None:
    async with desk(each=1, trusted=(ip_network("127.0.0.0/30"),)) as server, AsyncExitStack() as held:
        for _ in range(5):
            reader, writer = await server.connected(HEAD + HALF, ATTACKER)
            held.callback(writer.close)
            writer.write(REST)
            assert (await asyncio.wait_for(reader.readline(), PATIENCE_S)).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        (("127.0.0.1", 1), "127.0.0.1"),
        (("2001:db8:1:2:3:4:5:6", 1, 0, 0), "2001:db8:1:2::/64"),
        (("::ffff:192.0.2.7", 1, 0, 0), "192.0.2.7"),
        (("fe80::1%eth0", 1, 0, 2), "fe80::/64"),
        ("", ""),
        (None, ""),
    ],
)
def test_whose_connections_are_counted_together(peer: object, address: str) -> None:
    assert address_of(peer) == address


def test_a_place_that_is_given_back_can_be_had() -> None:
    crowd = Crowd(1, 1)
    assert crowd.enter(ATTACKER) and not crowd.enter(OTHER)
    crowd.leave(ATTACKER)
    assert crowd.enter(OTHER)


def test_a_proxy_of_ours_has_room_for_many_people_at_an_address_of_ipv6_too() -> None:
    crowd = Crowd(3, 1, networks("fd00::5"))
    proxy, neighbour = (address_of((host, 1, 0, 0), crowd.trusted) for host in ("fd00::5", "fd00::6"))
    assert crowd.enter(proxy) and crowd.enter(proxy)
    assert crowd.enter(neighbour) and not crowd.enter(neighbour)
