"""The secrets of an installation."""

import base64
import json
import stat
from pathlib import Path

import pytest

from deploy.secrets import CLIENTS, NEEDS, Secrets
from shared.errors import Misconfigured
from shared.services import SERVICES


def _modes(directory: Path) -> set[str]:
    return {stat.filemode(path.stat().st_mode) for path in directory.iterdir()}


def test_every_installation_has_secrets_of_its_own(tmp_path: Path) -> None:
    one, two = Secrets(tmp_path / "one"), Secrets(tmp_path / "two")
    one.ensure(["H02.15.12"])
    two.ensure(["H02.15.12"])
    names = {path.name for path in one.directory.iterdir()}
    assert {"kek", "request_hmac_key", "vnpay_secret", "intake_db_password", "auditor_db_password", CLIENTS} <= names
    assert not any(one.read(name) == two.read(name) for name in names)


def test_only_their_owner_can_read_them(tmp_path: Path) -> None:
    Secrets(tmp_path / "s").ensure()
    assert stat.filemode((tmp_path / "s").stat().st_mode) == "drwx------"
    assert _modes(tmp_path / "s") == {"-rw-------"}


def test_a_second_run_keeps_them_and_adds_officers_of_new_units(tmp_path: Path) -> None:
    secrets = Secrets(tmp_path)
    secrets.ensure(["H02.15.12"])
    kek, clients = secrets.read("kek"), json.loads(secrets.read(CLIENTS))
    secrets.ensure(["H02.15.12", "H26.16"])
    assert secrets.read("kek") == kek
    later = json.loads(secrets.read(CLIENTS))
    assert later[:-1] == clients
    assert (later[-1]["name"], later[-1]["role"], later[-1]["unit"]) == ("officer-H26.16", "officer", "H26.16")
    assert _modes(tmp_path) == {"-rw-------"}


def test_keys_are_long_enough(tmp_path: Path) -> None:
    secrets = Secrets(tmp_path)
    secrets.ensure()
    assert len(base64.b64decode(secrets.read("kek"))) == 32
    assert len(secrets.read("vnpay_secret")) >= 32


def test_a_missing_secret_is_named(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="no secret kek"):
        Secrets(tmp_path).read("kek")


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_sees_its_own_secrets_and_no_others(service: str, tmp_path: Path) -> None:
    secrets = Secrets(tmp_path)
    secrets.ensure(["H02.15.12"])
    folder = secrets.of(service)
    assert {path.name for path in folder.iterdir()} == NEEDS[service]
    assert (folder / f"{service}_db_password").read_text() == secrets.read(f"{service}_db_password")
    assert (
        not {f"{other}_db_password" for other in (*SERVICES, "admin", "auditor") if other != service} & NEEDS[service]
    )


def test_only_the_desk_sees_the_tokens_of_the_clients() -> None:
    assert [service for service in SERVICES if CLIENTS in NEEDS[service]] == ["intake"]


def test_a_service_sees_a_secret_as_it_is_now_and_no_more_what_it_needed_once(tmp_path: Path) -> None:
    secrets = Secrets(tmp_path)
    secrets.ensure()
    (secrets.of("audit") / "kek").symlink_to(secrets.path("kek"))
    secrets.path("audit_db_password").unlink()
    secrets.ensure()
    folder = secrets.of("audit")
    assert not (folder / "kek").exists()
    assert (folder / "audit_db_password").read_text() == secrets.read("audit_db_password")
