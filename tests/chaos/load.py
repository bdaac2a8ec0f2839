"""Clients that go on through all faults, and write down what they asked, what they were told and what they saw."""

import asyncio
import math
import random
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import aiohttp

from deploy.demo.data import Line
from deploy.demo.players import Desk, Played, Theatre, Turned
from deploy.demo.watch import Watcher, class_name
from deploy.waiting import until
from shared.runtime.http.door import COMMANDS
from tests.chaos.history import Observed, Operation

T = TypeVar("T")

SAYS: Mapping[str, str] = {
    "dossiers": "DossierSubmitted",
    "request-supplement": "SupplementRequested",
    "supplement": "SupplementReceived",
    "refuse": "DossierRefused",
    "accept": "DossierAccepted",
    "start": "ProcessingStarted",
    "issue-result": "ResultIssued",
    "return-result": "ResultReturned",
}
"""The last part of a path → the event that the act says if it is accepted."""

ACTS = 5.4
"""So many requests a dossier takes on average, with this data."""


@dataclass
class Gate:
    """Lets requests through one by one as they are permitted, in a random order: so all dossiers are under way.

    So many applications as `kept` says are held back for faults that need somebody who files just then.
    """

    rng: random.Random
    permits: float = 0
    passed: int = 0
    kept: int = 0
    _filings: "list[asyncio.Future[None]]" = field(default_factory=list)
    _acts: "list[asyncio.Future[None]]" = field(default_factory=list)

    def allow(self, requests: float) -> None:
        """So many more may pass."""
        self.permits += requests
        while self.permits >= 1 and (some := len(self._acts) + max(0, len(self._filings) - self.kept)):
            which = self.rng.randrange(some)
            waiting = self._acts if which < len(self._acts) else self._filings
            self.permits -= _let_on(waiting, self.rng.randrange(len(waiting)))

    def file(self) -> None:
        """One of the applications that were held back may pass, if there are any."""
        if self._filings:
            self.kept = max(0, self.kept - _let_on(self._filings, 0))

    async def enter(self, filing: bool = False) -> None:
        """Return when this request may go."""
        if self.permits >= 1 and not (filing and len(self._filings) < self.kept):
            self.permits -= 1
        else:
            waiter = asyncio.get_running_loop().create_future()
            (self._filings if filing else self._acts).append(waiter)
            await waiter
        self.passed += 1


def _let_on(waiting: "list[asyncio.Future[None]]", which: int) -> int:
    """Let one of them on; 0 if it waits no more."""
    waiter = waiting.pop(which)
    if waiter.done():
        return 0
    waiter.set_result(None)
    return 1


@dataclass
class RecordingDesk(Desk):
    """A desk that writes the clients' history."""

    gate: Gate = field(default_factory=lambda: Gate(random.Random(0), math.inf))
    history: list[Operation] = field(default_factory=list)

    async def post(self, client: str, path: str, key: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """See `Desk.post`; waits at the gate first."""
        says = SAYS[path.rpartition("/")[2]]
        await self.gate.enter(says == "DossierSubmitted")
        message = str(uuid.uuid5(COMMANDS, f"{client}|POST|{path}|{key}"))
        operation = Operation(client, says, message, time.monotonic())
        self.history.append(operation)
        try:
            answer = await super().post(client, path, key, body)
        except Turned as turned:
            # Patience at an end says nothing of what became of it.
            operation.outcome = "unknown" if str(turned).startswith("no answer") else "fail"
            raise
        finally:
            operation.ended = time.monotonic()
        operation.outcome = "ok"
        operation.dossier = str(answer.get("dossier_id", ""))
        return answer


class SeeingWatcher(Watcher):
    """A subscriber that writes down everything it gets, repeats included."""

    def __init__(self, bootstrap: str) -> None:
        super().__init__(bootstrap)
        self.observed: list[Observed] = []

    def take(self, record: Any) -> None:
        headers = {name: value.decode() for name, value in record.headers}
        name, cause = class_name(headers["ce_type"]), headers["ce_causationid"]
        place = headers["ce_source"], int(headers["ce_sequence"])
        self.observed.append(Observed(*place, headers["ce_id"], name, cause, headers["ce_partitionkey"]))
        super().take(record)


class StubbornTheatre(Theatre):
    """Players who come back to a bank, or to the register's keepers, who did not answer."""

    async def _pay(self, played: Played) -> None:
        await _insist(lambda: super(StubbornTheatre, self)._pay(played), "the bank to answer")

    async def _enter(self, applicant: Mapping[str, Any]) -> Mapping[str, Any]:
        return await _insist(lambda: super(StubbornTheatre, self)._enter(applicant), "the register to answer")


async def _insist(act: Callable[[], Awaitable[T]], what: str) -> T:
    """What `act` comes to as soon as somebody answers. Raises TimeoutError."""
    came: list[T] = []

    async def answered() -> bool:
        try:
            came.append(await act())
        except (aiohttp.ClientError, OSError):
            return False
        return True

    await until(answered, seconds=300.0, what=what, every=1.0)
    return came[0]


@dataclass
class Load:
    """All dossiers of a run; `released` requests at a time are let on."""

    theatre: Theatre
    desk: RecordingDesk
    lines: Iterator[Line]
    dossiers: int
    played: list[Played] = field(default_factory=list)
    _tasks: "list[asyncio.Task[None]]" = field(default_factory=list)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Begin all dossiers; each waits at the gate with each of its requests."""
        self.played = [Played(next(self.lines)) for _ in range(self.dossiers)]
        self._tasks = [asyncio.create_task(self.theatre.play(one)) for one in self.played]
        try:
            yield
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def check(self) -> None:
        """Raise what a player has raised: a mistake of the test."""
        for task in self._tasks:
            if task.done() and not task.cancelled():
                task.result()

    @property
    def begun(self) -> int:
        """Dossiers that were accepted."""
        return sum(1 for one in self.played if one.dossier_id)

    @property
    def ended(self) -> int:
        """Dossiers that came to their end."""
        return sum(1 for one in self.played if one.finished)

    @property
    def failed(self) -> list[Played]:
        """Dossiers that somebody gave up."""
        return [one for one in self.played if one.fault]

    @property
    def over(self) -> bool:
        """Whether nobody has anything to do any more."""
        return all(task.done() for task in self._tasks)
