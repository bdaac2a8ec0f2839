"""The platform under load while its processes are replaced, one at a time, by those of another release."""

import asyncio
import math
import os
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg

from deploy.demo.data import Line, generate, read_lines, write_lines
from deploy.demo.players import Desk, Played, Theatre
from deploy.demo.report import notices_owed, notices_sent
from deploy.demo.watch import Watcher
from deploy.local.ground import External
from deploy.local.server import GroundError
from deploy.stack import Process, Stack
from deploy.waiting import until
from shared.services import SERVICES
from tests.evidence import REBUILT, gather, in_flight_anywhere, run_command
from tests.oracle import Verdict, judge

REPLICAS = 2
LANES = 4
"""Dossiers that are played at the same time."""
APPLICATIONS = 5000
END_S = 240.0
SIDE_BY_SIDE = 3
"""So many dossiers end while a service has a process of each release."""
RESHAPED = "payment"
"""What has another shape in the next release: once it has moved, it stands still until a process is replaced."""


@dataclass
class Upgrading:
    """A running stack, its players, and what was seen of it."""

    stack: Stack
    theatre: Theatre
    lines: Iterator[Line]
    played: list[Played] = field(default_factory=list)
    _to_begin: float = 0
    _lanes: list["asyncio.Task[None]"] = field(default_factory=list)
    _replaced: Process | None = None

    @asynccontextmanager
    async def load(self) -> AsyncIterator[None]:
        """Play one dossier after the other in every lane; at the end wait until each that was begun has ended."""
        self._to_begin = math.inf
        self._lanes = [asyncio.create_task(self._lane()) for _ in range(LANES)]
        try:
            yield
            self._to_begin = 0
            await until(self._over, seconds=END_S, what="every dossier that was begun to end")
        finally:
            for lane in self._lanes:
                lane.cancel()
            await asyncio.gather(*self._lanes, return_exceptions=True)

    async def _lane(self) -> None:
        while self._to_begin > 0:
            self.played.append(Played(next(self.lines)))
            await self.theatre.play(self.played[-1])

    async def _over(self) -> bool:
        self.check()
        told = all(notices_owed(one) == notices_sent(one) for one in self.played if one.dossier_id)
        return told and all(lane.done() for lane in self._lanes)

    def check(self) -> None:
        """Fail if a process has ended by itself, or a dossier as it should not."""
        for process in self.stack.processes:
            name = f"{process.service}-{process.number}"
            assert process is self._replaced or process.exit_code is None, f"{name} has ended:\n{process.last_words()}"
        assert not (faults := [one.fault for one in self.played if one.fault]), faults
        for lane in self._lanes:
            if lane.done():
                lane.result()

    @property
    def ended(self) -> int:
        """Dossiers that have come to their end."""
        return sum(one.finished for one in self.played)

    async def more(self, dossiers: int) -> None:
        """Return once so many more have ended."""
        wanted = self.ended + dossiers

        async def enough() -> bool:
            self.check()
            return self.ended >= wanted

        await until(enough, seconds=END_S, what=f"{dossiers} dossiers more to end")

    async def move(self, tree: Path, order: Sequence[str]) -> None:
        """The release in `tree` comes: its init step, then its processes one after the other."""
        self.stack.tree = tree
        await self._init()
        for service in order:
            await self.replace(service)

    async def replace(self, service: str) -> None:
        """The processes of one service by those of the release that comes, one after the other."""
        first, *others = self.stack.of(service)
        await self._replace(first)
        if any(process.tree == self.stack.tree for process in self.stack.of(RESHAPED)):
            await self.more(SIDE_BY_SIDE)
        for process in others:
            await self._replace(process)

    async def _replace(self, process: Process) -> None:
        self._replaced = process
        process.signal(signal.SIGTERM)
        assert await process.ended() == 0, process.last_words()
        assert "drain-timed-out" not in process.log.read_text(), process.last_words()
        process.tree = self.stack.tree
        process.start()
        await self.stack.ready(process)
        self._replaced = None
        self.check()

    async def _init(self) -> None:
        """What `deploy.compose.init` does, on this ground."""
        ground = self.stack.ground
        where = {
            "DATABASE_URL": ground.admin_url, "SECRETS_DIR": str(ground.secrets.directory),
            "KAFKA_BOOTSTRAP_SERVERS": ground.bootstrap_servers,
        }  # fmt: skip
        for module in ("deploy.postgres.provision", "deploy.kafka.provision"):
            await self._run(module, where)
        await asyncio.gather(*(self.stack.command(service, "rebuild", "--apply", "--needed") for service in SERVICES))

    async def _run(self, module: str, where: dict[str, str]) -> None:
        tree = self.stack.tree
        own = {"PATH": os.environ.get("PATH", os.defpath), "PYTHONPATH": str(tree)}
        running = await asyncio.create_subprocess_exec(
            sys.executable, "-m", module, cwd=tree, env={**own, **where}, stdout=PIPE, stderr=STDOUT
        )
        said, _ = await running.communicate()
        if running.returncode != 0:
            raise GroundError(f"{module}: {said.decode()[-500:]}")

    async def rebuilt(self) -> dict[str, str]:
        """What the release that is on says of its states: service → the last line of `rebuild --check`, if it is not
        that none differs.
        """
        asked = [run_command(self.stack, service, "rebuild", "--check") for service in REBUILT]
        answers = dict(zip(REBUILT, await asyncio.gather(*asked), strict=True))
        return {service: said for service, (code, said) in answers.items() if code != 0 or ", 0 differ" not in said}

    async def verdict(self) -> Verdict:
        """What the oracle says of all that was ever played here, once the platform is quiet."""

        async def quiet() -> bool:
            return await in_flight_anywhere(self.stack) == 0

        await until(quiet, seconds=END_S, what="the platform to be quiet")
        return judge(await gather(self.stack, {one.dossier_id: one.code for one in self.played if one.dossier_id}))

    async def asked(self, service: str, query: str) -> Any:
        """One value out of a service's database."""
        connection = await asyncpg.connect(self.stack.ground.databases().auditor_url(service))
        try:
            return await connection.fetchval(query)
        finally:
            await connection.close()


@asynccontextmanager
async def upgrading(folder: Path) -> AsyncIterator[Upgrading]:
    """A stack of its own, two processes of each service, with players who know the register."""
    data = generate(APPLICATIONS, datetime.now(UTC), seed=14)
    lines = read_lines(write_lines(folder / "applications.jsonl", data.applications))
    register = write_lines(folder / "register.jsonl", data.register)
    truth = {person["id_number"]: person for person in data.register}
    async with Stack(folder, register, REPLICAS, print, external=External()) as stack:
        await stack.outside.control("bank", retry_cap_ms=1000)
        watcher = Watcher(stack.ground.bootstrap_servers)
        await watcher.start()
        desk = Desk(stack.http, [process.url for process in stack.of("intake")], stack.clients())
        try:
            yield Upgrading(stack, Theatre(desk, watcher, stack.outside, truth, asyncio.Semaphore(LANES)), lines)
        finally:
            await watcher.stop()
        assert watcher.gaps == 0, "the subscriber has missed something"
