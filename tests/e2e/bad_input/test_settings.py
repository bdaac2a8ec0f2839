"""A setting that is missing or wrong: the service names it, says what is wrong, and ends with 2."""

import base64
import importlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.stack import Stack
from shared.errors import Misconfigured
from shared.runtime.admin.cli import main
from shared.runtime.service.settings import Settings, load
from shared.services import SERVICES
from tests.e2e.bad_input.operators import typed

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

MARK = "hunter2-hunter2-hunter2"


@dataclass(frozen=True, slots=True)
class Row:
    """One wrong setting of one service; None is a missing one."""

    service: str
    name: str
    value: str | None


EVERY = (
    ("KAFKA_BOOTSTRAP_SERVERS", None),
    ("KAFKA_BOOTSTRAP_SERVERS", "kafka.example"),
    ("KAFKA_SECURITY_PROTOCOL", "SSL"),
    ("KAFKA_USERNAME", "two words"),
    ("DATABASE_URL", None),
    ("DATABASE_URL", f"postgresql://dossier:{MARK}@127.0.0.1/dossier"),
    ("DATABASE_URL", "mysql://dossier@127.0.0.1/dossier"),
    ("HTTP_PORT", None),
    ("HTTP_PORT", "http"),
    ("HTTP_PORT", "70000"),
    ("HTTP_PORT", "9000"),
    ("HTTP_CONNECTIONS", "0"),
    ("HTTP_IDLE_S", "soon"),
    ("TRUSTED_PROXIES", "proxy.example"),
    ("TRUSTED_PROXIES", "10.0.0.1/8"),
    ("TRUSTED_PROXIES", "0.0.0.0/0"),
    ("PROBE_PORT", "probes"),
    ("PROBE_PORT", "70000"),
    ("LOG_LEVEL", "LOUD"),
    ("POOL_SIZE", "0"),
    ("DRAIN_S", "soon"),
    ("INSTANCE", "Two Words"),
    ("TASK_LEASE_S", "0"),
    ("DOSSIER_CRASH_POINT", "sometime"),
)
OWN = (
    ("verification", "REGISTER_URL", None),
    ("verification", "REGISTER_URL", "ftp://register.example"),
    ("payment", "VNPAY_PAY_URL", None),
    ("payment", "VNPAY_TERMINAL", "shop"),
    ("payment", "VNPAY_RETURN_URL", None),
    ("payment", "VNPAY_RETURN_URL", "dichvucong.example"),
    ("notification", "SMTP_HOST", None),
    ("notification", "SMTP_HOST", ""),
    ("notification", "SMTP_PORT", "0"),
    ("notification", "MAIL_FROM", "Desk <desk@example.com>"),
    ("notification", "MAIL_GIVE_UP_DAYS", "0"),
    ("notification", "SMTP_TLS", "ssl"),
    ("notification", "SMTP_CA", "/nowhere/ca.pem"),
    ("notification", "SMTP_USER", "người"),
)
TABLE = [*(Row("intake", name, value) for name, value in EVERY), *(Row(*row) for row in OWN)]


