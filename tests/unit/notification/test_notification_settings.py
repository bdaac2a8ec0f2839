"""Which settings of the mail server go together; a contradiction ends the start and names what is wrong."""

import ssl
from pathlib import Path
from typing import Any

import pytest

from deploy.kafka.certificates import new_authority
from services.notification.settings import NotificationSettings
from shared.errors import Misconfigured
from shared.runtime.service.settings import load

GIVEN = {
    "database_url": "postgresql://u@h/d", "kafka_bootstrap_servers": "k:1", "http_port": 1, "probe_port": 2,
    "smtp_host": "mail.example", "smtp_port": 2525,
}  # fmt: skip


def settings(folder: Path, **given: Any) -> NotificationSettings:
    return load(NotificationSettings, **{**GIVEN, "secrets_dir": folder, **given})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Secrets, with a password, an authority's certificate, and what is none."""
    (tmp_path / "smtp_password").write_text("p@ss: word\n")
    (tmp_path / "ca.pem").write_text(new_authority()[0])
    (tmp_path / "broken.pem").write_text("-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----\n")
    return tmp_path


def test_by_default_nobody_logs_in_and_all_is_in_the_clear(tmp_path: Path) -> None:
    access = settings(tmp_path, smtp_ca="").access()
    assert (access.tls, access.context, access.user, access.password) == ("none", None, "", "")


@pytest.mark.parametrize(("tls", "port"), [("starttls", 587), ("starttls", 25), ("implicit", 465), ("implicit", 2465)])
def test_a_certificate_and_its_name_are_checked(folder: Path, tls: str, port: int) -> None:
    found = settings(folder, smtp_tls=tls, smtp_port=port, smtp_ca=folder / "ca.pem", smtp_user="dossiers").access()
    assert found.context is not None
    assert (found.context.verify_mode, found.context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert len(found.context.get_ca_certs()) == 1, "no other authority than the one that is named"
    assert (found.tls, found.user, found.password) == (tls, "dossiers", "p@ss: word")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.3.2.1", "::1", "localhost"])
def test_on_this_host_one_may_log_in_without_tls(folder: Path, host: str) -> None:
    assert settings(folder, smtp_host=host, smtp_user="dossiers").access().password == "p@ss: word"


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({"smtp_user": "dossiers"}, ("SMTP_USER", "SMTP_TLS")),
        ({"smtp_user": "dossiers", "smtp_host": "10.0.0.1"}, ("SMTP_USER", "SMTP_TLS")),
        ({"smtp_user": "dossiers", "smtp_host": "127.0.0.1.example"}, ("SMTP_USER", "SMTP_TLS")),
        ({"smtp_ca": "ca.pem"}, ("SMTP_CA", "SMTP_TLS")),
        ({"smtp_port": 465}, ("SMTP_PORT", "SMTP_TLS")),
        ({"smtp_port": 465, "smtp_tls": "starttls"}, ("SMTP_PORT", "SMTP_TLS")),
        ({"smtp_port": 587, "smtp_tls": "implicit"}, ("SMTP_PORT", "SMTP_TLS")),
        ({"smtp_port": 25, "smtp_tls": "implicit"}, ("SMTP_PORT", "SMTP_TLS")),
        ({"smtp_tls": "starttls", "smtp_ca": "nowhere.pem"}, ("SMTP_CA",)),
        ({"smtp_tls": "starttls", "smtp_ca": "broken.pem"}, ("SMTP_CA",)),
        ({"smtp_tls": "starttls", "smtp_ca": "smtp_password"}, ("SMTP_CA",)),
        ({"smtp_tls": "starttls", "smtp_ca": "."}, ("SMTP_CA",)),
        ({"smtp_tls": "TLS"}, ("SMTP_TLS",)),
    ],
)
def test_a_contradiction_is_named(folder: Path, given: dict[str, Any], names: tuple[str, ...]) -> None:
    given = {**given, "smtp_ca": folder / given["smtp_ca"]} if "smtp_ca" in given else given
    with pytest.raises(Misconfigured) as wrong:
        settings(folder, **given)
    assert [name for name in names if name not in str(wrong.value)] == []


@pytest.mark.parametrize("content", [None, "", "\n"])
def test_a_user_without_a_password_is_named(folder: Path, content: str | None) -> None:
    password = folder / "smtp_password"
    password.unlink() if content is None else password.write_text(content)
    with pytest.raises(Misconfigured, match="smtp_password"):
        settings(folder, smtp_tls="starttls", smtp_user="dossiers")
