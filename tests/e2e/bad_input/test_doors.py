"""What stands at which port: operators' questions at one of their own, a door only where somebody is let in."""

import asyncio
import time
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import aiohttp
import pytest

from deploy.stack import Process, Stack
from shared.services import DOORS, SERVICES
from tests.e2e.bad_input.wire import Request, send

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

PROBES = ("/livez", "/readyz", "/metrics")


@pytest.mark.parametrize("path", PROBES)
@pytest.mark.parametrize("service", SERVICES)
async def test_a_probe_is_answered_at_its_own_port_and_at_no_other(service: str, path: str, stack: Stack) -> None:
    process = stack.of(service)[0]
    assert (await send(process.probe_port, Request("GET", path))).status == 200
    assert await at_the_door(process, path) == (404 if service in DOORS else None)


@pytest.mark.parametrize("path", ["/v1/dossiers/overdue", "/v1/payments/vnpay/ipn", "/docs", "/openapi.json"])
async def test_the_probes_port_serves_nothing_else(path: str, stack: Stack) -> None:
    for service in SERVICES:
        assert (await send(stack.of(service)[0].probe_port, Request("GET", path))).status == 404, service


async def at_the_door(process: Process, path: str) -> int | None:
    """The status there; None where nobody listens."""
    async with aiohttp.ClientSession() as http:
        try:
            async with http.get(process.url + path) as answer:
                return answer.status
        except aiohttp.ClientConnectionError:
            return None


HEAD = b"GET /v1/dossiers/overdue HTTP/1.1\r\nhost: desk\r\n"
MB = 1024 * 1024
FLOOD = 100 * MB
GROWTH = 24 * MB
"""What a process may take more, at its peak, for 100 MB of head: a tenth of what a container leaves."""


@pytest.mark.parametrize("kind", ["x: " + "v" * 65533, "a: b\r\n" * 10_923], ids=["one value", "lines"])
@pytest.mark.parametrize("service", SERVICES)
async def test_a_head_without_an_end_takes_no_memory_and_no_time_from_others(
    service: str, kind: str, stack: Stack
) -> None:
    process = stack.of(service)[0]
    before, port = peak(process.pid), process.port if service in DOORS else process.probe_port
    flood = asyncio.create_task(poured(port, HEAD, kind.encode()))
    slowest = 0.0
    while not flood.done():
        began = time.monotonic()
        assert (await send(process.probe_port, Request("GET", "/livez"))).status == 200
        slowest = max(slowest, time.monotonic() - began)
    grown = peak(process.pid) - before
    print(f"{service}: {FLOOD // MB} MB of head, peak {grown / MB:+.1f} MB, /livez {slowest * 1000:.0f} ms at most")
    assert grown < GROWTH
    assert slowest < 1


@pytest.mark.parametrize("service", DOORS)
async def test_2000_idle_connections_leave_others_served_and_probes_answered(service: str, stack: Stack) -> None:
    process = stack.of(service)[0]
    async with AsyncExitStack() as held:
        for _ in range(2000):
            _, writer = await asyncio.open_connection("127.0.0.1", process.port)
            held.callback(writer.close)
        for source in ("127.0.0.1", "127.0.0.2", "127.0.0.3"):
            reader, writer = await asyncio.open_connection("127.0.0.1", process.port, local_addr=(source, 0))
            held.callback(writer.close)
            writer.write(HEAD + b"\r\n")
            assert (await asyncio.wait_for(reader.readline(), 2)).startswith(b"HTTP/1.1 40"), source
        for path in PROBES:
            assert (await send(process.probe_port, Request("GET", path))).status == 200


async def poured(port: int, head: bytes, piece: bytes) -> None:
    """Send 100 MB of a head that does not end, on as many connections as it takes."""
    sent = 0
    while sent < FLOOD:
        with suppress(ConnectionError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(head)
            for _ in range(FLOOD // len(piece)):
                sent += len(piece)
                writer.write(piece)
                await writer.drain()
            writer.close()


def peak(pid: int) -> int:
    """The most memory that a process ever had (VmHWM), in bytes."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition("VmHWM:")[2].split()[0]) * 1024
