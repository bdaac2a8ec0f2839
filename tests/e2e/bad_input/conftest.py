"""The five services together, once for all tests of this folder, and the scene of the bad requests: dossiers in several
states, filed properly, and everything at rest.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from deploy.local.ground import External
from deploy.stack import Stack
from tests.e2e.bad_input.applications import GOOD, OTHER_UNIT, UNIT, but, encoded
from tests.e2e.bad_input.rows import JSON, SUBMIT, Row
from tests.e2e.bad_input.stage import REGISTER
from tests.e2e.bad_input.stored import Stored, stored
from tests.e2e.bad_input.wire import Answer, Request, send

ALIASES = {"officer": f"officer-{UNIT}", "other-officer": f"officer-{OTHER_UNIT}"}
REPEATS = 20
"""So often the desk may say that it cannot say what became of a request."""


@dataclass(frozen=True)
class Scene:
    """The desk, who may talk to it, and the dossiers that rows name."""

    stack: Stack
    tokens: Mapping[str, str]
    dossiers: dict[str, str]
    stored: Stored

    @property
    def port(self) -> int:
        return self.stack.of("intake")[0].port

    async def ask(self, row: Row) -> Answer:
        """The desk's answer to a row."""
        return await send(self.port, row.request(self.tokens, self.dossiers))

    async def post(self, client: str, path: str, key: str, body: Any) -> Answer:
        """The desk's answer to a request that is right; one that it is busy for is repeated, as a client does."""
        headers = {"authorization": f"Bearer {self.tokens[client]}", "content-type": JSON, "idempotency-key": key}
        request = Request("POST", path, headers, encoded(body))
        answer = await send(self.port, request)
        for _ in range(REPEATS):
            if answer.status != 503:
                break
            await asyncio.sleep(float(answer.headers.get("retry-after", 1)))
            answer = await send(self.port, request)
        return answer

    async def file(self, name: str, body: Any = GOOD, client: str = "citizen-app-a") -> str:
        """The id of a dossier filed under the key `scene-<name>`."""
        answer = await self.post(client, SUBMIT, f"scene-{name}", body)
        assert answer.status == 201, answer.body
        self.dossiers[name] = answer.content["dossier_id"]
        return self.dossiers[name]

    async def act(self, name: str, dossier: str, body: Any) -> None:
        """An officer's act that succeeds."""
        path = f"{SUBMIT}/{self.dossiers[dossier]}/{name}"
        answer = await self.post("officer", path, str(uuid.uuid4()), body)
        assert answer.status == 200, answer.body


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """Ground, simulators and services in a fresh directory on free ports; the register knows the people of the data."""
    async with Stack(tmp_path_factory.mktemp("stack"), REGISTER, external=External(), say=print) as stack:
        yield stack


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def scene(stack: Stack) -> AsyncIterator[Scene]:
    """Four dossiers: just registered; with nothing in order; asked for a supplement; refused."""
    tokens = {name: client.token for name, client in stack.clients().items()}
    tokens |= {alias: tokens[name] for alias, name in ALIASES.items()}
    async with stored(stack) as looks:
        scene = Scene(stack, tokens, {}, looks)
        await scene.file("registered")
        await scene.file("unready", but({"/procedure": "2.000488", "/papers": []}))
        await scene.file("asked")
        await scene.file("refused")
        await scene.act("request-supplement", "asked", {"papers": ["residence-papers"], "correct_applicant": True})
        await scene.act("refuse", "refused", {"reason": "not-competent"})
        await looks.settle()
        yield scene
