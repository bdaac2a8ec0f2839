"""One run: the load, the faults one after the other, the draining, the oracle, and what all that came to."""

import asyncio
import random
import shutil
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg

from deploy.demo.data import generate, read_lines, write_lines
from deploy.demo.report import notices_owed, notices_sent
from deploy.local.ground import External
from deploy.local.machine import LOCAL
from deploy.waiting import until
from tests.chaos.faults import FAULTS, REACHED_S, Hands, NotDone, Wrong
from tests.chaos.history import Findings, check
from tests.chaos.level import Look, Places
from tests.chaos.load import ACTS, Gate, Load, RecordingDesk, SeeingWatcher, StubbornTheatre
from tests.chaos.schedule import KINDS, Fault, plan
from tests.chaos.stage import Stage, may_mount, unmount
from tests.evidence import gather, in_flight_anywhere
from tests.oracle import Kill, Verdict, judge

LEVEL_S = 180.0
"""Within this time the platform is level again after any fault; otherwise that is a fault of the platform."""
END_S = 900.0
"""Within this time all dossiers have ended after the last fault."""
HELD_BACK = 50
"""Applications that are filed while a process is to be stopped inside a transaction: for each such fault."""
UNREACHED = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for on the command line."""

    seed: int
    dossiers: int
    faults: int
    replicas: int = 2
    only: tuple[str, ...] = ()


@dataclass
class Met:
    """One fault as it came: when (UTC), dossiers under way, seconds until level again (None: never, or not done)."""

    fault: Fault
    at: datetime
    in_flight: int = 0
    recovered_s: float | None = None
    back: datetime | None = None
    not_done: str = ""
    wrong: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def kills(self) -> list[Kill]:
        """The same for the oracle, which asks whether a second mail has a cause: a process that may drain is none."""
        whom = [self.fault.service] if self.fault.service and self.fault.kind != "term" else []
        if self.fault.kind in ("database", "both", "disk-database"):
            whom.append("postgres")
        return [Kill(one, self.fault.kind, self.at, self.in_flight, self.back) for one in whom]


@dataclass
class Ended:
    """All that a run came to."""

    wanted: Wanted
    met: Sequence[Met]
    verdict: Verdict
    findings: Findings
    dead: dict[str, list[str]]
    seconds: float
    most_in_flight: int
    excused: dict[str, int]

    @property
    def faults(self) -> list[str]:
        """Everything that was wrong, in sentences."""
        wrong = [f"{one.fault.number} {one.fault}: {what}" for one in self.met for what in one.wrong]
        dead = [f"{service} has a dead letter: {why}" for service, all_of in self.dead.items() for why in all_of]
        return [*wrong, *dead, *self.verdict.faults, *self.findings.faults]


@dataclass
class Run:
    """A running stage, its load, and the faults that it has met."""

    wanted: Wanted
    stage: Stage
    load: Load
    watcher: SeeingWatcher
    say: Callable[[str], None]
    met: list[Met] = field(default_factory=list)
    most: int = 0
    begun: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.look = Look(self.stage)
        self.hands = Hands(self.stage, self.look, self.load.check, self.load.desk.gate.file)

    async def meet(self, fault: Fault) -> Met:
        """Let the load on, do the fault under it, mend it, and wait until the platform is level."""
        share = self.wanted.dossiers * ACTS / self.wanted.faults
        one = Met(fault, datetime.now(UTC), self._under_way())
        self.met.append(one)
        self.hands.notes = one.notes
        # A process comes by a crash point with what it is given to do, so that goes on while it is waited for.
        lasts = 2 * REACHED_S if fault.kind == "crash" else 2.0 + fault.seconds
        dripping = asyncio.create_task(self._drip(share, lasts))
        try:
            await self.hands.wait(fault.delay)
            one.at = datetime.now(UTC)
            await self._do(fault, one)
            await self._level(one)
        finally:
            dripping.cancel()
            await asyncio.gather(dripping, return_exceptions=True)
        self._tell(one)
        return one

    def _under_way(self) -> int:
        now = self.load.begun - self.load.ended
        self.most = max(self.most, now)
        return now

    async def _drip(self, requests: float, seconds: float) -> None:
        """So many requests, evenly over so many seconds; what is left at a cancellation is let on at once."""
        gate, left = self.load.desk.gate, requests
        try:
            while left > 0:
                gate.allow(min(left, requests / seconds / 10))
                left -= requests / seconds / 10
                await asyncio.sleep(0.1)
        finally:
            gate.allow(max(0.0, left))

    async def _do(self, fault: Fault, one: Met) -> None:
        try:
            async with FAULTS[fault.kind](self.hands, fault):
                if fault.kind != "storm":
                    await self.hands.wait(fault.seconds)
        except NotDone as why:
            one.not_done = str(why)
        except Wrong as what:
            one.wrong.append(str(what))

    async def _level(self, one: Met) -> None:
        """From the end of the fault until every replica is ready, every event that was committed when it ended has been
        published and heard by all who hear it, and no task has been due for more than 5 s.
        """
        ended, mark = time.monotonic(), await self._mark()

        async def level() -> bool:
            self.load.check()
            self._raise_the_dead(one)
            try:
                return await self._ready() and await self.look.behind(mark) == 0
            except UNREACHED:
                return False

        try:
            await until(level, seconds=LEVEL_S, what="the platform to be level", every=0.3)
            one.recovered_s = time.monotonic() - ended
        except TimeoutError:
            one.wrong.append(f"not level within {LEVEL_S:.0f} s: {await self._why(mark)}")
        one.back = datetime.now(UTC)

    async def _mark(self) -> Places:
        """How far every writer has committed, as soon as the database says so."""
        marks: list[Places] = []

        async def told() -> bool:
            try:
                marks.append(await self.look.mark())
            except UNREACHED:
                return False
            return True

        await until(told, seconds=60, what="the database to answer")
        return marks[-1]

    def _raise_the_dead(self, one: Met) -> None:
        """A replica that ended by itself is a fault of the platform; started again, as a supervisor would."""
        for process in self.stage.processes:
            if process.exit_code is not None:
                one.wrong.append(f"{process.service} ended by itself ({process.exit_code}):\n{process.last_words()}")
                process.start()

    async def _ready(self) -> bool:
        return all(await asyncio.gather(*(self._is_ready(process.probes) for process in self.stage.processes)))

    async def _is_ready(self, url: str) -> bool:
        try:
            async with self.stage.http.get(f"{url}/readyz", timeout=aiohttp.ClientTimeout(total=5)) as answer:
                return answer.status == 200
        except (aiohttp.ClientError, OSError, TimeoutError):
            return False

    async def _why(self, mark: Places) -> str:
        states = await asyncio.gather(*(self._is_ready(process.probes) for process in self.stage.processes))
        alive = zip(self.stage.processes, states, strict=True)
        unready = [f"{process.service}-{process.number}" for process, ready in alive if not ready]
        try:
            return f"{await self.look.behind(mark)} behind; not ready: {unready}"
        except UNREACHED as error:
            return f"{error!r}; not ready: {unready}"

    def _tell(self, one: Met) -> None:
        took = one.not_done or (f"level after {one.recovered_s:.1f} s" if one.recovered_s is not None else "NOT LEVEL")
        self.say(
            f"{time.monotonic() - self.begun:6.0f} s  {one.fault.number:>3}/{self.wanted.faults} {one.fault!s:<58}"
            f"{one.in_flight:>6} dossiers under way, {self.load.ended} ended; {took} {', '.join(one.notes)}"
        )
        for what in one.wrong:
            self.say(f"      WRONG: {what}")

    async def drain(self) -> None:
        """Let everything end. Raises TimeoutError."""
        self.load.desk.gate.kept = 0
        self.load.desk.gate.allow(1e9)
        told = time.monotonic()

        async def quiet() -> bool:
            nonlocal told
            self.load.check()
            if time.monotonic() - told > 15:
                told = time.monotonic()
                self.say(f"{told - self.begun:6.0f} s  draining: {self.load.ended} of {self.load.dossiers} ended")
            return self.load.over and self._all_told() and await in_flight_anywhere(self.stage) == 0

        await until(quiet, seconds=END_S, what="everything to end", every=0.5)

    def _all_told(self) -> bool:
        return all(notices_owed(one) == notices_sent(one) for one in self.load.played if one.dossier_id)

    async def judged(self) -> Ended:
        """What oracle and checker say."""
        accepted = {one.dossier_id: one.code for one in self.load.played if one.dossier_id}
        kills = [kill for one in self.met for kill in one.kills()]
        evidence = await gather(self.stage, accepted, kills)
        verdict = judge(evidence)
        verdict.faults[:0] = [f"line {one.line.number}: {one.fault}" for one in self.load.failed]
        findings = check(self.load.desk.history, self.watcher.observed)
        seconds = time.monotonic() - self.begun
        return Ended(
            self.wanted, self.met, verdict, findings, await self.look.dead(), seconds, self.most, excused(evidence)
        )


def excused(evidence: Any) -> dict[str, int]:
    """How many second copies of a mail each kind of fault explains: the first that does is given the blame."""
    counts: dict[str, int] = {}
    copies: dict[str, list[datetime]] = {}
    for mail in evidence.mails:
        copies.setdefault(mail.message_id, []).append(mail.at)
    for message_id, times in copies.items():
        times.sort()
        for first, second in zip(times, times[1:], strict=False):
            committed = evidence.noticed.get(message_id)
            blamed = (k.how for k in evidence.kills if k.what in ("notification", "postgres")
                      and k.excuses(first, second, committed))  # fmt: skip
            how = next(blamed, "nothing")
            counts[how] = counts.get(how, 0) + 1
    return counts


@asynccontextmanager
async def running(wanted: Wanted, say: Callable[[str], None], name: str = "chaos") -> AsyncIterator[Run]:
    """A stage of its own under load; everything is gone at the end."""
    folder = LOCAL / name
    _clear(folder)
    data = generate(wanted.dossiers, datetime.now(UTC), seed=wanted.seed)
    lines = read_lines(write_lines(folder / "applications.jsonl", data.applications))
    register = write_lines(folder / "register.jsonl", data.register)
    truth: dict[str, Any] = {person["id_number"]: person for person in data.register}
    disks = {"kafka": 1500 + wanted.dossiers // 10, "postgres": 2000 + wanted.dossiers // 4} if may_mount() else {}
    settings = {"LOG_LEVEL": "INFO"}
    stage = Stage(folder, register, wanted.replicas, say, external=External(), settings=settings, disks=disks)
    async with stage:
        watcher = SeeingWatcher(stage.ground.bootstrap_servers)
        await watcher.start()
        inside = [fault for fault in planned(wanted) if fault.kind == "stop-in-transaction"]
        gate = Gate(random.Random(wanted.seed), kept=min(HELD_BACK * len(inside), wanted.dossiers // 2))
        urls = [process.url for process in stage.of("intake")]
        desk = RecordingDesk(stage.http, urls, stage.clients(), gate)
        theatre = StubbornTheatre(desk, watcher, stage.outside, truth, asyncio.Semaphore(wanted.dossiers))
        load = Load(theatre, desk, lines, wanted.dossiers)
        try:
            async with load.running():
                yield Run(wanted, stage, load, watcher, say)
        finally:
            await watcher.stop()


def planned(wanted: Wanted) -> Sequence[Fault]:
    """The faults of a run, in their order. Raises ValueError for an unknown kind."""
    return plan(wanted.seed, wanted.faults, wanted.replicas, wanted.only)


def _clear(folder: Path) -> None:
    for disk in ("kafka", "postgres"):
        unmount(folder / disk)
    shutil.rmtree(folder, ignore_errors=True)


async def play(wanted: Wanted, say: Callable[[str], None]) -> Ended:
    """The whole run. Raises ValueError for an unknown kind."""
    faults = planned(wanted)
    async with running(wanted, say) as run:
        say(f"{len(faults)} faults of {len({fault.kind for fault in faults})} kinds (of {len(KINDS)})")
        for fault in faults:
            await run.meet(fault)
        try:
            await run.drain()
        except TimeoutError as late:
            run.met[-1].wrong.append(f"{late}: {run.load.ended} of {run.load.dossiers} dossiers have ended")
        return await run.judged()
