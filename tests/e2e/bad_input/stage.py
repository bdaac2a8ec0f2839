"""Two services that hear intake's topic, which is ours to write, with eyes on what they make of it."""

from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import asyncpg
import orjson

from deploy.stack import Process, Stack
from deploy.waiting import until
from shared.topics import topic_of
from tests.e2e.bad_input.forged import Forged, Pen, produce
from tests.e2e.bad_input.operators import Ended, typed

REGISTER = Path(__file__).parents[2] / "data" / "register.jsonl"
"""The people of the test data."""

SHARD, GAP, FORK, SECOND = 4, 9, 10, 11
"""Shards: one that is never stopped, and three that each test stops."""

TOPIC = topic_of("intake")


@dataclass
class Stage:
    """Verification and payment run, intake does not: its topic is ours to write."""

    stack: Stack
    database: "asyncpg.Connection[asyncpg.Record]"
    pen: Pen = field(default_factory=Pen)

    @property
    def service(self) -> Process:
        return self.stack.of("verification")[0]

    async def write(self, *records: Forged) -> int:
        """Send records of one shard, and return once verification has heard or let go by all; the last offset."""
        offsets = await produce(self.stack.ground.bootstrap_servers, records)
        return offsets[len(records) - 1]

    async def follow(self, shard: int) -> Forged:
        """A faultless record of a new dossier, heard and handled: the shard is alive."""
        record = self.pen.next(shard)
        await self.write(record)
        self.pen.keep(record)
        await self.until_handled(record)
        return record

    async def until_handled(self, record: Forged) -> None:
        """Return once the record's dossier is known and its position heard."""

        async def handled() -> bool:
            position, _ = await self.heard(record.shard)
            return position == record.sequence and await self.state(record) is not None

        await until(handled, seconds=90, what=f"record {record.sequence} of shard {record.shard} to be handled")

    async def until_read(self, shard: int, offset: int) -> None:
        """Return once the next offset to read is behind `offset`."""

        async def read() -> bool:
            return (await self.heard(shard))[1] > offset

        await until(read, seconds=90, what=f"offset {offset} of shard {shard} to be behind us")

    async def heard(self, shard: int) -> tuple[int, int]:
        """Position and next offset."""
        row = await self.database.fetchrow(
            "SELECT position, next_offset FROM heard WHERE source = 'intake' AND shard = $1", shard
        )
        return (row["position"], row["next_offset"]) if row else (0, 0)

    async def state(self, record: Forged) -> "asyncpg.Record | None":
        """What is remembered of the record's dossier."""
        return await self.database.fetchrow("SELECT * FROM states WHERE dossier_id = $1", record.dossier)

    async def letters(self, offset: int) -> list[asyncpg.Record]:
        """Dead letters of one record of our shard."""
        return await self.database.fetch(
            'SELECT * FROM dead_letters WHERE topic = $1 AND partition = $2 AND "offset" = $3', TOPIC, SHARD, offset
        )

    async def gaps(self) -> float:
        """The metric of stopped shards."""
        async with aiohttp.ClientSession() as http, http.get(f"{self.service.probes}/metrics") as answer:
            lines = (await answer.text()).splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith("dossier_sequence_gaps "))

    async def until_stopped(self, shards: int) -> None:
        """Return once so many shards stand still."""

        async def stopped() -> bool:
            return await self.gaps() == shards

        await until(stopped, seconds=90, what=f"{shards} stopped shards")

    async def alive(self) -> bool:
        """Whether the process that we started says that it is alive."""
        async with aiohttp.ClientSession() as http, http.get(f"{self.service.probes}/livez") as answer:
            return answer.status == 200 and self.service.exit_code is None

    async def operator(self, *words: str) -> Ended:
        """`python -m services.verification <words>`."""
        return await typed(self.stack.environment("verification"), "services.verification", *words)

    async def until_told(self, event: str, record: Forged) -> None:
        """Return once the service's log has a line of this kind that names the record's event."""

        async def told() -> bool:
            whole, _, _ = self.service.log.read_bytes().rpartition(b"\n")  # what follows is being written
            lines = [orjson.loads(line) for line in whole.splitlines() if line[:1] == b"{"]
            return any((line["event"], line.get("event_id")) == (event, str(record.id)) for line in lines)

        await until(told, seconds=90, what=f"a line {event} of event {record.id}")

    async def recorded_acts(self, act: str) -> list[object]:
        """What is recorded of an operator's acts, in order."""
        rows = await self.database.fetch("SELECT detail FROM operator_acts WHERE act = $1 ORDER BY id", act)
        return [orjson.loads(row["detail"]) for row in rows]
