"""Every role is tried on every database: it enters its own, changes nothing that was said, and makes nothing there."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from deploy.postgres.names import AUDITOR, Names, login
from deploy.postgres.provision import Databases
from shared.services import SERVICES
from tests.secured.play import Play

pytestmark = pytest.mark.asyncio(loop_scope="session")

KEPT = {name: (("events", "type"),) for name in SERVICES} | {
    "audit": (
        ("events", "type"), ("records", "topic"), ("trail", "type"), ("discrepancies", "kind"),
        ("settled_discrepancies", "reason"),
    )
}  # fmt: skip
"""Tables that only grow, with a column of each."""
CHANGES = ("UPDATE {table} SET {column} = {column}", "DELETE FROM {table}", "TRUNCATE {table}")


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(url, timeout=30)
    try:
        yield connection
    finally:
        await connection.close()


async def enters(databases: Databases, role: str, other: str) -> bool:
    """Whether the role of one service is let into the database of another."""
    password = databases.secrets.read(f"{role}_db_password")
    url = login(databases.url(role), database=Names(other).database, user=Names(role).service, password=password)
    try:
        async with connected(url):
            return True
    except asyncpg.InsufficientPrivilegeError as refused:
        assert "permission denied for database" in str(refused)
        return False


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_enters_its_own_database_and_no_other_and_no_other_enters_its_own(
    play: Play, service: str
) -> None:
    databases = play.stack.ground.databases()
    assert [other for other in SERVICES if await enters(databases, service, other)] == [service]
    assert [other for other in SERVICES if await enters(databases, other, service)] == [service]


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_changes_nothing_that_was_said_and_makes_nothing(play: Play, service: str) -> None:
    async with connected(play.stack.ground.databases().url(service)) as connection:
        for change in CHANGES:
            for table, column in KEPT[service]:
                with pytest.raises(asyncpg.InsufficientPrivilegeError, match=f"permission denied for table {table}"):
                    await connection.execute(change.format(table=table, column=column))
        for statement in ("CREATE TABLE mine (id int)", "CREATE TEMP TABLE t (i int)", "DROP TABLE events",
                          f"SET ROLE {Names(service).owner}", f"SET ROLE {AUDITOR}"):  # fmt: skip
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)


@pytest.mark.parametrize("service", SERVICES)
async def test_the_owner_of_a_services_tables_cannot_log_in(play: Play, service: str) -> None:
    databases = play.stack.ground.databases()
    url = login(databases.admin_url, database=Names(service).database, user=Names(service).owner, password="any")
    with pytest.raises((asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError)):
        async with connected(url):
            pass
    async with connected(databases.admin_url) as administrator:
        query = "SELECT rolcanlogin FROM pg_roles WHERE rolname = $1"
        assert await administrator.fetchval(query, Names(service).owner) is False


@pytest.mark.parametrize("service", SERVICES)
async def test_the_auditor_reads_every_table_and_writes_none(play: Play, service: str) -> None:
    async with connected(play.stack.ground.databases().auditor_url(service)) as connection:
        tables = [row["tablename"] for row in await connection.fetch(_TABLES)]
        assert {"events", "states", "tasks", "migrations"} <= {*tables}
        await connection.execute("SET default_transaction_read_only = off")
        for table in tables:
            await connection.fetch(f'SELECT * FROM "{table}" LIMIT 1')
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
                await connection.execute(f'DELETE FROM "{table}"')
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
            await connection.execute("UPDATE shards SET next_position = 1")


_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"


async def test_a_wrong_password_is_refused(play: Play) -> None:
    databases = play.stack.ground.databases()
    wrong = databases.url("intake").replace(databases.secrets.read("intake_db_password"), "wrong")
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(wrong)
