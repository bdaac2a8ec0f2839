"""A real Apache Kafka broker (KRaft, one node) as a child process."""

import base64
import uuid
from collections.abc import Sequence
from pathlib import Path

from aiokafka.errors import KafkaError

from deploy.kafka.topics import is_ready
from deploy.local.machine import JAR, java
from deploy.local.ports import answers, free_port
from deploy.local.server import GroundError, Say, Server

_SETTINGS = Path(__file__).resolve().parents[1] / "kafka"
_HEAP = "-Xmx512m"
_QUICK = "-XX:TieredStopAtLevel=1"
"""No second compiler: it works for minutes, on cores that a short-lived broker shares with everybody else."""


class LocalKafka(Server):
    """A broker on 127.0.0.1:`port`, made anew in `home` or continued there; `libs` holds the jars."""

    name = "Kafka"

    def __init__(self, home: Path, port: int, libs: Path, say: Say = lambda _: None) -> None:
        super().__init__(home, port, say)
        self._libs = libs

    @property
    def bootstrap_servers(self) -> str:
        """What clients connect to."""
        return f"127.0.0.1:{self.port}"

    @property
    def _data(self) -> Path:
        return self.home / "data"

    @property
    def _properties(self) -> Path:
        return self.home / "server.properties"

    async def _prepare(self) -> None:
        if not (self._libs / JAR).exists():
            raise GroundError(f"no Kafka jars in {self._libs}: run `make setup`")
        template = (_SETTINGS / "server.properties").read_text()
        settings = {"{port}": str(self.port), "{controller_port}": str(free_port()), "{data}": str(self._data)}
        for placeholder, value in settings.items():
            template = template.replace(placeholder, value)
        self._properties.write_text(template)
        if not (self._data / "meta.properties").exists():
            await self._format()

    async def _format(self) -> None:
        self._say("Kafka: formatting a new data directory")
        tool = self._java("-Xmx128m", _QUICK, "kafka.tools.StorageTool")
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "0")
        await self.run_tool([*tool, "format", "--cluster-id", cluster, "--config", str(self._properties)])

    def _command(self) -> Sequence[str]:
        return [*self._java(_HEAP, _QUICK, "-Djava.awt.headless=true", "kafka.Kafka"), str(self._properties)]

    def _java(self, *arguments: str) -> list[str]:
        logging = f"-Dlog4j2.configurationFile={_SETTINGS / 'log4j2.properties'}"
        return [java(), "-cp", f"{self._libs}/*", logging, *arguments]

    async def _answers(self) -> bool:
        try:
            return answers(self.port) and await is_ready(self.bootstrap_servers)
        except KafkaError as error:
            self._last_error = error
            return False
