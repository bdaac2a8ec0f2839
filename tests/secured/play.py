"""What the tests on a secured Kafka do to it: play dossiers, ask as any principal, take permissions away."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from aiokafka.admin import AIOKafkaAdminClient

from deploy.demo.data import Data, Line
from deploy.demo.players import Desk, Played, Theatre, without_key
from deploy.demo.watch import Watcher
from deploy.kafka.acls import ADMIN, Acl, table
from deploy.kafka.principals import ensure_acls
from deploy.kafka.topics import administrator
from deploy.stack import Process, Stack
from deploy.waiting import until
from shared.runtime.kafka.clients import Broker

COUNT = 12
NOW = datetime.now(UTC)
SOON_S = 60.0
"""What a test waits for comes in seconds; on a machine with other work it may take this long."""


@dataclass
class Play:
    """The platform, a subscriber, and applications that are yet to be filed."""

    stack: Stack
    watcher: Watcher
    data: Data
    filed: int = 0
    playing: list[Played] = field(default_factory=list)

    async def play(self, count: int) -> list[Played]:
        """File the next `count` applications and play them to their end."""
        played = [self._next() for _ in range(count)]
        await asyncio.gather(*map(self.theatre().play, played))
        return played

    async def file(self) -> str:
        """File one application and return its dossier's id; nobody acts for it any more."""
        played = self._next()
        application = played.line.application or {}
        client = "importer" if "submitted_at" in application else "citizen-app-a"
        answer = await self.theatre().desk.post(
            client, "/v1/dossiers", f"key-of-number-{self.filed}", without_key(application)
        )
        return str(answer["dossier_id"])

    def _next(self) -> Played:
        self.filed += 1
        return Played(Line(self.filed, self.data.applications[self.filed - 1]))

    def theatre(self) -> Theatre:
        """People for the applications."""
        stack, truth = self.stack, {person["id_number"]: person for person in self.data.register}
        desk = Desk(stack.http, [process.url for process in stack.of("intake")], stack.clients())
        return Theatre(desk, self.watcher, stack.outside, truth, asyncio.Semaphore(COUNT))

    async def said(self, dossier: str, *names: str) -> None:
        """Return once the subscriber has heard one of these events of the dossier."""
        case = self.watcher.cases[dossier]
        await self.watcher.until(lambda: bool(case.all(*names)), SOON_S, f"{names} of {dossier}")

    async def logged(self, process: Process, words: str) -> None:
        """Return once a process has written these words into its log."""

        async def told() -> bool:
            return words in process.log.read_text()

        await until(told, seconds=SOON_S, what=f"{process.service} to say {words}")

    def broker(self, who: str) -> Broker:
        """Kafka as the principal `who`."""
        return self.stack.ground.broker(who)

    @asynccontextmanager
    async def administrator(self) -> AsyncIterator[AIOKafkaAdminClient]:
        """Whoever may do everything."""
        async with administrator(self.stack.ground.bootstrap_servers, login=self.broker(ADMIN).login) as admin:
            yield admin

    @asynccontextmanager
    async def without(self, lost: Callable[[Acl], bool]) -> AsyncIterator[None]:
        """While the block lasts, nobody has the permissions that `lost` names."""
        async with self.administrator() as admin:
            changes = await ensure_acls(admin, {acl for acl in table() if not lost(acl)})
            assert changes.removed, "no such permission"
            try:
                yield
            finally:
                await ensure_acls(admin, table())

    async def refused(self, process: Process, word: str) -> None:
        """Return once the process is not ready for a reason that holds `word`, or has ended for its restart policy to
        start it again, as is done here.
        """

        async def tells() -> bool:
            if process.exit_code is not None:
                process.start()
            return word in await self.faults(process)

        await until(tells, seconds=SOON_S, what=f"{process.service} to tell {word}")

    async def faults(self, process: Process) -> str:
        """What /readyz says is missing; nothing of a process that does not answer."""
        try:
            async with self.stack.http.get(f"{process.probes}/readyz") as answer:
                return json.dumps((await answer.json())["faults"])
        except (OSError, ValueError):
            return ""


def of(play: Play, service: str) -> Process:
    """The one process of a service."""
    (process,) = play.stack.of(service)
    return process
