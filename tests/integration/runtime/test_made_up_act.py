"""An act that was made up by one row is done at the real door of a real process, and refused there."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import orjson
import pytest_asyncio
from starlette.types import ASGIApp

from deploy.local.ground import Ground
from deploy.postgres.provision import Databases
from deploy.stack import without_password
from services.intake.__main__ import service
from services.intake.acts import ACTS
from services.intake.api import routes
from services.intake.operations import EXAMPLE
from services.intake.rules import rules
from services.intake.settings import IntakeSettings
from shared.lifecycle import Status
from shared.runtime.process.run import application
from shared.runtime.process.wiring import database, wire
from shared.runtime.service.callers import strangers
from shared.runtime.store.shapes import take_shape
from tests.asgi import Answer, ask
from tests.deciders import LAW
from tests.ground import empty_topics
from tests.made_up import OWN, VISIT

UNIT, OTHER = str(EXAMPLE["agency"]), "H26.33.04"
OFFICER = f"officer-{UNIT}"
ACTS_TOO = (*ACTS, replace(VISIT, statuses=frozenset({Status.REGISTERED})))
"""The act, made legal for what has just been filed."""


@dataclass
class Door:
    """The door, and the tokens of who may come in."""

    app: ASGIApp
    tokens: dict[str, str]
    pool: Any
    path: str = "/v1/dossiers"

    async def post(self, client: str, act: str, **body: Any) -> Answer:
        """What is asked under a key of its own."""
        head = {"authorization": f"Bearer {self.tokens[client]}", "content-type": "application/json"}
        head["idempotency-key"] = str(uuid4())
        return await ask(self.app, "POST", f"{self.path}{act}", head, orjson.dumps(body))


@pytest_asyncio.fixture
async def door(ground: Ground, fresh_databases: Databases) -> AsyncIterator[Door]:
    """The desk's process with the act among its acts; nothing of it but the door runs."""
    await empty_topics(ground)
    settings = IntakeSettings(
        kafka_bootstrap_servers=ground.bootstrap_servers,
        database_url=without_password(fresh_databases.url("intake")),
        secrets_dir=ground.secrets.directory,
        http_port=1,
    )
    decider = replace(service().decider, rules=rules(LAW, ACTS_TOO, OWN))
    desk = replace(service(), decider=decider)
    clients = json.loads(ground.secrets.read("clients.json"))
    async with database(settings, "intake") as pool:
        await take_shape(pool, decider.shape)
        runtime = wire(desk, settings, pool)
        await runtime.guard.ready()
        app = application(runtime, routes(runtime.resources, LAW, ACTS_TOO), strangers(settings))
        yield Door(app, {client["name"]: client["token"] for client in clients}, pool)


async def test_a_made_up_act_is_done_and_refused_over_http_and_its_note_is_sealed(door: Door) -> None:
    filed = await door.post("citizen-app-a", "", **EXAMPLE)
    assert filed.status == 201, filed.content
    door.path += f"/{filed.content['dossier_id']}"
    citizen = await door.post("citizen-app-a", "/visit", where="counter")
    assert (citizen.status, citizen.content["code"]) == (403, "DOS-SEC-003")
    other = await door.post(f"officer-{OTHER}", "/visit", where="counter")
    assert (other.status, other.content["code"]) == (404, "DOS-SEC-002")
    wrong = await door.post(OFFICER, "/visit", where="elsewhere", what=1)
    assert [fault["code"] for fault in wrong.content["errors"]] == ["unknown-field", "unknown-value"]
    done = await door.post(OFFICER, "/visit", where="home", note="Nhà ở cuối ngõ")
    assert (done.status, done.content["status"]) == (200, 1)
    said = await door.pool.fetchval("SELECT data FROM events WHERE type LIKE '%visit-agreed%'")
    told = orjson.loads(said)
    assert (told["where"], told["by"]["unit"], told["by"]["duty"]) == ("home", UNIT, "visit")
    assert told["note"].startswith("sealed.v1.")
    assert "ngõ" not in said.decode()
    assert (await door.post(OFFICER, "/refuse", reason="not-competent")).status == 200
    late = await door.post(OFFICER, "/visit", where="counter")
    assert (late.status, late.content["code"], late.content["possible"]) == (409, "DOS-INT-010", [])
