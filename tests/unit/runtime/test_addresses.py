"""An address that no server can have is a wrong setting, named at the start; it is not waited for."""

import socket

import pytest

from shared.errors import Misconfigured
from shared.runtime.server import listening
from shared.runtime.settings import DoorSettings, OperatorSettings, load

URL, SERVERS = "postgresql://dossier@127.0.0.1:5432/dossier", "127.0.0.1:9092"


@pytest.mark.parametrize(
    "url", [URL.replace("5432", port) for port in ("99999", "54x2", "-1")], ids=["too high", "no number", "negative"]
)
def test_a_database_on_a_port_that_cannot_be_is_named(url: str) -> None:
    with pytest.raises(Misconfigured, match="DATABASE_URL"):
        load(OperatorSettings, database_url=url, kafka_bootstrap_servers=SERVERS)


def test_a_broker_on_a_port_that_cannot_be_is_named() -> None:
    with pytest.raises(Misconfigured, match="KAFKA_BOOTSTRAP_SERVERS"):
        load(OperatorSettings, database_url=URL, kafka_bootstrap_servers=f"{SERVERS},127.0.0.1:70000")


@pytest.mark.parametrize("servers", ["", SERVERS, f"{SERVERS},broker-2.example:9093", "[::1]:9092"])
def test_addresses_that_can_be_are_taken(servers: str) -> None:
    assert load(OperatorSettings, database_url=URL, kafka_bootstrap_servers=servers).database_url == URL


def test_a_port_that_somebody_else_has_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Misconfigured, match=f"HTTP_PORT {port}: Address already in use"):
            listening("127.0.0.1", port)


def test_the_door_and_the_probes_have_a_port_each() -> None:
    with pytest.raises(Misconfigured, match="HTTP_PORT: .*PROBE_PORT"):
        load(DoorSettings, database_url=URL, kafka_bootstrap_servers=SERVERS, http_port=8000, probe_port=8000)


def test_a_host_that_is_not_ours_is_named() -> None:
    with pytest.raises(Misconfigured, match=r"HTTP_HOST 192\.0\.2\.1"):
        listening("192.0.2.1", 8000)
