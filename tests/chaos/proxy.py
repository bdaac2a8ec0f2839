"""A TCP proxy that cuts, slows down, resets or swallows what goes through it, or cuts off the answer to a commit.

One event loop carries all proxies; each has one address that stays, and passes on to the first of its targets that
accepts. What "half-open" means here: a connection that was silenced stays silent for ever, as behind a router that has
forgotten it; new ones pass as soon as the fault has ended.
"""

import asyncio
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

HOST = "127.0.0.1"
Mode = Literal["pass", "cut", "slow", "half-open"]
_HIGH_WATER = 1 << 20
_COMMITTED = b"C\x00\x00\x00\x0bCOMMIT\x00"
_READY = b"Z\x00\x00\x00\x05I"
_ALONE = (b"commit_batch(", b"store_batch(")
"""Statements that commit by themselves."""
_SSL_REQUEST = struct.pack("!II", 8, 80877103)


@dataclass
class Commits:
    """Finds the server's word on a commit in its side of a PostgreSQL conversation: `CommandComplete COMMIT`, or, after
    a statement that is a transaction of its own (one of `_ALONE`), that it is ready again and in no transaction.

    Source: PostgreSQL 17 manual, 53.2.3 (extended query: the commit comes with Sync) and 53.7 (message formats: one
    type byte and a length of four that counts itself; the first messages of a client have no type byte).
    """

    _rest: bytes = b""
    _asked: bytes = b""
    _plain_answer: bool = False
    _started: bool = False
    _alone: set[bytes] = field(default_factory=set)
    _waiting: bool = False

    def asked(self, sent: bytes) -> None:
        """What the client sends: a request for TLS is answered by one byte without a frame."""
        if sent.startswith(_SSL_REQUEST):
            self._plain_answer = True
            return
        self._asked += sent
        while (frame := self._next_asked()) is not None:
            name, _, rest = frame[5:].partition(b"\0")
            if frame[:1] == b"P" and any(one in rest for one in _ALONE):
                self._alone.add(name)
            elif frame[:1] == b"B":
                self._waiting = rest.partition(b"\0")[0] in self._alone

    def _next_asked(self) -> bytes | None:
        typed = 1 if self._started else 0
        if len(self._asked) < typed + 4:
            return None
        length = typed + int.from_bytes(self._asked[typed : typed + 4], "big")
        if len(self._asked) < length:
            return None
        frame, self._asked, self._started = self._asked[:length], self._asked[length:], True
        return frame if typed else b"\0" + frame

    def before_commit(self, sent: bytes) -> int | None:
        """How many bytes of `sent` come before the first word on a commit in it; None if there is none."""
        start = 0
        if self._plain_answer:
            self._plain_answer, start = False, 1
        buffer, taken, found = self._rest + sent[start:], 0, None
        while len(buffer) - taken >= 5:
            length = 1 + int.from_bytes(buffer[taken + 1 : taken + 5], "big")
            if len(buffer) - taken < length:
                break
            if self._is_the_word(buffer[taken : taken + length]) and found is None:
                found = max(0, taken - len(self._rest) + start)
            taken += length
        self._rest = buffer[taken:]
        return found

    def _is_the_word(self, frame: bytes) -> bool:
        if frame == _COMMITTED:
            return True
        was_waiting, self._waiting = self._waiting, self._waiting and frame[:1] not in (b"E", b"Z")
        return was_waiting and frame == _READY


