"""Plans are kept from when the tables were empty: none may be one that is bad for what has come since.

PostgreSQL itself tells (auto_explain) how many pages each statement looked at, those inside functions too; what it
believes of the tables is never renewed here.
"""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import orjson
import pytest

from deploy.postgres.provision import Databases
from shared.runtime.kafka.clients import Broker
from shared.runtime.kernel.message import Claim
from shared.runtime.observe.metrics import Metrics
from shared.runtime.process.wiring import PLANS
from shared.runtime.publishing.relay import Relay
from tests.integration.runtime.stage import NOWHERE, Stage, command, outcome, staged, work
from tests.integration.runtime.toy import NAME, name

ROWS = 50_000
ROOM = 64
PAGES = 50
"""A row found by its key, locked and written: some pages for each of its table's indexes, and what is split."""

_TOLD = {
    "session_preload_libraries": "auto_explain", "client_min_messages": "notice", "auto_explain.log_level": "notice",
    "auto_explain.log_min_duration": "0", "auto_explain.log_analyze": "on", "auto_explain.log_buffers": "on",
    "auto_explain.log_timing": "off", "auto_explain.log_nested_statements": "on", "auto_explain.log_format": "json",
}  # fmt: skip
_FILLED = f"""
    INSERT INTO tasks (id, kind, dossier_id, payload, run_at)
        SELECT gen_random_uuid(), 'work', gen_random_uuid(), '{{"text": "work"}}', now() - n * interval '1 ms'
        FROM generate_series(1, {ROWS}) AS n;
    INSERT INTO states (dossier_id, version, state)
        SELECT gen_random_uuid(), 1, '{{}}' FROM generate_series(1, {ROWS});
    INSERT INTO events (shard, position, event_id, dossier_id, caused_by, type, headers, data)
        SELECT n % 12, 1000 + n / 12, gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'some', '{{}}', ''
        FROM generate_series(1, {ROWS}) AS n;
    INSERT INTO requests (client, method, path, key, body_hmac, status, answer)
        SELECT 'somebody', 'POST', '/say', n::text, '', 202, '{{}}' FROM generate_series(1, {ROWS}) AS n"""
_TABLES = ("tasks", "states", "events", "requests")
_EMPTIED = "tasks"
"""Its rows come and go, so that PostgreSQL knows again and again that it is empty. In the others nothing is deleted."""


@dataclass
class Witness:
    """A service's one connection, and what the server tells of each statement: its text, and pages looked at."""

    stage: Stage
    told: list[tuple[str, int]] = field(default_factory=list)

    def hear(self, _: object, message: Any) -> None:
        """One statement's plan, as it ran."""
        plan = re.search(r"plan:\s*(\{.*)", message.message, re.DOTALL)
        if plan is not None:
            found = orjson.loads(plan[1])
            pages = found["Plan"]["Shared Hit Blocks"] + found["Plan"]["Shared Read Blocks"]
            self.told.append((" ".join(found["Query Text"].split()), pages))

    async def hears(self, conn: Any) -> None:
        """Whenever the connection is lent: when it was given back, it lost who listens to it."""
        conn.add_log_listener(self.hear)

    async def round(self, count: int) -> None:
        """What a service does all day: commands that order tasks, tasks claimed, their outcomes, events published."""
        stage, engine = self.stage, self.stage.engine()
        worker = stage.worker(work)
        if count == 1:
            assert not await worker._claim({None: ROOM}), "it looks for tasks before there are any"
        await engine.handle([command(name("dossier", count, n), "work", f"{count} {n}") for n in range(count)])
        rows = await worker._claim({None: ROOM})
        assert len(rows) == count
        await engine.handle([outcome(row["dossier_id"], Claim(row["id"], row["claim"]), "done") for row in rows])
        relay = Relay(NAME, stage.pool, Broker(NOWHERE), Metrics(NAME), instance="toy-0")
        await relay._lease()
        await relay._move(await relay._unpublished())


@asynccontextmanager
async def _witnessed(databases: Databases) -> AsyncIterator[Witness]:
    """A pool of one connection, planned for as a service's are."""
    async with staged(databases) as stage:
        for table in _TABLES:
            await stage.admin.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = off)")
        await stage.admin.execute(f"VACUUM ANALYZE {_EMPTIED}")
        witness = Witness(stage)
        async with asyncpg.create_pool(
            databases.administrator_url(NAME), min_size=1, max_size=1, setup=witness.hears,
            server_settings={**PLANS, **_TOLD},
        ) as pool:  # fmt: skip
            stage.pool = pool
            yield witness


@pytest.mark.filterwarnings("ignore:.*active log listener:asyncpg.InterfaceWarning")
async def test_no_statement_walks_a_table_that_has_grown_since_it_was_planned(module_databases: Databases) -> None:
    async with _witnessed(module_databases) as witness:
        await witness.round(1)
        await witness.stage.admin.execute(_FILLED)
        witness.told.clear()
        await witness.round(ROOM)
        assert any("UPDATE tasks" in text for text, _ in witness.told)
        walked = {text[:200]: pages for text, pages in witness.told if pages > PAGES * ROOM}
        assert walked == {}
