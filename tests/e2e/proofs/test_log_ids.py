"""A failed request is found in the log by its own id, its dossier's and its command's."""

import json
import uuid
from typing import Any

import asyncpg
import pytest

from shared.runtime.http.door import COMMANDS
from tests.e2e.bad_input.applications import GOOD
from tests.e2e.proofs.play import Play

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_request_that_failed_is_logged_with_the_ids_of_request_dossier_and_command(play: Play) -> None:
    filed = await play.desk().post("citizen-app-a", "/v1/dossiers", str(uuid.uuid4()), GOOD)
    path, key = f"/v1/dossiers/{filed['dossier_id']}/correction", str(uuid.uuid4())
    desk = await asyncpg.connect(play.stack.ground.databases().administrator_url("intake"))
    try:
        # A fault like a bug in a rule: the desk's database refuses the second state of this applicant's data.
        await desk.execute(
            f"""ALTER TABLE states ADD CONSTRAINT trouble CHECK
                (dossier_id <> '{filed["dossier_id"]}' OR state #>> '{{intake,applicant_version}}' = '1')"""
        )
        status, problem = await correct(play, path, key)
    finally:
        await desk.execute("ALTER TABLE states DROP CONSTRAINT IF EXISTS trouble")
        await desk.close()
    assert (status, problem["code"]) == (500, "DOS-INT-500")
    command = uuid.uuid5(COMMANDS, f"citizen-app-a|POST|{path}|{key}")
    failed = [one for one in lines(play) if one["event"] == "request-failed"]
    (line,) = [one for one in failed if one["request_id"] == problem["trace_id"]]
    assert (line["dossier_id"], line["event_id"]) == (filed["dossier_id"], str(command))
    assert line["error"] == "CheckViolationError"
    assert (await correct(play, path, key))[0] == 200, "nothing was stored under the key"


async def correct(play: Play, path: str, key: str) -> tuple[int, Any]:
    """Status and content of the answer to a correction."""
    headers = {"authorization": f"Bearer {play.stack.clients()['citizen-app-a'].token}", "idempotency-key": key}
    body = {"applicant": GOOD["applicant"]}
    async with play.http.post(play.stack.of("intake")[0].url + path, json=body, headers=headers) as answer:
        return answer.status, await answer.json(content_type=None)


def lines(play: Play) -> list[Any]:
    """What the desk has logged, but for a line that it is writing."""
    whole, _, _ = play.stack.of("intake")[0].log.read_text().rpartition("\n")
    return [json.loads(line) for line in whole.splitlines() if line.startswith("{")]
