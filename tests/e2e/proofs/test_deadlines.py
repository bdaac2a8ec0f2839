"""A supplement's deadline that passed while the desk was dead (C7), through real processes to the citizen's mailbox."""

import signal
import uuid
from typing import Any

import pytest

from deploy.stack import Process
from deploy.waiting import until
from tests.e2e.bad_input.applications import GOOD
from tests.e2e.proofs.play import SOON_S, Play
from tests.e2e.proofs.test_processes import connected

pytestmark = pytest.mark.asyncio(loop_scope="session")

CITIZEN, OFFICER = "citizen-app-a", f"officer-{GOOD['agency']}"
PAST = "2026-10-01T03:00:00Z"
_DEADLINE_PASSED = """UPDATE states SET state = jsonb_set(state, '{intake,wanted,respond_by}', to_jsonb($2::text))
    WHERE dossier_id = $1"""
_LONG_DOWN = "UPDATE jobs SET handled_at = now() - interval '2 days' WHERE name = 'supplement-alarms'"


async def act(play: Play, client: str, path: str, body: Any) -> dict[str, Any]:
    """What the desk answers to one POST."""
    return await play.desk().post(client, f"/v1/dossiers{path}", str(uuid.uuid4()), body)


async def told(play: Play, dossier: str) -> Any:
    """The dossier's timeline."""
    headers = {"authorization": f"Bearer {play.stack.clients()[CITIZEN].token}"}
    async with play.http.get(f"{play.stack.of('intake')[0].url}/v1/dossiers/{dossier}", headers=headers) as answer:
        assert answer.status == 200
        return await answer.json()


async def kill(process: Process) -> None:
    """SIGKILL, and no process is left."""
    process.signal(signal.SIGKILL)
    assert await process.ended() == -signal.SIGKILL


async def make_it_long_ago(play: Play, dossier: str) -> None:
    """As if the desk had been down over the deadline, its alarms lost, and the nightly job had not run for two days."""
    async with connected(play.stack.ground.databases().administrator_url("intake")) as admin:
        await admin.execute(_DEADLINE_PASSED, uuid.UUID(dossier), PAST)
        await admin.execute("DELETE FROM tasks WHERE dossier_id = $1", uuid.UUID(dossier))
        assert await admin.execute(_LONG_DOWN) == "UPDATE 1", "the job has had its row since the desk began"


async def test_the_job_sets_the_lost_alarm_whoever_is_killed_and_the_lapse_reaches_the_citizen(play: Play) -> None:
    dossier = (await act(play, CITIZEN, "", GOOD))["dossier_id"]
    await act(play, OFFICER, f"/{dossier}/request-supplement", {"papers": ["residence-papers"]})
    (desk,) = play.stack.of("intake")
    await play.metric_is("intake", "dossier_tasks_pending", 1, task="supplement-alarms")
    async with play.all_standing_after():
        await kill(desk)
        await make_it_long_ago(play, dossier)
        desk.start(DOSSIER_CRASH_POINT="after-effect")
        assert await desk.ended(SOON_S) == -signal.SIGKILL, "the job has done its work, and its end is not committed"
    timeline: Any = {}

    async def all_told() -> bool:
        nonlocal timeline
        timeline = await told(play, dossier)
        return any(one["notice"] == "supplement-lapsed" for one in timeline["notices"])

    await until(all_told, seconds=SOON_S, what="the notice of the lapse", every=0.5)
    events = [step["event"] for step in timeline["events"]]
    assert events.count("SupplementLapsed") == 1
    assert "SupplementReminderDue" not in events
    assert (timeline["status"], timeline["status_label"]) == (1, "Quá hạn bổ sung giấy tờ")
    assert timeline["held_by"] == GOOD["agency"]
    assert [one["outcome"] for one in timeline["notices"] if one["notice"] == "supplement-lapsed"] == ["sent"]
    assert await play.metric("intake", "dossier_job_failures", task="supplement-alarms") == 0
    await play.metric_is("intake", "dossier_tasks_pending", 1, task="supplement-alarms")
    refused = await act(play, OFFICER, f"/{dossier}/refuse", {"reason": "not-competent"})
    assert refused["status"] == 3


async def test_an_answer_in_time_ends_it(play: Play) -> None:
    dossier = (await act(play, CITIZEN, "", GOOD))["dossier_id"]
    await act(play, OFFICER, f"/{dossier}/request-supplement", {"papers": ["residence-papers"]})
    answered = await act(
        play, CITIZEN, f"/{dossier}/supplement", {"papers": [{**GOOD["papers"][0], "code": "residence-papers"}]}
    )
    assert (answered["status"], answered["supplement_lapsed_at"]) == (1, None)
    (desk,) = play.stack.of("intake")
    async with play.all_standing_after():
        await kill(desk)
        async with connected(play.stack.ground.databases().administrator_url("intake")) as admin:
            moved = """UPDATE tasks SET run_at = now(), payload = payload || jsonb_build_object('at', $2::text)
                WHERE dossier_id = $1"""
            assert await admin.execute(moved, uuid.UUID(dossier), PAST) == "UPDATE 2", "a reminder and a deadline"

    async def all_rang() -> bool:
        async with connected(play.stack.ground.databases().auditor_url("intake")) as auditor:
            waiting: int = await auditor.fetchval(
                "SELECT count(*) FROM tasks WHERE dossier_id = $1", uuid.UUID(dossier)
            )
        return waiting == 0

    await until(all_rang, seconds=SOON_S, what="both alarms to ring")
    events = [step["event"] for step in (await told(play, dossier))["events"]]
    assert "SupplementReceived" in events
    assert not {"SupplementLapsed", "SupplementReminderDue"} & set(events)
