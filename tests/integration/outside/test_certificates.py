"""Certificates as a client of Kafka meets them, over real TLS: when they end, also of one that has ended."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from deploy.kafka import certificates as made
from deploy.watcher.certificates import AUTHORITY, BROKERS, Certificates
from deploy.watcher.metrics import Metrics
from shared.runtime.kafka.clients import Broker, Login

pytestmark = pytest.mark.integration

CA, KEY = made.new_authority()


@asynccontextmanager
async def broker(folder: Path, valid: timedelta, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """Somebody who listens with a certificate that is valid for so long from now; host:port."""
    monkeypatch.setattr(made, "_BROKER_VALID", valid)
    file = folder / f"{valid.days}.pem"
    file.write_text(made.new_broker(CA, KEY, ["127.0.0.1"]))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


def ends(metrics: Metrics, dependency: str) -> float:
    """When the metric says that these end, in days from now."""
    end = metrics.registry.get_sample_value(
        "dossier_certificate_not_after_timestamp_seconds", {"dependency": dependency}
    )
    assert end is not None
    return (end - datetime.now(UTC).timestamp()) / 86400


async def test_the_first_to_end_of_all_brokers_is_told_whether_it_has_ended_or_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    metrics, login = Metrics(["-"]), Login.of("watcher", "-", CA)
    async with (
        broker(tmp_path, timedelta(days=400), monkeypatch) as long,
        broker(tmp_path, timedelta(days=20), monkeypatch) as short,
        broker(tmp_path, timedelta(minutes=-5), monkeypatch) as ended,
    ):
        await Certificates(Broker(long, login), metrics).refresh()
        assert round(ends(metrics, BROKERS)) == 400
        await Certificates(Broker(f"{long},{short}", login), metrics).refresh()
        assert round(ends(metrics, BROKERS)) == 20
        host, _, port = ended.partition(":")
        await Certificates(Broker(long, login), metrics, {(host, int(port))}).refresh()
        assert ends(metrics, BROKERS) < 0
    authority = x509.load_pem_x509_certificate(CA.encode()).not_valid_after_utc
    assert abs(ends(metrics, AUTHORITY) - (authority - datetime.now(UTC)).total_seconds() / 86400) < 0.001


async def test_a_broker_that_is_away_is_left_out_and_the_last_value_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    metrics, login = Metrics(["-"]), Login.of("watcher", "-", CA)
    async with broker(tmp_path, timedelta(days=20), monkeypatch) as there:
        await Certificates(Broker(f"127.0.0.1:1,{there}", login), metrics).refresh()
        assert round(ends(metrics, BROKERS)) == 20
    await Certificates(Broker(there, login), metrics).refresh()
    assert round(ends(metrics, BROKERS)) == 20


async def test_an_open_cluster_has_no_certificates() -> None:
    metrics = Metrics(["-"])
    await Certificates(Broker("127.0.0.1:1"), metrics).refresh()
    assert ends(metrics, BROKERS) != ends(metrics, BROKERS), "not a number"
