"""How each kind of fault is done and undone: `async with FAULTS[kind](…)` breaks something and mends it at the end."""

import asyncio
import math
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local.server import Server
from deploy.simulators.process import Name
from deploy.stack import Process
from deploy.waiting import until
from shared.topics import SHARDS, topic_of
from tests.chaos.level import Look
from tests.chaos.restoring import NeverLevel, take_backup
from tests.chaos.schedule import Fault
from tests.chaos.stage import Stage, faketime, fill

REACHED_S = 25.0
"""Within this time a crash point is passed, or a COMMIT is answered."""
DRAIN_S = 30.0
"""Within this time a replica that is told to end has ended."""
STEP_S = 240
"""So far a clock is set: less than the five minutes that the youngest application is old."""


class NotDone(Exception):
    """The fault could not be brought about; the text says why. Counted as not done."""


class Wrong(Exception):
    """The platform did not do what it must while the fault lasted, such as draining in time."""


@dataclass
class Hands:
    """What faults work with. `file`: somebody files an application that was held back; `wait`: hold on for so long,
    while the players' own mistakes are raised.
    """

    stage: Stage
    look: Look
    check: Callable[[], None]
    file: Callable[[], None] = lambda: None
    notes: list[str] = field(default_factory=list)

    async def wait(self, seconds: float) -> None:
        """Return after so long; raises what the load has raised."""
        ends = time.monotonic() + seconds

        async def over() -> bool:
            self.check()
            return time.monotonic() >= ends

        await until(over, seconds=seconds + 60, what="time to pass")

    def process(self, fault: Fault) -> Process:
        """The replica that the fault is for."""
        return self.stage.of(fault.service)[fault.replica % self.stage.replicas]

    async def again(self, *processes: Process) -> None:
        """Start what has ended; it becomes ready in its own time, which belongs to the recovery."""
        for process in processes:
            if process.exit_code is not None:
                process.start()

    async def drained(self, process: Process) -> float:
        """SIGTERM, and the seconds until it has ended well. Raises Wrong."""
        begun = time.monotonic()
        process.signal(signal.SIGTERM)
        try:
            status = await process.ended(DRAIN_S)
        except TimeoutError:
            process.signal(signal.SIGKILL)
            await process.ended()
            raise Wrong(f"{process.service} did not drain in {DRAIN_S:.0f} s") from None
        if status != 0:
            raise Wrong(f"{process.service} ended with {status} when told to end:\n{process.last_words()}")
        return time.monotonic() - begun


Done = AsyncIterator[None]


@asynccontextmanager
async def _kill(hands: Hands, fault: Fault) -> Done:
    process = hands.process(fault)
    process.signal(signal.SIGKILL)
    await process.ended()
    yield
    await hands.again(process)


@asynccontextmanager
async def _crash(hands: Hands, fault: Fault) -> Done:
    """The other replicas die too if the armed one does not come by its crash point while they lead."""
    process = hands.process(fault)
    others = [other for other in hands.stage.of(fault.service) if other is not process]
    await hands.drained(process)
    process.start(DOSSIER_CRASH_POINT=f"{fault.point}:{fault.rounds}")
    try:
        if not await _dies(process):
            for other in others:
                other.signal(signal.SIGKILL)
                await other.ended()
            if not await _dies(process):
                process.signal(signal.SIGKILL)
                await process.ended()
                raise NotDone(f"{fault.service} did not come by {fault.point}")
        if process.exit_code != -signal.SIGKILL:
            raise Wrong(f"{fault.service} ended with {process.exit_code}:\n{process.last_words()}")
        yield
    finally:
        await hands.again(process, *others)


async def _dies(process: Process) -> bool:
    try:
        await process.ended(REACHED_S)
    except TimeoutError:
        return False
    return True


@asynccontextmanager
async def _term(hands: Hands, fault: Fault) -> Done:
    process = hands.process(fault)
    try:
        hands.notes.append(f"drained in {await hands.drained(process):.1f} s")
        yield
    finally:
        await hands.again(process)


@asynccontextmanager
async def _stopped(process: Process) -> Done:
    process.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.signal(signal.SIGCONT)


def _stop(hands: Hands, fault: Fault) -> AbstractAsyncContextManager[None]:
    return _stopped(hands.process(fault))


@asynccontextmanager
async def _stop_leader(hands: Hands, fault: Fault) -> Done:
    leaders = await hands.look.leaders(fault.service)
    process = next((one for one in hands.stage.of(fault.service) if f"{one.service}-{one.number}" in leaders), None)
    if process is None:
        raise NotDone(f"nobody leads the relay of {fault.service}")
    async with _stopped(process):
        yield


