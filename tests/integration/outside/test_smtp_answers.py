"""What each answer of a mail server comes to, by the command that it answers; said by a real server over a socket.
And that the server hears of nobody but the applicant.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from services.notification.gateways import FinalNo, Mail, NotYet, SmtpServer
from shared.errors import Transient

MAIL = Mail("mau@example.vn", "Hồ sơ", "Kính gửi", "<m1@dossier.test>", "vi")
Answer = int | str | None
FINE: Mapping[str, Answer] = {
    "greeting": 220,
    "EHLO": 250,
    "HELO": 250,
    "MAIL": 250,
    "RCPT": 250,
    "DATA": 354,
    ".": 250,
    "RSET": 250,
}


class Server:
    """A mail server that answers each command with the code (and text) it is told, and keeps what comes behind a 354.
    None: it hangs up; 0: it says nothing. Once it has done either, or said 421, it answers as in `then`.

    `heard` are the commands that it was given.
    """

    def __init__(self, codes: Mapping[str, Answer], then: Mapping[str, Answer] | None = None) -> None:
        self.codes: Mapping[str, Answer] = {**FINE, **codes}
        self.then = then
        self.kept: list[bytes] = []
        self.heard: list[str] = []
        self.left = asyncio.Event()
        self._clients: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client, until it or we hang up."""
        self._clients.append(writer)
        try:
            await self._talk(reader, writer)
        finally:
            writer.close()
            self.left.set()

    def hang_up(self) -> None:
        """Cut off who is connected."""
        for writer in self._clients:
            writer.transport.abort()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said, in_data = "greeting", False
        while True:
            answer = self.codes.get(said, 221)
            if self.then is not None and answer in (None, 0, 421):
                self.codes = {**FINE, **self.then}
            if answer is None:
                return
            if answer == 0:
                await reader.read()
                return
            writer.write(f"{answer} {said}\r\n".encode() if isinstance(answer, int) else f"{answer}\r\n".encode())
            in_data = answer == 354
            try:
                line = await (reader.readuntil(b"\r\n.\r\n") if in_data else reader.readline())
            except ConnectionResetError:
                return
            if not line:
                return
            self.kept += [line] if in_data else []
            self.heard += [] if in_data else [line.decode().strip()]
            said = "." if in_data else line.split()[0].decode().upper()


@asynccontextmanager
async def answering(**codes: Answer) -> AsyncIterator[SmtpServer]:
    """Our adapter, and a server that answers so; `END` is what it says to the end of the mail, None is a hang-up."""
    told = {"." if name == "END" else name: code for name, code in codes.items()}
    async with listening_to(Server(told)) as adapter:
        yield adapter


@asynccontextmanager
async def listening_to(server: Server, timeout_s: float = 10) -> AsyncIterator[SmtpServer]:
    """Our adapter, and this server."""
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    async with listening:
        yield SmtpServer("127.0.0.1", listening.sockets[0].getsockname()[1], "dossier@dvc.example", timeout_s)


async def test_a_mail_that_every_command_was_granted_is_sent() -> None:
    server = Server({})
    async with listening_to(server) as adapter:
        await adapter.send(MAIL)
    (kept,) = server.kept
    assert b"Message-ID: <m1@dossier.test>" in kept


async def test_mails_one_after_the_other_go_through_one_session() -> None:
    server = Server({})
    async with listening_to(server) as adapter:
        for n in range(3):
            await adapter.send(replace(MAIL, message_id=f"<m{n}@dossier.test>"))
    assert [said.split()[0] for said in server.heard] == ["EHLO", *["MAIL", "RCPT", "DATA"] * 3]
    assert [f"<m{n}@dossier.test>".encode() in kept for n, kept in enumerate(server.kept)] == [True] * 3


async def test_mails_at_the_same_time_go_through_sessions_of_their_own() -> None:
    server = Server({})
    async with listening_to(server) as adapter:
        await asyncio.gather(*(adapter.send(replace(MAIL, to=f"mau{n}@example.vn")) for n in range(5)))
        await adapter.close()
    assert sorted(said for said in server.heard if said.startswith("RCPT")) == [
        f"RCPT TO:<mau{n}@example.vn>" for n in range(5)
    ]
    assert [server.heard.count(said) for said in ("EHLO dvc.example", "QUIT")] == [5, 5]


