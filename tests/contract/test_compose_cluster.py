"""What lies over compose.yaml for a cluster fits what provisioning, certificates and Prometheus say elsewhere.

Read as files, without Docker; `make test-compose CLUSTER=1` brings it up.
"""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509

from deploy.compose.__main__ import BROKERS, CLUSTER, ensure_secrets, subscribers_servers
from deploy.kafka.acls import ADMIN, SUBSCRIBERS, WATCHER
from deploy.kafka.certificates import new_authority, new_broker, vouched_for
from deploy.secrets import AUTHORITY_KEY, NEEDS, Secrets
from shared.errors import Misconfigured
from shared.runtime.service.settings import AUTHORITY
from shared.services import SERVICES

KAFKA = Path(CLUSTER).parent / "kafka"


class _Compose(yaml.SafeLoader):
    """YAML with the two tags by which Compose takes away what is below."""


_Compose.add_constructor("!reset", lambda loader, node: None)
_Compose.add_constructor("!override", lambda loader, node: _plain(loader, node))


def _plain(loader: Any, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    assert isinstance(node, yaml.SequenceNode)
    return loader.construct_sequence(node, deep=True)


FILE = yaml.load(CLUSTER.read_text(), _Compose)  # noqa: S506 - a SafeLoader
PASSWORDS = {f"{who}_kafka_password" for who in (ADMIN, *SERVICES, *SUBSCRIBERS)}


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_has_its_own_login_and_no_other(service: str) -> None:
    given = FILE["services"][service]
    assert set(given["secrets"]) == {f"{service}_kafka_password", AUTHORITY} <= NEEDS[service]
    assert given["environment"]["KAFKA_SECURITY_PROTOCOL"] == "SASL_SSL"
    assert given["environment"]["KAFKA_BOOTSTRAP_SERVERS"] == ",".join(f"{broker}:9092" for broker in BROKERS)


@pytest.mark.parametrize("service", SERVICES)
def test_two_processes_of_a_service_have_no_name_that_they_would_share(service: str) -> None:
    given = FILE["services"][service]
    assert given["deploy"]["replicas"] == 2
    # A tag that an anchor carries is not seen by Compose: it has to stand here.
    lines = CLUSTER.read_text().split(f"\n  {service}:\n")[1].split("\n\n")[0]
    assert "INSTANCE: !reset" in lines


def test_only_who_gives_logins_has_them_all_and_listeners_hear_as_subscribers() -> None:
    assert set(FILE["services"]["init"]["secrets"]) == PASSWORDS | {AUTHORITY}
    assert set(FILE["services"]["client"]["secrets"]) == {f"{SUBSCRIBERS[0]}_kafka_password", AUTHORITY}


def test_the_brokers_are_those_that_certificates_are_made_for_and_each_has_only_its_own() -> None:
    voters = re.findall(r"\d@([a-z0-9-]+):9093", (KAFKA / "cluster.properties").read_text())
    assert voters == list(BROKERS)
    for broker in BROKERS:
        given = FILE["services"][broker]
        assert broker == f"kafka-{given['environment']['BROKER_ID']}"
        assert set(given["secrets"]) == {AUTHORITY, f"{broker}_tls.pem", f"{ADMIN}_kafka_password"}


def test_subscribers_are_told_the_address_at_which_each_broker_is_published() -> None:
    listeners = re.search(
        r"^listeners=.*SUBSCRIBERS://:(\d+)", (KAFKA / "cluster.properties").read_text(), re.MULTILINE
    )
    assert listeners is not None
    for n, broker in enumerate(BROKERS, 1):
        given = FILE["services"][broker]
        port = f"${{KAFKA_{n}_PORT:-{9190 + n}}}"
        assert given["environment"]["PUBLISHED"] == f"${{KAFKA_HOST:-127.0.0.1}}:{port}"
        assert given["ports"] == [f"${{KAFKA_BIND:-127.0.0.1}}:{port}:{listeners[1]}"]
    assert subscribers_servers({}) == "127.0.0.1:9191,127.0.0.1:9192,127.0.0.1:9193"
    assert subscribers_servers({"KAFKA_2_PORT": "7"}) == "127.0.0.1:9191,127.0.0.1:7,127.0.0.1:9193"


def test_a_broker_published_under_a_new_name_gets_a_certificate_for_it_and_else_keeps_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def made() -> str:
        ensure_secrets(tmp_path, BROKERS[:1])
        return (tmp_path / f"{BROKERS[0]}_tls.pem").read_text()

    monkeypatch.delenv("KAFKA_HOST", raising=False)
    first = made()
    authority = (tmp_path / AUTHORITY).read_text()
    assert vouched_for(first, authority, [BROKERS[0], "127.0.0.1", "localhost"])
    assert not vouched_for(first, authority, ["kafka.example"])
    assert made() == first
    monkeypatch.setenv("KAFKA_HOST", "kafka.example")
    second = made()
    assert vouched_for(second, authority, [BROKERS[0], "127.0.0.1", "kafka.example"])
    monkeypatch.delenv("KAFKA_HOST")
    assert made() == second, "it answers to all that is wanted now, and to more"


def test_an_authority_whose_key_is_kept_elsewhere_stays_and_asks_for_it_where_it_must_sign(tmp_path: Path) -> None:
    def kept() -> dict[str, str]:
        ensure_secrets(tmp_path, BROKERS)
        return {file.name: file.read_text() for file in tmp_path.glob("*.pem") if file.name != AUTHORITY_KEY}

    before = kept()
    (tmp_path / AUTHORITY_KEY).unlink()
    assert kept() == before
    (tmp_path / f"{BROKERS[0]}_tls.pem").unlink()
    with pytest.raises(Misconfigured, match=f"put {AUTHORITY_KEY} back"):
        ensure_secrets(tmp_path, BROKERS)


def test_a_key_of_another_authority_signs_nothing_and_nothing_that_was_there_is_lost(tmp_path: Path) -> None:
    ensure_secrets(tmp_path, BROKERS)
    broker = tmp_path / f"{BROKERS[0]}_tls.pem"
    before = broker.read_text()
    (tmp_path / AUTHORITY_KEY).unlink()
    (tmp_path / AUTHORITY_KEY).write_text(new_authority()[1])
    with pytest.raises(Misconfigured, match="the key is not the one of this authority"):
        Secrets(tmp_path).ensure_broker(BROKERS[0], ["kafka.example"])
    assert broker.read_text() == before


def test_an_authority_whose_certificate_is_lost_is_asked_for_and_not_replaced(tmp_path: Path) -> None:
    ensure_secrets(tmp_path, BROKERS)
    (tmp_path / AUTHORITY).unlink()
    before = (tmp_path / AUTHORITY_KEY).read_text()
    with pytest.raises(Misconfigured, match=f"{AUTHORITY_KEY}.* without {AUTHORITY} .*: put it back"):
        ensure_secrets(tmp_path, BROKERS)
    assert (tmp_path / AUTHORITY_KEY).read_text() == before


def test_a_certificate_of_another_authority_or_in_its_last_month_is_made_anew() -> None:
    authority, key = new_authority()
    broker = new_broker(authority, key, ["kafka-1"])
    now = datetime.now(UTC)
    assert vouched_for(broker, authority, ["kafka-1"])
    assert not vouched_for(broker, new_authority()[0], ["kafka-1"])
    assert vouched_for(broker, authority, ["kafka-1"], now + timedelta(days=3650 - 31))
    assert not vouched_for(broker, authority, ["kafka-1"], now + timedelta(days=3650 - 29))


def test_the_authority_outlives_a_certificate_that_it_gives_after_nine_years() -> None:
    ends = x509.load_pem_x509_certificate(new_authority()[0].encode()).not_valid_after_utc
    assert ends > datetime.now(UTC) + timedelta(days=9 * 365 + 3650)


def test_strangers_cannot_take_all_of_a_brokers_connections() -> None:
    settings = (KAFKA / "cluster.properties").read_text()
    limits = dict(re.findall(r"^listener\.name\.subscribers\.(max\.connection\S*)=(\d+)$", settings, re.MULTILINE))
    assert limits == {"max.connections": "200", "max.connection.creation.rate": "20"}


def test_no_secret_stands_in_an_environment_or_a_command() -> None:
    told = [
        str(each.get(what, "")) for each in FILE["services"].values() if each for what in ("environment", "command")
    ]
    assert not [text for text in told if re.search("password|key.pem|secret", text, re.IGNORECASE)]


def test_every_secret_is_a_file_of_the_installation() -> None:
    used = {name for each in FILE["services"].values() if each for name in each.get("secrets", [])}
    assert used == FILE["secrets"].keys()
    for name, where in FILE["secrets"].items():
        assert where == {"file": f"${{DOSSIER_SECRETS:-../.local/compose/secrets}}/{name}"}


def test_prometheus_asks_for_every_service() -> None:
    config = yaml.safe_load((CLUSTER.parent / "prometheus" / "cluster.yml").read_text())
    (job,) = config["scrape_configs"]
    (names,) = job["dns_sd_configs"]
    assert (job["job_name"], sorted(names["names"])) == ("dossier", sorted([*SERVICES, WATCHER]))


def test_whoever_may_read_by_default_may_read_in_the_cluster_too() -> None:
    told = FILE["services"]["init"]["environment"]["KAFKA_SUBSCRIBERS"]
    assert told == f"${{KAFKA_SUBSCRIBERS:-{','.join(SUBSCRIBERS)}}}"
