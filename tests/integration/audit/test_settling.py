"""A discrepancy is told until an operator answers for it, by name and with a reason; the evidence stays."""

import json
import subprocess
import sys
from io import StringIO
from typing import Any

import pytest

from deploy.waiting import until
from services.audit.settling import discrepancies, parse
from services.audit.trail import Trail
from tests.integration.audit.stage import SHARD, Stage, event

pytestmark = pytest.mark.integration

WHY = "a test wrote to the topic"
FOREIGN = event(1, writer="intake")


def told(trail: Trail) -> tuple[float | None, float | None]:
    """How many the process says that there are, and how many of them are open."""
    value = trail.metrics.registry.get_sample_value
    return value("dossier_audit_discrepancies"), value("dossier_audit_discrepancies_open")


async def until_told(trail: Trail, found: int, still: int) -> None:
    async def so() -> bool:
        return told(trail) == (found, still)

    await until(so, seconds=60, what=f"{still} of {found} discrepancies to be open, not {told(trail)}")


async def act(stage: Stage, *arguments: str) -> tuple[int, Any]:
    """Exit code and answer of the operator's act."""
    out = StringIO()
    code = await discrepancies(stage.settings(), parse(arguments), out)
    return code, json.loads(out.getvalue())


async def test_it_stands_over_every_restart_until_it_is_settled_and_the_next_one_is_told_again(stage: Stage) -> None:
    await stage.publish(event(1), FOREIGN, partition=SHARD)
    async with stage.listening() as trail:
        await until_told(trail, 1, 1)
    async with stage.listening() as again:
        await until_told(again, 1, 1)
        (one,) = (await act(stage, "list"))[1]
        assert (one["kind"], one["source"], one["shard"]) == ("foreign", "verification", SHARD)
        assert await act(stage, "settle", one["id"], "--reason", WHY) == (0, {"settled": 1})
        await until_told(again, 1, 0)
        await stage.publish(FOREIGN.saying(b"{}"), partition=SHARD)
        await until_told(again, 2, 1)


async def test_who_settles_and_why_is_kept_and_the_evidence_is_too(stage: Stage) -> None:
    await stage.publish(event(1), FOREIGN, event(2), partition=SHARD)
    await stage.audited(3)
    await stage.store(event(1), event(2))
    assert await act(stage, "settle", "--all", "--reason", WHY) == (0, {"settled": 1})
    assert await act(stage, "settle", "--all", "--reason", "once more") == (1, {"settled": 0})
    assert await act(stage, "list") == (0, [])
    rows = await stage.pool.fetch("SELECT reason, settled_by <> '' AS by FROM settled_discrepancies")
    assert [tuple(row) for row in rows] == [(WHY, True)]
    acts = await stage.pool.fetch(
        "SELECT detail FROM operator_acts WHERE act = 'discrepancies settle' ORDER BY id DESC"
    )
    assert json.loads(acts[0]["detail"]) == {"count": 1, "reason": WHY}
    assert [one.what for one in (await stage.verified()).findings] == ["foreign"]
    assert await stage.count("discrepancies") == 1


async def test_what_is_not_there_cannot_be_settled(stage: Stage) -> None:
    assert await act(stage, "settle", str(event(1).id), "--reason", WHY) == (1, {"settled": 0})
    assert await stage.count("settled_discrepancies") == 0


@pytest.mark.parametrize(
    "arguments",
    [["settle", "--all"], ["settle", "--all", "--reason", " "], ["settle", "--all", "--reason", "x" * 501],
     ["settle", "--reason", WHY], ["settle", "7", "--reason", WHY],
     ["settle", str(event(1).id), "--all", "--reason", WHY], []],
)  # fmt: skip
def test_nobody_settles_by_accident(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(arguments)
    assert ended.value.code == 2


def test_it_is_an_act_of_audits() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "services.audit", "discrepancies", "--help"], capture_output=True, text=True, check=True
    )
    assert "settle" in run.stdout
