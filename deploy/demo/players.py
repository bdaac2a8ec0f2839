"""Citizens and officers, played over HTTP; what they react to they hear as any subscriber would."""

import asyncio
import itertools
import json
import random
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

import aiohttp

from deploy.demo.data import Line
from deploy.demo.watch import Case, Watcher
from shared.cleaning import one_line, seen
from shared.law.application import digits_of
from shared.runtime.http.door import Client

IDENTITY = ("CitizenVerified", "CitizenMismatched", "CitizenNotFound")
PATIENCE_S = 300.0
_NAMESPACE = uuid.UUID("0b0e7f3c-52f6-5b9f-8f56-0d8d2c9c2a10")


class Police(Protocol):
    """Who enters people in the register; the simulators do, wherever they run."""

    async def enter_person(self, person: Mapping[str, str]) -> str: ...


class Turned(Exception):
    """The desk has turned a request down for good; the text is its problem's code and faults."""


@dataclass
class Desk:
    """HTTP to the one-stop desk: repeats with the same key what was not answered, round-robin over its replicas."""

    http: aiohttp.ClientSession
    urls: Sequence[str]
    clients: Mapping[str, Client]
    _turn: Iterator[str] = field(init=False)

    def __post_init__(self) -> None:
        self._turn = itertools.cycle(self.urls)

    async def post(self, client: str, path: str, key: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to a POST, once there is one. Raises Turned for a 4xx other than "not yet"."""
        wait = 0.05
        deadline = asyncio.get_running_loop().time() + PATIENCE_S
        headers = {"authorization": f"Bearer {self.clients[client].token}", "idempotency-key": key}
        while True:
            status, answer = await self._once(path, headers, body)
            if 200 <= status < 300:
                return answer
            # 409 DOS-INT-011: the desk itself has not heard yet what we have heard.
            if status not in (0, 429, 503) and answer.get("code") != "DOS-INT-011":
                raise Turned(f"{answer.get('code', status)} {json.dumps(answer.get('errors', []), ensure_ascii=False)}")
            if asyncio.get_running_loop().time() > deadline:
                raise Turned(f"no answer within {PATIENCE_S:.0f} s: {status} {answer.get('code')}")
            await asyncio.sleep(random.uniform(wait / 2, wait))  # noqa: S311 - jitter
            wait = min(2.0, wait * 2)

    async def _once(self, path: str, headers: Mapping[str, str], body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """Status and answer, 0 where there was none. Raises Turned for what HTTP cannot carry."""
        try:
            async with self.http.post(next(self._turn) + path, json=body, headers=headers) as answer:
                return await _read(answer)
        except (aiohttp.ClientError, OSError, TimeoutError):
            return 0, {}
        except ValueError as wrong:
            raise Turned(f"cannot be sent: {wrong}") from wrong


async def _read(answer: aiohttp.ClientResponse) -> tuple[int, dict[str, Any]]:
    try:
        content: dict[str, Any] = await answer.json(content_type=None)
    except ValueError:
        return 0, {}
    return answer.status, content


@dataclass
class Played:
    """One application and what became of it."""

    line: Line
    sent_at: datetime | None = None
    dossier_id: str = ""
    code: str = ""
    case: Case = field(default_factory=Case)
    fault: str = ""
    refused: bool = False
    finished: bool = False


def stubborn(played: Sequence[Played], truth: Mapping[str, Any]) -> str | None:
    """The one unknown person who stays unknown: the first of these whom the register does not know."""
    numbers = [_number(one) for one in played]
    return next((number for number in numbers if number is not None and number not in truth), None)


def _number(one: Played) -> str | None:
    applicant = (one.line.application or {}).get("applicant")
    number = applicant.get("id_number") if isinstance(applicant, dict) else None
    return number if isinstance(number, str) else None


def without_key(application: Mapping[str, Any]) -> dict[str, Any]:
    """An application as the desk takes it: the key of its line goes into the head of the request."""
    return {name: value for name, value in application.items() if name != "idempotency_key"}


@dataclass
class Theatre:
    """Plays many dossiers at once. `truth` is the register by number; `stubborn` stays unknown and is refused, and
    nobody else is.
    """

    desk: Desk
    watcher: Watcher
    outside: Police
    truth: Mapping[str, Mapping[str, Any]]
    room: asyncio.Semaphore
    stubborn: str | None = None
    _entered: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    _entering: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def play(self, played: Played) -> None:
        """One application from its filing to its end; what goes wrong is noted, not raised."""
        try:
            async with self.room:
                await self._file(played)
            await self._live(played)
            played.finished = True
        except (Turned, TimeoutError, aiohttp.ClientError, RecursionError) as wrong:
            played.fault = str(wrong)

    async def _file(self, played: Played) -> None:
        application = played.line.application
        if application is None:
            raise Turned(played.line.fault)
        # Only an importer may say when an application was received; without that it is a citizen's.
        client = "importer" if "submitted_at" in application else "citizen-app-a"
        key = str(application.get("idempotency_key") or uuid.uuid5(_NAMESPACE, json.dumps(application)))
        played.sent_at = datetime.now(UTC)
        answer = await self.desk.post(client, "/v1/dossiers", key, without_key(application))
        played.dossier_id, played.code = answer["dossier_id"], answer["code"]
        played.case = self.watcher.cases[played.dossier_id]

    async def _live(self, played: Played) -> None:
        application = played.line.application or {}
        first = await self._answer(played, 1)
        submitted = await self._said(played, "DossierSubmitted")
        missing = submitted.data["missing_papers"]
        identity = first
        if missing or first.name != "CitizenVerified":
            await self._ask(played, missing, first.name != "CitizenVerified")
            identity = await self._supply(played, application, missing, first)
        if self._stays_unknown(application["applicant"]["id_number"], identity.name):
            await self._refuse(played)
        else:
            await self._to_the_result(played)

    def _stays_unknown(self, number: str, found: str) -> bool:
        """Whether this is the one to be refused. Raises Turned where the last answer about a person is wrong."""
        unknown = number == self.stubborn
        if unknown and found != "CitizenNotFound":
            raise Turned("found, though the register does not know this person")
        if not unknown and found != "CitizenVerified":
            raise Turned("still not verified after the correction")
        return unknown

    async def _refuse(self, played: Played) -> None:
        await self._officer(played, "refuse", {"reason": "identity-unknown", "note": "Không có trong CSDL dân cư"})
        await self._said(played, "DossierRefused")
        played.refused = True

    async def _to_the_result(self, played: Played) -> None:
        await self._pay(played)
        await self._officer(played, "accept", {})
        await self._officer(played, "start", {})
        digest = f"{uuid.UUID(played.dossier_id).int:064x}"
        await self._officer(played, "issue-result", {"result_sha256": digest})
        await self._officer(played, "return-result", {"handover": "online"})
        await self._said(played, "ResultReturned")

    async def _ask(self, played: Played, missing: Sequence[str], correct: bool) -> None:
        """One request for everything: papers and identity."""
        body = {"papers": list(missing), "correct_applicant": correct, "note": "Đề nghị bổ sung một lần"}
        await self._officer(played, "request-supplement", body)
        await self._said(played, "SupplementRequested")

    async def _supply(self, played: Played, application: Mapping[str, Any], missing: Sequence[str], first: Any) -> Any:
        correct = first.name != "CitizenVerified"
        body: dict[str, Any] = {"papers": [_paper(played.dossier_id, code) for code in missing], "applicant": None}
        if correct:
            body["applicant"] = await self._corrected(application["applicant"], first.name)
        client = "importer" if "submitted_at" in application else "citizen-app-a"
        await self.desk.post(
            client, f"/v1/dossiers/{played.dossier_id}/supplement", self._key(played, "supplement"), body
        )
        return await self._answer(played, 2) if correct else first

    async def _corrected(self, applicant: Mapping[str, Any], found: str) -> dict[str, Any]:
        """A mismatched person states the register's data; an unknown one is entered there first, save the stubborn."""
        number = digits_of(applicant["id_number"])
        held = self._entered.get(number) or self.truth.get(number)
        if found == "CitizenNotFound":
            held = applicant if applicant["id_number"] == self.stubborn else await self._enter(applicant)
        if held is None:
            raise Turned("mismatched with what the register does not hold")
        return {**applicant, "full_name": held["full_name"], "date_of_birth": held["date_of_birth"]}

    async def _enter(self, applicant: Mapping[str, Any]) -> Mapping[str, Any]:
        """What the police have entered of this person: once, though two applications may state different names."""
        number = digits_of(applicant["id_number"])
        async with self._entering:
            if number not in self._entered:
                name, born = one_line(applicant["full_name"]), seen(applicant["date_of_birth"])
                person = {"id_number": number, "full_name": name, "date_of_birth": born}
                person["gender"] = "female" if int(number[3]) % 2 else "male"
                await self.outside.enter_person(person)
                self._entered[number] = person
        return self._entered[number]

    async def _pay(self, played: Played) -> None:
        await self._said(played, "FeeAssessed")
        kind = (played.case.last("FeeAssessed") or _NOTHING).data.get("kind")
        if kind == "none":
            return
        if kind == "waiver":
            await self._said(played, "FeeWaived")
            return
        asked = await self._said(played, "PaymentRequested")
        headers = {"accept": "application/json"}
        async with self.desk.http.post(asked.data["pay_url"], headers=headers) as answer:
            if answer.status != 200:
                raise Turned(f"the bank's page answered {answer.status}")
        await self._said(played, "FeePaid")

    async def _officer(self, played: Played, act: str, body: Mapping[str, Any]) -> None:
        agency = (played.line.application or {})["agency"]
        path = f"/v1/dossiers/{played.dossier_id}/{act}"
        await self.desk.post(f"officer-{agency}", path, self._key(played, act), body)

    @staticmethod
    def _key(played: Played, act: str) -> str:
        return str(uuid.uuid5(_NAMESPACE, f"{played.dossier_id}/{act}"))

    async def _answer(self, played: Played, version: int) -> Any:
        """The identity answer about this state of the applicant's data."""

        def found() -> list[Any]:
            return [one for one in played.case.all(*IDENTITY) if one.data["applicant_version"] == version]

        await self.watcher.until(lambda: bool(found()), PATIENCE_S, f"an identity answer for {played.dossier_id}")
        return found()[-1]

    async def _said(self, played: Played, name: str) -> Any:
        await self.watcher.until(
            lambda: played.case.last(name) is not None, PATIENCE_S, f"{name} of {played.dossier_id}"
        )
        return played.case.last(name)


class _NOTHING:
    data: Mapping[str, Any] = {}


def _paper(dossier_id: str, code: str) -> dict[str, Any]:
    digest = uuid.uuid5(uuid.UUID(dossier_id), code).hex * 2
    return {"code": code, "sha256": digest, "size": 100_000, "media_type": "application/pdf"}
