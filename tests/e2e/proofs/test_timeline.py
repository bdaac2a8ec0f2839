"""What a citizen and an officer read of a dossier at each stage of its life: the same, and true."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from deploy.waiting import until
from tests.e2e.proofs.play import SOON_S, Play

pytestmark = pytest.mark.asyncio(loop_scope="session")

UNIT, FEE_VND = "H02.15.12", 7_000
CITIZEN, OFFICER = "citizen-app-a", f"officer-{UNIT}"
PERSON = {"id_number": "022095999131", "full_name": "Trần Thị Mẫu Lan", "date_of_birth": "1995-10-10"}
PAPER = {"sha256": "3f" * 32, "size": 192_975, "media_type": "application/pdf"}
APPLICATION = {
    "procedure": "1.004194",
    "case": "standard",
    "agency": UNIT,
    "channel": "online",
    "copies": 1,
    "applicant": {**PERSON, "phone": "0900999131", "email": "mau-lan.9131@example.com", "locale": "vi"},
    "papers": [{"code": "application-form", **PAPER}],
    "waiver_claim": None,
}


@dataclass
class Life:
    """One dossier, and who may read it."""

    play: Play
    dossier: str

    async def read(self, client: str) -> tuple[int, Any]:
        """What a client reads."""
        headers = {"authorization": f"Bearer {self.play.stack.clients()[client].token}"}
        url = f"{self.play.stack.of('intake')[0].url}/v1/dossiers/{self.dossier}"
        async with self.play.http.get(url, headers=headers) as answer:
            return answer.status, await answer.json(content_type=None)

    async def stands(
        self,
        status: int,
        held_by: str | None,
        fee_vnd: int | None,
        limit: str | None,
        identity: str | None = "verified",
    ) -> dict[str, Any]:
        """What both read, once it is as said: verification and payment are heard in any order. `limit` is the one that
        runs. Fails if they never read the same.
        """
        seen: dict[str, Any] = {}
        theirs: tuple[int, Any] = (0, None)
        wanted = (status, held_by, fee_vnd, limit, identity)

        async def so() -> bool:
            nonlocal seen, theirs
            _, seen = await self.read(CITIZEN)
            theirs = await self.read(OFFICER)
            return _place(seen) == wanted and theirs == (200, seen)

        try:
            await until(so, seconds=SOON_S, what="the timeline")
        except TimeoutError:
            assert _place(seen) == wanted
            assert theirs == (200, seen)
        times = [datetime.fromisoformat(step["at"]) for step in seen["events"]]
        assert times == sorted(times)
        return seen

    async def act(self, client: str, step: str, body: Mapping[str, Any]) -> None:
        """One step that succeeds, under a key of its own."""
        await self.play.desk().post(client, f"/v1/dossiers/{self.dossier}/{step}", str(uuid.uuid4()), body)


def _place(told: Mapping[str, Any]) -> tuple[Any, ...]:
    running = [name for name in ("accept_by", "due_at") if told.get(name)]
    return (
        told.get("status"),
        told.get("held_by"),
        told.get("fee", {}).get("total_vnd"),
        running[0] if running else None,
        (told.get("identity") or {}).get("outcome"),
    )


async def filed(play: Play) -> Life:
    """The application, filed by a citizen."""
    await play.stack.outside.enter_person({**PERSON, "gender": "female"})
    answer = await play.desk().post(CITIZEN, "/v1/dossiers", str(uuid.uuid4()), APPLICATION)
    return Life(play, answer["dossier_id"])


async def test_citizen_and_officer_read_the_same_truth_at_every_stage(play: Play) -> None:
    async with play.outside("register", mode="down"):
        life = await filed(play)
        told = await life.stands(1, UNIT, None, "accept_by", identity=None)
        assert told["missing_papers"] == ["residence-papers"]

    told = await life.stands(1, "applicant", FEE_VND, None)
    assert told["fee"]["settled"] is False
    page = told["fee"]["pay_url"]

    await life.act(OFFICER, "request-supplement", {"papers": ["residence-papers"]})
    told = await life.stands(5, "applicant", FEE_VND, None)
    assert told["wanted"]["papers"] == ["residence-papers"]
    await life.act(CITIZEN, "supplement", {"papers": [{"code": "residence-papers", **PAPER}]})
    await life.stands(1, "applicant", FEE_VND, None)

    async with play.http.post(page, headers={"accept": "application/json"}) as paid:
        assert paid.status == 200
    told = await life.stands(1, UNIT, FEE_VND, "accept_by")
    assert (told["fee"]["settled"], told["fee"]["pay_url"]) == (True, None)
    assert datetime.fromisoformat(told["accept_by"]) > datetime.now(UTC)

    await life.act(OFFICER, "accept", {})
    told = await life.stands(2, UNIT, FEE_VND, "due_at")
    due = told["due_at"]
    for step, body, status in (
        ("start", {}, 4),
        ("issue-result", {"result_sha256": "5e" * 32}, 9),
    ):
        await life.act(OFFICER, step, body)
        assert (await life.stands(status, UNIT, FEE_VND, "due_at"))["due_at"] == due
    await life.act(OFFICER, "return-result", {"handover": "online"})
    told = await life.stands(10, None, FEE_VND, "due_at")

    said = [step["event"] for step in told["events"] if step["event"] != "NoticeSent"]
    assert sorted(said) == sorted(
        ["DossierSubmitted", "CitizenVerified", "FeeAssessed", "PaymentRequested", "SupplementRequested",
         "SupplementReceived", "FeePaid", "DossierAccepted", "ProcessingStarted", "ResultIssued", "ResultReturned"]
    )  # fmt: skip
    assert [said.index(name) for name in ("DossierSubmitted", "CitizenVerified", "FeeAssessed")] == [0, 1, 2]
    assert said.index("SupplementReceived") < said.index("FeePaid") < said.index("DossierAccepted")


async def test_a_refused_dossier_is_held_by_nobody_and_strangers_read_nothing(play: Play) -> None:
    life = await filed(play)
    await life.stands(1, "applicant", FEE_VND, None)
    await life.act(OFFICER, "refuse", {"reason": "not-competent"})
    told = await life.stands(3, None, FEE_VND, None)
    assert told["status_label"] == "Không được tiếp nhận"
    for stranger in ("citizen-app-b", "officer-H02.15.07"):
        status, problem = await life.read(stranger)
        assert (status, problem["code"]) == (404, "DOS-SEC-002")
