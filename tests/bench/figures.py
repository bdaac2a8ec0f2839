"""The figures: what each one measures, in which unit, and what is asked of it. `at_least` None: only stated."""

import asyncio
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median, quantiles

from deploy.stack import Process
from deploy.waiting import until
from shared.services import SERVICES
from tests.bench.field import Carried, Field, field_of

Values = Mapping[str, float]
"""What one run gives: the figure's own value under its name, and whatever explains it."""


@dataclass(frozen=True)
class Asked:
    """How much is to be carried, and with how many connections."""

    dossiers: int
    connections: int
    long: int
    backlog: int


@dataclass(frozen=True)
class Figure:
    """One line of the table. `lower` says that less is better."""

    name: str
    unit: str
    measure: Callable[[Asked], Awaitable[Values]]
    at_least: float | None
    aim: float | None
    lower: bool = False
    value: str = "value"
    """Which value of a run it is; figures of one measure share its runs."""


WARM = 200
BUSIEST = "notification"
STEADY, SLOW = 100.0, 10.0
"""Dossiers a second: the steady load, and the slow one."""
AWAY_S = 60.0
LEVEL = int(STEADY)
"""A service that has no more to do than what one second brings is level again."""


def _explained(carried: Carried, **more: float) -> dict[str, float]:
    outside = sum(carried.cpu.get(name, 0.0) for name in ("register", "bank", "smtp", "payer", "load"))
    own = sum(carried.cpu.values()) - outside
    per_dossier = 1000 / carried.dossiers
    return {
        "cpu_ms": own * per_dossier,
        "cpu_ms_outside": outside * per_dossier,
        **{f"cpu_ms_{name}": seconds * per_dossier for name, seconds in carried.cpu.items()},
        "events_per_dossier": carried.events / carried.dossiers,
        **more,
    }


async def _rate(asked: Asked, name: str, *, in_process: bool, copies: Mapping[str, int] | None = None) -> Values:
    async with field_of(name, in_process=in_process, copies=copies, people=asked.dossiers) as field:
        await field.carry(WARM)
        carried = await field.carry(asked.dossiers, asked.connections)
        return _explained(carried, value=carried.rate)


async def whole(asked: Asked) -> Values:
    """Everything, with register, bank and mail server as processes on the same cores."""
    return await _rate(asked, "whole", in_process=False)


async def event_path(asked: Asked) -> Values:
    """The same with register, bank and mail answered in process."""
    return await _rate(asked, "event-path", in_process=True)


async def two_replicas(asked: Asked) -> Values:
    """The event path with a second process of the busiest service."""
    return await _rate(asked, "two-replicas", in_process=True, copies={BUSIEST: 2})


async def http_intake(asked: Asked) -> Values:
    """Applications taken for good (2xx after the commit) by one process, alone with its database and broker."""
    async with field_of("http-intake", in_process=True, services=("intake",)) as field:
        await field.filed(field.prepare(WARM), asked.connections)
        sent = await field.filed(field.prepare(asked.dossiers), asked.connections)
    took = sorted(one[1] - one[0] for one in sent)
    seconds = max(one[1] for one in sent) - min(one[0] for one in sent)
    return {"value": len(sent) / seconds, "p50_ms": median(took) * 1000, "p99_ms": _p99(took) * 1000}


async def latency(asked: Asked) -> Values:
    """From when an application is due to be sent until the last record of its dossier stands in the trail, at a
    steady load of the event path.
    """
    async with field_of("latency", in_process=True) as field:
        await field.carry(WARM)
        carried = await field.carry(int(STEADY * 30), rate=STEADY)
    p50, p99 = median(carried.ended) * 1000, _p99(carried.ended) * 1000
    return _explained(carried, value=p50, p99_ms=p99, http_p99_ms=_p99(carried.answered) * 1000)


def _p99(values: Sequence[float]) -> float:
    return quantiles(values, n=100)[98]


async def audit(asked: Asked) -> Values:
    """Records stored and checked by audit that begins anew on topics that are full."""
    async with field_of("audit", in_process=True) as field:
        await field.carry(WARM)
        (process,) = field.stack.of("audit")
        await _stop(process)
        await field.stored(asked.dossiers, asked.connections)
        waiting = await field.in_flight(("audit",))
        begun = await _started(field, process)
        await field.quiet()
        first, last, _ = await field.stored_since(begun)
        return {"value": waiting / (last - first), "records": waiting}


async def rebuild(asked: Asked) -> Values:
    """Events folded a second when every state of notification is made anew from the trail and compared."""
    async with field_of("rebuild", in_process=True) as field:
        await field.carry(asked.dossiers, asked.connections)
        folded = await field.reader("audit").fetchval(
            "SELECT count(*) FROM trail WHERE source IN ('intake', 'payment', 'notification')"
        )
        began = time.monotonic()
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", f"services.{BUSIEST}", "rebuild", "--check",
            env=field.stack.environment(BUSIEST), stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        said, _ = await child.communicate()
        seconds = time.monotonic() - began
        assert child.returncode == 0, said.decode()
    return {"value": folded / seconds, "events": folded, "seconds": seconds}


