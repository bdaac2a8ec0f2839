"""What the register's HTTP answers come to: read whole in however many pieces, believed only where well-formed, and
when it wants to be asked again is heard, as far as it makes sense.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from services.verification.gateways import MAX_ANSWER, Enquiry, SoapRegister
from services.verification.reading import Person
from shared.errors import Transient
from shared.law.birth import Birth, birth_in_digits

KNOWN = Person("Mẫu Văn An", birth_in_digits("19990501"))
ENQUIRY = Enquiry("1" * 32, "1.004194", "001199000017", "Mẫu Văn An", Birth(1999, 5, 1))
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
COUNTED: list[str] = []
"""What the adapter has told its metric of."""


@asynccontextmanager
async def answering(answer: Answer) -> AsyncIterator[SoapRegister]:
    """Our adapter, and a register that answers like this over a real socket."""
    app = web.Application()
    app.router.add_post("/", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        async with aiohttp.ClientSession() as session:
            url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
            yield SoapRegister(session, url, "user", "secret", count=COUNTED.append)
    finally:
        await runner.cleanup()


async def failure(status: int, headers: Mapping[str, str]) -> Transient:
    """What looking up a citizen fails with, at a register that answers like this."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=status, headers=headers)

    async with answering(answer) as register:
        with pytest.raises(Transient) as raised:
            await register.look_up(ENQUIRY)
        return raised.value


def collection(born: str = "<NgayThangNam>19990501</NgayThangNam>") -> bytes:
    """The register's record of the person asked for, with this in its birth date."""
    return (
        "<CongdanCollection><CongDan><SoDinhDanh>001199000017</SoDinhDanh>"
        "<HoVaTen><Ho>Mẫu</Ho><ChuDem>Văn</ChuDem><Ten>An</Ten></HoVaTen>"
        f"<NgayThangNamSinh>{born}</NgayThangNamSinh></CongDan></CongdanCollection>"
    ).encode()


def in_pieces(*pieces: bytes, for_ever: bytes = b"") -> Answer:
    """A register that lets us take each piece from the socket before it sends the next, the last one without end."""

    async def answer(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        for piece in pieces:
            await answer.write(piece)
            for _ in range(10):  # reader and writer share this loop: its turns are what the reader needs
                await asyncio.sleep(0)
        while for_ever:
            await answer.write(for_ever)
        return answer

    return answer


@pytest.mark.parametrize("cut", [1, 40, 119])
async def test_an_answer_that_comes_in_two_pieces_is_read_whole(cut: int) -> None:
    whole = collection()
    async with answering(in_pieces(whole[:cut], whole[cut:])) as register:
        assert await register.look_up(ENQUIRY) == KNOWN


async def test_an_answer_as_long_as_we_take_is_read_whole() -> None:
    filled = collection() + b" " * (MAX_ANSWER - len(collection()))
    async with answering(in_pieces(filled[:100_000], filled[100_000:])) as register:
        assert await register.look_up(ENQUIRY) == KNOWN


async def test_an_answer_without_end_is_left_where_it_is_longer_than_we_take() -> None:
    async with answering(in_pieces(collection(), for_ever=b" " * 65_536)) as register:
        with pytest.raises(Transient, match="longer than 262144 bytes"):
            await asyncio.wait_for(register.look_up(ENQUIRY), 30)


@pytest.mark.parametrize(
    "born", ["<NgayThangNam>19990501</NgayThangNam>", "<Nam>1999</Nam>", "<NgayThangNam>1999</NgayThangNam>",
             "<NgayThangNam>199905</NgayThangNam>", "<NgayThangNam>19990000</NgayThangNam>",
             "<NgayThangNam>19990500</NgayThangNam>", "<NgayThangNam/><Nam>1999</Nam>", "19990501", "1999"],
)  # fmt: skip
async def test_a_birth_date_is_a_day_a_month_or_a_year(born: str) -> None:
    async with answering(in_pieces(collection(born))) as register:
        person = await register.look_up(ENQUIRY)
    assert person is not None
    assert person.is_born(ENQUIRY.date_of_birth)


@pytest.mark.parametrize(
    "born", ["", "<Nam/>", "<Nam>1</Nam>", "<Nam>٣٣٣٣</Nam>", "<Nam>0000</Nam>", "<NgayThangNam>199913</NgayThangNam>",
             "<NgayThangNam>19990001</NgayThangNam>", "<NgayThangNam>19990230</NgayThangNam>",
             "<NgayThangNam>1999-05-01</NgayThangNam>", "<NgayThangNam>199905011</NgayThangNam>"],
)  # fmt: skip
async def test_a_record_without_a_proper_birth_date_proves_nothing_and_is_asked_for_again(born: str) -> None:
    async with answering(in_pieces(collection(born))) as register:
        with pytest.raises(Transient, match="birth date"):
            await register.look_up(ENQUIRY)


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_register_that_says_when_to_come_again_is_understood(status: int) -> None:
    assert (await failure(status, {"Retry-After": "7"})).retry_after_s == 7.0


@pytest.mark.parametrize("said", ["", "soon", "-1", "1.5", "1000", "Wed, 16 Sep 2026 01:30:00 GMT", "٣"])
async def test_what_is_no_number_of_seconds_or_too_many_is_left_to_our_own_patience(said: str) -> None:
    assert (await failure(503, {"Retry-After": said})).retry_after_s is None


async def test_a_register_that_says_nothing_is_asked_again_when_we_think_fit() -> None:
    assert (await failure(503, {})).retry_after_s is None
