"""The mail server: the port, and its real adapter (SMTP by aiosmtplib).
A stable Message-ID makes repeats recognisable.
"""

import asyncio
import re
import ssl
from contextlib import suppress
from dataclasses import dataclass, field
from email.header import Header
from email.mime.text import MIMEText
from email.policy import compat32
from email.utils import formatdate
from typing import Literal, Protocol

import aiosmtplib

from services.notification.answers import SYSTEM, Meaning, Stage, code_class, enhanced, meaning
from shared.errors import Transient

DEPENDENCY = "mail"


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail, ready to go. `message_id` is the same at every attempt."""

    to: str
    subject: str
    text: str
    message_id: str
    locale: str


class No(Exception):
    """No word about the server, but about this one mail. `reason` is a word, `code_class` one of a few dozen."""

    def __init__(self, reason: str, code_class: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.code_class = code_class


class FinalNo(No):
    """The server will never take this mail."""


class NotYet(No):
    """The recipient's mailbox or domain does not take it now. `soon`: it was not a mailbox that said so, but a system
    that is busy, or nobody, so it need not last.
    """

    def __init__(self, reason: str, code_class: str, soon: bool = False) -> None:
        super().__init__(reason, code_class)
        self.soon = soon


class MailServer(Protocol):
    """The port. Returns once the server has answered 250. Raises Transient if the server does not serve us; of this
    mail alone FinalNo or NotYet. For the recipient it waits `patience_s` seconds, at each step.
    """

    async def send(self, mail: Mail, patience_s: float) -> None: ...


@dataclass(frozen=True, slots=True)
class Access:
    """How the mail server lets us in: in the clear, by STARTTLS (RFC 3207) or TLS from the first byte (RFC 8314), with
    `context` to check its certificate and name; and as whom, if it wants a log-in (RFC 4954).
    """

    tls: Literal["none", "starttls", "implicit"] = "none"
    context: ssl.SSLContext | None = None
    user: str = ""
    password: str = field(default="", repr=False)


MAILS = 100
"""So many mails go through one session before it is ended; a server that allows fewer says 421, and we begin anew."""
IDLE_S = 5.0
"""A session that has nothing to carry for longer is ended (servers wait for minutes: RFC 5321, 4.5.3.2.7)."""


@dataclass(slots=True)
class _Session:
    """A connection to the mail server that is kept for the next mail. `ends` ends it when none comes."""

    client: aiosmtplib.SMTP
    mails: int = 0
    ends: asyncio.TimerHandle | None = None


@dataclass(slots=True)
class SmtpServer:
    """A real mail server (RFC 5321). `sender` stands in From. Sessions are kept for the next mail, the one used last
    first. A server that does not offer what `access` asks for gets nothing in the clear: it does not serve us.
    """

    host: str
    port: int
    sender: str
    timeout_s: float = 10.0
    idle_s: float = IDLE_S
    access: Access = field(default_factory=Access)
    _idle: list[_Session] = field(default_factory=list)
    _leaving: "set[asyncio.Task[None]]" = field(default_factory=set)

    async def send(self, mail: Mail, patience_s: float = 10.0) -> None:
        """Hand one mail over. An address that is not a plain one is final; what answers mean, `answers` tells."""
        if _PLAIN.fullmatch(mail.to) is None or _ENCODED in mail.to:
            raise FinalNo("address", "address")
        content = self._content(mail)
        try:
            session = await self._begun()
        except aiosmtplib.SMTPResponseException as answer:
            raise Transient(DEPENDENCY, f"the server answered {answer.code} before any recipient") from None
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as lost:
            raise Transient(DEPENDENCY, f"no answer: {type(lost).__name__}") from None
        await self._handed_over(session, mail.to, content, patience_s)

    async def _handed_over(self, session: "_Session", to: str, content: bytes, patience_s: float) -> None:
        try:
            await self._said(session, to, content, patience_s)
        except aiosmtplib.SMTPRecipientRefused as answer:
            await self._weighed(Stage.RECIPIENT, answer.code, answer.message)
        except aiosmtplib.SMTPResponseException as answer:
            await self._weighed(Stage.CONTENT, answer.code, answer.message)
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as lost:
            await self._unclear(f"no answer: {type(lost).__name__}", NotYet("no-answer", "no-answer", soon=True))

    async def _weighed(self, stage: Stage, code: int, text: str) -> None:
        """Raise what a no about a mail comes to."""
        more = enhanced(text)
        reason, kind = f"smtp-{code}", code_class(code, more)
        match meaning(stage, code, more):
            case Meaning.NEVER:
                raise FinalNo(reason, kind)
            case Meaning.NOT_YET:
                raise NotYet(reason, kind, soon=more is not None and more[0] in SYSTEM)
            case Meaning.SERVER:
                raise Transient(DEPENDENCY, f"the server answered {code} about us")
        await self._unclear(f"the server answered {code}", NotYet(reason, kind, soon=True))

    async def _unclear(self, what: str, no: NotYet) -> None:
        """Raise `no` if the server still lets us in and so is well; else it is not."""
        try:
            session = await self._granted(_Session(await self._connected()))
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as lost:
            raise Transient(DEPENDENCY, f"{what}, and then {type(lost).__name__}") from None
        self._leave(session)
        raise no

    async def close(self) -> None:
        """End the sessions that are kept."""
        while (session := self._kept()) is not None:
            self._leave(session)
        if self._leaving:
            await asyncio.wait(self._leaving)

    async def _begun(self) -> _Session:
        """A session in which our MAIL FROM is granted: a kept one, or else a new one. A kept one that is gone, or in
        which it is refused, was ended by the server (idle or full): no word about us.
        """
        while (session := self._kept()) is not None:
            with suppress(aiosmtplib.SMTPServerDisconnected, aiosmtplib.SMTPSenderRefused):
                return await self._granted(session)
        return await self._granted(_Session(await self._connected()))

    async def _granted(self, session: _Session) -> _Session:
        try:
            await session.client.mail(self.sender)
        except BaseException:
            session.client.close()
            raise
        return session

    async def _connected(self) -> aiosmtplib.SMTP:
        client = aiosmtplib.SMTP(
            hostname=self.host,
            port=self.port,
            # Said in EHLO; left out, the library would ask the resolver for our name before each session.
            local_hostname=self.sender.partition("@")[2],
            timeout=self.timeout_s,
            use_tls=self.access.tls == "implicit",
            start_tls=self.access.tls == "starttls",
            tls_context=self.access.context,
        )
        try:
            await client.connect()
            if self.access.user:
                await client.login(self.access.user, self.access.password)
        except BaseException:
            client.close()
            raise
        return client

    async def _said(self, session: _Session, to: str, content: bytes, patience_s: float) -> None:
        """The mail's own part; the session is kept if all of it was granted, and ended otherwise."""
        try:
            # Said, not left to be read out of the headers: the envelope names nobody but the applicant.
            await session.client.rcpt(to, timeout=patience_s)
            await session.client.data(content, timeout=patience_s)
        except aiosmtplib.SMTPResponseException:
            self._leave(session)
            raise
        except BaseException:
            session.client.close()
            raise
        session.mails += 1
        if session.mails < MAILS:
            self._keep(session)
        else:
            self._leave(session)

    def _keep(self, session: _Session) -> None:
        session.ends = asyncio.get_running_loop().call_later(self.idle_s, self._expire, session)
        self._idle.append(session)

    def _kept(self) -> _Session | None:
        if not self._idle:
            return None
        session = self._idle.pop()
        if session.ends is not None:
            session.ends.cancel()
        return session

    def _expire(self, session: _Session) -> None:
        self._idle.remove(session)
        self._leave(session)

    def _leave(self, session: _Session) -> None:
        """Say QUIT beside whatever goes on."""
        leaving = asyncio.get_running_loop().create_task(_quit(session.client), name="smtp-quit")
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)

    def _content(self, mail: Mail) -> bytes:
        message = MIMEText(mail.text, "plain", "utf-8")
        message["From"], message["To"] = self.sender, mail.to
        message["Subject"] = Header(mail.subject, "utf-8", header_name="Subject").encode()
        message["Message-ID"], message["Date"] = mail.message_id, formatdate(localtime=False)
        message["Content-Language"], message["Auto-Submitted"] = mail.locale, "auto-generated"
        return message.as_bytes(policy=_ON_THE_WIRE)


async def _quit(client: aiosmtplib.SMTP) -> None:
    try:
        await client.quit()
    except (aiosmtplib.SMTPException, OSError, TimeoutError):
        client.close()  # gone already, or it does not want to say goodbye


_ON_THE_WIRE = compat32.clone(linesep="\r\n", max_line_length=998)
"""Lines as long as RFC 5322 (2.1.1) lets them be: an address is not folded. Not the newer policies: they parse every
header that they are given, for a third of all that a mail costs.
"""

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_PLAIN = re.compile(rf"{_ATOM}(\.{_ATOM})*@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")
"""A mailbox without quotes and comments (RFC 5321, 4.1.2: Dot-string "@" Domain). No other has one meaning only."""
_ENCODED = "=?"
"""How an encoded word begins (RFC 2047): the headers of `email` decode it, even into another address."""
