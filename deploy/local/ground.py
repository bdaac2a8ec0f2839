"""The ground as a whole: both servers, secrets, databases and topics, ready to start services on."""

import asyncio
import fcntl
import json
import os
import shutil
from collections.abc import Collection, Coroutine, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, TypeVar

import asyncpg

from deploy.kafka import provision as cluster
from deploy.kafka.acls import ADMIN
from deploy.local.kafka import Guarded, LocalKafka
from deploy.local.machine import LIBS, LOCAL
from deploy.local.ports import free_port
from deploy.local.postgres import LocalPostgres
from deploy.local.server import GroundError, Say, Server
from deploy.postgres.provision import Databases, copy, provision
from deploy.secrets import Secrets
from shared.law.loader import load_catalogue
from shared.runtime.kafka.clients import Broker
from shared.runtime.service.settings import AUTHORITY

_S = TypeVar("_S", bound=Server)
_TEMPLATE = "_template"
_OWN = ("kafka/data", "postgres", "secrets", "ports.json")


@dataclass(frozen=True, slots=True)
class External:
    """Servers that are there already and are used instead of embedded ones; None means: start one."""

    bootstrap_servers: str | None = None
    database_url: str | None = None

    @classmethod
    def from_environment(cls) -> Self:
        """KAFKA_BOOTSTRAP_SERVERS and DATABASE_URL (an administrator's), where set."""
        return cls(os.environ.get("KAFKA_BOOTSTRAP_SERVERS") or None, os.environ.get("DATABASE_URL") or None)


@dataclass
class Ground:
    """`async with Ground(directory) as ground:` starts what is not external, and ends what it started.

    `units` are the agency codes that get an officer's token; by default every agency of the shipped catalogue.
    After a kill -9 of this process the kernel ends the servers. One ground at a time uses a directory.
    """

    directory: Path = LOCAL
    external: External = field(default_factory=External)
    units: Iterable[str] | None = None
    say: Say = lambda _: None
    libs: Path = LIBS
    secured: bool = False
    """Whether the embedded broker lets in only whom it knows, each to what `deploy/kafka/acls.py` allows."""
    kafka: LocalKafka | None = field(init=False, default=None)
    """The embedded broker, to be killed and restarted by tests; None if an external one is used."""
    postgres: LocalPostgres | None = field(init=False, default=None)
    """The embedded server; None if an external one is used."""

    def __post_init__(self) -> None:
        self.directory = self.directory.resolve()
        self.secrets = Secrets(self.directory / "secrets")
        self._lock: IO[str] | None = None
        self._has_template = False

    @property
    def bootstrap_servers(self) -> str:
        """Where Kafka answers. Raises GroundError before the start."""
        return self.external.bootstrap_servers or _started(self.kafka).bootstrap_servers

    @property
    def admin_url(self) -> str:
        """The database administrator's way in. Raises GroundError before the start."""
        return self.external.database_url or _started(self.postgres).admin_url

    @property
    def security(self) -> str:
        """KAFKA_SECURITY_PROTOCOL of this ground's Kafka."""
        return "SASL_SSL" if self.secured else "PLAINTEXT"

    def broker(self, who: str) -> Broker:
        """Kafka, with the login of the principal `who` if it wants one."""
        return self.secrets.broker(self.bootstrap_servers, self.security, who)

    def databases(self, suffix: str = "") -> Databases:
        """The databases; another `suffix` names another set on the same server, not made yet."""
        return Databases(self.admin_url, self.secrets, suffix)

    def database_url(self, service: str) -> str:
        """What `service` connects to its own database with."""
        return self.databases().url(service)

    async def fresh_databases(self, suffix: str) -> Databases:
        """Makes another set of the databases (under a second), empty but for the migrations."""
        template, databases = self.databases(_TEMPLATE), self.databases(suffix)
        if not self._has_template:
            await provision(template)
            self._has_template = True
        await copy(template, databases)
        return databases

    async def start(self) -> Self:
        """Starts the servers side by side and provisions them. Raises GroundError or Misconfigured."""
        self._lock = lock(self.directory)
        try:
            self.secrets.ensure(load_catalogue().agencies if self.units is None else self.units)
            self._choose_servers()
            await _all(server.start() for server in self._servers())
            await self._provision()
        except BaseException:
            await self.stop()
            raise
        return self

    async def stop(self) -> None:
        """Ends what `start` started; what is external stays as it is."""
        await _all(server.stop() for server in self._servers())
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def _servers(self) -> list[Server]:
        return [server for server in (self.kafka, self.postgres) if server is not None]

    def _choose_servers(self) -> None:
        kafka_port, postgres_port = _ports(self.directory / "ports.json")
        if self.external.bootstrap_servers is None:
            self.kafka = LocalKafka(self.directory / "kafka", kafka_port, self.libs, self.say, self._guarded())
        if self.external.database_url is None:
            password = self.secrets.read("admin_db_password")
            self.postgres = LocalPostgres(self.directory / "postgres", postgres_port, password, self.say)

    def _guarded(self) -> Guarded | None:
        admin = self.secrets.broker("", self.security, ADMIN).login
        if admin is None:
            return None
        return Guarded(
            self.secrets.path(AUTHORITY), self.secrets.ensure_broker("kafka", ["localhost", "127.0.0.1"]), admin
        )

    async def _provision(self) -> None:
        if self.postgres is not None:
            await _close_to_the_public(self.admin_url)
        migrations, told = await asyncio.gather(
            provision(self.databases()), cluster.provision(self.broker(ADMIN), self.secrets.kafka_password)
        )
        self.say(f"databases: {len(migrations)} migrations run; {told}")


