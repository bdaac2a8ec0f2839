"""Who should have acted, paid or made a backup, as numbers; cheap where there are a hundred thousand dossiers."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from deploy.local.ground import Ground
from deploy.postgres.provision import Databases
from services.intake.views import FIGURES
from shared.runtime.kernel.view import Figure
from shared.runtime.process.gauges import SIZE_EVERY_S, Gauges
from shared.runtime.process.wiring import Runtime, wire
from shared.runtime.store.figures import statement
from tests.deciders import DECIDERS, composed
from tests.integration.runtime.stage import Stage, staged
from tests.integration.runtime.test_gauges import Clock, value
from tests.integration.runtime.whole import service, settings

pytestmark = pytest.mark.integration

FILL = """INSERT INTO queue
        (dossier_id, unit, status, procedure, channel, filed_at, accept_by, due_at, fee_settled, code)
    SELECT gen_random_uuid(), 'H02.' || n % $2, $3::smallint, '1.002755', 'online', now(),
           CASE WHEN $3::smallint = 1 THEN now() + make_interval(hours => $4) END,
           CASE WHEN $3::smallint IN (2, 4) THEN now() + make_interval(hours => $4) END, true, repeat('x', 200)
    FROM generate_series(1, $1) AS n"""
OWE = """INSERT INTO unpaid (dossier_id, unit, since, total_vnd)
    SELECT gen_random_uuid(), 'H02', now() + make_interval(hours => $2), 100000 FROM generate_series(1, $1)"""


async def _process(ground: Ground, databases: Databases, of: str) -> AsyncIterator[tuple[Runtime, Stage]]:
    """The toy's process, which tells what this service tells of its views, out of that one's database."""
    async with staged(databases, of) as stage:
        await stage.admin.execute(f"TRUNCATE {', '.join(view.name for view in DECIDERS[of].views)}")
        told = replace(service(stage), figures=composed(of).figures)
        yield wire(told, settings(ground, databases), stage.pool), stage


@pytest_asyncio.fixture
async def desk(ground: Ground, module_databases: Databases) -> AsyncIterator[tuple[Runtime, Stage]]:
    """What waits for officers."""
    async for made in _process(ground, module_databases, "intake"):
        yield made


@pytest_asyncio.fixture
async def till(ground: Ground, module_databases: Databases) -> AsyncIterator[tuple[Runtime, Stage]]:
    """Who is to pay."""
    async for made in _process(ground, module_databases, "payment"):
        yield made


async def fill(stage: Stage, count: int, units: int = 1, status: int | None = 1, hours: int = -1) -> None:
    """So many dossiers, of so many units, whose limit is in so many hours."""
    await stage.admin.execute(FILL, count, units, status, hours)


async def test_answers_and_results_that_are_late_are_told_apart_and_results_by_unit(
    desk: tuple[Runtime, Stage],
) -> None:
    (process, stage), clock = desk, Clock()
    gauges = Gauges(process, clock)
    await fill(stage, 3)
    await fill(stage, 4, units=2, status=2)
    await fill(stage, 2, units=2, status=4)
    await fill(stage, 5, status=4, hours=1)
    await fill(stage, 1, status=9)
    await gauges.refresh()
    assert value(process, "dossier_acceptance_overdue") == 3
    assert [value(process, "dossier_results_overdue", unit=f"H02.{n}") for n in range(2)] == [3, 3]
    by_status = {n: value(process, "dossier_dossiers", status=str(n)) for n in range(1, 11)}
    assert by_status == {n: {1: 3, 2: 4, 4: 7, 9: 1}.get(n, 0) for n in range(1, 11)}
    await stage.admin.execute("UPDATE queue SET due_at = NULL WHERE unit = 'H02.1'")
    clock.at += 60
    await gauges.refresh()
    assert value(process, "dossier_results_overdue", unit="H02.1") is None, "who owes nothing is not told of"
    assert value(process, "dossier_results_overdue", unit="H02.0") == 3


async def test_who_is_asked_to_pay_is_counted_from_the_request_on(till: tuple[Runtime, Stage]) -> None:
    (process, stage), clock = till, Clock()
    gauges = Gauges(process, clock)
    await gauges.refresh()
    assert (value(process, "dossier_unpaid_dossiers"), value(process, "dossier_unpaid_oldest_timestamp_seconds")) == (
        0,
        0,
    )
    await stage.admin.execute(OWE, 3, -50)
    await stage.admin.execute(OWE, 3, -2)
    clock.at += 60
    await gauges.refresh()
    assert value(process, "dossier_unpaid_dossiers") == 6
    oldest = value(process, "dossier_unpaid_oldest_timestamp_seconds") or 0
    assert abs(oldest - (datetime.now(UTC) - timedelta(hours=50)).timestamp()) < 60
    assert value(process, "dossier_acceptance_overdue") == 0, "no officer's limit"


async def test_a_backup_is_known_by_the_row_of_whoever_made_it(desk: tuple[Runtime, Stage]) -> None:
    (process, stage), clock = desk, Clock()
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


@pytest.mark.parametrize("figure", [figure for figure in FIGURES if figure.passed], ids=lambda figure: figure.gauge)
async def test_with_a_hundred_thousand_dossiers_only_the_index_and_the_late_ones_are_looked_at(
    desk: tuple[Runtime, Stage], figure: Figure
) -> None:
    _, stage = desk
    for status in (1, 4):
        await fill(stage, 50_000, units=300, status=status, hours=5)
        await fill(stage, 500, units=300, status=status)
    await stage.admin.execute("VACUUM ANALYZE queue")
    milliseconds, blocks = await cost(stage, statement(figure))
    size = await stage.admin.fetchval("SELECT pg_relation_size('queue') / 8192")
    assert blocks < 1_000 < size, f"{milliseconds:.1f} ms, {blocks} blocks of {size}"
