"""Who connects and stalls holds up nobody: not the server, whose places are few, and not the end of its process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import Response

from deploy.local.ports import free_port
from shared.runtime.http import read_body
from shared.runtime.metrics import Metrics
from shared.runtime.observed import install
from shared.runtime.server import Server, http_server
from tests.integration.runtime.wire import soon

HEAD = (
    b"POST / HTTP/1.1\r\nhost: desk\r\ncontent-type: application/json\r\n"
    b"idempotency-key: k\r\ncontent-length: 12\r\n\r\n"
)
HALF, REST = b'{"half":', b" 1 }"
NEVER_S = 3600.0
PATIENCE_S = 60.0


@dataclass
class Desk:
    """A server with one route, which waits `body_s` for a body; `reading` is set once a request has come to it."""

    server: Server
    serving: "asyncio.Task[None]"
    reading: asyncio.Event = field(default_factory=asyncio.Event)

    async def connected(self, sent: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection over which this was sent."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.config.port)
        writer.write(sent)
        await writer.drain()
        return reader, writer

    async def answer(self, sent: bytes) -> bytes:
        """Everything that comes until the server hangs up. Raises TimeoutError if it never does."""
        reader, writer = await self.connected(sent)
        try:
            return await rest_of(reader)
        finally:
            writer.close()


async def rest_of(reader: asyncio.StreamReader) -> bytes:
    """What comes until the server hangs up; nothing, if it does so while we still speak. Raises TimeoutError if it
    never does.
    """
    try:
        return await asyncio.wait_for(reader.read(), PATIENCE_S)
    except ConnectionError:
        return b""


@asynccontextmanager
async def desk(body_s: float = NEVER_S, drain_s: int = 1, idle_s: int = int(NEVER_S)) -> AsyncIterator[Desk]:
    """The server, listening."""
    app = FastAPI()
    install(app, Metrics("intake"))
    server = http_server(app, "127.0.0.1", free_port(), drain_s, idle_s)
    desk = Desk(server, asyncio.create_task(server.serve()))

    async def route(request: Request) -> Response:
        desk.reading.set()
        await read_body(request, body_s)
        return Response()

    app.add_api_route("/", route, methods=["POST"], response_class=Response)

    async def listens() -> bool:
        return server.started

    try:
        await soon(listens, "the server to listen")
        yield desk
    finally:
        server.should_exit = server.force_exit = True
        await desk.serving


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
