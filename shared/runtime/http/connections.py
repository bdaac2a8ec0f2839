"""One connection to a door: what it may send before it is understood, how long it may take, and how it ends.

uvicorn's own protocol keeps the head of a request for as long as it comes, in memory and without limit; waits for ever
for a first request; closes a connection whose client still sends, so that the client is reset before it reads why.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from shared.errors import Refused
from shared.runtime.http.crowd import Crowd, address_of
from shared.runtime.http.door import problem

HEAD_BYTES = 64 * 1024
"""Of the head of a request, and of whatever else frames a body (trailers, chunk extensions) without being one."""
HEAD_FIELDS = 100
TARGET_BYTES = 8 * 1024
"""Of the request line's target (RFC 9112, 3: at least 8,000)."""
PIPELINED = 16
"""Requests that wait on one connection behind the one that is under way."""
HEAD_S = 10
"""So long the head of a request may take to come, from its first byte on."""
LINGER_S = 5.0
LINGER_BYTES = 32 * 1024 * 1024
"""After an answer that ends the connection, what the client still sends is thrown away so long and so far: it is reset
otherwise before it has read the answer.
"""
UNREAD_S = 30.0
"""So long a client may leave an answer unread."""
_NO_PLACE = b"retry-after: 2\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


@dataclass(frozen=True)
class Doorkeeper:
    """What the connections of one door share. `refused` is told the status of each request that was refused before
    anybody looked at it; `count` counts such a one (peer, X-Forwarded-For) and raises Refused for one too many.
    """

    crowd: Crowd
    refused: Callable[[int], None]
    count: Callable[[object, str], None] = lambda peer, forwarded: None


