"""A mail server that keeps every mail and delivers none (aiosmtpd), failing on command.

    python -m deploy.simulators.smtp --port 8125 --control-port 8126 --mail-dir mail --history history.jsonl

Modes: `down` 421, `error` 451, `garbage` bytes that are not SMTP, `hang` silence, `refuse` no connection,
`wrong` 250 for a mail that is thrown away. With `when: after` the mail is kept and only the answer fails.

With `--tls starttls|implicit --certificate PEM` it speaks TLS, and takes no mail without; with `--user-file FILE`
(`user:password`) it takes none from who has not logged in, and offers that only behind TLS (RFC 3207, 4954, 8314).
"""

import argparse
import asyncio
import hmac
import ssl
from collections import Counter
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Annotated, Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from pydantic import Field, StringConstraints

from deploy.simulators.failing import GARBAGE, control_app
from deploy.simulators.faults import Faults, Mode, Settings
from deploy.simulators.journal import History
from deploy.simulators.mailbox import Mailbox
from deploy.simulators.serving import arguments, serve

SIZE_LIMIT = 1024 * 1024
WHOLE_CONNECTION = ("down", "garbage", "hang", "refuse")
BYE = "421 4.3.2 not available, closing"
LATER = "451 4.3.0 try again later"


Answer = Annotated[str, StringConstraints(pattern=r"^[245]\d\d [ -~]{1,200}$")]


class SmtpSettings(Settings):
    """Recipients (shell patterns) that are refused for good or for now, with these answers to RCPT TO; whose mails are
    refused only at their end; whom RCPT TO brings no answer, for `slow_ms` or (absent) until the settings change; at
    whom the connection is cut.
    """

    reject_recipients: list[str] = []
    reject_answer: Answer = "550 5.1.1 no such mailbox"
    defer_recipients: list[str] = []
    defer_answer: Answer = "451 4.2.1 mailbox busy"
    refuse_content_to: list[str] = []
    content_answer: Answer = "554 5.6.0 the content is refused"
    slow_recipients: list[str] = []
    slow_ms: int | None = Field(default=None, ge=0, le=600_000)
    cut_recipients: list[str] = []

    @property
    def fails_at_connection(self) -> bool:
        return self.mode in WHOLE_CONNECTION and self.when == "before"


