"""An address that no server can have is a wrong setting, named at the start; it is not waited for."""

import socket

import pytest

from shared.errors import Misconfigured
from shared.runtime.http.server import listening
from shared.runtime.service.settings import DoorSettings, OperatorSettings, load

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


DOOR = {"database_url": URL, "kafka_bootstrap_servers": SERVERS, "http_port": 8000}


@pytest.mark.parametrize(
    "told",
    [
        "0.0.0.0/0", "::/0", "0.0.0.0/1, 128.0.0.0/1", "::/1,8000::/1", "10.0.0.7, 0.0.0.0/0", "8.0.0.0/5", "2000::/3",
        "128.0.0.0/2", "64:ff9b::/96", "64:ff9b::/64", "64:ff9b::/95", "64:ff9b::/97,64:ff9b::8000:0/97",
        "2001::/32", "2002::/16", "::/8", "2001:d00::/24",
        "0.0.0.0/5,8.0.0.0/7,11.0.0.0/8,12.0.0.0/6", ",".join(f"{n}.0.0.0/8" for n in range(256)),
        ",".join(f"203.{n}.0.0/16" for n in range(256)),
    ],
)  # fmt: skip
def test_proxies_among_whom_are_strangers_end_the_start(told: str) -> None:
    with pytest.raises(Misconfigured, match="TRUSTED_PROXIES: .* holds strangers"):
        load(DoorSettings, **DOOR, trusted_proxies=told)


@pytest.mark.parametrize("told", ["::ffff:10.0.0.7", "::ffff:0:0/96", "10.0.0.7, ::ffff:10.0.0.0/104"])
def test_a_proxy_that_would_never_be_recognised_ends_the_start(told: str) -> None:
    with pytest.raises(Misconfigured, match="TRUSTED_PROXIES: .*is to be told as that"):
        load(DoorSettings, **DOOR, trusted_proxies=told)


@pytest.mark.parametrize(
    "told",
    [
        "", "10.0.0.7", "10.0.0.0/8, 172.16.0.0/12,192.168.0.0/16", "127.0.0.0/8,::1", "fd00::/8", "fc00::/7",
        "fe80::/10", "100.64.0.0/10", "104.16.0.0/13,172.64.0.0/13", "2400:cb00::/32, 2a06:98c0::/29", "203.0.113.9",
        "2001:db8::5", "64:ff9b::10.0.0.7", "10.0.0.0/9,10.128.0.0/9", "192.168.0.0/17,192.168.128.0/17",
    ],
)  # fmt: skip
def test_proxies_that_can_be_ours_are_taken(told: str) -> None:
    assert load(DoorSettings, **DOOR, trusted_proxies=told).trusted_proxies == told