class Connection(HttpToolsProtocol):
    """uvicorn's protocol, with limits.

    A connection *rests* until the head of a request has come whole, and again after its answer: then it may be sent
    away to make room. Times: `idle_s` without a request, HEAD_S for a head that has begun.
    """

    def __init__(self, keeper: Doorkeeper, **uvicorns: Any) -> None:
        super().__init__(**uvicorns)
        self._keeper = keeper
        self._address = ""
        self._inside = False
        self._unread = 0
        self._moved = False
        self._in_head = False
        self._fields = 0
        self._wrong = "DOS-INT-400"
        self._thrown_away: int | None = None
        self._ending: asyncio.TimerHandle | None = None
        self._stalling: asyncio.TimerHandle | None = None

    # A connection's life

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Take a place, or be told at once that there is none."""
        super().connection_made(transport)
        self._address = address_of(transport.get_extra_info("peername"), self._keeper.crowd.trusted)
        self._inside = self._keeper.crowd.enter(self._address)
        if not self._inside:
            status = 429 if self._keeper.crowd.has_its_share(self._address) else 503
            self._keeper.refused(status)
            transport.write(STATUS_LINE[status] + _NO_PLACE)
            transport.close()
            self._end_in(1)
            return
        self._rest()

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the place back."""
        self._stop(self._ending)
        self._stop(self._stalling)
        self._leave()
        super().connection_lost(exc)

    def _leave(self) -> None:
        if self._inside:
            self._inside = False
            self._keeper.crowd.works(self._address, self)
            self._keeper.crowd.leave(self._address)

    def _sent_away(self) -> None:
        self._leave()
        self.transport.abort()

    def _rest(self) -> None:
        self._keeper.crowd.rests(self._address, self, self._sent_away)
        self._end_in(self.timeout_keep_alive)

    def _end_in(self, seconds: float) -> None:
        """Cut the connection after so long, unless something comes between. (Not close: that waits for a client who
        does not read.)
        """
        self._stop(self._ending)
        self._ending = self.loop.call_later(seconds, self.transport.abort)

    @staticmethod
    def _stop(timer: asyncio.TimerHandle | None) -> None:
        if timer is not None:
            timer.cancel()

    # What comes in

    def data_received(self, data: bytes) -> None:
        """Read as far as the limits go; what comes behind an answer that ends the connection is thrown away."""
        self._unset_keepalive_if_required()
        rest = memoryview(data)
        while rest and self._listens():
            if self._unread >= HEAD_BYTES:
                self._wrong = "DOS-INT-431"
                self._refuse()
                return
            piece = rest[: HEAD_BYTES - self._unread]
            self._feed(piece)
            rest = rest[len(piece) :]
        if not self._listens():
            self._throw_away(len(rest))

    def _listens(self) -> bool:
        return self._thrown_away is None and not self.transport.is_closing()

    def _feed(self, piece: memoryview) -> None:
        """Give the parser a piece, and count it as unread unless a head or a part of a body was whole in it."""
        self._moved = False
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade as upgrade:
            self._read_on(piece[upgrade.args[0] :])
        except httptools.HttpParserError:
            self._refuse()
        self._unread = 0 if self._moved else self._unread + len(piece)

    def _read_on(self, rest: memoryview) -> None:
        """Read a request that wishes for another protocol as if it did not: none is spoken here (RFC 9110, 7.8). The
        parser takes its body, and what is asked behind it, for that protocol's.
        """
        left = [(name, _without_upgrade(name, value)) for name, value in self.headers]
        fields = b"".join(b"%s: %s\r\n" % field for field in left if field[1] is not None)
        line = b"%s %s HTTP/%s\r\n" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's
        self._feed(memoryview(line + fields + b"\r\n" + rest))

    def on_message_begin(self) -> None:
        """A head has begun: its time runs."""
        super().on_message_begin()
        self._in_head, self._fields = True, 0
        self._end_in(min(HEAD_S, self.timeout_keep_alive))

    def on_url(self, url: bytes) -> None:
        """A part of the target. Raises ValueError beyond TARGET_BYTES."""
        super().on_url(url)
        if len(self.url) > TARGET_BYTES:
            self._wrong = "DOS-INT-414"
            raise ValueError("a target that is too long")  # the parser stops

    def on_header(self, name: bytes, value: bytes) -> None:
        """A field of the head or of the trailers. Raises ValueError beyond HEAD_FIELDS."""
        self._fields += 1
        if self._fields > HEAD_FIELDS:
            self._wrong = "DOS-INT-431"
            raise ValueError("too many fields")  # the parser stops
        if self._in_head:  # and not in the trailers, which say nothing here
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """A request is whole but for its body, and is under way; but one that wishes for another protocol is read once
        more. Raises ValueError beyond PIPELINED, and for a tunnel: nothing behind its head is HTTP.
        """
        if self.parser.get_method() == b"CONNECT":
            raise ValueError("no proxy")  # the parser stops
        if self.parser.should_upgrade():
            return
        if len(self.pipeline) >= PIPELINED:
            raise ValueError("too many requests behind one another")  # the parser stops
        self._in_head, self._moved = False, True
        self._stop(self._ending)
        self._keeper.crowd.works(self._address, self)
        super().on_headers_complete()
        self.cycle.transport = _Polite(self)  # type: ignore[assignment]  # as much of one as a cycle needs

    def on_body(self, body: bytes) -> None:
        """A part of a body."""
        self._moved = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request has come whole."""
        if self.parser.should_upgrade():
            return
        self._moved = True
        super().on_message_complete()
        self.cycle.more_body = False

    def on_response_complete(self) -> None:
        """Rest, or begin with what was asked behind it."""
        if self._thrown_away is not None:
            return  # what else was asked on this connection is not answered any more
        super().on_response_complete()
        self._unset_keepalive_if_required()
        if self.cycle.response_complete and not self.transport.is_closing():
            self._rest()

    # What goes out

    def pause_writing(self) -> None:
        """The client does not read: it has UNREAD_S."""
        super().pause_writing()
        self._stop(self._stalling)
        self._stalling = self.loop.call_later(UNREAD_S, self.transport.abort)

    def resume_writing(self) -> None:
        """The client reads again."""
        self._stop(self._stalling)
        super().resume_writing()

    def end(self) -> None:
        """Close once the answer is sent; if the client still sends, once that has ended or become too much."""
        if not self.cycle.more_body and not self._unread:
            self._end_in(UNREAD_S)
            self.transport.close()
        else:
            self._linger()

    def _refuse(self) -> None:
        """Answer what was not understood; behind a request that is still under way there is no place for an answer."""
        cycle: RequestResponseCycle | None = getattr(self, "cycle", None)
        under_way = cycle is not None and not cycle.response_complete
        if self.transport.is_closing() or under_way:
            self.transport.abort()
            return
        trace_id = uuid4().hex
        answer = problem(self._counted(), trace_id, "vi")
        answer.headers["x-request-id"] = trace_id
        self._keeper.refused(answer.status_code)
        fields = b"".join(b"%s: %s\r\n" % field for field in answer.raw_headers)
        head = STATUS_LINE[answer.status_code] + fields + b"connection: close\r\n\r\n"
        self.transport.write(head + bytes(answer.body))
        self._linger()

    def _counted(self) -> Refused:
        """What is told of a request that was not understood, of which there may be too many."""
        forwarded = b",".join(value for name, value in self.headers or () if name == b"x-forwarded-for")
        try:
            self._keeper.count(self.client, forwarded.decode("latin-1"))
        except Refused as fast:
            return fast
        return Refused(self._wrong)

    def _linger(self) -> None:
        self._thrown_away = 0
        self._keeper.crowd.rests(self._address, self, self._sent_away)
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._end_in(LINGER_S)

    def _throw_away(self, size: int) -> None:
        self._thrown_away = (self._thrown_away or 0) + size
        if self._thrown_away > LINGER_BYTES:
            self.transport.abort()


def _without_upgrade(name: bytes, value: bytes) -> bytes | None:
    """A field of a head without its wish for another protocol; None if it says nothing else."""
    if name == b"upgrade":
        return None
    if name != b"connection":
        return value
    return b",".join(option for option in value.split(b",") if option.strip().lower() != b"upgrade") or None


class _Polite:
    """The transport as a request's answer sees it: to close it is to end the connection politely."""

    def __init__(self, connection: Connection) -> None:
        self.write = connection.transport.write
        self.is_closing = connection.transport.is_closing
        self.close = connection.end
