"""Who connects and stalls holds up nobody: not the server, whose places are few, and not the end of its process."""

import asyncio

import pytest

from tests.integration.runtime.desk import HALF, HEAD, PATIENCE_S, REST, desk, rest_of
from tests.integration.runtime.wire import soon


async def test_half_a_body_and_then_nothing_is_answered_and_the_connection_ended() -> None:
    async with desk(body_s=0.05) as server:
        answer = await server.answer(HEAD + HALF)
    assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert b"\r\nconnection: close\r\n" in answer
    assert b'"code":"DOS-INT-408"' in answer


async def test_a_body_that_comes_in_two_halves_is_read() -> None:
    async with desk() as server:
        reader, writer = await server.connected(HEAD + HALF)
        await asyncio.wait_for(server.reading.wait(), PATIENCE_S)
        writer.write(REST)
        assert await asyncio.wait_for(reader.readline(), PATIENCE_S) == b"HTTP/1.1 200 OK\r\n"
        writer.close()


async def test_a_client_that_goes_away_in_the_middle_of_a_body_leaves_nothing_behind() -> None:
    async with desk() as server:
        _, writer = await server.connected(HEAD + HALF)
        await asyncio.wait_for(server.reading.wait(), PATIENCE_S)
        writer.close()

        async def nothing_is_left() -> bool:
            return not server.server.server_state.tasks

        await soon(nothing_is_left, "the request to end")


async def test_half_a_body_in_hand_does_not_keep_a_server_that_is_told_to_stop() -> None:
    async with desk() as server:
        _, writer = await server.connected(HEAD + HALF)
        await asyncio.wait_for(server.reading.wait(), PATIENCE_S)
        server.server.should_exit = True
        await asyncio.wait_for(asyncio.shield(server.serving), PATIENCE_S)
        writer.close()


@pytest.mark.parametrize("sent", [b"", HEAD[:30]], ids=["nothing", "half"])
async def test_who_connects_and_says_nothing_whole_loses_the_connection(sent: bytes) -> None:
    async with desk(idle_s=1) as server:
        assert await server.answer(sent) == b""


@pytest.mark.parametrize("more", [b"", HEAD[:30], b"\r\n"], ids=["nothing", "half a head", "an empty line"])
async def test_who_says_nothing_whole_after_an_answer_loses_the_connection(more: bytes) -> None:
    async with desk(idle_s=2) as server:
        reader, writer = await server.connected(HEAD + HALF + REST)
        assert await asyncio.wait_for(reader.readline(), PATIENCE_S) == b"HTTP/1.1 200 OK\r\n"
        writer.write(more)
        assert b"HTTP/1.1" not in await rest_of(reader)
        writer.close()


async def test_a_body_that_drips_after_its_answer_does_not_keep_the_connection() -> None:
    async with desk(idle_s=2) as server:
        reader, writer = await server.connected(HEAD.replace(b"POST", b"PUT") + HALF[:1])
        assert await asyncio.wait_for(reader.readline(), PATIENCE_S) == b"HTTP/1.1 405 Method Not Allowed\r\n"
        writer.write(HALF[1:2])
        await rest_of(reader)
        writer.close()
