"""HTTP by hand: requests that no well-behaved client library would send, and answers as they came."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

CHUNK = 16 * 1024
PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class Request:
    """One request. `body` goes out as it is; `chunked` without a Content-Length; `path` and `headers` unchecked."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    chunked: bool = False

    def pieces(self) -> Iterator[bytes]:
        """What goes over the wire."""
        size = "transfer-encoding: chunked" if self.chunked else f"content-length: {len(self.body)}"
        lines = [f"{self.method} {self.path} HTTP/1.1", "host: desk", size]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        yield ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        for start in range(0, len(self.body), CHUNK):
            piece = self.body[start : start + CHUNK]
            yield b"%x\r\n%s\r\n" % (len(piece), piece) if self.chunked else piece
        if self.chunked:
            yield b"0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: header names in small letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def content(self) -> Any:
        """The body as JSON. Raises ValueError if it is none."""
        return json.loads(self.body)


async def send(port: int, request: Request) -> Answer:
    """The answer of the server at `port` of 127.0.0.1. Raises TimeoutError, and ValueError for what is not HTTP."""
    async with asyncio.timeout(PATIENCE_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        sending = asyncio.create_task(_send(writer, request))
        try:
            return await _answer(reader, request.method)
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            writer.close()


@contextlib.asynccontextmanager
async def half_sent(port: int, request: Request) -> AsyncIterator[None]:
    """Head and half of the body are sent; after the block the client goes away without having heard an answer."""
    head, *_ = request.pieces()
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(head + request.body[: len(request.body) // 2])
        await writer.drain()
        yield
    finally:
        writer.close()


async def _send(writer: asyncio.StreamWriter, request: Request) -> None:
    # A server that has heard enough answers and hangs up before it has read everything.
    with contextlib.suppress(ConnectionError):
        for piece in request.pieces():
            writer.write(piece)
            await writer.drain()


async def _answer(reader: asyncio.StreamReader, method: str) -> Answer:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.rstrip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = b"" if method == "HEAD" else await reader.readexactly(int(headers.get("content-length", "0")))
    return Answer(int(first.split()[1]), headers, body)
