"""The platform with a proxy before everything that each replica talks to, on disks that can be filled."""

import asyncio
import os
import shutil
import subprocess
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit, urlunsplit

from deploy.local.ground import Ground
from deploy.local.kafka import LocalKafka
from deploy.local.ports import free_port
from deploy.stack import Process, Stack
from shared.services import SERVICES
from tests.chaos.proxy import HOST, Proxy

MB = 1 << 20
FAKETIME = Path(f"/usr/lib/{os.uname().machine}-linux-gnu/faketime/libfaketime.so.1")
"""Where Debian's package `libfaketime` puts its library."""


def listener(service: str, number: int) -> str:
    """The name of the broker's listener for one replica: Kafka tells each client the address of the one it came by."""
    return f"{service}{number}".upper()


class ProxiedKafka(LocalKafka):
    """A broker with a listener for each replica, which advertises the address of that replica's proxy."""

    doors: dict[str, tuple[int, int]]
    """Listener → its own port, and the proxy's."""

    async def _prepare(self) -> None:
        await super()._prepare()
        written = self._properties.read_text()
        told = dict(line.split("=", 1) for line in written.splitlines() if "=" in line and not line.startswith("#"))
        own = {
            "listeners": [f"{name}://{HOST}:{port}" for name, (port, _) in self.doors.items()],
            "advertised.listeners": [f"{name}://{HOST}:{proxy}" for name, (_, proxy) in self.doors.items()],
            "listener.security.protocol.map": [f"{name}:PLAINTEXT" for name in self.doors],
        }
        lines = [f"{key}={','.join([told[key], *more])}" for key, more in own.items()]
        self._properties.write_text("\n".join([written, *lines, ""]))


class ProxiedGround(Ground):
    """A ground whose broker has a door for each replica."""

    doors: dict[str, tuple[int, int]]

    def _choose_servers(self) -> None:
        super()._choose_servers()
        assert self.kafka is not None, "chaos uses servers of its own"
        proxied = ProxiedKafka(self.directory / "kafka", self.kafka.port, self.libs, self.say)
        proxied.doors = self.doors
        self.kafka = proxied


@dataclass
class Stage(Stack):
    """A stack whose replicas each see broker, database, register, mail server through proxies of their own, and whose
    bank sees payment through one. `disks`: megabytes of small disks for broker and database; empty for ordinary ones.
    """

    disks: dict[str, int] = field(default_factory=dict)
    proxies: dict[tuple[str, int, str], Proxy] = field(default_factory=dict)
    _doors: dict[str, tuple[int, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for service in SERVICES:
            for number in range(self.replicas):
                self._doors[listener(service, number)] = free_port(), free_port()
        self.ground_of = partial(_ground, self._doors)

    async def __aenter__(self) -> Self:
        self.directory = self.directory.resolve()
        for name, size in self.disks.items():
            mount(self.directory / name, size)
        try:
            return await super().__aenter__()
        except BaseException:
            self._unmount()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await super().__aexit__(kind, error, trace)
        for proxy in self.proxies.values():
            await proxy.stop()
        self._unmount()

    def _unmount(self) -> None:
        for name in self.disks:
            unmount(self.directory / name)

    async def _start_services(self) -> None:
        for service in SERVICES:
            for number in range(self.replicas):
                self._lay(service, number)
        await asyncio.gather(*(proxy.start() for proxy in self.proxies.values()))
        await super()._start_services()
        targets = [process.port for process in self.of("payment")]
        bank = self.proxies["payment", 0, "bank"] = Proxy("bank", free_port(), targets)
        await bank.start()
        await self.tell_the_bank()

    async def tell_the_bank(self) -> None:
        """Where payment takes callbacks; a bank that was started anew has forgotten it."""
        url = f"http://{HOST}:{self.proxies['payment', 0, 'bank'].port}/v1/payments/vnpay/ipn"
        await self.outside.control("bank", ipn_url=url)

    def _lay(self, service: str, number: int) -> None:
        """The proxies of one replica."""
        own, proxy = self._doors[listener(service, number)]
        postgres = urlsplit(self.ground.admin_url).port
        assert postgres is not None
        links = {"broker": (proxy, own), "database": (free_port(), postgres)}
        if service == "verification":
            links["register"] = free_port(), self.outside.port("register")
        if service == "notification":
            links["smtp"] = free_port(), self.outside.smtp_port
        for link, (port, target) in links.items():
            name = f"{service}-{number} {link}"
            self.proxies[service, number, link] = Proxy(name, port, [target], watch_commits=link == "database")

    def _process(self, service: str, number: int) -> Process:
        process = super()._process(service, number)
        if number >= self.replicas:
            return process
        return replace(process, environment={**process.environment, **self._through(service, number)})

    def _through(self, service: str, number: int) -> dict[str, str]:
        """The settings of one replica, with proxies in place of the addresses."""
        told = self.where(service)
        ports = {link: proxy.port for (s, n, link), proxy in self.proxies.items() if (s, n) == (service, number)}
        return {
            "KAFKA_BOOTSTRAP_SERVERS": f"{HOST}:{ports['broker']}",
            "DATABASE_URL": _by(told["DATABASE_URL"], ports["database"]),
            "REGISTER_URL": _by(told["REGISTER_URL"], ports.get("register")),
            "SMTP_PORT": str(ports.get("smtp", told["SMTP_PORT"])),
        }

    def extra(self, service: str) -> Process:
        """One more replica, not started, which sees everything directly."""
        return self._process(service, self.replicas)

    def links(self, service: str, replica: int, link: str) -> list[Proxy]:
        """The proxies of one replica, or of all of them (-1), before one thing."""
        return [
            proxy
            for (s, n, name), proxy in self.proxies.items()
            if (s, name) == (service, link) and (replica in (-1, n) or link == "bank")
        ]


def _ground(doors: dict[str, tuple[int, int]], *args: Any, **kwargs: Any) -> Ground:
    ground = ProxiedGround(*args, **kwargs)
    ground.doors = doors
    return ground


def _by(url: str, port: int | None) -> str:
    parts = urlsplit(url)
    return url if port is None else urlunsplit(parts._replace(netloc=f"{parts.netloc.rpartition(':')[0]}:{port}"))


def may_mount() -> bool:
    """Whether small disks can be made here."""
    return os.geteuid() == 0 and shutil.which("mount") is not None


def mount(place: Path, megabytes: int) -> None:
    """A small disk at `place`; what an earlier run left there is gone. Raises CalledProcessError."""
    unmount(place)
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=755", "tmpfs", str(place)], check=True)


def unmount(place: Path) -> None:
    """Take the small disk away, if there is one."""
    if place.is_mount():
        subprocess.run(["umount", "-l", str(place)], check=True)


def fill(place: Path) -> Path:
    """Take all the room that is left on the disk of `place`; gives the file that holds it."""
    ballast = place / "ballast"
    with ballast.open("wb") as file:
        free = shutil.disk_usage(place).free
        os.posix_fallocate(file.fileno(), 0, max(1, free))
    return ballast


def faketime() -> Path | None:
    """The library that gives a process another clock, if this machine has it."""
    return FAKETIME if FAKETIME.exists() else None