async def _close_to_the_public(admin_url: str) -> None:
    connection = await asyncpg.connect(admin_url)
    try:
        await connection.execute("REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC")
    finally:
        await connection.close()


async def _all(steps: Iterable[Coroutine[Any, Any, object]]) -> None:
    """Runs `steps` side by side, waits for all of them, then raises the first error."""
    results = await asyncio.gather(*steps, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result


def _started(server: _S | None) -> _S:
    if server is None:
        raise GroundError("the ground is not started")
    return server


def _ports(memory: Path) -> tuple[int, int]:
    remembered: dict[str, int] = json.loads(memory.read_text()) if memory.exists() else {}
    ports = {name: free_port(remembered.get(name)) for name in ("kafka", "postgres")}
    memory.write_text(json.dumps(ports))
    return ports["kafka"], ports["postgres"]


def lock(directory: Path) -> IO[str]:
    """Holds `directory` until the file is closed or this process ends. Raises GroundError if somebody else does."""
    directory.mkdir(parents=True, exist_ok=True)
    file = (directory / "ground.lock").open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = holder_of(directory)
        file.close()
        raise GroundError(f"{directory} is in use by process {holder}: end it with Ctrl-C or `down`") from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


def holder_of(directory: Path) -> int | None:
    """The process that uses `directory` now; None if nobody does."""
    path = directory / "ground.lock"
    if not path.exists():
        return None
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return int(file.read() or 0) or None
    return None


def wipe(directory: Path, keep: Collection[str] = ()) -> None:
    """Removes all data and secrets of `directory` (save `keep`); Kafka's jars stay. Raises GroundError while it is in
    use.
    """
    with lock(directory):
        _remove(directory, set(_OWN) - set(keep))


def wipe_all(directory: Path, stacks: Iterable[Path]) -> list[Path]:
    """The same, and the whole folders of `stacks`; nothing of it, and GroundError, while any of them is in use. Returns
    what was there and is gone.
    """
    present = [stack for stack in stacks if stack.exists()]
    with ExitStack() as held:
        for each in (directory, *present):
            held.enter_context(lock(each))
        gone = _remove(directory, _OWN)
        for stack in present:
            shutil.rmtree(stack)
    return [*gone, *present]


def _remove(directory: Path, names: Iterable[str]) -> list[Path]:
    there = [directory / name for name in names if (directory / name).exists()]
    for target in there:
        if target.is_dir():
            shutil.rmtree(target)
        else:
            target.unlink()
    return there
