"""Until when the certificates are good that a client of Kafka meets: those of the brokers, and their authority's."""

import asyncio
import ssl
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import structlog
from cryptography import x509

from deploy.watcher.metrics import Metrics
from shared.runtime.kafka.clients import Broker

log = structlog.get_logger(__name__)

EVERY_S = 600.0
ANSWER_S = 10.0
BROKERS, AUTHORITY = "kafka", "kafka-authority"

Address = tuple[str, int]


@dataclass
class Certificates:
    """Refreshes the gauges of certificates. `nodes` are brokers that are known besides those that one begins with."""

    broker: Broker
    metrics: Metrics
    nodes: Collection[Address] = field(default_factory=set)

    async def run(self) -> None:
        """Look until cancelled; a broker that is away is left out, and without any the last value stays."""
        while True:
            await self.refresh()
            await asyncio.sleep(EVERY_S)

    async def refresh(self) -> None:
        """Look once. An open cluster has none."""
        if self.broker.login is None:
            return
        ours = self.broker.login.context.get_ca_certs(binary_form=True)
        self._show(AUTHORITY, [_end(one) for one in ours])
        shown = [await self._shown_by(address) for address in sorted({*_addresses(self.broker.bootstrap), *self.nodes})]
        self._show(BROKERS, [end for end in shown if end is not None])

    def _show(self, dependency: str, ends: Collection[float]) -> None:
        if ends:
            self.metrics.certificates.labels(dependency).set(min(ends))

    async def _shown_by(self, address: Address) -> float | None:
        try:
            async with asyncio.timeout(ANSWER_S):
                return await _shown_at(*address)
        except (OSError, TimeoutError, ValueError) as lost:
            log.info("certificate-not-shown", broker=f"{address[0]}:{address[1]}", why=type(lost).__name__)
            return None


def _addresses(bootstrap: str) -> Iterator[Address]:
    for one in bootstrap.split(","):
        host, _, port = one.strip().rpartition(":")
        yield host.strip("[]"), int(port)


async def _shown_at(host: str, port: int) -> float:
    """When the certificate of whoever listens there ends (Unix time). Raises OSError, ValueError.

    It is looked at and not trusted: one that has expired must be seen too, and nothing is sent.
    """
    looking = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    looking.check_hostname, looking.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection(host, port, ssl=looking)
    try:
        shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
    return _end(shown)


def _end(certificate: bytes) -> float:
    return x509.load_der_x509_certificate(certificate).not_valid_after_utc.timestamp()
