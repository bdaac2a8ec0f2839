"""A new connection of the pool tells of another server or database behind it; plans are kept, and made anew in time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from deploy.local.ground import Ground
from deploy.postgres.provision import Databases, provision
from shared.runtime.process import wiring
from shared.runtime.process.wiring import database
from tests.integration.runtime.toy import NAME
from tests.integration.runtime.whole import settings


@asynccontextmanager
async def counted(
    ground: Ground, databases: Databases
) -> AsyncIterator[tuple["asyncpg.Pool[asyncpg.Record]", list[str]]]:
    """A process's pool, and what it has told."""
    told: list[str] = []
    async with database(settings(ground, databases), NAME, [lambda: told.append("another")]) as pool:
        told.clear()
        yield pool, told


async def test_another_connection_to_the_same_database_tells_nothing(
    ground: Ground, module_databases: Databases
) -> None:
    async with counted(ground, module_databases) as (pool, told):
        before = await pool.fetchval("SELECT pg_backend_pid()")
        await pool.expire_connections()
        assert await pool.fetchval("SELECT pg_backend_pid()") != before
        assert told == []


async def test_a_connection_to_a_database_that_was_made_anew_tells_so(
    ground: Ground, fresh_databases: Databases
) -> None:
    async with counted(ground, fresh_databases) as (pool, told):
        admin = await asyncpg.connect(ground.admin_url)
        try:
            name = await pool.fetchval("SELECT current_database()")
            await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
        finally:
            await admin.close()
        await provision(fresh_databases)
        await pool.expire_connections()
        assert await pool.fetchval("SELECT 1") == 1
        assert told == ["another"]


async def test_plans_are_kept_until_they_are_old(
    ground: Ground, module_databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    async with counted(ground, module_databases) as (pool, _), pool.acquire() as conn:
        conn.add_query_logger(lambda one: asked.append(one.query))
        assert await conn.fetchval("SHOW plan_cache_mode") == "force_generic_plan"
        await pool.release(conn)
        for lasts, expected in ((1000.0, []), (0.0, ["DISCARD PLANS"])):
            asked.clear()
            monkeypatch.setattr(wiring, "PLANNED_FOR_S", lasts)
            async with pool.acquire():
                await asyncio.sleep(0)  # loggers are told in the loop's next round
                assert asked == expected
