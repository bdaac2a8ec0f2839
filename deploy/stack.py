"""The whole platform on this machine: ground, simulators of the outside, and the services, each a process of its
own.
"""

import asyncio
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit, urlunsplit

import aiohttp

from deploy.kafka.acls import WATCHER
from deploy.local.ground import External, Ground
from deploy.local.machine import LOCAL, ROOT
from deploy.local.ports import free_port
from deploy.local.server import GroundError
from deploy.postgres.provision import is_used
from deploy.simulators.process import Simulators
from deploy.waiting import until
from deploy.watcher.settings import MADE_UP
from shared.runtime.http.door import Client
from shared.services import DOORS, SERVICES

_LEASH = Path(__file__).parent / "local" / "leash.py"
RECORD = "stack.json"
"""In the stack's directory while it runs: what `deploy.local status` must know to ask it."""
ENVIRONMENTS = "env"
"""In the stack's directory while it runs: a file of settings per service, to be sourced by an operator's shell."""
READY_S = 120.0
STOP_S = 40.0


@dataclass
class Process:
    """One process of one service; `log` is its JSON log, `url` its door, which has nobody behind it in a service that
    lets nobody in, `probes` where /livez, /readyz and /metrics are asked.
    """

    service: str
    number: int
    port: int
    probe_port: int
    environment: Mapping[str, str]
    log: Path
    module: str
    tree: Path = ROOT
    """Where the code lies that it runs."""
    child: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def probes(self) -> str:
        return f"http://127.0.0.1:{self.probe_port}"

    @property
    def pid(self) -> int:
        if self.child is None:
            raise GroundError(f"{self.service} was not started")
        return self.child.pid

    def start(self, **more: str) -> None:
        """Start the process; `more` are settings for this run only, such as a crash point."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-I", "-S", str(_LEASH), str(int(signal.SIGTERM)), str(os.getpid())]
        with self.log.open("ab") as log:
            self.child = subprocess.Popen(  # noqa: S603 - the command is ours
                [*command, sys.executable, "-m", self.module, "run"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.tree, start_new_session=True,
                env={**self.environment, "PYTHONPATH": str(self.tree), **more},
            )  # fmt: skip

    @property
    def exit_code(self) -> int | None:
        """The exit code, None while it runs (or was never started)."""
        return None if self.child is None else self.child.poll()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if it still runs."""
        if self.child is not None and self.child.poll() is None:
            self.child.send_signal(number)

    async def ended(self, seconds: float = STOP_S) -> int:
        """The exit code, once it has ended. Raises TimeoutError."""
        await until(self._has_ended, seconds=seconds, what=f"{self.service} {self.number} to end")
        return self.exit_code or 0

    async def _has_ended(self) -> bool:
        return self.exit_code is not None

    def last_words(self, lines: int = 15) -> str:
        """The end of its log, for error messages."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.exists() else ""


@dataclass
class Stack:
    """`async with Stack(...) as stack:` brings everything up and ends it; what is external stays as it is.

    `modules` names another program for a service than its own; `copies` another number of processes than `replicas`.
    `tree` is where the code lies that operators' commands run, and processes from their beginning.
    """

    directory: Path = LOCAL
    register_file: Path = LOCAL / "register.jsonl"
    replicas: int = 1
    say: Callable[[str], None] = lambda _: None
    suffix: str = ""
    watched: bool = False
    """Whether a watcher sends synthetic dossiers through it."""
    secured: bool = False
    """Whether each process logs in to an embedded Kafka that lets it do only what it must."""
    services: Sequence[str] = tuple(SERVICES)
    settings: Mapping[str, str] = field(default_factory=dict)
    modules: Mapping[str, str] = field(default_factory=dict)
    copies: Mapping[str, int] = field(default_factory=dict)
    tree: Path = ROOT
    external: External = field(default_factory=External.from_environment)
    ground_of: Callable[..., Ground] = Ground
    processes: list[Process] = field(default_factory=list)
    outside: Simulators = field(init=False)
    ground: Ground = field(init=False)
    http: aiohttp.ClientSession = field(init=False)

    async def __aenter__(self) -> Self:
        self.ground = self.ground_of(self.directory, self.external, say=self.say, secured=self.secured)
        await self.ground.start()
        try:
            await self._start_outside()
            await asyncio.gather(*(self._reshape(service) for service in self.services))
            self.http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30))
            await self._start_services()
            self.write_down()
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        (self.directory / RECORD).unlink(missing_ok=True)
        shutil.rmtree(self.directory / ENVIRONMENTS, ignore_errors=True)
        await self.stop_services()
        if hasattr(self, "http"):
            await self.http.close()
        if hasattr(self, "outside"):
            await self.outside.__aexit__(None, None, None)
        await self.ground.stop()

    async def _start_outside(self) -> None:
        self.say("outside systems: register, bank, mail server")
        secret = self.ground.secrets.read("vnpay_secret")
        self.outside = Simulators(self.directory / "outside", self.register_file, vnpay_secret=secret)
        await self.outside.__aenter__()
        credentials = self.ground.secrets.path("register_credentials")
        credentials.touch(mode=0o600)
        credentials.write_text(f"{self.outside.register_user}:{self.outside.register_secret}")

    async def _reshape(self, service: str) -> None:
        """What an earlier run has left has the shape of its release: made anew, if this release has another one."""
        if await is_used(self.ground.databases(self.suffix), service):
            await self.command(service, "rebuild", "--apply", "--needed")

    async def command(self, service: str, *words: str) -> None:
        """An operator's command of `service`, to its end. Raises GroundError with what it said if it fails."""
        module = self.modules.get(service, f"services.{service}")
        running = await asyncio.create_subprocess_exec(
            sys.executable, "-m", module, *words,
            cwd=self.tree, env=self.environment(service), stdout=PIPE, stderr=STDOUT,
        )  # fmt: skip
        said, _ = await running.communicate()
        if running.returncode != 0:
            raise GroundError(f"{module} {' '.join(words)}: {said.decode()[-500:]}")

    async def _start_services(self) -> None:
        for service in self.services:
            for number in range(self.copies.get(service, self.replicas)):
                self.processes.append(self._process(service, number))
        for process in self.processes:
            process.start()
        for process in self.of("payment")[:1]:
            await self.outside.control("bank", ipn_url=f"{process.url}/v1/payments/vnpay/ipn")
        await asyncio.gather(*(self.ready(process) for process in self.processes))
        self.say(f"services: {len(self.processes)} processes ready")
        if self.watched:
            await self.start_watcher()

    async def start_watcher(self, **more: str) -> Process:
        """Start a watcher, its made-up applicant in the register; `more` are settings of its own."""
        person = json.loads(MADE_UP.read_text())
        shown = {name: person[name] for name in ("id_number", "full_name", "date_of_birth")}
        await self.outside.enter_person({**shown, "gender": "male"})
        watcher = self._process(WATCHER, 0)
        self.processes.append(watcher)
        watcher.start(**more)
        await self.ready(watcher)
        return watcher

    def _process(self, service: str, number: int) -> Process:
        port, probe_port = free_port(), free_port()
        log = self.directory / "logs" / f"{service}-{number}.log"
        own = {
            "PATH": os.environ.get("PATH", os.defpath),
            "PYTHONUNBUFFERED": "1",
            "SECRETS_DIR": str(self.ground.secrets.of(service)),
            "HTTP_PORT": str(port),
            "PROBE_PORT": str(probe_port),
            "INSTANCE": f"{service}-{number}",
        }
        if service == WATCHER:
            module, where = "deploy.watcher", self._where_to_watch()
        else:
            module, where = self.modules.get(service, f"services.{service}"), self.where(service)
        return Process(service, number, port, probe_port, {**where, **own}, log, module, self.tree)

    def _where_to_watch(self) -> dict[str, str]:
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.ground.bootstrap_servers,
            "KAFKA_SECURITY_PROTOCOL": self.ground.security,
            "INTAKE_URLS": ",".join(process.url for process in self.of("intake")),
            **self.settings,
        }

    def environment(self, service: str, port: int = 1) -> dict[str, str]:
        """The whole environment of an operator's command of `service`: nothing is inherited but the search path."""
        path = os.environ.get("PATH", os.defpath)
        return {**self.where(service), "PATH": path, "PYTHONPATH": str(self.tree), "HTTP_PORT": str(port)}

    def where(self, service: str) -> dict[str, str]:
        """What an operator of `service` must be told of this stack; a process of it sees its own secrets only."""
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.ground.bootstrap_servers,
            "KAFKA_SECURITY_PROTOCOL": self.ground.security,
            "DATABASE_URL": without_password(self.ground.databases(self.suffix).url(service)),
            "SECRETS_DIR": str(self.ground.secrets.directory),
            "DATA_DIR": str(self.directory / "faust"),
            "REGISTER_URL": self.outside.register_url,
            "VNPAY_PAY_URL": self.outside.payment_page,
            "VNPAY_RETURN_URL": "https://dichvucong.example/payment/return",
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(self.outside.smtp_port),
            # A demonstration and a measurement are many people behind one client.
            "CLIENT_RATE": "100000",
            "STRANGER_RATE": "100000",
            **self.settings,
        }

    def write_down(self) -> None:
        """Write where everything is, without any secret; again after a process was started anew."""
        where = urlsplit(self.ground.admin_url)
        record = {
            "pid": os.getpid(),
            "kafka": self.ground.bootstrap_servers,
            "security": self.ground.security,
            "postgres": urlunsplit(where._replace(netloc=where.netloc.rpartition("@")[2])),
            "suffix": self.suffix,
            "processes": [
                {"service": each.service, "number": each.number, "pid": each.pid, "url": each.probes}
                for each in self.processes
            ],
        }
        for service in self.services:
            self._write_environment(service)
        unfinished = self.directory / f"{RECORD}.new"
        unfinished.write_text(json.dumps(record, indent=1))
        unfinished.replace(self.directory / RECORD)

    def _write_environment(self, service: str) -> None:
        """The settings of `service` as a shell reads them, with this Python first on the path; no secret."""
        entered = self.of(service)[-1:] if service in DOORS else []
        doors = {f"{process.service.upper()}_URL": process.url for process in entered}
        settings = {"PYTHONPATH": str(ROOT), **self.where(service), **doors}
        lines = [f"PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH"]
        lines += [f"{name}={shlex.quote(value)}" for name, value in settings.items()]
        file = self.environment_file(service)
        file.parent.mkdir(exist_ok=True)
        file.write_text("\n".join(lines) + "\n")

    def environment_file(self, service: str) -> Path:
        """What an operator sources before a command of `service`: `(set -a; . FILE; set +a; python …)`."""
        return self.directory / ENVIRONMENTS / f"{service}.env"

    def of(self, service: str) -> list[Process]:
        """The processes of one service."""
        return [process for process in self.processes if process.service == service]

    async def ready(self, process: Process, seconds: float = READY_S) -> None:
        """Return once the process says it is ready. Raises GroundError with the end of its log."""

        async def answers() -> bool:
            if process.exit_code is not None:
                raise GroundError(f"{process.service} ended with {process.exit_code}:\n{process.last_words()}")
            try:
                async with self.http.get(f"{process.probes}/readyz") as answer:
                    return answer.status == 200
            except (aiohttp.ClientError, OSError):
                return False

        try:
            await until(answers, seconds=seconds, what=f"{process.service} {process.number} to be ready")
        except TimeoutError as late:
            raise GroundError(f"{late}:\n{process.last_words()}") from late

    async def stop_services(self) -> None:
        """SIGTERM for all, and wait until they have drained; SIGKILL for what does not end in time."""
        started = [process for process in self.processes if process.child is not None]
        for process in started:
            process.signal(signal.SIGTERM)
        for process in started:
            try:
                await process.ended()
            except TimeoutError:
                process.signal(signal.SIGKILL)
                await process.ended()

    def clients(self) -> dict[str, Client]:
        """The clients of the secrets file by name."""
        entries: Sequence[Any] = json.loads(self.ground.secrets.read("clients.json"))
        return {entry["name"]: Client.model_validate(entry) for entry in entries}


def without_password(url: str) -> str:
    """The URL as a service's setting: the password comes from a secret file."""
    parts = urlsplit(url)
    user, host = parts.username or "", parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, f"{user}@{host}", parts.path, parts.query, ""))
