"""What comes before a request is understood has limits: beyond them it is answered, thrown away and kept nowhere."""

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from itertools import chain, repeat

import pytest

from shared.runtime.http.crowd import networks
from shared.runtime.http.rates import Strangers
from tests.integration.runtime.desk import HALF, HEAD, PATIENCE_S, REST, Desk, desk, rest_of

LINE = b"POST / HTTP/1.1\r\n"
HOST = b"host: desk\r\n"
MB = 1024 * 1024
CHUNKED = HEAD.replace(b"content-length: 12", b"transfer-encoding: chunked")
LARGE, LONG, MALFORMED = (431, "DOS-INT-431"), (414, "DOS-INT-414"), (400, "DOS-INT-400")


def endless(first: bytes, piece: bytes, size: int = 20 * MB) -> Iterator[bytes]:
    """`first` and then the same piece again and again."""
    return chain([first], repeat(piece * (64 * 1024 // len(piece)), size // (64 * 1024)))


HEADS: Mapping[str, tuple[Callable[[], Iterator[bytes]], tuple[int, str]]] = {
    "one value without an end": (lambda: endless(LINE + HOST + b"x: ", b"v"), LARGE),
    "one name without an end": (lambda: endless(LINE + HOST, b"n"), LARGE),
    "lines without an end": (lambda: endless(LINE + HOST, b"a: b\r\n"), LARGE),
    "lines of one name": (lambda: endless(LINE + HOST, b"cookie: b\r\n"), LARGE),
    "a folded line without an end": (lambda: endless(LINE + HOST + b"x: a\r\n", b" b\r\n"), MALFORMED),
    "101 fields": (lambda: iter([LINE + HOST + b"a: b\r\n" * 100 + b"\r\n"]), LARGE),
    "a target without an end": (lambda: endless(b"POST /", b"p"), LONG),
    "a query of 9 KiB": (lambda: iter([b"POST /?" + b"q" * 9 * 1024 + b" HTTP/1.1\r\n" + HOST + b"\r\n"]), LONG),
    "a method without an end": (lambda: endless(b"", b"P"), MALFORMED),
    "no HTTP at all": (lambda: endless(b"\x16\x03\x01", b"\x00"), MALFORMED),
    "two lengths": (lambda: iter([HEAD.replace(b"\r\n\r\n", b"\r\ncontent-length: 13\r\n\r\n")]), MALFORMED),
    "a length and chunks": (lambda: iter([CHUNKED.replace(b"\r\n\r\n", b"\r\ncontent-length: 3\r\n\r\n")]), MALFORMED),
    "a null in a value": (lambda: iter([LINE + HOST + b"x: \x00\r\n\r\n"]), MALFORMED),
}


async def sent(server: Desk, pieces: Iterator[bytes]) -> bytes:
    """The answer to a client who sends everything before it reads. Raises ConnectionError if it is reset."""
    reader, writer = await server.connected(b"")
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        writer.write_eof()
        return await asyncio.wait_for(reader.read(), PATIENCE_S)
    finally:
        writer.close()


@pytest.mark.parametrize("name", HEADS)
async def test_a_head_beyond_the_limits_is_told_so_and_the_client_can_read_it(name: str) -> None:
    pieces, (status, code) = HEADS[name]
    async with desk() as server:
        head, _, body = (await sent(server, pieces())).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"\r\ncontent-type: application/problem+json" in head and b"\r\nconnection: close" in head
    assert (json.loads(body)["status"], json.loads(body)["code"]) == (status, code)


@pytest.mark.parametrize("name", HEADS)
async def test_a_head_that_nobody_understands_counts_for_its_address(name: str) -> None:
    pieces, (status, code) = HEADS[name]
    told: list[int] = []
    strangers = Strangers(0.2, networks("127.0.0.1"), clock=lambda: 0.0)
    async with desk(count=strangers.count, refused=told.append) as server:
        answers = [(await sent(server, pieces())).partition(b"\r\n\r\n") for _ in range(3)]
    assert [json.loads(body)["code"] for *_, body in answers] == [code, code, "DOS-INT-429"]
    assert b"\r\nretry-after: 5\r\n" in answers[-1][0]
    assert told == [status, status, 429]


async def test_whom_a_proxy_names_in_a_head_that_nobody_understands_is_who_has_asked() -> None:
    strangers = Strangers(0.1, networks("127.0.0.1"), clock=lambda: 0.0)
    head = LINE + HOST + b"x-forwarded-for: 192.0.2.%d\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n"
    async with desk(count=strangers.count) as server:
        answers = [await sent(server, iter([head % host])) for host in (1, 2, 1)]
    assert [answer[:13] for answer in answers] == [b"HTTP/1.1 400 ", b"HTTP/1.1 400 ", b"HTTP/1.1 429 "]


@pytest.mark.parametrize(("size", "answer"), [(64 * 1024, b"HTTP/1.1 200 "), (64 * 1024 + 1, b"HTTP/1.1 431 ")])
async def test_the_limit_is_64_kib_to_the_byte(size: int, answer: bytes) -> None:
    longer = HEAD.replace(b"\r\n\r\n", b"\r\nx: \r\n\r\n")
    whole = longer.replace(b"x: ", b"x: " + b"v" * (size - len(longer)))
    async with desk() as server:
        assert (await sent(server, iter([whole, HALF + REST]))).startswith(answer)


async def test_100_fields_are_taken() -> None:
    async with desk() as server:
        more = b"\r\na: b" * (100 - HEAD.count(b": "))
        assert (await sent(server, iter([HEAD.replace(b"\r\n\r\n", more + b"\r\n\r\n", 1), HALF + REST]))).startswith(
            b"HTTP/1.1 200 "
        )


@pytest.mark.parametrize(
    "rest",
    [
        pytest.param(lambda: endless(b'c\r\n{"half": 1 }\r\n0\r\n', b"a: b\r\n"), id="trailers"),
        pytest.param(lambda: endless(b'c\r\n{"half": 1 }\r\n0\r\nx: ', b"v"), id="one trailer"),
        pytest.param(lambda: endless(b"c;x=", b"v"), id="a chunk's extension"),
    ],
)
async def test_what_frames_a_body_has_the_same_limit(rest: Callable[[], Iterator[bytes]]) -> None:
    async with desk() as server:
        reader, writer = await server.connected(CHUNKED)
        with pytest.raises(ConnectionError):
            for piece in rest():
                writer.write(piece)
                await writer.drain()
        assert b"HTTP/1.1 200" not in await rest_of(reader)
        writer.close()


async def test_a_field_in_the_trailers_is_not_one_of_the_head() -> None:
    keyless = CHUNKED.replace(b"idempotency-key: k\r\n", b"")
    async with desk() as server:
        answer = await sent(server, iter([keyless, b"c\r\n", HALF + REST, b"\r\n0\r\nidempotency-key: k\r\n\r\n"]))
    assert b"HTTP/1.1 200 " in answer
    assert b"x-keyless: 1" in answer


@pytest.mark.parametrize("start", [b"POST /", LINE + HOST, LINE + HOST + b"x: "])
async def test_a_head_that_drips_has_its_time(start: bytes) -> None:
    async with desk(idle_s=1) as server:
        reader, writer = await server.connected(start)
        ended = asyncio.create_task(rest_of(reader))
        while not ended.done():
            writer.write(b"a")
            await asyncio.wait([ended], timeout=0.2)
        assert ended.result() == b""
        writer.close()


async def test_more_requests_behind_one_another_than_there_is_room_for_end_the_connection() -> None:
    async with desk() as server:
        reader, writer = await server.connected(HEAD + HALF)
        await asyncio.wait_for(server.reading.wait(), PATIENCE_S)
        writer.write(REST + (HEAD + HALF + REST) * 40)
        assert (await rest_of(reader)).count(b"HTTP/1.1 200 ") < 40
        writer.close()


async def test_others_are_served_while_one_sends_a_head_without_an_end() -> None:
    async with desk() as server:
        flood = asyncio.create_task(sent(server, endless(LINE + HOST + b"x: ", b"v", 200 * MB)))
        for _ in range(20):
            reader, writer = await server.connected(HEAD + HALF + REST)
            assert (await asyncio.wait_for(reader.readline(), 5)).startswith(b"HTTP/1.1 200 ")
            writer.close()
        flood.cancel()
        await asyncio.gather(flood, return_exceptions=True)


UPGRADE = HEAD.replace(
    b"\r\n\r\n", b"\r\nconnection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQ\r\n\r\n"
)
"""As Java's own HTTP client begins each connection that is not TLS."""


@pytest.mark.parametrize(
    "packets",
    [
        pytest.param([UPGRADE + HALF + REST + HEAD + HALF + REST], id="all at once"),
        pytest.param([UPGRADE, HALF, REST + HEAD + HALF, REST], id="piece by piece"),
        pytest.param([HEAD + HALF + REST + UPGRADE + HALF, REST], id="behind another"),
    ],
)
async def test_a_request_that_wishes_for_another_protocol_keeps_its_body_and_its_place(packets: list[bytes]) -> None:
    async with desk() as server:
        reader, writer = await server.connected(b"")
        for packet in packets:
            writer.write(packet)
            await writer.drain()
        for _ in range(2):
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE_S)
            assert head.startswith(b"HTTP/1.1 200 ") and b"x-keyless: 0" in head
        writer.close()


async def test_a_body_behind_such_a_wish_is_no_second_request() -> None:
    within = HEAD + HALF + REST
    head = UPGRADE.replace(b"content-length: 12", b"content-length: %d" % len(within))
    async with desk() as server:
        reader, writer = await server.connected(head)
        await asyncio.wait_for(server.reading.wait(), PATIENCE_S)
        writer.write(within)
        assert b" 400 " in await asyncio.wait_for(reader.readline(), PATIENCE_S)
        writer.write_eof()
        assert (await rest_of(reader)).count(b"HTTP/1.1 ") == 0
        writer.close()


async def test_a_tunnel_is_refused_with_all_that_is_behind_it() -> None:
    async with desk() as server:
        answer = await sent(server, iter([b"CONNECT / HTTP/1.1\r\n" + HOST + b"\r\n" + HEAD + HALF + REST]))
    assert answer.startswith(b"HTTP/1.1 400 ") and answer.count(b"HTTP/1.1 ") == 1


ONCE = ["authorization", "content-encoding", "content-length", "content-type", "host", "idempotency-key"]


@pytest.mark.parametrize("second", ["the same", "another", "in capitals"])
@pytest.mark.parametrize("name", ONCE)
async def test_a_field_that_may_come_once_and_comes_twice_is_400(name: str, second: str) -> None:
    values = {"authorization": "Bearer x", "content-encoding": "identity"} | {
        one: value for one, _, value in (line.decode().partition(": ") for line in HEAD.split(b"\r\n")[1:-2])
    }
    value = values[name] if second != "another" else "99"
    others = b"".join(f"{one}: {text}\r\n".encode() for one, text in values.items())
    twice = f"{name.upper() if second == 'in capitals' else name}: {value}\r\n"
    async with desk() as server:
        head, _, body = (await sent(server, iter([LINE + others + twice.encode() + b"\r\n", HALF + REST]))).partition(
            b"\r\n\r\n"
        )
    assert head.startswith(b"HTTP/1.1 400 ")
    assert json.loads(body)["code"] == "DOS-INT-400"
    if name != "content-length":  # of which the parser itself thinks so
        assert [fault["code"] for fault in json.loads(body)["errors"]] == ["header-twice"]


@pytest.mark.parametrize(
    ("line", "status"), [(LINE, b"HTTP/1.1 400 "), (b"POST / HTTP/1.0\r\n", b"HTTP/1.1 200 ")], ids=["1.1", "1.0"]
)
async def test_only_an_old_client_may_leave_out_the_host(line: bytes, status: bytes) -> None:
    hostless = HEAD.replace(LINE, line).replace(HOST, b"")
    async with desk() as server:
        assert (await sent(server, iter([hostless, HALF + REST]))).startswith(status)


@pytest.mark.parametrize("kept", [b"close", b"keep-alive"])
@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_of_10_mb_is_told_that_it_is_too_large_and_not_reset(kept: bytes, chunked: bool) -> None:
    size = 10 * MB
    head = CHUNKED if chunked else HEAD.replace(b"length: 12", b"length: %d" % size)
    pieces = [b"%x\r\n%s\r\n" % (64 * 1024, b" " * 64 * 1024) if chunked else b" " * 64 * 1024] * (size // 65536)
    last = b"0\r\n\r\n" if chunked else b""
    async with desk(idle_s=1) as server:
        whole = [head.replace(HOST, HOST + b"connection: " + kept + b"\r\n"), *pieces, last]
        answer = await sent(server, iter(whole))
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'"code":"DOS-INT-006"' in answer