def started(service: str, environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> int:
    """The exit code of a service that cannot start, run in this process: nothing is connected before settings fit."""
    for name in list(os.environ):
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return main(importlib.import_module(f"services.{service}.__main__").service, ["run"])


@pytest.mark.parametrize("row", [pytest.param(row, id=f"{row.service} {row.name} {row.value}") for row in TABLE])
async def test_a_wrong_setting_is_named_at_start(
    row: Row, stack: Stack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    environment = {**stack.environment(row.service), row.name: row.value or ""}
    if row.value is None:
        del environment[row.name]
    code = started(row.service, environment, monkeypatch)
    said = capsys.readouterr().err
    assert (code, row.name in said) == (2, True), said
    assert MARK not in said


@pytest.mark.parametrize("service", SERVICES)
async def test_the_process_itself_ends_with_2_and_no_trace(service: str, stack: Stack) -> None:
    environment = stack.environment(service)
    del environment["KAFKA_BOOTSTRAP_SERVERS"]
    ended = await typed(environment, f"services.{service}", "run")
    assert (ended.code, "KAFKA_BOOTSTRAP_SERVERS" in ended.err) == (2, True), ended.err
    assert "Traceback" not in ended.err


async def test_a_lease_that_a_task_could_outlast_is_named_at_start(stack: Stack) -> None:
    environment = {**stack.environment("notification"), "TASK_LEASE_S": "10"}
    ended = await typed(environment, "services.notification", "run")
    assert (ended.code, "TASK_LEASE_S" in ended.err, "send-mail" in ended.err) == (2, True, True), ended.err


async def test_all_wrong_settings_are_named_at_once(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    environment = {**stack.environment("notification"), "PROBE_PORT": "0", "SMTP_PORT": "no", "LOG_LEVEL": "x"}
    del environment["DATABASE_URL"]
    assert started("notification", environment, monkeypatch) == 2
    said = capsys.readouterr().err
    assert all(name in said for name in ("PROBE_PORT", "SMTP_PORT", "LOG_LEVEL", "DATABASE_URL"))


Spoil = Callable[[Path], object]


def _write(content: str | bytes) -> Spoil:
    return lambda file: file.write_bytes(content if isinstance(content, bytes) else content.encode())


def _a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def _clients(*entries: object) -> Spoil:
    return _write(json.dumps(entries))


CITIZEN = {"name": "citizen-app", "role": "citizen", "unit": None, "token": "t" * 43}
KEY = base64.b64encode(b"k" * 32).decode()

FILES: tuple[tuple[str, str, Spoil], ...] = (
    ("kek", "empty", _write("\n")),
    ("kek", "short", _write(base64.b64encode(b"k" * 16))),
    ("kek", "not base64", _write(MARK)),
    ("kek", "not text", _write(b"\xff\xfe\xfd")),
    ("kek", "a folder", _a_folder),
    ("clients.json", "missing", Path.unlink),
    ("clients.json", "not JSON", _write("[{" + MARK)),
    ("clients.json", "no list", _write("{}")),
    ("clients.json", "null", _write("null")),
    ("clients.json", "no token", _clients({**CITIZEN, "token": None})),
    ("clients.json", "an empty token", _clients({**CITIZEN, "token": ""})),
    ("clients.json", "an unknown role", _clients({**CITIZEN, "role": MARK})),
    ("clients.json", "the bank, who comes with a signature", _clients({**CITIZEN, "role": "bank"})),
    ("clients.json", "a name that is no word", _clients({**CITIZEN, "name": "Một cửa"})),
    ("clients.json", "an officer of no unit", _clients({**CITIZEN, "role": "officer"})),
    ("clients.json", "a citizen with a unit", _clients({**CITIZEN, "unit": "H02.15.12"})),
    ("clients.json", "a name twice", _clients(CITIZEN, {**CITIZEN, "token": "u" * 43})),
    ("clients.json", "a token twice", _clients(CITIZEN, {**CITIZEN, "name": "other"})),
)

STARTS: tuple[tuple[str, str, str, Spoil], ...] = (
    ("intake", "kek", "missing", Path.unlink),
    ("intake", "clients.json", "broken", _write("[{" + MARK)),
    ("intake", "intake_db_password", "missing", Path.unlink),
    ("intake", "intake_db_password", "wrong", _write(MARK)),
    ("verification", "kek", "missing", Path.unlink),
    ("verification", "register_credentials", "missing", Path.unlink),
    ("verification", "register_credentials", "without a user", _write(MARK)),
    ("payment", "vnpay_secret", "missing", Path.unlink),
    ("notification", "request_hmac_key", "short", _write(KEY[:20])),
    ("audit", "audit_db_password", "empty", _write("")),
)
SECURED: tuple[tuple[str, str, str, Spoil], ...] = (
    ("intake", "intake_kafka_password", "missing", Path.unlink),
    ("audit", "audit_kafka_password", "empty", _write("")),
    ("payment", "kafka_ca.pem", "missing", Path.unlink),
    ("payment", "kafka_ca.pem", "no certificate", _write(MARK)),
)
"""What a service needs besides for a secured Kafka."""


def _spoiled(stack: Stack, folder: Path, secret: str, spoil: Spoil) -> Path:
    """The secrets of the stack, one of them spoiled."""
    secrets = folder / "secrets"
    shutil.copytree(stack.ground.secrets.directory, secrets)
    spoil(secrets / secret)
    return secrets


@pytest.mark.parametrize(("secret", "what", "spoil"), [pytest.param(*row, id=f"{row[0]} {row[1]}") for row in FILES])
async def test_a_wrong_secret_is_named_and_never_shown(
    secret: str, what: str, spoil: Spoil, stack: Stack, tmp_path: Path
) -> None:
    settings = load(
        Settings, kafka_bootstrap_servers="kafka:9092", database_url="postgresql://x@db/x", http_port=1,
        secrets_dir=_spoiled(stack, tmp_path, secret, spoil),
    )  # fmt: skip
    with pytest.raises(Misconfigured, match=secret) as refused:
        (settings.kek if secret == "kek" else settings.clients)()
    assert MARK not in str(refused.value), what


@pytest.mark.parametrize(
    ("service", "secret", "what", "spoil"), [pytest.param(*row, id=f"{row[0]} {row[1]} {row[2]}") for row in STARTS]
)
async def test_a_service_with_a_wrong_secret_names_it_at_start_and_ends_with_2(
    service: str, secret: str, what: str, spoil: Spoil, stack: Stack, tmp_path: Path
) -> None:
    environment = {**stack.environment(service), "SECRETS_DIR": str(_spoiled(stack, tmp_path, secret, spoil))}
    ended = await typed(environment, f"services.{service}", "run")
    assert (ended.code, secret in ended.err) == (2, True), f"{what}: {ended.out}{ended.err}"
    assert MARK not in ended.out + ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("service", "secret", "what", "spoil"), [pytest.param(*row, id=f"{row[0]} {row[1]} {row[2]}") for row in SECURED]
)
async def test_what_a_secured_kafka_needs_is_named_at_start(
    service: str, secret: str, what: str, spoil: Spoil, stack: Stack, tmp_path: Path
) -> None:
    secrets = _spoiled(stack, tmp_path, secret, spoil)
    environment = {**stack.environment(service), "KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "SECRETS_DIR": str(secrets)}
    ended = await typed(environment, f"services.{service}", "run")
    assert (ended.code, secret in ended.err) == (2, True), f"{what}: {ended.out}{ended.err}"
    assert MARK not in ended.out + ended.err
    assert "Traceback" not in ended.err


async def test_an_operators_command_names_a_missing_setting_too(stack: Stack) -> None:
    environment = stack.environment("verification")
    del environment["DATABASE_URL"]
    ended = await typed(environment, "services.verification", "deadletters", "list")
    assert (ended.code, "DATABASE_URL" in ended.err) == (2, True)