async def test_a_session_that_the_server_has_ended_meanwhile_is_no_word_about_the_next_mail() -> None:
    server = Server({})
    async with listening_to(server) as adapter:
        await adapter.send(MAIL)
        server.codes = {**FINE, "MAIL": 421}
        refusing = asyncio.create_task(adapter.send(MAIL))  # the kept session is refused, and so is a new one
        with pytest.raises(Transient, match="421"):
            await refusing
        server.codes = FINE
        await adapter.send(MAIL)
        server.hang_up()
        await adapter.send(MAIL)
    assert len(server.kept) == 3


async def test_a_session_without_mails_is_ended_politely() -> None:
    server = Server({})
    async with listening_to(server) as adapter:
        adapter.idle_s = 0.0
        await adapter.send(MAIL)
        async with asyncio.timeout(10):
            await server.left.wait()
    assert server.heard[-1] == "QUIT"


async def test_a_session_in_which_a_mail_was_refused_is_not_used_again() -> None:
    server = Server({"RCPT": 550})
    async with listening_to(server) as adapter:
        with pytest.raises(FinalNo):
            await adapter.send(MAIL)
        server.codes = FINE
        await adapter.send(MAIL)
    assert server.heard.count("EHLO dvc.example") == 2


@pytest.mark.parametrize("code", [501, 504, 521, 541, 550, 552, 554, 556, 571, 599])
@pytest.mark.parametrize("stage", ["RCPT", "DATA", "END"])
async def test_a_5yz_to_the_recipient_or_the_mail_is_final_for_this_mail(stage: str, code: int) -> None:
    async with answering(**{stage: code}) as server:
        with pytest.raises(FinalNo) as no:
            await server.send(MAIL)
    assert no.value.reason == f"smtp-{code}"


@pytest.mark.parametrize("code", [421, 450, 451, 452, 471, 500, 530, 535, 550, 553, 554])
@pytest.mark.parametrize("stage", ["greeting", "EHLO", "MAIL"])
async def test_a_no_before_the_recipient_is_named_is_about_us_and_no_word_about_the_mail(stage: str, code: int) -> None:
    more = {"HELO": code} if stage == "EHLO" else {}
    async with answering(**{stage: code}, **more) as server:
        with pytest.raises(Transient, match=str(code) if code != 421 else "421|no answer"):
            await server.send(MAIL)


@pytest.mark.parametrize("code", [450, 451, 452, 471])
@pytest.mark.parametrize("stage", ["RCPT", "DATA", "END"])
async def test_a_4yz_to_the_recipient_or_the_mail_is_about_this_mail_alone(stage: str, code: int) -> None:
    async with answering(**{stage: code}) as server:
        with pytest.raises(NotYet) as no:
            await server.send(MAIL)
    assert (no.value.reason, no.value.code_class, no.value.soon) == (f"smtp-{code}", "4yz", False)


@pytest.mark.parametrize("code", [503, 530, 534, 535, 538])
@pytest.mark.parametrize("stage", ["RCPT", "DATA"])
async def test_a_server_that_wants_us_to_log_in_or_lost_the_thread_says_nothing_about_the_mail_at_any_stage(
    stage: str, code: int
) -> None:
    async with answering(**{stage: code}) as server:
        with pytest.raises(Transient, match=str(code)):
            await server.send(MAIL)


@pytest.mark.parametrize(
    ("stage", "answer", "word"),
    [("RCPT", "452 4.2.2 full", ("4.2", False)), ("END", "451 4.3.0 local error", ("4.3", True)),
     ("RCPT", "450 4.7.1 greylisted", ("4.7", False)), ("RCPT", "554 5.7.1 Relay access denied", ("5.7", False)),
     ("RCPT", "550 relay not permitted", ("5.7", False))],
)  # fmt: skip
async def test_the_enhanced_code_of_an_answer_is_heard(stage: str, answer: str, word: tuple[str, bool]) -> None:
    async with answering(**{stage: answer}) as server:
        with pytest.raises(NotYet) as no:
            await server.send(MAIL)
    assert (no.value.code_class, no.value.soon) == word


@pytest.mark.parametrize("answer", ["450 4.1.8 sender unknown", "550 5.7.25 no reverse DNS"])
async def test_what_a_server_thinks_of_us_and_says_only_to_the_recipient_is_still_about_us(answer: str) -> None:
    async with answering(RCPT=answer) as server:
        with pytest.raises(Transient, match="about us"):
            await server.send(MAIL)


