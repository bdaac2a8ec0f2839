"""Applicants whom no mail reaches: listed in pages for their officers, and counted, until somebody has told them."""

import uuid
from collections.abc import Mapping
from typing import Any

import pytest

from deploy.waiting import until
from tests.e2e.bad_input.applications import GOOD
from tests.e2e.proofs.play import SOON_S, Play

pytestmark = pytest.mark.asyncio(loop_scope="session")

UNIT, NEIGHBOUR = "H02.15.12", "H02.15.07"
CITIZEN, OFFICER = "citizen-app-a", f"officer-{UNIT}"
NOWHERE = "nobody-{}@nowhere.example"


async def get(play: Play, client: str, path: str, query: Mapping[str, str] | None = None) -> tuple[int, Any]:
    """Status and content of the answer to a GET at the desk."""
    headers = {"authorization": f"Bearer {play.stack.clients()[client].token}"}
    url = f"{play.stack.of('intake')[0].url}/v1/dossiers/{path}"
    async with play.http.get(url, params=query, headers=headers) as answer:
        return answer.status, await answer.json(content_type=None)


async def listed(play: Play, limit: str = "200") -> dict[str, Any]:
    """Every dossier of the unit's list by its id, page by page."""
    found: dict[str, Any] = {}
    query = {"limit": limit}
    while True:
        status, page = await get(play, OFFICER, "unreached", query)
        assert status == 200, page
        assert len(page["dossiers"]) <= int(limit)
        found |= {one["dossier_id"]: one for one in page["dossiers"]}
        if page["next"] is None:
            assert page["total"] == len(found)
            return found
        query = {"limit": limit, "cursor": page["next"]}


async def filed(play: Play, email: str) -> str:
    """An application of somebody with this address."""
    body = {**GOOD, "applicant": {**GOOD["applicant"], "email": email}}
    return str((await play.desk().post(CITIZEN, "/v1/dossiers", str(uuid.uuid4()), body))["dossier_id"])


async def until_listed(play: Play, dossiers: set[str], *gone: str) -> dict[str, Any]:
    """The unit's list, once these are on it and those are not."""
    found: dict[str, Any] = {}

    async def so() -> bool:
        nonlocal found
        found = await listed(play, "2")
        return dossiers <= found.keys() and not found.keys() & set(gone)

    await until(so, seconds=SOON_S, what="the list of whom no mail reaches", every=0.2)
    return found


async def counted(play: Play, number: int) -> None:
    """Return once the metric says so."""

    async def so() -> bool:
        return await play.metric("intake", "dossier_applicants_unreached") == number

    await until(so, seconds=SOON_S, what="the metric to agree with the list", every=0.5)


async def test_who_cannot_be_reached_is_listed_with_the_words_until_an_officer_has_told_them(play: Play) -> None:
    async with play.outside("smtp", reject_recipients=["nobody-*"]):
        mine = {await filed(play, NOWHERE.format(n)) for n in range(3)}
        found = await until_listed(play, mine)
        await counted(play, len(found))
        one = sorted(mine)[0]
        (notice,) = found[one]["notices"]
        assert (notice["notice"], notice["reason"]) == ("submission", "smtp-550")
        assert "nowhere" not in str(found)

        told = {"how": "telephone", "about": [notice["about"]]}
        await play.desk().post(OFFICER, f"/v1/dossiers/{one}/tell", str(uuid.uuid4()), told)
        left = await until_listed(play, mine - {one}, one)
        await counted(play, len(left))
        _, timeline = await get(play, CITIZEN, one)
        assert [step["by"]["unit"] for step in timeline["events"] if step["event"] == "ApplicantTold"] == [UNIT]
        assert await play.post(OFFICER, f"/v1/dossiers/{one}/tell", told) == (409, "DOS-INT-016")
        assert await play.post(CITIZEN, f"/v1/dossiers/{one}/tell", told) == (403, "DOS-SEC-003")
        assert await play.post(f"officer-{NEIGHBOUR}", f"/v1/dossiers/{one}/tell", told) == (404, "DOS-SEC-002")
        await play.desk().post(OFFICER, f"/v1/dossiers/{sorted(left)[0]}/tell", str(uuid.uuid4()), {"how": "post"})


async def test_an_officer_sees_only_the_own_units_and_nobody_else_sees_any(play: Play) -> None:
    async with play.outside("smtp", reject_recipients=["nobody-*"]):
        mine = await filed(play, NOWHERE.format(9))
        await until_listed(play, {mine})
    _, theirs = await get(play, f"officer-{NEIGHBOUR}", "unreached")
    assert mine not in {one["dossier_id"] for one in theirs["dossiers"]}
    for client in (CITIZEN, "importer"):
        status, problem = await get(play, client, "unreached")
        assert (status, problem["code"]) == (403, "DOS-SEC-003")
    status, problem = await get(play, OFFICER, "unreached", {"cursor": "?", "limit": "0"})
    assert (status, problem["code"], len(problem["errors"])) == (400, "DOS-INT-015", 2)


async def test_who_has_no_address_is_told_by_an_officer_and_no_mail_is_tried(play: Play) -> None:
    body = {**GOOD, "channel": "direct", "applicant": {**GOOD["applicant"], "email": None}}
    async with play.outside("smtp", mode="down"):
        mine = str((await play.desk().post(OFFICER, "/v1/dossiers", str(uuid.uuid4()), body))["dossier_id"])
        found = await until_listed(play, {mine})
    (notice,) = found[mine]["notices"]
    assert (notice["notice"], notice["reason"]) == ("submission", "no-address")
    assert found[mine]["code"] in notice["text"]
    assert [way["way"] for way in found[mine]["ways"]] == ["phone", "counter"]
    await play.desk().post(OFFICER, f"/v1/dossiers/{mine}/tell", str(uuid.uuid4()), {"how": "counter"})
    await until_listed(play, set(), mine)
    case = play.watcher.cases[mine]
    await play.watcher.until(lambda: case.last("ApplicantTold") is not None, SOON_S, "what the officer said")
    told = case.all("ApplicantTold")[0]
    assert (told.data["how"], told.data["about"], told.data["by"]["unit"]) == ("counter", [notice["about"]], UNIT)


async def test_a_mail_that_goes_to_the_corrected_address_takes_the_dossier_off_the_list(play: Play) -> None:
    async with play.outside("smtp", reject_recipients=["nobody-*"]):
        mine = await filed(play, NOWHERE.format(7))
        await until_listed(play, {mine})
        corrected = {"applicant": {**GOOD["applicant"], "email": "somebody-7@example.com"}}
        await play.desk().post(CITIZEN, f"/v1/dossiers/{mine}/correction", str(uuid.uuid4()), corrected)
        await until_listed(play, set(), mine)
    _, timeline = await get(play, CITIZEN, mine)
    told = [(one["notice"], one["outcome"]) for one in timeline["notices"]]
    assert told[:2] == [("submission", "undeliverable"), ("submission", "sent")]
    assert "somebody-7" not in str(timeline)
