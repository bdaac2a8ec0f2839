"""A server that stands still refuses nothing and answers nothing, as when its host is lost: all are told so in time."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import pytest

from deploy.demo.players import without_key
from deploy.stack import Process
from deploy.waiting import until
from shared.runtime.aio.deadline import DOOR_S
from shared.runtime.process.probes import ANSWER_S
from shared.services import SERVICES
from tests.e2e.proofs.people import cast
from tests.e2e.proofs.play import SOON_S, Play
from tests.ground import frozen, frozen_database

pytestmark = pytest.mark.asyncio(loop_scope="session")

ONLY_HEAR = [service for service in SERVICES if service != "intake"]


async def faults(play: Play, process: Process, path: str = "/readyz") -> Mapping[str, str]:
    """What a probe tells of a process."""
    _, told = await play.ask(process, path)
    found: Mapping[str, str] = json.loads(told)["faults"]
    return found


async def all_ready(play: Play) -> None:
    """Wait until every process is ready."""

    async def ready() -> bool:
        return not any([await faults(play, process) for process in play.stack.processes])

    await until(ready, seconds=SOON_S, what="every process to be ready")


async def test_while_kafka_stands_still_only_the_desk_is_ready_and_all_are_alive(play: Play) -> None:
    await all_ready(play)
    with frozen(play.stack.ground.kafka):

        async def all_have_noticed() -> bool:
            told = [await faults(play, process) for service in ONLY_HEAR for process in play.stack.of(service)]
            return all("kafka" in one for one in told)

        await until(all_have_noticed, seconds=SOON_S, what="Kafka to be missed")
        assert [await faults(play, process) for process in play.stack.of("intake")] == [{}]
        assert [await faults(play, process, "/livez") for process in play.stack.processes] == [{}] * len(SERVICES)
    await all_ready(play)


async def test_while_the_database_stands_still_probes_and_the_door_answer_in_time_and_nothing_is_doubled(
    play: Play,
) -> None:
    await all_ready(play)
    data = cast(1, first=95)
    (application,) = data.applications
    application["idempotency_key"] = str(uuid4())
    async with frozen_database(play.stack.ground, ANSWER_S):
        told = await asyncio.gather(*(faults(play, process) for process in play.stack.processes))
        assert all(told)
        assert [await faults(play, process, "/livez") for process in play.stack.processes] == [{}] * len(SERVICES)
    await all_ready(play)
    async with frozen_database(play.stack.ground, DOOR_S):
        assert await asyncio.gather(*(filed(play, application) for _ in range(3))) == [(503, "2")] * 3
    (played,) = await play.begin(data)
    await play.all_well([played])
    assert len(played.case.all("DossierSubmitted")) == 1
    await all_ready(play)


async def filed(play: Play, application: Mapping[str, Any]) -> tuple[int, str | None]:
    """Status and Retry-After of the answer to an application that is sent once."""
    client = play.stack.clients()["importer" if "submitted_at" in application else "citizen-app-a"]
    headers = {"authorization": f"Bearer {client.token}", "idempotency-key": application["idempotency_key"]}
    async with play.http.post(
        f"{play.stack.of('intake')[0].url}/v1/dossiers", json=without_key(application), headers=headers
    ) as answer:
        return answer.status, answer.headers.get("retry-after")
