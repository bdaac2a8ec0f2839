"""The whole platform under load, and hands that kill its parts."""

import asyncio
import math
import signal
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from deploy.demo.data import Line
from deploy.demo.players import Played, Theatre
from deploy.demo.report import notices_owed, notices_sent
from deploy.local.server import Server
from deploy.stack import Process
from deploy.waiting import until
from tests.chaos.faults import FAULTS, Hands
from tests.chaos.level import Look
from tests.chaos.schedule import Fault
from tests.chaos.stage import Stage
from tests.evidence import gather, in_flight, in_flight_anywhere
from tests.oracle import Kill, Verdict, judge

LANES = 8
"""Dossiers that are played at the same time."""

END_S = 180.0
"""Within this time every dossier has ended after whatever was killed is back."""


@dataclass
class Rig:
    """A running stack, its players, and the list of all that was killed in it."""

    stack: Stage
    theatre: Theatre
    lines: Iterator[Line]
    played: list[Played] = field(default_factory=list)
    kills: list[Kill] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    _to_begin: float = 0
    _lanes: list["asyncio.Task[None]"] = field(default_factory=list)

    @asynccontextmanager
    async def load(self) -> AsyncIterator[None]:
        """Play one dossier after the other in every lane, without end until something dies, and then one more in each;
        at the end wait until each one that was begun has ended.
        """
        self._to_begin = math.inf
        self._lanes = [asyncio.create_task(self._lane()) for _ in range(LANES)]
        try:
            yield
            self._to_begin = 0
            async with asyncio.timeout(END_S):
                await asyncio.gather(*self._lanes)
                await self.theatre.watcher.until(self._all_told, END_S, "the last notices")
                await until(self._is_quiet, seconds=END_S, what="the platform to be quiet")
        finally:
            for lane in self._lanes:
                lane.cancel()
            await asyncio.gather(*self._lanes, return_exceptions=True)
            await self._raise_the_dead()

    async def _raise_the_dead(self) -> None:
        """After a test that failed half-way: the next one begins with everything running."""
        for server in (self.stack.ground.kafka, self.stack.ground.postgres):
            if server is not None:
                await server.start()
        for service in [process.service for process in self.stack.processes if process.exit_code is not None]:
            await self.revive(service)

    async def _lane(self) -> None:
        while self._to_begin > 0:
            self._to_begin -= 1
            played = Played(next(self.lines))
            self.played.append(played)
            await self.theatre.play(played)

    def _all_told(self) -> bool:
        return all(notices_owed(one) == notices_sent(one) for one in self.played if one.dossier_id)

    async def _is_quiet(self) -> bool:
        return await in_flight_anywhere(self.stack) == 0

    def unfinished(self) -> list[Played]:
        """Applications that were accepted and have not come to their end."""
        return [one for one in self.played if one.dossier_id and not one.finished]

    def process(self, service: str) -> Process:
        """The one process of `service`."""
        (process,) = self.stack.of(service)
        return process

    async def die_at(self, service: str, crash_point: str) -> None:
        """Start `service` anew with a crash point and let it run into it."""
        process = self.process(service)
        await self._under_way(1)
        process.signal(signal.SIGTERM)
        assert await process.ended() == 0, f"{service} did not drain:\n{process.last_words()}"
        told_before = _crashes(process)
        process.start(DOSSIER_CRASH_POINT=crash_point)
        assert await process.ended(END_S) == -signal.SIGKILL, process.last_words()
        assert _crashes(process) == [*told_before, crash_point.partition(":")[0]]
        await self._note(service, crash_point)

    async def kill(self, service: str) -> None:
        """SIGKILL for a service while messages are on their way in it: it stands still while we make sure of that."""
        process = self.process(service)
        await self._under_way(LANES // 2)

        async def stopped_busy() -> bool:
            process.signal(signal.SIGSTOP)
            busy = await in_flight(self.stack, service) > 0 and bool(self.unfinished())
            if not busy:
                process.signal(signal.SIGCONT)
            return busy

        await until(stopped_busy, seconds=END_S, what=f"messages in flight in {service}", every=0.05)
        process.signal(signal.SIGKILL)
        assert await process.ended() == -signal.SIGKILL
        await self._note(service, "SIGKILL")

    async def _note(self, service: str, how: str) -> None:
        """Write down a service's death, once something waits for it: at once, or as soon as others go on."""
        died, waiting = datetime.now(UTC), 0

        async def missed() -> bool:
            nonlocal waiting
            waiting = await in_flight(self.stack, service)
            return waiting > 0 and bool(self.unfinished())

        await until(missed, seconds=END_S, what=f"anything to be in flight in {service} while it is dead", every=0.05)
        self._killed(Kill(service, how, died, waiting))

    def _killed(self, kill: Kill) -> None:
        self.kills.append(kill)
        self._to_begin = LANES

    async def kill_server(self, server: Server) -> None:
        """SIGKILL for the broker or the database while messages are on their way."""
        await self._under_way(LANES // 2)
        waiting = 0

        async def busy() -> bool:
            nonlocal waiting
            waiting = await in_flight_anywhere(self.stack)
            return waiting > 0 and bool(self.unfinished())

        await until(busy, seconds=END_S, what="messages in flight", every=0.01)
        died = datetime.now(UTC)
        assert await server.kill() == -signal.SIGKILL
        self._killed(Kill(_name(server), "SIGKILL", died, waiting))

    async def meet(self, fault: Fault) -> None:
        """One fault of the long form's table, done and undone."""
        await self._under_way(LANES // 2)
        hands = Hands(self.stack, Look(self.stack), self._raise_what_a_lane_raised)
        at, waiting = datetime.now(UTC), len(self.unfinished())
        async with FAULTS[fault.kind](hands, fault):
            await hands.wait(fault.seconds)
        self._killed(Kill(fault.service, fault.kind, at, waiting, datetime.now(UTC)))

    def _raise_what_a_lane_raised(self) -> None:
        for lane in self._lanes:
            if lane.done():
                lane.result()

    async def _under_way(self, dossiers: int) -> None:
        async def enough() -> bool:
            self._raise_what_a_lane_raised()
            return len(self.unfinished()) >= dossiers

        await until(enough, seconds=END_S, what=f"{dossiers} dossiers to be under way", every=0.02)

    async def revive(self, service: str) -> None:
        """Start a dead service again and wait until it is ready."""
        process = self.process(service)
        starts = _starts(process)

        async def started() -> bool:
            return _starts(process) > starts or process.exit_code is not None

        process.start()
        # Until here nothing was sent anew: what a busy mail server writes down late, the dead process had sent.
        await until(started, seconds=END_S, what=f"{service} to start", every=0.01)
        self._back(service)
        await self.stack.ready(process)
        self.stack.write_down()

    async def revive_server(self, server: Server) -> None:
        """Start a dead broker or database again."""
        await server.start()
        self._back(_name(server))

    def _back(self, what: str) -> None:
        self.kills[:] = [
            replace(kill, back=datetime.now(UTC)) if kill.what == what and kill.back is None else kill
            for kill in self.kills
        ]

    async def verdict(self, *, commands: bool = False) -> Verdict:
        """What the oracle says of everything that was ever played here; see `gather` for `commands`."""
        faults = [f"line {one.line.number}: {one.fault}" for one in self.played if one.fault]
        accepted = {one.dossier_id: one.code for one in self.played if one.dossier_id}
        verdict = judge(await gather(self.stack, accepted, self.kills, commands=commands))
        verdict.faults[:0] = faults
        self.verdicts.append(verdict)
        return verdict

    def alive(self) -> Sequence[str]:
        """Services whose process runs."""
        return [process.service for process in self.stack.processes if process.exit_code is None]


def _name(server: Server) -> str:
    return server.name.lower().replace("postgresql", "postgres")


def _starts(process: Process) -> int:
    """How often its log says that it has started."""
    return process.log.read_text(errors="replace").count('"started"') if process.log.exists() else 0


def _crashes(process: Process) -> list[str]:
    """The crash points that the process told of, in order."""
    if not process.log.exists():
        return []
    lines = [line for line in process.log.read_text(errors="replace").splitlines() if '"crash-point"' in line]
    return [line.partition('"point": "')[2].partition('"')[0] for line in lines]