async def backlog(asked: Asked) -> Values:
    """A service away for a minute under the steady load: seconds from its start until it is level again."""
    async with field_of("backlog", in_process=True) as field:
        await field.carry(WARM)
        (process,) = field.stack.of(BUSIEST)
        await _stop(process)
        gone = time.monotonic()
        filing = field.file(field.prepare(int(STEADY * AWAY_S * 4)), field.folder / "a.jsonl", 64, STEADY)
        await until(lambda: _after(gone + AWAY_S), seconds=AWAY_S + 5, what="a minute to pass")
        waiting = await field.in_flight((BUSIEST,))
        began = await _started(field, process)
        await until(lambda: _level(field), seconds=300, what="the service to be level again", every=0.5)
        seconds = time.time() - began
        assert filing.poll() is None, "the load ended before the service was level"
        return {"value": seconds, "waiting": waiting}


async def drained(asked: Asked) -> Values:
    """A backlog, filed while the other four services are away: dossiers a second from their start, which is in it,
    until nothing is on its way any more; and `working_rate` from the first record that audit stored after it.
    """
    async with field_of("drained", in_process=True, people=asked.backlog) as field:
        away = [process for name in SERVICES if name != "intake" for process in field.stack.of(name)]
        await asyncio.gather(*map(_stop, away))
        await field.filed(field.prepare(asked.backlog), asked.connections)
        begun = time.time()
        for process in away:
            process.start()
        meter = field.meter()
        await asyncio.gather(*map(field.stack.ready, away))
        await field.quiet()
        first, last, events = await field.stored_since(begun)
        carried = Carried(asked.backlog, last - begun, events, meter.read())
        return _explained(carried, value=carried.rate, working_rate=asked.backlog / (last - first))


async def _after(moment: float) -> bool:
    return time.monotonic() >= moment


async def _level(field: Field) -> bool:
    return await field.in_flight((BUSIEST,)) <= LEVEL


async def full_store(asked: Asked) -> Values:
    """The event path on stores that already hold a million events (`long` dossiers), against empty ones."""
    async with field_of("full-store", in_process=True) as field:
        await field.carry(WARM)
        empty = await field.carry(asked.dossiers, asked.connections)
        memory = [field.memory()]
        while (stored := await field.reader("audit").fetchval("SELECT count(*) FROM trail")) < asked.long:
            await field.carry(asked.dossiers, asked.connections)
            memory.append(field.memory())
        full = await field.carry(asked.dossiers, asked.connections)
        largest = max(memory[-1].values())
        return {
            "value": full.rate / empty.rate, "events": stored, "empty_rate": empty.rate, "full_rate": full.rate,
            "largest_mb": largest, "growth_mb": max(memory[-1][name] - memory[0][name] for name in memory[0]),
            **{f"mb_{name}": size for name, size in memory[-1].items()},
        }  # fmt: skip


async def slow(asked: Asked) -> Values:
    """CPU of the platform for each dossier at ten a second: what waiting costs is in it."""
    async with field_of("slow", in_process=True) as field:
        await field.carry(WARM)
        carried = await field.carry(int(SLOW * 30), rate=SLOW)
    values = _explained(carried, p50_ms=median(carried.ended) * 1000)
    return {**values, "value": values["cpu_ms"]}


async def disk(asked: Asked) -> Values:
    """Megabytes on disk for each thousand dossiers, PostgreSQL and Kafka."""
    async with field_of("disk", in_process=True) as field:
        await field.carry(WARM)
        before = await field.megabytes()
        await field.carry(asked.dossiers, asked.connections)
        after = await field.megabytes()
    grown = {name: (after[name] - before[name]) * 1000 / asked.dossiers for name in after}
    return {"value": sum(grown.values()), **grown}


async def _stop(process: Process) -> None:
    process.signal(signal.SIGTERM)
    await process.ended()


async def _started(field: Field, process: Process) -> float:
    began = time.time()
    process.start()
    await field.stack.ready(process)
    return began


FIGURES: tuple[Figure, ...] = (
    Figure("whole system", "dossiers/s", whole, 250, 600),
    Figure("event path", "dossiers/s", event_path, 500, 1000),
    Figure("event path, two notification processes", "dossiers/s", two_replicas, None, 1300),
    Figure("HTTP intake, 2xx after commit", "requests/s", http_intake, 1200, 2500),
    Figure("submission to last event at 100/s, p50", "ms", latency, 200, 80, lower=True),
    Figure("submission to last event at 100/s, p99", "ms", latency, 600, 250, lower=True, value="p99_ms"),
    Figure("audit: stored and checked", "records/s", audit, 10_000, 30_000),
    Figure("rebuild of states from the trail", "events/s", rebuild, 50_000, 150_000),
    Figure("level again after 60 s away at 100/s", "s", backlog, 30, 10, lower=True),
    Figure("backlog drained", "dossiers/s", drained, None, None),
    Figure("event path with 1,000,000 events stored, against empty", "ratio", full_store, 0.85, 0.95),
    Figure("largest service after the long run", "MB", full_store, None, 150, lower=True, value="largest_mb"),
    Figure("CPU per dossier at 10/s", "ms", slow, None, 5, lower=True),
    Figure("disk per 1,000 dossiers", "MB", disk, None, None, lower=True),
)
