"""The platform at work, with hands on everything: citizens and officers, a subscriber, the servers, the outside."""

import asyncio
import json
import re
import sys
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from deploy.demo.data import Data
from deploy.demo.players import Desk, Played, Theatre
from deploy.demo.report import ended_well
from deploy.demo.watch import Watcher
from deploy.simulators.process import Name
from deploy.stack import Process, Stack
from deploy.waiting import until
from tests.e2e.proofs.people import NOTE, lines, truth

PROBES = ("/livez", "/readyz", "/metrics")
SOON_S = 90.0
"""What a test waits for comes in seconds; on a machine with other work it may take this long."""

_SAMPLE = re.compile(r"^(\w+)(?:\{([^}]*)\})? (\S+)$", re.MULTILINE)


class MarkedDesk(Desk):
    """Officers' notes carry a mark."""

    async def post(self, client: str, path: str, key: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return await super().post(client, path, key, {**body, "note": NOTE} if "note" in body else body)


@dataclass
class Answers:
    """Every HTTP answer that a client of ours was given, as bytes: status, headers, body."""

    kept: list[bytes] = field(default_factory=list)

    def trace(self) -> aiohttp.TraceConfig:
        """What a session needs to be listened to."""
        config = aiohttp.TraceConfig()
        config.on_request_end.append(self._keep)
        return config

    async def _keep(self, session: object, context: object, ended: aiohttp.TraceRequestEndParams) -> None:
        headers = "".join(f"{name}: {value}\n" for name, value in ended.response.headers.items())
        self.kept.append(f"{ended.response.status}\n{headers}\n".encode() + await ended.response.read())


@dataclass
class Play:
    """One stack, a session whose answers are kept, and a subscriber."""

    stack: Stack
    http: aiohttp.ClientSession
    watcher: Watcher
    answers: Answers
    acting: dict[int, "asyncio.Task[None]"] = field(default_factory=dict)

    def desk(self) -> MarkedDesk:
        """The desk's clients."""
        return MarkedDesk(self.http, [process.url for process in self.stack.of("intake")], self.stack.clients())

    def theatre(self, stubborn: str | None = None) -> Theatre:
        """People for the marked applications; `stubborn` is the identity number that stays unknown."""
        known = {person["id_number"]: person for person in map(truth, range(100))}
        return Theatre(self.desk(), self.watcher, self.stack.outside, known, asyncio.Semaphore(32), stubborn)

    async def begin(self, data: Data, stubborn: str | None = None) -> list[Played]:
        """Enter the data's people in the register and begin to play their applications; returns at once."""
        for person in data.register:
            await self.stack.outside.enter_person(person)
        theatre, played = self.theatre(stubborn), [Played(line) for line in lines(data)]
        for one in played:
            self.acting[id(one)] = asyncio.create_task(theatre.play(one))
        return played

    def leave(self, played: Played) -> None:
        """Nobody acts for this application any more, until it is taken up."""
        self.acting[id(played)].cancel()

    def take_up(self, played: Played) -> None:
        """Play an application again from its filing: what was asked before is answered as before."""
        self.acting[id(played)] = asyncio.create_task(self.theatre().play(played))

    @asynccontextmanager
    async def outside(self, name: Name, **settings: object) -> AsyncIterator[None]:
        """While the block lasts, an outside system behaves like this; after it as ever, whatever happened."""
        await self.stack.outside.control(name, **settings)
        try:
            yield
        finally:
            await self.stack.outside.reset(name)

    @asynccontextmanager
    async def all_standing_after(self) -> AsyncIterator[None]:
        """After the block, every service that has ended in it is started again, whatever happened."""
        try:
            yield
        finally:
            ended = [process for process in self.stack.processes if process.exit_code is not None]
            for process in ended:
                process.start()
            await asyncio.gather(*map(self.stack.ready, ended))
            self.stack.write_down()

    async def filed(self, played: Sequence[Played], seconds: float = SOON_S) -> None:
        """Return once the desk has taken in every application. Raises TimeoutError."""

        async def all_filed() -> bool:
            return all(one.dossier_id for one in played)

        await until(all_filed, seconds=seconds, what="every application to be taken in")

    async def all_well(self, played: Sequence[Played]) -> None:
        """Return once every dossier has ended as it should, all notices out; fails naming those that did not."""
        try:
            # Looked at by the clock, not at each record: a player may come to its end after the last of them.
            await until(lambda: _true(all(map(ended_well, played))), seconds=180, what="every dossier to end")
        except TimeoutError:
            wrong = "\n".join(self._how_far(one) for one in played if not ended_well(one))
            raise AssertionError(f"did not end as they should:\n{wrong}") from None

    async def post(self, client: str, path: str, body: Mapping[str, Any]) -> tuple[int, str | None]:
        """Status and problem code of one POST to the desk, not repeated."""
        headers = {
            "authorization": f"Bearer {self.stack.clients()[client].token}",
            "idempotency-key": str(uuid.uuid4()),
        }
        url = self.stack.of("intake")[0].url + path
        async with self.http.post(url, json=body, headers=headers) as answer:
            return answer.status, (await answer.json(content_type=None)).get("code")

    def _how_far(self, one: Played) -> str:
        said, acting = ", ".join(event.name for event in one.case.events), self.acting[id(one)]
        why = one.fault or (repr(acting.exception()) if acting.done() else "still playing")
        return f"{one.dossier_id} {why}: {said}"

    async def ask(self, process: Process, path: str) -> tuple[int, str]:
        """Status and text of a GET at one process, at its probes' port what belongs there."""
        where = process.probes if path in PROBES else process.url
        async with self.http.get(where + path) as answer:
            return answer.status, await answer.text()

    async def metric(self, service: str, name: str, **labels: str) -> float:
        """The sum of one metric's samples that have these labels, at the first process of a service."""
        _, text = await self.ask(self.stack.of(service)[0], "/metrics")
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        return sum(
            float(value)
            for found, having, value in _SAMPLE.findall(text)
            if found == name and all(label in having for label in wanted)
        )

    async def metric_is(self, service: str, name: str, value: float, seconds: float = SOON_S, **labels: str) -> None:
        """Return once a metric has this value. Raises TimeoutError."""

        async def is_so() -> bool:
            return await self.metric(service, name, **labels) == value

        await until(is_so, seconds=seconds, what=f"{name} of {service} to be {value}")

    async def run(self, module: str, *arguments: str, environment: Mapping[str, str]) -> tuple[int, str, str]:
        """Exit code, standard output and standard error of `python -m module arguments`, as an operator runs it."""
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", module, *arguments, env=environment,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        output, errors = await asyncio.wait_for(child.communicate(), SOON_S)
        return child.returncode or 0, output.decode(), errors.decode()

    async def operate(self, service: str, *arguments: str) -> tuple[int, Any]:
        """Exit code and answer of an operator's command of one service, whose standard output is JSON and no more."""
        environment = self.stack.environment(service)
        code, output, errors = await self.run(f"services.{service}", *arguments, environment=environment)
        try:
            return code, json.loads(output)
        except ValueError:
            raise AssertionError(f"exit {code}, no JSON:\n{output}\n{errors}") from None


async def _true(verdict: bool) -> bool:
    return verdict
