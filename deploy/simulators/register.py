"""The population register (C06): SOAP 1.1 over HTTP, two operations, each call recorded before it is answered.

    python -m deploy.simulators.register --port 8101 --control-port 8102 --register people.jsonl \\
        --secret-file register.secret --history history.jsonl --state entered.jsonl

A look-up goes by the 12-digit number alone and gives the register's record, or an empty collection; the caller
compares. The secret file holds `user:secret`.
"""

import asyncio
import base64
import binascii
import hashlib
import hmac
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from deploy.simulators import soap
from deploy.simulators.failing import WRONG, control_app, failing, json_object
from deploy.simulators.faults import Faults, Settings
from deploy.simulators.journal import History, Journal
from deploy.simulators.people import People, Person
from deploy.simulators.serving import HttpDoor, arguments, serve

PATH = "/dancuquocgia"
BODY_LIMIT = 64 * 1024
CLOCK_TOLERANCE = 300
"""Seconds that the timestamp of a call may lie from now. Supposed: no published value was found."""
XML_TYPES = ("text/xml", "application/xml")


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who may call: HTTP Basic with SHA-256(endpoint + user + timestamp + secret) in hexadecimal as password."""

    user: str
    secret: str

    def allow(self, authorization: str, timestamp: str, endpoint: str, now: float) -> bool:
        """Whether these headers come from the user, now (seconds of Unix time). Timestamps: seconds or milliseconds."""
        if not timestamp.isascii() or not timestamp.isdigit() or len(timestamp) > 13:
            return False
        seconds = int(timestamp) / (1000 if len(timestamp) == 13 else 1)
        digest = hashlib.sha256(f"{endpoint}{self.user}{timestamp}{self.secret}".encode()).hexdigest()
        right = hmac.compare_digest(_basic(authorization), f"{self.user}:{digest}".encode())
        return right and abs(now - seconds) <= CLOCK_TOLERANCE


def _basic(authorization: str) -> bytes:
    scheme, _, encoded = authorization.partition(" ")
    try:
        return base64.b64decode(encoded, validate=True) if scheme.lower() == "basic" else b""
    except (binascii.Error, ValueError):
        return b""


class Register:
    """Answers the two operations from `people`."""

    def __init__(self, people: People, credentials: Credentials, endpoint: str | None, history: History) -> None:
        self._people = people
        self._credentials = credentials
        self._endpoint = endpoint
        self._history = history
        self.counts: Counter[str] = Counter()

    async def answer(self, request: web.Request) -> web.Response:
        """One HTTP call. A refused one gets a SOAP fault, with the status that SOAP 1.1, section 6.2, asks for."""
        if request.content_type not in XML_TYPES:
            return self._refuse(415, "Client", "the content type is not text/xml")
        endpoint = self._endpoint or f"{request.scheme}://{request.host}{request.path}"
        headers = request.headers
        if not self._credentials.allow(
            headers.get("Authorization", ""), headers.get("timestamp", ""), endpoint, time.time()
        ):
            return self._refuse(401, "Client", "not authenticated")
        try:
            call = soap.read(await request.read())
        except web.HTTPRequestEntityTooLarge:
            return self._refuse(413, "Client", "over 64 KiB")
        except soap.BadRequest as error:
            return self._refuse(500, "Client", str(error))
        return _xml(self._find(call, request[WRONG]))

    def _find(self, call: soap.Request, wrong: bool) -> bytes:
        number = call.fields.get("SoDinhDanh", "")
        person = self._people.find(number)
        self._record(call, person)
        if call.operation == "XacThucThongTinCongDan":
            exists = person is not None and person.is_called(call.fields["HoVaTen"]) and person.is_born(call.born)
            return soap.root("KetQuaXacThuc", soap.text("TonTai", str(exists != wrong).lower()))
        if wrong:
            person = self._people.other_than(number)
        return soap.root("CongdanCollection", person.record() if person else "")

    def _record(self, call: soap.Request, person: Person | None) -> None:
        outcome = "found" if person else "not_found"
        self.counts[outcome] += 1
        self._history.record(
            "call", operation=call.operation, outcome=outcome, born=call.born, fields=dict(call.fields)
        )

    def _refuse(self, status: int, code: str, reason: str) -> web.Response:
        self.counts["refused"] += 1
        self._history.record("refused", status=status, reason=reason)
        return _xml(soap.fault(code, reason), status)

    async def enter(self, request: web.Request) -> web.Response:
        """Control: a person is entered, or changed, as the police would do it; repeating it changes nothing."""
        person = Person.model_validate(await json_object(request))
        outcome = self._people.enter(person)
        self._history.record("person", outcome=outcome, person=person.model_dump(mode="json"))
        return web.json_response({"outcome": outcome}, status=201 if outcome == "entered" else 200)

    def stats(self) -> dict[str, Any]:
        return {"people": len(self._people), "entered": self._people.entered, "answers": dict(self.counts)}


def _xml(body: bytes, status: int = 200) -> web.Response:
    headers = {"WWW-Authenticate": 'Basic realm="dancuquocgia"'} if status == 401 else {}
    return web.Response(body=body, status=status, headers=headers, content_type="text/xml", charset="utf-8")


def read_credentials(file: Path) -> Credentials:
    """Reads `user:secret`. Raises ValueError for a file of another form."""
    user, colon, secret = file.read_text(encoding="utf-8").strip().partition(":")
    if not (user and colon and secret):
        raise ValueError(f"{file}: not of the form user:secret")
    return Credentials(user, secret)


async def main() -> None:
    parser = arguments("The population register (C06).")
    parser.add_argument("--register", type=Path, required=True, help="JSONL of people")
    parser.add_argument("--secret-file", type=Path, required=True, help="holds user:secret")
    parser.add_argument("--state", type=Path, required=True, help="journal of the people entered at run time")
    parser.add_argument("--endpoint", help="the address that callers hash (default: the one they called)")
    args = parser.parse_args()
    faults = Faults(Settings(when="after"), args.seed)  # looking up changes nothing, so record it even if it fails
    history = History(args.history)
    people = People(args.register, Journal(args.state))
    register = Register(people, read_credentials(args.secret_file), args.endpoint, history)
    app = web.Application(middlewares=[failing(faults, history)], client_max_size=BODY_LIMIT)
    app.router.add_post(PATH, register.answer)
    control = control_app(faults, register.stats)
    control.router.add_post("/control/people", register.enter)
    await serve(args, HttpDoor(app, args.host, args.port), control, faults)


if __name__ == "__main__":
    asyncio.run(main())
