"""Whatever a stranger asks at a door is counted, whether there is such a path or not; whom we know is not a stranger,
and who asks at the probes' port is counted by nobody.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from services.intake.api import routes as desk
from services.payment.api import routes as bank
from shared.runtime.http.door import Client, Clients
from shared.runtime.http.rates import Strangers
from shared.runtime.keys.sealing import Kek, Keks
from shared.runtime.observe.metrics import Metrics
from shared.runtime.process.run import application, probes
from tests.asgi import Answer, ask
from tests.deciders import LAW
from tests.unit.payment.test_payment_platform import PLATFORM, signed

TOKEN = "t" * 32
CLIENTS = Clients([Client(name="app", role="citizen", token=TOKEN)])
SETTINGS = SimpleNamespace(
    kek=lambda: Keks([Kek(bytes(32), "kek-1")]), key=lambda name: bytes(32), clients=lambda: CLIENTS, client_rate=50.0,
)  # fmt: skip
AT_ONCE = 10
ELSEWHERE = "/v1/payments/vnpay/ipn"


class Rows:
    """A database that grants every client whatever it asks."""

    async def fetchrow(self, *words: Any) -> Mapping[str, float]:
        """What was granted and what is left."""
        return {"granted": 1000, "tokens": 0.0}


def door(service: str) -> Starlette:
    """The door of a service as its process has it; a stranger may ask AT_ONCE times."""
    nobody: Any = None
    lent: Any = SimpleNamespace(settings=SETTINGS, door=None, pool=Rows(), readable=lambda: None, metrics=None)
    runtime: Any = SimpleNamespace(service=SimpleNamespace(name=service), metrics=Metrics(service))
    routes = desk(lent, LAW) if service == "intake" else bank(nobody, runtime.metrics, PLATFORM)
    return application(runtime, routes, Strangers(AT_ONCE / 10, clock=lambda: 0.0))


@dataclass(frozen=True)
class Asked:
    """What is asked at the door of a service."""

    path: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    query: str = ""
    service: str = "intake"

    async def at(self, app: Starlette) -> Answer:
        """The answer."""
        return await ask(app, self.method, self.path, self.headers, query=self.query)

    def __str__(self) -> str:
        return f"{self.service} {self.method} {self.path} {' '.join(self.headers)}"


def every_route() -> list[Asked]:
    """Whatever there is at either door, asked by somebody who has nothing to show."""
    return [
        Asked(route.path.replace("{dossier}", str(UUID(int=7))), method, service=service)
        for service in ("intake", "payment")
        for route in door(service).routes
        if isinstance(route, Route)
        for method in sorted(route.methods or ())
    ]


STRANGE = [
    *every_route(),
    Asked("/"), Asked("/nothing/here"), Asked("/docs/", service="payment"), Asked("*", "OPTIONS"),
    Asked("/docs", "POST"), Asked("/v1/dossiers", "DELETE"), Asked("/v1/dossiers/not-an-id"),
    Asked("/docs", headers={"Host": "another"}),
    Asked("/v1/dossiers/overdue", headers={"authorization": "Bearer " + "w" * 32}),
    Asked("/v1/dossiers/overdue", headers={"authorization": f"Bearer {TOKEN}", "Authorization": "Bearer another"}),
    Asked(ELSEWHERE, query="vnp_TxnRef=1&vnp_SecureHash=0", service="payment"),
]  # fmt: skip


@pytest.mark.parametrize("asked", STRANGE, ids=str)
async def test_whatever_a_stranger_asks_is_counted(asked: Asked) -> None:
    app = door(asked.service)
    before = [(await asked.at(app)).status for _ in range(AT_ONCE)]
    refused = await ask(app, asked.method, asked.path, asked.headers, query=asked.query)
    assert 429 not in before and len(set(before)) == 1
    assert refused.status == 429
    assert (refused.content["code"], int(refused.headers["retry-after"])) == ("DOS-INT-429", 1)
    assert refused.headers["x-request-id"] == refused.content["trace_id"]


async def test_what_is_refused_in_the_place_of_an_answer_is_counted_as_refused() -> None:
    app = door("intake")
    for _ in range(AT_ONCE + 5):
        await Asked("/docs").at(app)
    observed: Any = app.user_middleware[0].kwargs["metrics"]
    told = observed.registry.get_sample_value
    labels = {"route": "/docs", "method": "GET"}
    assert told("dossier_http_requests_total", {**labels, "status": "200"}) == AT_ONCE
    assert told("dossier_http_requests_total", {**labels, "status": "429"}) == 5


KNOWN = [
    Asked("/v1/dossiers/overdue", headers={"authorization": f"Bearer {TOKEN}"}),
    Asked("/v1/dossiers", "POST", headers={"authorization": f"bearer {TOKEN}"}),
    Asked(ELSEWHERE, query=urlencode(signed(vnp_Amount="nothing")), service="payment"),
]


@pytest.mark.parametrize("asked", KNOWN, ids=str)
async def test_whom_we_know_is_no_stranger_whatever_comes_of_it(asked: Asked) -> None:
    app = door(asked.service)
    assert 429 not in [(await asked.at(app)).status for _ in range(AT_ONCE + 1)]
    assert (await ask(app, "GET", "/docs")).status == 200, "and takes nothing from strangers"


async def test_probes_are_counted_by_nobody() -> None:
    runtime: Any = SimpleNamespace(metrics=Metrics("intake"))
    health: Any = SimpleNamespace(alive=dict)
    app = probes(runtime, health)
    assert {(await ask(app, "GET", "/livez")).status for _ in range(500)} == {200}
