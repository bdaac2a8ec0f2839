"""The secrets of one installation: random, made once, one file each, readable by their owner only."""

import base64
import json
import os
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.kafka.acls import ADMIN, SUBSCRIBERS, WATCHER
from deploy.kafka.certificates import new_authority, new_broker, vouched_for
from deploy.postgres.names import AUDITOR
from shared.errors import Misconfigured
from shared.law.synthetic import AGENCY
from shared.runtime.kafka.clients import Broker
from shared.runtime.service.settings import AUTHORITY, KafkaSettings
from shared.services import SERVICES, Keys, ServiceRow

CLIENTS = "clients.json"
WATCHER_TOKEN = "watcher_token"  # noqa: S105 - a file's name
"""The token of the officer of synthetic dossiers, for the watcher alone: it sees no other client's."""
AUTHORITY_KEY = "kafka_ca_key.pem"
"""Only who makes certificates for brokers needs it."""

_BROUGHT = frozenset({CLIENTS, "register_credentials"})
"""Made by other hands: of the units that there are, and by whoever runs the register."""

_CITIZEN_APPS = ("citizen-app-a", "citizen-app-b")


def needs(row: ServiceRow) -> frozenset[str]:
    """All that a process of a service may read; an operator's commands read more (`auditor_db_password`)."""
    kek = () if row.keys is Keys.NONE else ("kek",)
    logins = (f"{row.name}_db_password", f"{row.name}_kafka_password", AUTHORITY)
    return frozenset((*row.secrets, *kek, *logins, "request_hmac_key"))


NEEDS: Mapping[str, frozenset[str]] = {name: needs(row) for name, row in SERVICES.items()}
"""The same, by service."""

WATCHER_NEEDS = frozenset({WATCHER_TOKEN, f"{WATCHER}_kafka_password", AUTHORITY})
"""What the watcher may read: it is a client and a subscriber, and nothing else."""


def _password() -> str:
    return secrets.token_urlsafe(24)


def _key_of_32_bytes() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


_MAKERS: Mapping[str, Callable[[], str]] = {
    **{f"{name}_db_password": _password for name in ("admin", *SERVICES, AUDITOR)},
    **{f"{name}_kafka_password": _password for name in (ADMIN, *SERVICES, *SUBSCRIBERS)},
    **{name: _password for row in SERVICES.values() for name in row.secrets if name not in _BROUGHT},
    "kek": _key_of_32_bytes,
    "request_hmac_key": _key_of_32_bytes,
    "find_hmac_key": _key_of_32_bytes,
    "vnpay_secret": lambda: secrets.token_hex(24),
}


@dataclass(frozen=True, slots=True)
class Secrets:
    """A directory of secrets. Each file holds one value; of one line, it has no line end."""

    directory: Path

    def ensure(self, units: Iterable[str] = ()) -> None:
        """Makes what is missing and keeps what is there; `units` are the agency codes that have an officer."""
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name, make in _MAKERS.items():
            if not self.path(name).exists():
                self._write(name, make())
        self._ensure_authority()
        self._ensure_clients(units)

    def ensure_broker(self, name: str, hosts: Sequence[str]) -> Path:
        """The file with key and certificate of a broker that answers to these hosts, made anew if our authority does
        not vouch for it under all of them. Raises Misconfigured if the authority's key is not here, but kept elsewhere,
        or is another's.
        """
        path, authority = self.path(f"{name}_tls.pem"), self.read(AUTHORITY)
        if not (path.exists() and vouched_for(path.read_text(), authority, hosts)):
            self._write(path.name, self._new_broker(name, authority, hosts))
        return path

    def _new_broker(self, name: str, authority: str, hosts: Sequence[str]) -> str:
        asked = f"{name} needs a certificate: put {AUTHORITY_KEY} back into {self.directory}"
        if not self.path(AUTHORITY_KEY).exists():
            raise Misconfigured(asked)
        try:
            return new_broker(authority, self.read(AUTHORITY_KEY), hosts)
        except ValueError as wrong:
            raise Misconfigured(f"{asked}; of what is there, {wrong}") from wrong

    def path(self, name: str) -> Path:
        """Where the secret called `name` lies."""
        return self.directory / name

    def read(self, name: str) -> str:
        """The secret called `name`. Raises Misconfigured if there is none."""
        try:
            return self.path(name).read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            raise Misconfigured(f"no secret {name} in {self.directory}") from None

    def broker(self, servers: str, security: str, who: str) -> Broker:
        """The cluster at `servers`, with the login of the principal `who` if `security` is SASL_SSL."""
        return KafkaSettings(
            kafka_bootstrap_servers=servers, kafka_security_protocol=security, kafka_username=who,
            secrets_dir=self.directory,
        ).broker(who)  # fmt: skip

    def kafka_password(self, principal: str) -> str:
        """What `principal` logs in to a secured Kafka with. Raises Misconfigured if there is none."""
        return self.read(f"{principal}_kafka_password")

    def of(self, service: str) -> Path:
        """A folder with what a process of `service` (or the watcher) needs and nothing else, as links to the files
        here.
        """
        needed = WATCHER_NEEDS if service == WATCHER else NEEDS[service]
        folder = self.directory / "of" / service
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in {path.name for path in folder.iterdir()} - needed:
            (folder / name).unlink()
        for name in sorted(needed):
            if not (folder / name).is_symlink():
                (folder / name).symlink_to(self.path(name).resolve())
        return folder

    def _ensure_authority(self) -> None:
        # Its key may be kept elsewhere; another authority would be none that the brokers and subscribers know.
        if self.path(AUTHORITY).exists():
            return
        if made := [
            path.name for path in (self.path(AUTHORITY_KEY), *self.directory.glob("*_tls.pem")) if path.exists()
        ]:
            raise Misconfigured(f"{', '.join(sorted(made))} without {AUTHORITY} in {self.directory}: put it back")
        certificate, key = new_authority()
        self._write(AUTHORITY, certificate)
        self._write(AUTHORITY_KEY, key)

    def _ensure_clients(self, units: Iterable[str]) -> None:
        present = json.loads(self.path(CLIENTS).read_text()) if self.path(CLIENTS).exists() else []
        known = {client["name"] for client in present}
        new = [client for client in _clients(units) if client["name"] not in known]
        if new:
            tokens = [{**client, "token": secrets.token_urlsafe(32)} for client in new]
            self._write(CLIENTS, json.dumps(present + tokens, indent=1))
            present = present + tokens
        for client in present:
            if client["unit"] == AGENCY and not self.path(WATCHER_TOKEN).exists():
                self._write(WATCHER_TOKEN, client["token"])

    def _write(self, name: str, value: str) -> None:
        unfinished = self.path(f".{name}.new")
        unfinished.unlink(missing_ok=True)
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(value)
        unfinished.replace(self.path(name))


def _clients(units: Iterable[str]) -> Iterable[dict[str, str | None]]:
    for name in _CITIZEN_APPS:
        yield {"name": name, "role": "citizen", "unit": None}
    yield {"name": "importer", "role": "importer", "unit": None}
    for unit in units:
        yield {"name": f"officer-{unit}", "role": "officer", "unit": unit}
