"""The players call nothing well that the platform did wrong, and one odd application costs the others nothing."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from deploy.demo.data import Line
from deploy.demo.players import Desk, Played, Theatre
from deploy.demo.report import ended_well, write
from deploy.demo.watch import Seen, Watcher
from deploy.simulators.process import Simulators
from shared.runtime.http.door import Client

NUMBER = "001090000001"
OTHER = "001090000002"
ANSWERS = {"verified": "CitizenVerified", "mismatched": "CitizenMismatched", "not_found": "CitizenNotFound"}
ACTS = {
    "request-supplement": ("SupplementRequested",),
    "accept": ("DossierAccepted",),
    "refuse": ("DossierRefused",),
    "start": ("ProcessingStarted",),
    "issue-result": ("ResultIssued",),
    "return-result": ("ResultReturned",),
}
NOTICES = {
    "DossierSubmitted": "submission", "SupplementRequested": "supplement", "DossierAccepted": "acceptance",
    "DossierRefused": "refusal", "ResultIssued": "result", "SupplementReceived": "supplement-received",
    "ProcessingStarted": "processing", "ResultReturned": "returned",
}  # fmt: skip


class Police:
    """A register in which people are entered; it is slow, so that others come in between."""

    def __init__(self, people: Mapping[str, Mapping[str, Any]]) -> None:
        self.people = dict(people)
        self.entered: list[Mapping[str, Any]] = []

    async def enter_person(self, person: Mapping[str, str]) -> str:
        await asyncio.sleep(0)
        self.entered.append(person)
        self.people[person["id_number"]] = person
        return "entered"


class Platform(Desk):
    """A desk behind which one register is asked; `broken` is what is said of people whatever the register holds."""

    def __init__(self, watcher: Watcher, police: Police, broken: str | None = None) -> None:
        super().__init__(cast(aiohttp.ClientSession, None), ["-"], {})
        self.watcher, self.police, self.broken = watcher, police, broken
        self.bodies: list[Mapping[str, Any]] = []

    async def post(self, client: str, path: str, key: str, body: Mapping[str, Any]) -> dict[str, Any]:
        if path == "/v1/dossiers":
            dossier = f"00000000-0000-4000-8000-{len(self.watcher.cases):012d}"
            await self.say(dossier, "DossierSubmitted", missing_papers=[])
            await self.say(dossier, "FeeAssessed", kind="none", total_vnd=0)
            await self.identity(dossier, body["applicant"], 1)
            return {"dossier_id": dossier, "code": "H1"}
        dossier, act = path.split("/")[3:]
        if act == "supplement":
            self.bodies.append(body)
            await self.say(dossier, "SupplementReceived")
            await self.identity(dossier, body["applicant"], 2)
        for name in ACTS.get(act, ()):
            await self.say(dossier, name, accepted_at=None, due_at=None)
        return {}

    async def identity(self, dossier: str, stated: Mapping[str, Any], version: int) -> None:
        known = self.police.people.get(stated["id_number"])
        same = known is not None and known["full_name"] == stated["full_name"]
        found = self.broken or ("not_found" if known is None else "verified" if same else "mismatched")
        await self.say(dossier, ANSWERS[found], applicant_version=version)

    async def say(self, dossier: str, name: str, **data: Any) -> None:
        now = datetime.now(UTC)
        events = self.watcher.cases[dossier].events
        events.append(Seen(name, dossier, data, now, ""))
        if name in NOTICES:
            events.append(Seen("NoticeSent", dossier, {"notice": NOTICES[name]}, now, ""))
        async with self.watcher._changed:
            self.watcher._changed.notify_all()


def application(number: str = NUMBER, name: str = "Lê Thị An") -> Line:
    applicant = {"id_number": number, "full_name": name, "date_of_birth": "1990-01-01"}
    return Line(1, {"idempotency_key": "k", "agency": "H1", "applicant": applicant})


def person(number: str = NUMBER, name: str = "Lê Thị An") -> dict[str, Any]:
    return {"id_number": number, "full_name": name, "date_of_birth": "1990-01-01", "gender": "female"}


async def play(
    *lines: Line, register: Mapping[str, Any], stubborn: str | None = None, broken: str | None = None,
    truth: Mapping[str, Any] | None = None,
) -> tuple[list[Played], Platform]:  # fmt: skip
    watcher, police = Watcher("-"), Police(register)
    desk = Platform(watcher, police, broken)
    room = asyncio.Semaphore(8)
    theatre = Theatre(desk, watcher, cast(Simulators, police), register if truth is None else truth, room, stubborn)
    played = [Played(line) for line in lines]
    await asyncio.wait_for(asyncio.gather(*map(theatre.play, played)), 30)
    return played, desk


async def test_a_person_who_corrected_their_data_is_verified_and_gets_the_result() -> None:
    (one,), _ = await play(application(name="Lê Thị Bình"), register={NUMBER: person()})
    assert (one.fault, ended_well(one)) == ("", True)


async def test_an_unknown_person_whom_the_police_enter_is_verified_and_gets_the_result() -> None:
    (one,), desk = await play(application(), register={})
    assert (one.fault, ended_well(one)) == ("", True)
    assert [entered["id_number"] for entered in desk.police.entered] == [NUMBER]


async def test_the_one_who_stays_unknown_is_refused_as_planned() -> None:
    (one,), desk = await play(application(), register={}, stubborn=NUMBER)
    assert (one.fault, ended_well(one)) == ("", True)
    assert one.case.last("DossierRefused") is not None
    assert desk.police.entered == []


@pytest.mark.parametrize("broken", ["mismatched", "not_found"])
@pytest.mark.parametrize("register", [{}, {NUMBER: person()}], ids=["unknown to the register", "known to it"])
async def test_a_person_still_not_verified_after_the_correction_is_a_fault_and_no_refusal(
    broken: str, register: Mapping[str, Any]
) -> None:
    (one,), _ = await play(application(), register=register, truth={NUMBER: person()}, stubborn=OTHER, broken=broken)
    assert not ended_well(one)
    assert one.fault == "still not verified after the correction"
    assert one.case.last("DossierRefused") is None


@pytest.mark.parametrize(("broken", "told"), [
    ("verified", "found, though the register does not know this person"),
    ("mismatched", "mismatched with what the register does not hold"),
])  # fmt: skip
async def test_one_who_stays_unknown_and_is_said_to_be_found_is_a_fault(broken: str, told: str) -> None:
    (one,), _ = await play(application(), register={}, stubborn=NUMBER, broken=broken)
    assert (one.fault, ended_well(one)) == (told, False)


async def test_two_applications_of_one_unknown_person_under_different_names_both_end_well() -> None:
    played, desk = await play(application(name="Lê Thị An"), application(name="Lê Thị Bình"), register={})
    assert [(one.fault, ended_well(one)) for one in played] == [("", True)] * 2
    assert len(desk.police.entered) == 1, "whoever came first has entered the person"
    assert len({body["applicant"]["full_name"] for body in desk.bodies}) == 1


async def test_a_person_who_applies_again_under_another_name_after_being_entered_is_corrected() -> None:
    watcher, police = Watcher("-"), Police({})
    theatre = Theatre(Platform(watcher, police), watcher, cast(Simulators, police), {}, asyncio.Semaphore(1))
    first, second = Played(application(name="Lê Thị An")), Played(application(name="Lê Thị Bình"))
    await theatre.play(first)
    await theatre.play(second)
    assert second.case.last("CitizenMismatched") is not None
    assert [(one.fault, ended_well(one)) for one in (first, second)] == [("", True)] * 2


async def test_a_mismatch_with_a_person_of_whom_nothing_is_known_is_told_and_the_others_play_on() -> None:
    held = {NUMBER: person(), OTHER: person(OTHER)}
    played, _ = await play(
        application(name="Lê Thị Bình"), application(OTHER), register=held, truth={OTHER: person(OTHER)}
    )
    assert [one.fault for one in played] == ["mismatched with what the register does not hold", ""]
    assert [ended_well(one) for one in played] == [False, True]


@asynccontextmanager
async def desk_that_answers(*answers: web.Response) -> AsyncIterator[Desk]:
    """A desk at a real HTTP server, whose answers come one after the other."""
    left = list(answers)

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        return left.pop(0)

    app = web.Application()
    app.router.add_post("/v1/dossiers", answer)
    async with TestServer(app) as server, aiohttp.ClientSession() as http:
        client = Client(name="citizen-app-a", role="citizen", token="t" * 40)
        yield Desk(http, [str(server.make_url("")).rstrip("/")], {client.name: client})


@pytest.mark.parametrize("key", ["a\nb", "a\r\nx: y", "\x00"])
async def test_a_key_that_is_no_header_is_told_at_once_and_not_tried_for_minutes(key: str) -> None:
    watcher = Watcher("-")
    line = Line(3, {"idempotency_key": key})
    async with desk_that_answers() as desk:
        one = Played(line)
        theatre = Theatre(desk, watcher, cast(Simulators, None), {}, asyncio.Semaphore(1))
        await asyncio.wait_for(theatre.play(one), 30)
    assert one.fault.startswith("cannot be sent: ")
    assert not ended_well(one)


async def test_an_application_nested_too_deep_to_be_sent_is_told() -> None:
    deep: list[Any] = []
    for _ in range(2000):
        deep = [deep]
    one = Played(Line(1, {"papers": deep}))
    await Theatre(Desk(cast(Any, None), ["-"], {}), Watcher("-"), cast(Any, None), {}, asyncio.Semaphore(1)).play(one)
    assert "recursion" in one.fault


def test_half_a_character_in_a_key_is_written_down_as_it_was_given(tmp_path: Path) -> None:
    write(tmp_path, [Played(Line(1, {"idempotency_key": "\ud800"}))], {})
    assert json.loads((tmp_path / "dossiers.jsonl").read_text())["idempotency_key"] == "\ud800"


async def test_an_answer_that_is_no_json_is_asked_for_again() -> None:
    async with desk_that_answers(web.Response(text="<html>"), web.json_response({"code": "H1"}, status=201)) as desk:
        answer = await asyncio.wait_for(desk.post("citizen-app-a", "/v1/dossiers", "k", {}), 30)
    assert answer == {"code": "H1"}