@pytest.mark.parametrize("stage", ["greeting", "EHLO", "MAIL"])
async def test_a_server_that_hangs_up_before_the_recipient_is_tried_again(stage: str) -> None:
    async with answering(**{stage: None}) as server:
        with pytest.raises(Transient, match="no answer"):
            await server.send(MAIL)


UNCLEAR = [("RCPT", None), ("DATA", None), ("END", None), ("RCPT", 421), ("DATA", 421), ("END", 421), ("RCPT", 354),
           ("DATA", 250), ("END", 354), ("END", 199), ("RCPT", 0), ("DATA", 0), ("END", 0)]  # fmt: skip
"""Commands to which no answer comes (None: it hangs up, 0: it is silent), or none that fits."""


@pytest.mark.parametrize(("stage", "odd"), UNCLEAR)
async def test_no_answer_about_a_mail_is_about_this_mail_if_the_server_still_lets_us_in(
    stage: str, odd: int | None
) -> None:
    async with answering(**{stage: odd}) as server:
        with pytest.raises(NotYet) as no:
            await server.send(MAIL, patience_s=0.2)
    assert no.value.soon


@pytest.mark.parametrize("ended", [{"greeting": 421}, {"greeting": None}, {"MAIL": 421}, {"EHLO": None}])
@pytest.mark.parametrize(("stage", "odd"), [("RCPT", None), ("END", 421), ("DATA", 0)])
async def test_no_answer_about_a_mail_is_about_the_server_if_it_lets_nobody_in(
    stage: str, odd: int | None, ended: dict[str, int | None]
) -> None:
    """It went down in the midst of a session."""
    server = Server({"." if stage == "END" else stage: odd}, then=ended)
    async with listening_to(server) as adapter:
        with pytest.raises(Transient, match="and then"):
            await adapter.send(MAIL, patience_s=0.2)


async def test_a_recipient_is_waited_for_only_as_long_as_the_caller_likes() -> None:
    async with answering(RCPT=0) as server:
        began = asyncio.get_running_loop().time()
        with pytest.raises(NotYet):
            await server.send(MAIL, patience_s=0.1)
    assert asyncio.get_running_loop().time() - began < 5


async def test_a_server_that_is_not_there_is_tried_again() -> None:
    async with answering() as server:
        pass
    with pytest.raises(Transient, match="no answer"):
        await server.send(MAIL)


@pytest.mark.parametrize(
    "address",
    ["mau@example.vn", "mau+ho-so=1@example.vn", "?mau=@example.vn", "a" * 64 + "@" + ("b" * 60 + ".") * 3 + "vn"],
)
async def test_the_envelope_and_the_mail_name_the_applicant_as_the_address_is_written(address: str) -> None:
    server = Server({})
    async with listening_to(server) as adapter:
        await adapter.send(replace(MAIL, to=address))
    assert [said for said in server.heard if said.startswith("RCPT")] == [f"RCPT TO:<{address}>"]
    assert [said.split()[1] for said in server.heard if said.startswith("MAIL")] == ["FROM:<dossier@dvc.example>"]
    (kept,) = server.kept
    assert f"\r\nTo: {address}\r\n".encode() in kept


@pytest.mark.parametrize(
    "address",
    [
        "=?utf-8?b??=@example.vn",
        "=?utf-8?b?YQ0KQmNjOiB4QHkudm4NCg==?=@example.vn",
        "=?utf-8?q?a?=@example.vn",
        "=?utf-8?q?m=E1=BA=ABu?=@example.vn",
        "a.=?utf-8?q?b?=@example.vn",
        "mẫu@example.vn",
        "mau@example.vn, other@example.vn",
        "mau@example.vn\r\nBcc: other@example.vn",
        "mau@example.vn> NOTIFY=NEVER",
        '"other@example.vn"@example.vn',
        "mau(other)@example.vn",
        "mau@other@example.vn",
        "mau",
        "@",
        "",
    ],
)
async def test_an_address_that_has_another_meaning_or_none_is_final_and_never_said_to_the_server(address: str) -> None:
    server = Server({})
    async with listening_to(server) as adapter:
        with pytest.raises(FinalNo, match="^address$"):
            await adapter.send(replace(MAIL, to=address))
    assert server.heard == []
