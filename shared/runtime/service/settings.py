"""Settings that every service has. From the environment; secrets only from files, never with a default."""

import base64
import re
import ssl
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import Field, TypeAdapter, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.errors import Misconfigured
from shared.forms import form_faults
from shared.runtime.aio.crash import POINTS
from shared.runtime.http.crowd import proxies
from shared.runtime.http.door import Client, Clients
from shared.runtime.kafka.clients import Broker, Login
from shared.runtime.keys.sealing import Kek, Keks, derived

S = TypeVar("S", bound="KafkaSettings")

_CLIENTS = TypeAdapter(list[Client])
SERVERS = r"[^\s/]+:\d+(,[^\s/]+:\d+)*"
AUTHORITY = "kafka_ca.pem"
FIRST_KEK = "kek-1"
_KEK_NAME = re.compile(r"[a-z0-9-]{1,32}")


class KafkaSettings(BaseSettings):
    """What anything that speaks to Kafka must be told; only with SASL_SSL there are secrets to it.

    Names in the environment are the field names in capitals.
    """

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    kafka_bootstrap_servers: str = Field("", pattern=rf"^({SERVERS})?$")
    kafka_security_protocol: Literal["PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_username: str = Field("", pattern=r"^[a-z0-9.-]*$", description="the service's name, if it is not set")
    secrets_dir: Path = Path("/run/secrets")

    @field_validator("kafka_bootstrap_servers")
    @classmethod
    def _names_a_port_that_can_be(cls, told: str) -> str:
        for server in told.split(","):
            _ = urlsplit(server if "://" in server else f"//{server}").port  # raises ValueError
        return told

    def broker(self, who: str) -> Broker:
        """The cluster, with the login of KAFKA_USERNAME or else of `who`. Raises Misconfigured."""
        name = self.kafka_username or who
        if self.kafka_security_protocol == "PLAINTEXT":
            return Broker(self.kafka_bootstrap_servers)
        password, authority = self.secret(f"{name}_kafka_password"), self.secret(AUTHORITY)
        try:
            return Broker(self.kafka_bootstrap_servers, Login.of(name, password, authority))
        except ssl.SSLError as error:
            raise Misconfigured(f"secret {AUTHORITY} is not a certificate in PEM") from error

    def secret(self, name: str) -> str:
        """The secret of that name, stripped. Raises Misconfigured naming the file."""
        path = self.secrets_dir / name
        try:
            text = path.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise Misconfigured(f"secret file {path}: {error.strerror}; create it or set SECRETS_DIR") from error
        except UnicodeDecodeError as error:
            raise Misconfigured(f"secret file {path} is not text in UTF-8") from error
        if not text:
            raise Misconfigured(f"secret file {path} is empty")
        return text


class OperatorSettings(KafkaSettings):
    """What an operator's command must be told: one that asks Kafka only to tell more may go without it.

    Times in seconds.
    """

    database_url: str = Field(pattern=r"^postgres(ql)?://[^\s:]+@[^\s]+$", description="without a password")
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")
    pool_size: int = Field(12, ge=4, le=100)

    @field_validator("database_url")
    @classmethod
    def _names_a_database_at_a_port_that_can_be(cls, told: str) -> str:
        _ = urlsplit(told).port  # raises ValueError
        return told

    def key(self, name: str) -> bytes:
        """A secret of 32 bytes in base64. Raises Misconfigured."""
        return _key(name, self.secret(name))

    def kek(self) -> Keks:
        """The key-encryption keys, a line each, the oldest first: `name base64`; the first may have no name, and is
        `kek-1`. Raises Misconfigured.
        """
        lines = [line.split() for line in self.secret("kek").splitlines() if line.strip()]
        if len(lines[0]) == 1:
            lines[0] = [FIRST_KEK, *lines[0]]
        if any(len(line) != 2 or not _KEK_NAME.fullmatch(line[0]) for line in lines):
            raise Misconfigured(
                "secret kek: a line is the name of a key-encryption key, a space, and the key in base64"
            )
        return Keks([Kek(_key("kek", text), name) for name, text in lines])

    def kept_key(self) -> bytes:
        """The key of what dead letters keep of our own outcomes (AES-256-GCM), of `request_hmac_key`. Raises
        Misconfigured.
        """
        return derived(self.key("request_hmac_key"), "kept-outcomes")


class CommitSettings(OperatorSettings):
    """What a command that commits must be told: the store is compared with its topic first."""

    kafka_bootstrap_servers: str = Field(pattern=rf"^{SERVERS}$")


class Settings(CommitSettings):
    """What every process of a service must be told."""

    probe_host: str = "127.0.0.1"
    probe_port: int = Field(9000, ge=1, le=65535)
    data_dir: Path = Path("/tmp/dossier")  # noqa: S108 - nothing durable; Faust wants a folder of its own
    instance: str | None = Field(
        None, pattern=r"^[a-z0-9-]{1,60}$", description="name of this replica, if it is stable"
    )
    task_room: int = Field(64, ge=1, le=1000)
    task_lease_s: float = Field(30.0, ge=1.0)
    drain_s: float = Field(20.0, ge=2.0, le=120.0)
    crash_point: str = Field("", pattern=f"^(({'|'.join(POINTS)})(:\\d+)?)?$", alias="DOSSIER_CRASH_POINT")

    def body_key(self) -> bytes:
        """The key of the digests of idempotent bodies (HMAC-SHA256), of `request_hmac_key`. Raises Misconfigured."""
        return derived(self.key("request_hmac_key"), "request-bodies")

    def clients(self) -> Clients:
        """The clients with their tokens; only a service that lets people in has the file. Raises Misconfigured."""
        try:
            return Clients(_CLIENTS.validate_json(self.secret("clients.json")))
        except ValidationError as error:
            faults = "; ".join(f"{fault.pointer or 'the whole'}: {fault.code}" for fault in form_faults(error))
            raise Misconfigured(
                f"secret clients.json is not a list of {{name, role, unit, rate, token}}: {faults}"
            ) from error
        except ValueError as error:
            raise Misconfigured(f"secret clients.json: {error}") from error


class DoorSettings(Settings):
    """What a service that lets people or machines in must be told besides."""

    http_host: str = "127.0.0.1"
    http_port: int = Field(ge=1, le=65535)
    http_connections: int = Field(256, ge=1, le=2000, description="from one address that is no trusted proxy's")
    http_idle_s: int = Field(30, ge=1, le=3600)
    client_rate: float = Field(50.0, gt=0, le=100_000, description="requests a second")
    stranger_rate: float = Field(5.0, gt=0, le=100_000, description="requests a second")
    trusted_proxies: str = Field("", description="addresses and networks of our own reverse proxies, by commas")

    @field_validator("trusted_proxies")
    @classmethod
    def _are_addresses_of_ours(cls, told: str) -> str:
        proxies(told)  # raises ValueError
        return told

    @field_validator("http_port")
    @classmethod
    def _is_another_port_than_the_probes(cls, told: int, info: ValidationInfo) -> int:
        if told == info.data.get("probe_port"):
            raise ValueError("PROBE_PORT has this port already: what operators ask is not for those who come in")
        return told


def _key(secret: str, text: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise Misconfigured(f"secret {secret} is not base64") from error
    if len(key) != 32:
        raise Misconfigured(f"secret {secret} must be 32 bytes, it has {len(key)}")
    return key


def load(settings: type[S], **given: Any) -> S:
    """Settings from the environment. Raises Misconfigured that names every missing or wrong one."""
    try:
        return settings(**given)
    except ValidationError as error:
        faults = error.errors(include_input=False, include_url=False)
        raise Misconfigured(
            "; ".join(f"{'_'.join(map(str, fault['loc'])).upper()}: {fault['msg']}" for fault in faults)
        ) from error
