"""Who should have acted, paid or made a backup, as numbers; cheap where there are a hundred thousand dossiers."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from deploy.local.ground import Ground
from deploy.local.machine import ROOT
from deploy.postgres.provision import Databases
from shared.runtime.process.gauges import _LATE, _UNPAID, SIZE_EVERY_S, Gauges
from shared.runtime.process.wiring import Runtime, wire
from shared.runtime.store.commit import Desk
from tests.integration.runtime.stage import Stage
from tests.integration.runtime.test_gauges import Clock, value
from tests.integration.runtime.whole import service, settings

pytestmark = pytest.mark.integration

FILL = """INSERT INTO states (dossier_id, version, state, unit, status, attention_at)
    SELECT gen_random_uuid(), 1, jsonb_build_object('much', repeat('x', 1000)), 'H02.' || n % $2, $3,
           now() + make_interval(hours => $4) FROM generate_series(1, $1) AS n"""


@pytest_asyncio.fixture
async def process(ground: Ground, module_databases: Databases, stage: Stage) -> Runtime:
    """The toy's process, which waits for officers."""
    return wire(service(stage), settings(ground, module_databases), stage.pool)


async def fill(stage: Stage, count: int, units: int = 1, status: int | None = 1, hours: int = -1) -> None:
    """So many dossiers, of so many units, whose limit is in so many hours."""
    await stage.admin.execute(FILL, count, units, status, hours)


async def test_answers_and_results_that_are_late_are_told_apart_and_results_by_unit(
    process: Runtime, stage: Stage
) -> None:
    clock = Clock()
    gauges = Gauges(process, clock)
    await fill(stage, 3)
    await fill(stage, 4, units=2, status=2)
    await fill(stage, 2, units=2, status=4)
    await fill(stage, 5, status=4, hours=1)
    await fill(stage, 1, status=9)
    await gauges.refresh()
    assert value(process, "dossier_acceptance_overdue") == 3
    assert [value(process, "dossier_results_overdue", unit=f"H02.{n}") for n in range(2)] == [3, 3]
    await stage.admin.execute("UPDATE states SET attention_at = NULL WHERE unit = 'H02.1'")
    clock.at += 60
    await gauges.refresh()
    assert value(process, "dossier_results_overdue", unit="H02.1") is None, "who owes nothing is not told of"
    assert value(process, "dossier_results_overdue", unit="H02.0") == 3


async def test_who_is_asked_to_pay_is_counted_from_the_request_on(
    ground: Ground, module_databases: Databases, stage: Stage
) -> None:
    money = replace(service(stage), desk=Desk(awaits_money=True))
    process, clock = wire(money, settings(ground, module_databases), stage.pool), Clock()
    gauges = Gauges(process, clock)
    await gauges.refresh()
    assert (value(process, "dossier_unpaid_dossiers"), value(process, "dossier_unpaid_oldest_timestamp_seconds")) == (
        0,
        0,
    )
    await fill(stage, 3, status=None, hours=-50)
    await fill(stage, 3, status=None, hours=-2)
    clock.at += 60
    await gauges.refresh()
    assert value(process, "dossier_unpaid_dossiers") == 6
    oldest = value(process, "dossier_unpaid_oldest_timestamp_seconds") or 0
    assert abs(oldest - (datetime.now(UTC) - timedelta(hours=50)).timestamp()) < 60
    assert value(process, "dossier_acceptance_overdue") == 0, "no officer's limit"


async def test_a_backup_is_known_by_the_row_of_whoever_made_it(process: Runtime, stage: Stage) -> None:
    clock = Clock()
    gauges = Gauges(process, clock)
    await gauges.refresh()
    assert value(process, "dossier_backup_timestamp_seconds") == 0, "never"
    await stage.admin.execute("INSERT INTO backups DEFAULT VALUES")
    clock.at += SIZE_EVERY_S
    await gauges.refresh()
    assert abs((value(process, "dossier_backup_timestamp_seconds") or 0) - datetime.now(UTC).timestamp()) < 60
    await stage.admin.execute("TRUNCATE backups")


async def cost(stage: Stage, query: str) -> tuple[float, int]:
    """Milliseconds and blocks of a query, as a session of the service runs it."""
    plan: Any = await stage.pool.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {query}")
    (told,) = json.loads(plan)
    blocks = told["Plan"]["Shared Hit Blocks"] + told["Plan"]["Shared Read Blocks"]
    return told["Execution Time"], blocks


@pytest.mark.parametrize(("query", "late"), [(_LATE, 500), (_UNPAID, 0)], ids=["late", "unpaid"])
async def test_with_a_hundred_thousand_dossiers_only_the_index_and_the_late_ones_are_looked_at(
    stage: Stage, query: str, late: int
) -> None:
    await fill(stage, 100_000, units=300, hours=5)
    if late:
        await fill(stage, late, units=300, status=4)
    await stage.admin.execute("VACUUM ANALYZE states")
    milliseconds, blocks = await cost(stage, query)
    size = await stage.admin.fetchval("SELECT pg_relation_size('states') / 8192")
    assert blocks < 2_000 < size, f"{milliseconds:.1f} ms, {blocks} blocks of {size}"


def migration(path: str) -> str:
    """The text of a migration."""
    return (ROOT / "services" / path).read_text()


async def test_dossiers_accepted_before_are_late_after_the_upgrade_too(stage: Stage) -> None:
    await fill(stage, 3)
    await stage.admin.execute(
        """UPDATE states SET attention_at = NULL, status = 2,
               state = '{"intake": {"due_at": "2026-03-02T01:00:00Z"}}'"""
    )
    await stage.admin.execute(migration("intake/migrations/002_results_due.sql"))
    late = await stage.admin.fetch(_LATE)
    assert [row["count"] for row in late] == [3]


@pytest.mark.parametrize(
    ("settled", "refused", "waits"), [("null", "false", True), ('"paid"', "false", False), ("null", "true", False)]
)
async def test_who_was_asked_to_pay_before_is_counted_after_the_upgrade_too(
    settled: str, refused: str, waits: bool, stage: Stage
) -> None:
    await fill(stage, 2)
    await stage.admin.execute(
        """UPDATE states SET attention_at = NULL, unit = NULL, state = jsonb_build_object(
               'intake', jsonb_build_object('agency', 'H02', 'refused', $2::jsonb),
               'payment', jsonb_build_object('settled', $1::jsonb))""",
        settled, refused,
    )  # fmt: skip
    await stage.admin.execute(
        """INSERT INTO events (shard, position, event_id, dossier_id, caused_by, type, headers, data)
           SELECT 0, 1, dossier_id, dossier_id, dossier_id, 'vn.gov.dossier.payment-requested.v1',
                  '{"ce_time": "2026-03-02T01:00:00.123Z"}', '' FROM states LIMIT 1"""
    )
    await stage.admin.execute(migration("payment/migrations/001_unpaid.sql"))
    rows = await stage.admin.fetch("SELECT unit, attention_at, state #>> '{payment,requested_at}' AS at FROM states")
    told = sorted((row["at"] or "", row["unit"] or "", row["attention_at"] is not None) for row in rows)
    assert told == [("", "", False), ("2026-03-02T01:00:00.123Z", "H02", waits)]
