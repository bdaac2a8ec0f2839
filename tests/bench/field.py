"""The platform under the bench's load: a stack of its own, dossiers carried through it, and what that took."""

import asyncio
import json
import shutil
import sys
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

import asyncpg

from deploy.demo.data import generate, write_lines
from deploy.local.ground import External
from deploy.local.machine import LOCAL, ROOT
from deploy.simulators.process import NAMES
from deploy.stack import Stack
from deploy.waiting import until
from shared.services import SERVICES
from shared.topics import heard_by
from tests.bench.meter import MB, Meter, megabytes

IN_PROCESS = {name: f"tests.bench.mains.{name}" for name in ("verification", "payment", "notification")}
"""Service → the program that answers for the outside system in process."""

PATIENCE_S = 900.0
IMPORTER = "importer"

Sent = Sequence[Any]
"""One request as the load generator wrote it down: due, answered, status, dossier id."""


@dataclass(frozen=True)
class Carried:
    """What carrying `dossiers` took: seconds from the first request to the last record of the trail, events, CPU by
    name, times of the requests, and by dossier the seconds until its last event stood in the trail.
    """

    dossiers: int
    seconds: float
    events: int
    cpu: Mapping[str, float]
    answered: Sequence[float] = ()
    ended: Sequence[float] = ()

    @property
    def rate(self) -> float:
        """Dossiers a second."""
        return self.dossiers / self.seconds


@dataclass
class Field:
    """A running stack, and readers that look into its databases as the auditor does."""

    stack: Stack
    folder: Path
    readers: Mapping[str, "asyncpg.Connection[asyncpg.Record]"]
    in_process: bool
    payer: int = 0
    runs: int = 0
    _children: list["Popen[bytes]"] = field(default_factory=list)

    async def carry(self, count: int, connections: int = 64, rate: float | None = None) -> Carried:
        """File `count` applications and wait until all that comes of them is in the trail."""
        requests = self.prepare(count)
        before = await self.reader("audit").fetchval("SELECT count(*) FROM trail")
        meter, cost = self.meter(), dict[str, float]()
        sent = await self.filed(requests, connections, rate, cost)
        await self.quiet()
        begun = min(one[0] for one in sent)
        ended = await self.reader("audit").fetchval("SELECT stored_at FROM records ORDER BY id DESC LIMIT 1")
        after = await self.reader("audit").fetchval("SELECT count(*) FROM trail")
        return Carried(
            count, ended.timestamp() - begun, after - before, {**meter.read(), **cost},
            [one[1] - one[0] for one in sent], await self._until_the_end(sent) if rate else (),
        )  # fmt: skip

    async def stored(self, count: int, connections: int) -> None:
        """File `count` applications and wait until all that comes of them is on the topics, heard by audit or not."""
        await self.filed(self.prepare(count), connections)
        await self.quiet(others=("audit",))

    async def filed(
        self, requests: Path, connections: int, rate: float | None = None, cost: dict[str, float] | None = None
    ) -> list[Sent]:
        """Send prepared `requests`, all of which must be taken; `cost` gets the CPU of who sends them."""
        answers = self.folder / "answers.jsonl"
        filing = self.file(requests, answers, connections, rate)
        load = Meter({"load": filing.pid})

        async def ended() -> bool:
            if filing.poll() is None and cost is not None:
                cost.update(load.read())
            return filing.poll() is not None

        await until(ended, seconds=PATIENCE_S, what="the load to be sent", every=0.1)
        assert filing.returncode == 0, "the load generator failed"
        sent: list[Sent] = [json.loads(line) for line in answers.read_text().splitlines()]
        refused = [one for one in sent if one[2] != 201]
        assert not refused, f"{len(refused)} of {len(sent)} were not taken, the first with {refused[0][2]}"
        return sent

    def prepare(self, count: int) -> Path:
        """A file of `count` new applications, as `tests.bench.load` takes it; their people are in the register."""
        self.runs += 1
        token = self.stack.clients()[IMPORTER].token
        file = self.folder / f"requests-{self.runs}.jsonl"
        with file.open("w") as out:
            for application in generate(count, datetime.now(UTC), seed=self.runs).applications:
                key = application.pop("idempotency_key")
                line = {"path": "/v1/dossiers", "token": token, "key": key, "body": json.dumps(application)}
                out.write(json.dumps(line) + "\n")
        return file

    def file(self, requests: Path, answers: Path, connections: int, rate: float | None = None) -> "Popen[bytes]":
        """Start sending `requests` to every intake; the process, which ends when all are answered."""
        urls = ",".join(process.url for process in self.stack.of("intake"))
        paced = [] if rate is None else [f"--rate={rate}"]
        return self.child("load", str(requests), str(answers), urls, f"--connections={connections}", *paced)

    def child(self, module: str, *arguments: str) -> "Popen[bytes]":
        """A process of the bench's own; ended with the field."""
        child = Popen([sys.executable, "-m", f"tests.bench.{module}", *arguments], cwd=ROOT, stdin=PIPE, stdout=PIPE)
        self._children.append(child)
        return child

    def end(self) -> None:
        """End the bench's own processes."""
        for child in self._children:
            child.kill()
            child.communicate()

    def reader(self, service: str) -> "asyncpg.Connection[asyncpg.Record]":
        """A connection to the service's database that may only read."""
        return self.readers[service]

    def meter(self) -> Meter:
        """CPU from now on, of each service's processes and of both servers, and of what stands for the outside."""
        return Meter({**self.pids(), **self.outside()})

    def pids(self) -> dict[str, int]:
        """The platform's own processes by name."""
        ground = self.stack.ground
        assert ground.kafka is not None and ground.postgres is not None
        services = {_name(each.service, each.number): each.pid for each in self.stack.processes if each.child}
        return {**services, "kafka": ground.kafka.pid, "postgres": ground.postgres.pid}

    def outside(self) -> dict[str, int]:
        """What stands for the outside world, by name."""
        if self.in_process:
            return {}
        return {**{name: self.stack.outside.pid(name) for name in NAMES}, "payer": self.payer}

    async def quiet(self, seconds: float = PATIENCE_S, others: Sequence[str] = ()) -> None:
        """Return once nothing is on its way (save to `others`) and whoever was asked to pay has paid."""
        services = [name for name in SERVICES if name not in others]

        async def still() -> bool:
            return await self.in_flight(services) == 0 and await self.unpaid() == 0

        await until(still, seconds=seconds, what="everything to be in the trail", every=1.0)

    async def in_flight(self, services: Iterable[str] = SERVICES) -> int:
        """Messages on their way in or to `services`: committed, not published; published, not heard; tasks to run."""
        rows: dict[str, Any] = {name: await self.reader(name).fetchrow(_OWN) for name in SERVICES}
        total = 0
        for name in services:
            row = rows[name]
            heard = json.loads(row["heard"] or "{}")
            total += row["own"] + sum(
                max(0, rows[topic.writer]["published"] - heard.get(topic.writer, 0)) for topic in heard_by(name)
            )
        return int(total)

    async def unpaid(self) -> int:
        """Payments that were asked for and are not paid."""
        unpaid: int = await self.reader("payment").fetchval(_UNPAID)
        return unpaid

    async def stored_since(self, moment: float) -> tuple[float, float, int]:
        """When audit stored the first and the last record since `moment` (seconds since the epoch), and how many."""
        row = await self.reader("audit").fetchrow(
            "SELECT min(stored_at), max(stored_at), count(*) FROM records WHERE stored_at > to_timestamp($1)", moment
        )
        assert row is not None, "an aggregate gives a row"
        first, last, count = row
        return first.timestamp(), last.timestamp(), count

    def memory(self) -> dict[str, float]:
        """Resident megabytes of each service's process."""
        return {name: megabytes(pid) for name, pid in self.pids().items() if name not in ("kafka", "postgres")}

    async def megabytes(self) -> dict[str, float]:
        """What PostgreSQL's databases and Kafka's logs hold, without the write-ahead log, which is used again."""
        size = await self.reader("intake").fetchval(
            "SELECT sum(pg_database_size(oid)) FROM pg_database WHERE datname LIKE 'dossier%'"
        )
        logs = (self.stack.directory / "kafka").rglob("gov.dossier.*/*.log")
        return {"postgres": int(size) / MB, "kafka": sum(log.stat().st_size for log in logs) / MB}

    async def _until_the_end(self, sent: Sequence[Sent]) -> list[float]:
        rows = await self.reader("audit").fetch(
            """SELECT t.dossier_id, max(r.stored_at) AS at FROM trail t JOIN records r ON r.id = t.record_id
               WHERE t.dossier_id = ANY($1::uuid[]) GROUP BY t.dossier_id""",
            [one[3] for one in sent],
        )
        ended = {str(row["dossier_id"]): row["at"].timestamp() for row in rows}
        return [ended[one[3]] - one[0] for one in sent]


