"""A real Apache Kafka broker (KRaft, one node) as a child process."""

import base64
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from aiokafka.errors import KafkaError

from deploy.kafka.topics import is_ready
from deploy.local.machine import JAR, java
from deploy.local.ports import answers, free_port
from deploy.local.server import GroundError, Say, Server
from shared.runtime.kafka.clients import MECHANISM, Login

_SETTINGS = Path(__file__).resolve().parents[1] / "kafka"
_HEAP = "-Xmx512m"
_QUICK = "-XX:TieredStopAtLevel=1"
"""No second compiler: it works for minutes, on cores that a short-lived broker shares with everybody else."""
ARCHIVE = "kafka.aot"
"""Beside the jars: their classes, read and linked (JEP 483, 514). A broker starts in half of the time with it, and as
well without: another Java than the one that made it passes over it.
"""
_ARCHIVED = (
    "-XX:+IgnoreUnrecognizedVMOptions",
    "-XX:+UnlockDiagnosticVMOptions",
    # What JDK 25 keeps of compiled code besides, it fails to find again, and warns of each piece.
    "-XX:-AOTAdapterCaching",
    "-XX:-AOTStubCaching",
)


@dataclass(frozen=True, slots=True)
class Guarded:
    """What a broker needs to let in nobody whom it does not know: files of the authority's certificate and of its own
    with its key, and how an administrator logs in, from its first start on.
    """

    authority: Path
    certificate: Path
    admin: Login


def new_cluster_id() -> str:
    """A name for a new cluster, as Kafka wants it."""
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "0")


def escaped(value: str) -> str:
    """`value` as a Java properties file says it, which is read as Latin-1 (java.util.Properties, `load`)."""
    units = value.replace("\\", "\\\\").encode("utf-16-be")
    codes = (int.from_bytes(units[at : at + 2]) for at in range(0, len(units), 2))
    return "".join(chr(code) if 0x20 <= code < 0x7F else f"\\u{code:04x}" for code in codes)


class LocalKafka(Server):
    """A broker on 127.0.0.1:`port`, made anew in `home` or continued there; `libs` holds the jars."""

    name = "Kafka"

    def __init__(
        self, home: Path, port: int, libs: Path, say: Say = lambda _: None, guarded: Guarded | None = None
    ) -> None:
        super().__init__(home, port, say)
        self._libs = libs
        self._guarded = guarded

    @property
    def bootstrap_servers(self) -> str:
        """What clients connect to."""
        return f"127.0.0.1:{self.port}"

    @property
    def admin(self) -> Login | None:
        """How an administrator logs in; None where nobody has to."""
        return None if self._guarded is None else self._guarded.admin

    @property
    def _data(self) -> Path:
        return self.home / "data"

    @property
    def _properties(self) -> Path:
        return self.home / "server.properties"

    async def _prepare(self) -> None:
        if not (self._libs / JAR).exists():
            raise GroundError(f"no Kafka jars in {self._libs}: run `make setup`")
        # Relative to the working directory, for Kafka takes a comma in `log.dirs` as the end of a folder.
        settings: dict[str, object] = {"port": self.port, "controller_port": self._controller_port()}
        settings["data"] = self._data.relative_to(self.home)
        text = (_SETTINGS / "server.properties").read_text() + self._settings_besides()
        if self._guarded is not None:
            text += (_SETTINGS / "secured.properties").read_text()
            settings |= {"authority": self._guarded.authority, "certificate": self._guarded.certificate}
            settings |= {"broker_port": free_port()}
        for placeholder, value in settings.items():
            text = text.replace(f"{{{placeholder}}}", escaped(str(value)))
        self._properties.write_text(text)
        if not (self._data / "meta.properties").exists():
            await self._format()

    async def _format(self) -> None:
        self._say("Kafka: formatting a new data directory")
        tool = self._java("-Xmx128m", "kafka.tools.StorageTool")
        cluster = ["--cluster-id", self._cluster_id()]
        await self.run_tool([*tool, "format", *cluster, "--config", str(self._properties), *self._admin()])

    def _cluster_id(self) -> str:
        return new_cluster_id()

    def _controller_port(self) -> int:
        return free_port()

    def _settings_besides(self) -> str:
        return ""

    def _admin(self) -> list[str]:
        if self.admin is None:
            return []
        told = f"name={self.admin.username},iterations=8192,password={self.admin.password}"
        return ["--add-scram", f"{MECHANISM}=[{told}]"]

    def _command(self) -> Sequence[str]:
        return [*self._java(_HEAP, "-Djava.awt.headless=true", "kafka.Kafka"), str(self._properties)]

    def _java(self, *arguments: str) -> list[str]:
        logging = f"-Dlog4j2.configurationFile={(_SETTINGS / 'log4j2.properties').as_uri()}"
        return [java(), "-cp", f"{self._libs}/*", logging, _QUICK, *self._archive(), *arguments]

    def _archive(self) -> list[str]:
        made = self._libs / ARCHIVE
        return [*_ARCHIVED, f"-XX:AOTCache={made}"] if made.exists() else []

    async def _answers(self) -> bool:
        try:
            return answers(self.port) and await is_ready(self.bootstrap_servers, self.admin)
        except KafkaError as error:
            self._last_error = error
            return False


class _Archiving(LocalKafka):
    """A broker that writes the archive when it ends."""

    stop_seconds = 120.0

    def _archive(self) -> list[str]:
        return [*_ARCHIVED, f"-XX:AOTCacheOutput={self._libs / ARCHIVE}"]

    async def _format(self) -> None:
        await super()._format()
        (self._libs / ARCHIVE).unlink(missing_ok=True)  # of the tool, which needs a few classes only


async def make_archive(libs: Path) -> bool:
    """Write the archive of the jars in `libs`, by a broker that starts and ends; whether this Java can (25 and newer).
    Raises GroundError if the broker does not start.
    """
    with TemporaryDirectory() as home:
        broker = _Archiving(Path(home), free_port(), libs)
        await broker.start()
        await broker.stop()
    return (libs / ARCHIVE).exists()