@dataclass
class Proxy:
    """One address, its targets, and how it behaves now. `delay_s` and `bytes_per_s` hold in mode "slow"."""

    name: str
    port: int
    targets: Sequence[int]
    watch_commits: bool = False
    mode: Mode = "pass"
    delay_s: float = 0.0
    bytes_per_s: float = 1e9
    commits_to_cut: int = 0
    commits_cut: int = 0
    links: "set[_Link]" = field(default_factory=set)
    _server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Link(self).client, HOST, self.port)

    async def stop(self) -> None:
        """Refuse connections, and end those there are."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.reset()

    async def behave(self, mode: Mode, *, delay_s: float = 0.0, bytes_per_s: float = 1e9) -> None:
        """Behave so from now on; "cut" refuses and ends connections."""
        was, self.mode, self.delay_s, self.bytes_per_s = self.mode, mode, delay_s, bytes_per_s
        if mode == "cut":
            await self.stop()
        elif was == "cut":
            await self.start()
        if mode == "half-open":
            for link in self.links:
                link.silent = True

    def reset(self) -> None:
        """RST on every connection."""
        for link in list(self.links):
            link.reset()

    def local_ports(self) -> set[int]:
        """The ports from which the targets see our connections come."""
        return {link.server.port for link in self.links}


class _Side(asyncio.Protocol):
    """One end of a link: what comes in here goes out at the other."""

    def __init__(self, link: "_Link", *, is_client: bool) -> None:
        self.link, self.is_client = link, is_client
        self.transport: asyncio.Transport | None = None
        self.port = 0
        self.waiting: list[bytes] = []
        self.free_at = 0.0

    @property
    def other(self) -> "_Side":
        return self.link.server if self.is_client else self.link.client

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.port = transport.get_extra_info("sockname")[1]
        transport.set_write_buffer_limits(_HIGH_WATER)
        if self.is_client:
            self.link.begin()
        for data in self.waiting:
            transport.write(data)
        self.waiting.clear()

    def data_received(self, data: bytes) -> None:
        self.link.carry(self, data)

    def connection_lost(self, error: Exception | None) -> None:
        self.link.lost(self)

    def pause_writing(self) -> None:
        if self.other.transport is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other.transport is not None and not self.other.transport.is_closing():
            self.other.transport.resume_reading()

    def send(self, data: bytes) -> None:
        """Write, or keep it until connected."""
        if self.transport is None:
            self.waiting.append(data)
        elif not self.transport.is_closing():
            self.transport.write(data)


class _Link:
    """One connection through a proxy."""

    def __init__(self, proxy: Proxy) -> None:
        self.proxy = proxy
        self.client, self.server = _Side(self, is_client=True), _Side(self, is_client=False)
        self.silent = proxy.mode == "half-open"
        self.commits = Commits()
        self._dialling: asyncio.Task[None] | None = None

    def begin(self) -> None:
        self.proxy.links.add(self)
        self._dialling = asyncio.get_running_loop().create_task(self._dial())

    async def _dial(self) -> None:
        loop = asyncio.get_running_loop()
        for target in self.proxy.targets:
            try:
                await loop.create_connection(lambda: self.server, HOST, target)
                return
            except OSError:
                continue
        self.reset()

    def carry(self, come_in: _Side, data: bytes) -> None:
        if self.silent:
            return
        if self.proxy.watch_commits:
            if come_in.is_client:
                self.commits.asked(data)
            elif (before := self.commits.before_commit(data)) is not None and self._cuts():
                come_in.other.send(data[:before])
                self.reset()
                return
        if self.proxy.mode == "slow":
            self._later(come_in, data)
        else:
            come_in.other.send(data)

    def _cuts(self) -> bool:
        if self.proxy.commits_to_cut <= 0:
            return False
        self.proxy.commits_to_cut -= 1
        self.proxy.commits_cut += 1
        return True

    def _later(self, come_in: _Side, data: bytes) -> None:
        loop = asyncio.get_running_loop()
        begins = max(loop.time() + self.proxy.delay_s, come_in.free_at)
        come_in.free_at = begins + len(data) / self.proxy.bytes_per_s
        loop.call_at(come_in.free_at, come_in.other.send, data)

    def lost(self, side: _Side) -> None:
        """One end has gone; the other is told, unless the link is silent: then nobody tells anybody anything."""
        self.proxy.links.discard(self)
        other = side.other
        if other.transport is not None and not other.transport.is_closing():
            if self.silent:
                self.proxy.links.add(self)
            else:
                other.transport.close()

    def reset(self) -> None:
        """RST at both ends."""
        self.proxy.links.discard(self)
        for side in (self.client, self.server):
            if side.transport is not None and not side.transport.is_closing():
                sock = side.transport.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                side.transport.abort()
