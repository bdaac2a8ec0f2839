"""A mail server that keeps every mail and delivers none (aiosmtpd), failing on command.

    python -m deploy.simulators.smtp --port 8125 --control-port 8126 --mail-dir mail --history history.jsonl

Modes: `down` 421, `error` 451, `garbage` bytes that are not SMTP, `hang` silence, `refuse` no connection,
`wrong` 250 for a mail that is thrown away. With `when: after` the mail is kept and only the answer fails.
"""

import asyncio
from collections import Counter
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session

from deploy.simulators.failing import GARBAGE, control_app
from deploy.simulators.faults import Faults, Mode, Settings
from deploy.simulators.journal import History
from deploy.simulators.mailbox import Mailbox
from deploy.simulators.serving import arguments, serve

SIZE_LIMIT = 1024 * 1024
WHOLE_CONNECTION = ("down", "garbage", "hang", "refuse")
BYE = "421 4.3.2 not available, closing"
LATER = "451 4.3.0 try again later"


class SmtpSettings(Settings):
    """Recipients (shell patterns) that are refused for good (550) or for now (451)."""

    reject_recipients: list[str] = []
    defer_recipients: list[str] = []

    @property
    def fails_at_connection(self) -> bool:
        return self.mode in WHOLE_CONNECTION and self.when == "before"


class Connection(SMTP):
    """One client; it is known to the door while it is connected. `drawn`: it met its fate when it connected."""

    def __init__(self, sink: "Sink", connected: set[asyncio.Transport], drawn: bool) -> None:
        super().__init__(
            sink, hostname="mail.simulator", ident="SMTP", data_size_limit=SIZE_LIMIT, enable_SMTPUTF8=True
        )
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
        if _matches(address, settings.reject_recipients):
            return self._refuse("550 5.1.1 no such mailbox", address)
        if _matches(address, settings.defer_recipients):
            return self._refuse("451 4.2.1 mailbox busy", address)
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 OK"

    def _refuse(self, answer: str, address: str) -> str:
        self.counts[answer[:3]] += 1
        self._history.record("refused", answer=answer, rcpt_to=address)
        return answer

    async def handle_DATA(self, server: Connection, session: Session, envelope: Envelope) -> str:
        spared = server.drawn and self._faults.settings.fails_at_connection
        met = "up" if spared else self._faults.draw()
        await self._faults.delay()
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

    def __init__(self, sink: Sink, faults: Faults[SmtpSettings], host: str, port: int) -> None:
        self._sink, self._faults = sink, faults
        self._host, self._port = host, port
        self._server: asyncio.Server | None = None
        self._connected: set[asyncio.Transport] = set()
        self._stuck: set[asyncio.Transport] = set()

    async def open(self) -> None:
        if self._server is None:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_server(self._meet, self._host, self._port, reuse_address=True)

    def _meet(self) -> asyncio.BaseProtocol:
        fails = self._faults.settings.fails_at_connection
        met = self._faults.draw() if fails else "up"
        return Connection(self._sink, self._connected, fails) if met == "up" else Failing(met, self._stuck)

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


async def main() -> None:
    parser = arguments("A mail server that keeps every mail.")
    parser.add_argument("--mail-dir", type=Path, required=True, help="where mails are kept; also its state")
    args = parser.parse_args()
    faults, history = Faults(SmtpSettings(), args.seed), History(args.history)
    sink = Sink(Mailbox(args.mail_dir), faults, history)
    door = SmtpDoor(sink, faults, args.host, args.port)
    faults.told.append(door.release)
    await serve(args, door, control_app(faults, sink.stats), faults)


if __name__ == "__main__":
    asyncio.run(main())
