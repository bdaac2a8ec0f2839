"""Acceptance limits that passed unanswered (C4): listed whole, in pages, for the unit's own officers, and counted."""

import uuid
from collections.abc import Mapping
from typing import Any

import pytest

from deploy.waiting import until
from tests.e2e.bad_input.applications import GOOD
from tests.e2e.proofs.play import SOON_S, Play

pytestmark = pytest.mark.asyncio(loop_scope="session")

UNIT, NEIGHBOUR = "H02.15.12", "H02.15.07"
LONG_AGO = "2026-03-02T08:00:00+07:00"
OVERDUE = "/v1/dossiers/overdue"


async def ask(play: Play, client: str, query: Mapping[str, str]) -> tuple[int, Any]:
    """Status and content of the answer to a question for the list."""
    headers = {"authorization": f"Bearer {play.stack.clients()[client].token}"}
    url = play.stack.of("intake")[0].url + OVERDUE
    async with play.http.get(url, params=query, headers=headers) as answer:
        return answer.status, await answer.json(content_type=None)


async def listed(play: Play, unit: str, limit: str = "200") -> tuple[list[str], int]:
    """Every dossier of a unit's list, page by page, and the total that each page told."""
    found: list[str] = []
    totals: set[int] = set()
    query = {"limit": limit}
    while True:
        status, page = await ask(play, f"officer-{unit}", query)
        assert status == 200, page
        assert len(page["dossiers"]) <= int(limit)
        assert [one["accept_by"] for one in page["dossiers"]] == sorted(one["accept_by"] for one in page["dossiers"])
        found += [one["dossier_id"] for one in page["dossiers"]]
        totals.add(page["total"])
        if page["next"] is None:
            return found, totals.pop() if len(totals) == 1 else -1
        query = {"limit": limit, "cursor": page["next"]}


async def filed(play: Play, count: int, received: str = LONG_AGO) -> list[str]:
    """So many applications that an importer received long ago."""
    desk = play.desk()
    body = {**GOOD, "submitted_at": received}
    return [(await desk.post("importer", "/v1/dossiers", str(uuid.uuid4()), body))["dossier_id"] for _ in range(count)]


async def until_the_metric_agrees(play: Play) -> float:
    """The metric, once it is the sum of all units' lists."""
    units = sorted(client.unit for client in play.stack.clients().values() if client.unit)

    async def agrees() -> bool:
        total = sum([(await ask(play, f"officer-{unit}", {"limit": "1"}))[1]["total"] for unit in units])
        return bool(total == await play.metric("intake", "dossier_acceptance_overdue"))

    await until(agrees, seconds=SOON_S, what="the metric to agree with the lists", every=1.0)
    return await play.metric("intake", "dossier_acceptance_overdue")


async def test_the_list_is_whole_over_several_pages_and_the_metric_agrees_until_an_officer_answers(play: Play) -> None:
    before, _ = await listed(play, UNIT)
    mine = await filed(play, 5)
    found, total = await listed(play, UNIT, limit="2")
    assert sorted(found) == sorted({*before, *mine}), "every one, once"
    assert total == len(found) == len(before) + 5
    metric = await until_the_metric_agrees(play)

    for dossier in mine[:2]:
        path = f"/v1/dossiers/{dossier}/refuse"
        await play.desk().post(f"officer-{UNIT}", path, str(uuid.uuid4()), {"reason": "not-competent"})
    left, total = await listed(play, UNIT, limit="2")
    assert sorted(left) == sorted({*before, *mine[2:]})
    assert total == len(left)
    assert await until_the_metric_agrees(play) == metric - 2


async def test_a_dossier_answered_between_two_pages_moves_no_other_out_of_sight(play: Play) -> None:
    await filed(play, 4)
    whole, _ = await listed(play, UNIT)
    _, first = await ask(play, f"officer-{UNIT}", {"limit": "2"})
    path = f"/v1/dossiers/{whole[0]}/refuse"
    await play.desk().post(f"officer-{UNIT}", path, str(uuid.uuid4()), {"reason": "not-competent"})
    _, second = await ask(play, f"officer-{UNIT}", {"limit": "200", "cursor": first["next"]})
    assert [one["dossier_id"] for one in second["dossiers"]] == whole[2:]


async def test_an_officer_sees_only_the_own_units_and_nobody_else_sees_any(play: Play) -> None:
    (mine,) = await filed(play, 1)
    theirs, _ = await listed(play, NEIGHBOUR)
    assert mine not in theirs
    _, page = await ask(play, f"officer-{UNIT}", {"limit": "1"})
    status, beyond = await ask(play, f"officer-{NEIGHBOUR}", {"cursor": page["next"]} if page["next"] else {})
    assert status == 200
    assert {one["dossier_id"] for one in beyond["dossiers"]} <= set(theirs), "another unit's cursor opens nothing"
    for client in ("citizen-app-a", "importer"):
        status, problem = await ask(play, client, {})
        assert (status, problem["code"]) == (403, "DOS-SEC-003")


@pytest.mark.parametrize(
    ("query", "faults"),
    [
        ({"cursor": ""}, ["/cursor malformed"]),
        ({"cursor": "A" * 31}, ["/cursor malformed"]),
        ({"cursor": "A" * 32 + "\n"}, ["/cursor malformed"]),
        ({"cursor": "_" * 32}, ["/cursor malformed"]),
        ({"cursor": "'; DROP TABLE states; --"}, ["/cursor malformed"]),
        ({"cursor": "f" * 6_000}, ["/cursor malformed"]),
        ({"limit": "0"}, ["/limit out-of-range"]),
        ({"limit": "201"}, ["/limit out-of-range"]),
        ({"limit": "-1"}, ["/limit out-of-range"]),
        ({"limit": "٢"}, ["/limit out-of-range"]),
        ({"limit": "2\n"}, ["/limit out-of-range"]),
        ({"limit": ""}, ["/limit out-of-range"]),
        ({"cursor": "?", "limit": "9" * 5000}, ["/cursor malformed", "/limit out-of-range"]),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, dict) else "",
)
async def test_a_bad_question_for_the_list_is_a_problem_that_names_every_fault(
    query: Mapping[str, str], faults: list[str], play: Play
) -> None:
    status, problem = await ask(play, f"officer-{UNIT}", query)
    assert (status, problem["code"]) == (400, "DOS-INT-015")
    assert [f"{fault['pointer']} {fault['code']}" for fault in problem["errors"]] == faults
