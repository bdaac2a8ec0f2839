"""A door as every process has it, alone: one route, and whoever wants to connect."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from deploy.local.ports import free_port
from shared.runtime.http.door import read_body
from shared.runtime.http.observed import observed
from shared.runtime.http.server import Server, http_server
from shared.runtime.observe.metrics import Metrics
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

    async def connected(
        self, sent: bytes, source: str = "127.0.0.1"
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection, from an address of this machine, over which this was sent."""
        port = self.server.config.port
        reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
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
async def desk(
    body_s: float = NEVER_S, drain_s: int = 1, idle_s: int = int(NEVER_S), **limits: Any
) -> AsyncIterator[Desk]:
    """The server, listening."""

    async def route(request: Request) -> Response:
        open_desk.reading.set()
        body = await read_body(request, body_s)
        return Response(headers={"x-keyless": str(len(body.faults))})

    app = observed([Route("/", route, methods=["POST"])], Metrics("intake"))
    server = http_server(app, "127.0.0.1", free_port(), drain_s, idle_s, **limits)
    open_desk = Desk(server, asyncio.create_task(server.serve()))

    async def listens() -> bool:
        return server.started

    try:
        await soon(listens, "the server to listen")
        yield open_desk
    finally:
        server.should_exit = server.force_exit = True
        await open_desk.serving