@asynccontextmanager
async def _stop_inside(hands: Hands, fault: Fault) -> Done:
    process = hands.process(fault)
    (proxy,) = hands.stage.links(fault.service, process.number, "database")

    async def inside() -> bool:
        # Intake opens a transaction only to draw the running number of a new dossier.
        hands.file()
        process.signal(signal.SIGSTOP)
        if await hands.look.inside(proxy.local_ports()):
            return True
        process.signal(signal.SIGCONT)
        return False

    try:
        await until(inside, seconds=REACHED_S, what="a transaction", every=0.02)
    except TimeoutError:
        raise NotDone(f"{fault.service} was never stopped inside a transaction") from None
    try:
        yield
    finally:
        process.signal(signal.SIGCONT)


@asynccontextmanager
async def _cut_commit(hands: Hands, fault: Fault) -> Done:
    (proxy,) = hands.stage.links(fault.service, fault.replica, "database")
    before, proxy.commits_to_cut = proxy.commits_cut, fault.rounds

    async def cut() -> bool:
        return proxy.commits_to_cut == 0

    try:
        await until(cut, seconds=REACHED_S, what="COMMITs", every=0.02)
    except TimeoutError:
        if proxy.commits_cut == before:
            raise NotDone(f"{fault.service} committed nothing") from None
    finally:
        proxy.commits_to_cut = 0
    hands.notes.append(f"{proxy.commits_cut - before} answers cut")
    yield


@asynccontextmanager
async def _broker(hands: Hands, fault: Fault) -> Done:
    async with _dead(_kafka(hands), _killed):
        yield


@asynccontextmanager
async def _database(hands: Hands, fault: Fault) -> Done:
    async with _dead(_postgres(hands), _immediate):
        yield


@asynccontextmanager
async def _both(hands: Hands, fault: Fault) -> Done:
    async with _dead(_postgres(hands), _immediate), _dead(_kafka(hands), _killed):
        yield


@asynccontextmanager
async def _dead(server: Server, die: Callable[[Server], Awaitable[None]]) -> Done:
    await die(server)
    try:
        yield
    finally:
        await server.start()


async def _killed(server: Server) -> None:
    await server.kill()


async def _immediate(server: Server) -> None:
    """PostgreSQL's immediate shutdown: SIGQUIT, no checkpoint, recovery at the next start."""
    os.kill(server.pid, signal.SIGQUIT)

    async def gone() -> bool:
        return not server.running

    await until(gone, seconds=20, what=f"{server.name} to end", every=0.02)


def _kafka(hands: Hands) -> Server:
    assert hands.stage.ground.kafka is not None
    return hands.stage.ground.kafka


def _postgres(hands: Hands) -> Server:
    assert hands.stage.ground.postgres is not None
    return hands.stage.ground.postgres


@asynccontextmanager
async def _storm(hands: Hands, fault: Fault) -> Done:
    """Joins and leaves by turns, and leaves by SIGTERM and SIGKILL by turns."""
    extra = hands.stage.extra(fault.service)
    try:
        for turn in range(fault.rounds):
            extra.start()
            await hands.wait(fault.seconds)
            extra.signal(signal.SIGKILL if turn % 2 else signal.SIGTERM)
            await hands.wait(fault.seconds)
            if extra.exit_code is None:
                await extra.ended(DRAIN_S)
        yield
    finally:
        extra.signal(signal.SIGKILL)
        await extra.ended()


@asynccontextmanager
async def _net_cut(hands: Hands, fault: Fault) -> Done:
    async with _network(hands, fault, "cut"):
        yield


@asynccontextmanager
async def _net_slow(hands: Hands, fault: Fault) -> Done:
    async with _network(hands, fault, "slow"):
        yield


@asynccontextmanager
async def _net_half_open(hands: Hands, fault: Fault) -> Done:
    async with _network(hands, fault, "half-open"):
        yield


@asynccontextmanager
async def _network(hands: Hands, fault: Fault, mode: str) -> Done:
    proxies = hands.stage.links(fault.service, fault.replica, fault.point)
    for proxy in proxies:
        if mode == "slow":
            await proxy.behave("slow", delay_s=0.05 + 0.25 * fault.chance, bytes_per_s=200_000)
        else:
            await proxy.behave("cut" if mode == "cut" else "half-open")
    try:
        yield
    finally:
        for proxy in proxies:
            await proxy.behave("pass")


@asynccontextmanager
async def _net_reset(hands: Hands, fault: Fault) -> Done:
    proxies = hands.stage.links(fault.service, fault.replica, fault.point)

    async def again_and_again() -> None:
        while True:
            for proxy in proxies:
                proxy.reset()
            await asyncio.sleep(1.0)

    resetting = asyncio.create_task(again_and_again())
    try:
        yield
    finally:
        resetting.cancel()
        await asyncio.gather(resetting, return_exceptions=True)