@dataclass(frozen=True, slots=True)
class Lock:
    """What a client must do before it may send: speak TLS, log in. `users`: `user:password`."""

    tls: str = "none"
    context: ssl.SSLContext | None = None
    users: str | None = None

    def let_in(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        """Whether user and password are right (aiosmtpd's authenticator)."""
        known = isinstance(data, LoginPassword) and self.users is not None
        told = data.login + b":" + data.password if known else b""
        right = known and hmac.compare_digest(told, (self.users or "").encode())
        return AuthResult(success=right, handled=False)


class Connection(SMTP):
    """One client; it is known to the door while it is connected. `drawn`: it met its fate when it connected."""

    def __init__(self, sink: "Sink", connected: set[asyncio.Transport], drawn: bool, lock: Lock) -> None:
        super().__init__(
            sink, hostname="mail.simulator", ident="SMTP", data_size_limit=SIZE_LIMIT, enable_SMTPUTF8=True,
            tls_context=lock.context if lock.tls == "starttls" else None, require_starttls=lock.tls == "starttls",
            auth_required=lock.users is not None, auth_require_tls=lock.tls != "implicit", authenticator=lock.let_in,
        )  # fmt: skip
        self._connected = connected
        self.drawn = drawn

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._abortable = _abortable(transport)
        self._connected.add(self._abortable)

    def connection_lost(self, error: Exception | None) -> None:
        self._connected.discard(self._abortable)
        super().connection_lost(error)

    def abort(self) -> None:
        self._abortable.abort()


class Failing(asyncio.Protocol):
    """A client that meets a server which is not one."""

    def __init__(self, met: Mode, stuck: set[asyncio.Transport]) -> None:
        self._met = met
        self._stuck = stuck

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = _abortable(transport)
        self._stuck.add(self._transport)
        if self._met in ("down", "garbage"):
            self._transport.write(GARBAGE if self._met == "garbage" else f"{BYE}\r\n".encode())
            self._transport.close()
        elif self._met == "refuse":
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stuck.discard(self._transport)


def _abortable(transport: asyncio.BaseTransport) -> asyncio.Transport:
    if not isinstance(transport, asyncio.Transport):
        raise TypeError(type(transport).__name__)
    return transport


class Sink:
    """What aiosmtpd asks at each step of a mail (its handler hooks)."""

    def __init__(self, mailbox: Mailbox, faults: Faults[SmtpSettings], history: History) -> None:
        self._mailbox, self._faults, self._history = mailbox, faults, history
        self.counts: Counter[str] = Counter()

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        settings = self._faults.settings
        await self._keep_waiting(server, address)
        if _matches(address, settings.reject_recipients):
            return self._refuse(settings.reject_answer, address)
        if _matches(address, settings.defer_recipients):
            return self._refuse(settings.defer_answer, address)
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 OK"

    async def _keep_waiting(self, server: SMTP, address: str) -> None:
        settings = self._faults.settings
        if _matches(address, settings.cut_recipients) and isinstance(server, Connection):
            self._history.record("cut", rcpt_to=address)
            server.abort()
        if _matches(address, settings.slow_recipients):
            self._history.record("slow", rcpt_to=address)
            await (self._faults.until_changed() if settings.slow_ms is None else asyncio.sleep(settings.slow_ms / 1000))

    def _refuse(self, answer: str, address: str) -> str:
        self.counts[answer[:3]] += 1
        self._history.record("refused", answer=answer, rcpt_to=address)
        return answer

    async def handle_DATA(self, server: Connection, session: Session, envelope: Envelope) -> str:
        spared = server.drawn and self._faults.settings.fails_at_connection
        met = "up" if spared else self._faults.draw()
        await self._faults.delay()
        settings = self._faults.settings
        for address in envelope.rcpt_tos:
            if _matches(address, settings.refuse_content_to):
                return self._refuse(settings.content_answer, address)
        if met == "up" or (self._faults.settings.when == "after" and met != "wrong"):
            self._keep(envelope)
        return await self._answer(met, server, envelope)

    def _keep(self, envelope: Envelope) -> None:
        content = envelope.original_content or b""
        line = self._mailbox.keep(envelope.mail_from, list(envelope.rcpt_tos), content)
        self._history.record("mail", **{name: value for name, value in line.items() if name not in ("n", "at")})

    async def _answer(self, met: Mode, server: Connection, envelope: Envelope) -> str:
        if met != "up":
            when = self._faults.settings.when
            self._history.record("fault", mode=met, when=when, rcpt_to=list(envelope.rcpt_tos))
        if met == "hang":
            await self._faults.until_changed()
        if met in ("hang", "refuse"):
            server.abort()
        answer = {"up": "250 2.0.0 kept", "wrong": "250 2.0.0 kept", "error": LATER, "garbage": "\x00\x01\x02"}.get(
            met, BYE
        )
        self.counts[answer[:3]] += 1
        return answer

    async def handle_exception(self, error: Exception) -> str:
        """A failure of the sink itself is told to the client as temporary; aiosmtpd has logged it."""
        self._history.record("failed", error=type(error).__name__)
        return LATER

    def stats(self) -> dict[str, Any]:
        return {**self._mailbox.stats(), "answers": dict(self.counts)}


def _matches(address: str, patterns: list[str]) -> bool:
    return any(fnmatch(address.lower(), pattern.lower()) for pattern in patterns)


class SmtpDoor:
    """The listening port, and who is connected to it."""

    def __init__(self, sink: Sink, faults: Faults[SmtpSettings], host: str, port: int, lock: Lock) -> None:
        self._sink, self._faults, self._lock = sink, faults, lock
        self._host, self._port = host, port
        self._server: asyncio.Server | None = None
        self._connected: set[asyncio.Transport] = set()
        self._stuck: set[asyncio.Transport] = set()

    async def open(self) -> None:
        if self._server is None:
            loop = asyncio.get_running_loop()
            tls = self._lock.context if self._lock.tls == "implicit" else None
            self._server = await loop.create_server(self._meet, self._host, self._port, reuse_address=True, ssl=tls)

    def _meet(self) -> asyncio.BaseProtocol:
        fails = self._faults.settings.fails_at_connection
        met = self._faults.draw() if fails else "up"
        return Connection(self._sink, self._connected, fails, self._lock) if met == "up" else Failing(met, self._stuck)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        self.hang_up()

    def hang_up(self) -> None:
        """Cuts off who is connected."""
        for transport in [*self._connected, *self._stuck]:
            transport.abort()

    async def release(self) -> None:
        """Called at a change: cuts off who waits for a server that hung."""
        for transport in list(self._stuck):
            transport.abort()


def _lock(args: argparse.Namespace) -> Lock:
    context = None
    if args.tls != "none":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(args.certificate)
    users = args.user_file.read_text(encoding="utf-8").strip() if args.user_file else None
    return Lock(args.tls, context, users)


async def main() -> None:
    parser = arguments("A mail server that keeps every mail.")
    parser.add_argument("--mail-dir", type=Path, required=True, help="where mails are kept; also its state")
    parser.add_argument("--tls", choices=("none", "starttls", "implicit"), default="none")
    parser.add_argument("--certificate", type=Path, help="key and certificate in one PEM file")
    parser.add_argument("--user-file", type=Path, help="holds user:password")
    args = parser.parse_args()
    faults, history = Faults(SmtpSettings(), args.seed), History(args.history)
    sink = Sink(Mailbox(args.mail_dir), faults, history)
    door = SmtpDoor(sink, faults, args.host, args.port, _lock(args))
    faults.told.append(door.release)
    await serve(args, door, control_app(faults, sink.stats), faults)


if __name__ == "__main__":
    asyncio.run(main())
