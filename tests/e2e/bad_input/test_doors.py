"""What stands at which port: operators' questions at one of their own, a door only where somebody is let in."""

import aiohttp
import pytest

from deploy.postgres.names import SERVICES
from deploy.stack import DOORS, Process, Stack
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