@asynccontextmanager
async def _clock(hands: Hands, fault: Fault) -> Done:
    library, process = faketime(), hands.process(fault)
    if library is None:
        raise NotDone("no libfaketime on this machine (apt-get install faketime)")
    told = hands.stage.directory / f"clock-{fault.number}"
    told.write_text("+0\n")
    await hands.drained(process)
    process.start(
        LD_PRELOAD=str(library), FAKETIME_TIMESTAMP_FILE=str(told), FAKETIME_CACHE_DURATION="1",
        FAKETIME_DONT_FAKE_MONOTONIC="1", DONT_FAKE_MONOTONIC="1",
    )  # fmt: skip
    try:
        await hands.stage.ready(process)
        for step in (f"+{STEP_S}\n", f"-{STEP_S}\n"):
            told.write_text(step)
            await hands.wait(fault.seconds)
        yield
        await hands.drained(process)
    finally:
        process.signal(signal.SIGKILL)
        await process.ended()
        await hands.again(process)


@asynccontextmanager
async def _full(hands: Hands, server: Server, disk: str) -> Done:
    place = hands.stage.directory / disk
    if not place.is_mount():
        raise NotDone("no small disk here (that needs root)")
    ballast = fill(place)
    try:
        yield
        hands.notes.append(f"{server.name} {'stayed up' if server.running else 'ended'}")
    finally:
        ballast.unlink()
        await server.start()


def _disk_broker(hands: Hands, fault: Fault) -> AbstractAsyncContextManager[None]:
    return _full(hands, _kafka(hands), "kafka")


def _disk_database(hands: Hands, fault: Fault) -> AbstractAsyncContextManager[None]:
    return _full(hands, _postgres(hands), "postgres")


def _register_down(hands: Hands, fault: Fault) -> AbstractAsyncContextManager[None]:
    return _down(hands, "register")


def _bank_down(hands: Hands, fault: Fault) -> AbstractAsyncContextManager[None]:
    return _down(hands, "bank")


@asynccontextmanager
async def _down(hands: Hands, name: Name) -> Done:
    await hands.stage.outside.stop(name)
    try:
        yield
    finally:
        await hands.stage.outside.start(name)
        if name == "bank":
            await hands.stage.tell_the_bank()


@asynccontextmanager
async def _lost_tail(hands: Hands, fault: Fault) -> Done:
    """The newest segment of some partitions loses its end while the broker is dead, as after a crash without fsync."""
    broker, rng = _kafka(hands), random.Random(fault.chance)
    async with _dead(broker, _killed):
        data = hands.stage.directory / "kafka" / "data"
        shards = rng.sample(range(SHARDS), SHARDS // 3)
        lost = [cut_tail(data / f"{topic_of(fault.service)}-{shard}", rng.random()) for shard in shards]
        hands.notes.append(f"{sum(lost)} batches lost")
        yield


def cut_tail(partition: Path, share: float) -> int:
    """Takes up to this share of the last batches (at most five) off a partition of a dead broker; gives how many.

    Source: Kafka's record batch: base offset (8 bytes), length of what follows (4 bytes).
    """
    newest = max(partition.glob("*.log"))
    content, starts, at = newest.read_bytes(), [], 0
    while at + 12 <= len(content):
        length = int.from_bytes(content[at + 8 : at + 12], "big")
        if length <= 0 or at + 12 + length > len(content):
            break
        starts.append(at)
        at += 12 + length
    count = min(len(starts) - 1, math.ceil(5 * share))
    if count <= 0:
        return 0
    with newest.open("r+b") as file:
        file.truncate(starts[-count])
    for index in (*partition.glob("*.index"), *partition.glob("*.timeindex"), *partition.glob("*.snapshot")):
        index.unlink()
    for checkpoint in ("recovery-point-offset-checkpoint", "replication-offset-checkpoint"):
        (partition.parent / checkpoint).unlink(missing_ok=True)
    return count


@asynccontextmanager
async def _restore(hands: Hands, fault: Fault) -> Done:
    """A backup before the fault's seconds under load, and at their end that backup in the place of the database."""
    backup = await take_backup(hands.stage, fault.service)
    yield
    try:
        hands.notes.append(f"{await backup.restore()} events to take back")
    except NeverLevel as never:
        raise NotDone(str(never)) from never
    finally:
        await hands.again(*hands.stage.of(fault.service))


FAULTS: Mapping[str, Callable[[Hands, Fault], AbstractAsyncContextManager[None]]] = {
    "kill": _kill,
    "crash": _crash,
    "term": _term,
    "stop-consumer": _stop,
    "stop-leader": _stop_leader,
    "stop-in-transaction": _stop_inside,
    "cut-commit": _cut_commit,
    "broker": _broker,
    "database": _database,
    "both": _both,
    "storm": _storm,
    "net-cut": _net_cut,
    "net-slow": _net_slow,
    "net-reset": _net_reset,
    "net-half-open": _net_half_open,
    "clock": _clock,
    "disk-broker": _disk_broker,
    "disk-database": _disk_database,
    "register-down": _register_down,
    "bank-down": _bank_down,
    "restore": _restore,
    "lost-tail": _lost_tail,
}
"""By kind; `tests/chaos/schedule.py` says what each does and how it ends."""
