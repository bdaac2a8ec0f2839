"""Starts the outside systems as child processes, for demonstrations and tests.

    async with Simulators(folder, register_file, vnpay_secret="...") as outside:
        await outside.control("bank", ipn_url="http://127.0.0.1:8003/ipn")
        await outside.control("register", mode="down")

Ports are reserved for the whole life of the object, so a stopped system refuses connections and comes back where it
was. Children end when their standard input closes, that is when this process dies in whatever way.
"""

import asyncio
import secrets
import socket
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import aiohttp

from deploy.simulators import bank, register
from deploy.simulators.journal import read_lines

Name = Literal["register", "bank", "smtp"]
NAMES: tuple[Name, ...] = ("register", "bank", "smtp")
START_WITHIN = 60.0
"""Seconds until a child must answer."""
STOP_WITHIN = 5.0
HOST = "127.0.0.1"
ROOT = Path(__file__).resolve().parents[2]


class NotStarted(Exception):
    """A simulator ended, or did not answer in time; the text ends with the end of its log."""


class Simulators:
    """Register, bank and mail server, each in a process of its own; all they write lies under `folder` (mode 0700).

    `register_file` is the JSONL of people. `vnpay_secret` is shared with whoever asks for payments. `ipn_url` may be
    told later (`control("bank", ipn_url=...)`). `register_user` and `register_secret` are what the caller of the
    register signs with. `smtp_arguments` are further ones of the mail server: TLS, users.
    """

    def __init__(
        self,
        folder: Path,
        register_file: Path,
        ipn_url: str | None = None,
        vnpay_secret: str | None = None,
        only: Iterable[Name] = NAMES,
        seed: int = 1,
        smtp_arguments: Sequence[str] = (),
    ) -> None:
        self.folder = folder.resolve()
        self.vnpay_secret = vnpay_secret or secrets.token_hex(32)
        self.register_user = "dossiers"
        self.register_secret = secrets.token_hex(32)
        self._register_file, self._ipn_url, self._seed = register_file.resolve(), ipn_url, seed
        self._names, self._smtp_arguments = tuple(only), smtp_arguments
        self._sockets: dict[str, socket.socket] = {}
        self._children: dict[Name, asyncio.subprocess.Process] = {}
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        _write_secret(self.folder / "register.secret", f"{self.register_user}:{self.register_secret}")
        _write_secret(self.folder / "bank.secret", self.vnpay_secret)
        for name in self._names:
            self._sockets[name], self._sockets[f"{name}.control"] = _reserve(), _reserve()
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30))
        try:
            await asyncio.gather(*(self.start(name) for name in self._names))
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.gather(*(self.stop(name) for name in list(self._children)))
        if self._session is not None:
            await self._session.close()
        for reserved in self._sockets.values():
            reserved.close()
        self._sockets.clear()

    @property
    def register_url(self) -> str:
        """Where the register's SOAP requests are posted to; also what callers hash."""
        return f"http://{HOST}:{self.port('register')}{register.PATH}"

    @property
    def bank_url(self) -> str:
        """The bank's root; `payment_page` and `bank_api` stand under it."""
        return f"http://{HOST}:{self.port('bank')}"

    @property
    def payment_page(self) -> str:
        return self.bank_url + bank.PAGE

    @property
    def bank_api(self) -> str:
        return self.bank_url + bank.API

    @property
    def smtp_port(self) -> int:
        return self.port("smtp")

    @property
    def mail_folder(self) -> Path:
        """Holds `new/*.eml` and `index.jsonl`."""
        return self.folder / "smtp" / "mail"

    def port(self, name: str) -> int:
        """The port of `name`, or of its control side (`name.control`)."""
        number: int = self._sockets[name].getsockname()[1]
        return number

    def pid(self, name: Name) -> int:
        return self._children[name].pid

    async def start(self, name: Name) -> None:
        """Starts one and returns when it answers. Raises NotStarted."""
        log = self.folder / f"{name}.log"
        with log.open("ab") as output:
            child = await asyncio.create_subprocess_exec(
                *self._command(name),
                cwd=ROOT,
                stdin=asyncio.subprocess.PIPE,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C is for whoever started it, who ends it in order
            )
        self._children[name] = child
        try:
            async with asyncio.timeout(START_WITHIN):
                await self._until_it_answers(name, child)
        except (TimeoutError, NotStarted) as error:
            end = log.read_text(errors="replace")[-2000:]
            raise NotStarted(f"{name}: {error}\n{end}") from error

    async def _until_it_answers(self, name: Name, child: asyncio.subprocess.Process) -> None:
        while child.returncode is None:
            try:
                await self.ask(name, "GET", "/control")
                return
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.02)
        raise NotStarted(f"ended with {child.returncode}")

    def _command(self, name: Name) -> list[str]:
        home = self.folder / name
        own = {
            "register": ["--register", str(self._register_file), "--state", str(home / "entered.jsonl")],
            "bank": ["--state", str(home / "state.jsonl"), *(["--ipn-url", self._ipn_url] if self._ipn_url else [])],
            "smtp": ["--mail-dir", str(self.mail_folder), *self._smtp_arguments],
        }[name]
        secret = [] if name == "smtp" else ["--secret-file", str(self.folder / f"{name}.secret")]
        ports = ["--port", str(self.port(name)), "--control-port", str(self.port(f"{name}.control"))]
        common = ["--history", str(self.history_file(name)), "--seed", str(self._seed), "--until-stdin-closes"]
        return [sys.executable, "-m", f"deploy.simulators.{name}", *ports, *common, *own, *secret]

    async def stop(self, name: Name) -> None:
        """Ends one with SIGTERM (SIGKILL after STOP_WITHIN seconds); its port then refuses connections."""
        child = self._children.pop(name)
        if child.returncode is None:
            child.terminate()
        try:
            async with asyncio.timeout(STOP_WITHIN):
                await child.wait()
        except TimeoutError:
            child.kill()
            await child.wait()

    async def kill(self, name: Name) -> int:
        """Ends one with SIGKILL. Gives its return code, −9."""
        child = self._children.pop(name)
        child.kill()
        return await child.wait()

    async def restart(self, name: Name) -> None:
        """Stops one, if it runs, and starts it on its port with its state; settings told before are forgotten."""
        if name in self._children:
            await self.stop(name)
        await self.start(name)

    async def control(self, name: Name, **settings: object) -> Mapping[str, Any]:
        """Tells one how to behave; gives its settings. Raises aiohttp.ClientResponseError for a bad setting."""
        return await self.ask(name, "PUT", "/control", settings)

    async def reset(self, name: Name) -> Mapping[str, Any]:
        """Tells one to behave as it did when it was started."""
        return await self.ask(name, "DELETE", "/control")

    async def stats(self, name: Name) -> Mapping[str, Any]:
        """What one has counted since it was started."""
        return await self.ask(name, "GET", "/control/stats")

    async def enter_person(self, person: Mapping[str, str]) -> str:
        """Enters a person in the register as the police would. Gives `entered`, `changed` or `unchanged`."""
        answer = await self.ask("register", "POST", "/control/people", person)
        return str(answer["outcome"])

    async def send_callback(self, **wanted: object) -> list[str]:
        """Makes the bank send any callback (`txn_ref`, `params`, `signature`, `times`). Gives the RspCodes answered."""
        return list((await self.ask("bank", "POST", "/control/ipn", wanted))["codes"])

    async def ask(self, name: Name, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """One request to a control port. Gives the JSON of the answer. Raises aiohttp.ClientError."""
        if self._session is None:
            raise RuntimeError("not started")
        url = f"http://{HOST}:{self.port(f'{name}.control')}{path}"
        async with self._session.request(method, url, json=body, raise_for_status=True) as answer:
            found: dict[str, Any] = await answer.json()
            return found

    def history_file(self, name: Name) -> Path:
        return self.folder / name / "history.jsonl"

    def history(self, name: Name, kind: str | None = None) -> list[dict[str, Any]]:
        """What reached one, in order; readable also after it was killed."""
        return [line for line in read_lines(self.history_file(name)) if kind in (None, line["kind"])]

    def mails(self) -> list[dict[str, Any]]:
        """The mails that the server kept, in order."""
        return list(read_lines(self.mail_folder / "index.jsonl"))


def _reserve() -> socket.socket:
    """A free port, bound and never listened on: nobody else is given it, connecting is refused, a child may take it."""
    reserved = socket.socket()
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reserved.bind((HOST, 0))
    return reserved


def _write_secret(file: Path, secret: str) -> None:
    file.touch(mode=0o600)
    file.write_text(secret + "\n", encoding="utf-8")