_OWN = """SELECT (SELECT sum(s.next_position - 1 - r.published) FROM shards s JOIN relay r USING (shard))::bigint
               + (SELECT count(*) FROM tasks WHERE claim IS NOT NULL OR run_at <= now()) AS own,
                 (SELECT sum(published) FROM relay)::bigint AS published,
                 (SELECT json_object_agg(source, position) FROM (SELECT source, sum(position) AS position
                    FROM heard WHERE source <> 'keys' GROUP BY source) h) AS heard"""
_UNPAID = """SELECT count(*) FILTER (WHERE type LIKE '%.payment-requested.%')
                  - count(*) FILTER (WHERE type LIKE '%.fee-paid.%') FROM events"""


def _name(service: str, number: int) -> str:
    return service if number == 0 else f"{service}-{number + 1}"


@asynccontextmanager
async def field_of(
    name: str, *, in_process: bool, copies: Mapping[str, int] | None = None, people: int = 1000,
    services: Sequence[str] = tuple(SERVICES),
) -> AsyncIterator[Field]:  # fmt: skip
    """A new stack under the bench's load, and everything gone at the end. The people of the first
    `people` applications of the first two loads are in the register.
    """
    folder = LOCAL / "bench" / name
    shutil.rmtree(folder, ignore_errors=True)
    known = [person for seed in (1, 2) for person in generate(people, datetime.now(UTC), seed).register]
    stack = Stack(
        folder, write_lines(folder / "register.jsonl", known), external=External(), services=services,
        modules=IN_PROCESS if in_process else {}, copies=copies or {}, settings={"LOG_LEVEL": "WARNING"},
    )  # fmt: skip
    async with stack:
        databases = stack.ground.databases()
        readers = {service: await asyncpg.connect(databases.auditor_url(service)) for service in SERVICES}
        made = Field(stack, folder, readers, in_process)
        try:
            if not in_process:
                await _payer(made)
            yield made
        finally:
            made.end()
            for reader in readers.values():
                await reader.close()


async def _payer(made: Field) -> None:
    payer = made.child("payer", made.stack.ground.bootstrap_servers)
    made.payer = payer.pid
    assert payer.stdout is not None
    line = await asyncio.to_thread(payer.stdout.readline)
    assert line == b"ready\n", "the payer did not start"


def now() -> float:
    """Seconds since the epoch, as all processes of the bench tell them."""
    return time.time()
