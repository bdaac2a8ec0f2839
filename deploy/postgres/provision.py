"""Makes roles, databases and tables of the services on a PostgreSQL server; running it again changes nothing.

`python -m deploy.postgres.provision` does it for DATABASE_URL (an administrator's) with passwords from SECRETS_DIR.
"""

import asyncio
import base64
import hashlib
import hmac
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg

from deploy.postgres.migrations import ROOT, migrate, migrations_of
from deploy.postgres.names import AUDITOR, Names, login, quoted
from deploy.secrets import Secrets
from shared.command import run_command
from shared.errors import Misconfigured
from shared.services import SERVICES

_HERE = Path(__file__).parent
_ONE_AT_A_TIME = 0x646F7373
_ITERATIONS = 4096
"""PostgreSQL's own default, `scram_iterations`."""
_QUIET = {"client_min_messages": "warning"}


@dataclass(frozen=True, slots=True)
class Databases:
    """The databases of one server, and how each role reaches them. `admin_url` names any database of it."""

    admin_url: str = field(repr=False)
    secrets: Secrets
    suffix: str = ""

    def url(self, service: str) -> str:
        """What the service itself connects with."""
        names = Names(service, self.suffix)
        password = self.secrets.read(f"{service}_db_password")
        return login(self.admin_url, database=names.database, user=names.service, password=password)

    def auditor_url(self, service: str) -> str:
        """The read-only operator's way into the database of `service`."""
        database = Names(service, self.suffix).database
        password = self.secrets.read(f"{AUDITOR}_db_password")
        return login(self.admin_url, database=database, user=AUDITOR, password=password)

    def administrator_url(self, service: str) -> str:
        """The administrator's way into the database of `service`; tests that tamper with rows use it."""
        return login(self.admin_url, database=Names(service, self.suffix).database)


async def provision(databases: Databases, root: Path = ROOT) -> tuple[str, ...]:
    """Creates what is missing and returns the migrations run, as `<database>: <migration>`.

    Several may run at once: they take turns. `root` is where the migration files are looked for.
    Raises Misconfigured with what to do, OSError or PostgresError if the server cannot be reached.
    """
    names = [Names(service, databases.suffix) for service in SERVICES]
    async with _turn(databases.admin_url) as admin:
        await _make_roles(admin, databases.secrets)
        present = {row["datname"] for row in await admin.fetch("SELECT datname FROM pg_database")}
        for each in names:
            if each.database not in present:
                await admin.execute(f"CREATE DATABASE {quoted(each.database)} OWNER {quoted(each.owner)}")
        run = await asyncio.gather(*(_fill_database(databases, each, root) for each in names))
    return tuple(line for lines in run for line in lines)


async def is_used(databases: Databases, service: str) -> bool:
    """Whether anything is remembered or was said in the database of `service`."""
    conn = await asyncpg.connect(databases.administrator_url(service))
    try:
        return bool(await conn.fetchval("SELECT EXISTS (SELECT FROM events) OR EXISTS (SELECT FROM states)"))
    finally:
        await conn.close()


async def copy(template: Databases, databases: Databases) -> None:
    """Makes `databases` as `template` is, all of them: a third of the time of `provision`. Nobody may be connected
    to the template.
    """
    async with _turn(databases.admin_url) as admin:
        for service in SERVICES:
            names = Names(service, databases.suffix)
            source, target = (quoted(each.database) for each in (Names(service, template.suffix), names))
            await admin.execute(f"CREATE DATABASE {target} TEMPLATE {source} OWNER {quoted(names.owner)}")
            # Who may connect is not copied.
            await admin.execute(names.fill(_sql("connect.sql")))


@asynccontextmanager
async def _turn(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url, server_settings=_QUIET)
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", _ONE_AT_A_TIME)
        yield connection
    finally:
        await connection.close()


async def _make_roles(admin: asyncpg.Connection, secrets: Secrets) -> None:
    await admin.execute(Names(AUDITOR).fill(_sql("auditor.sql")))
    await _set_password(admin, AUDITOR, secrets.read(f"{AUDITOR}_db_password"))
    for names in map(Names, SERVICES):
        await admin.execute(names.fill(_sql("roles.sql")))
        await _let_the_administrator_act_as(admin, names.owner)
        await _set_password(admin, names.service, secrets.read(f"{names.name}_db_password"))


async def _let_the_administrator_act_as(admin: asyncpg.Connection, owner: str) -> None:
    if not await admin.fetchval("SELECT pg_has_role($1, 'MEMBER')", owner):
        await admin.execute(f"GRANT {quoted(owner)} TO CURRENT_USER")


async def _set_password(admin: asyncpg.Connection, role: str, password: str) -> None:
    statement: str = await admin.fetchval(
        "SELECT format('ALTER ROLE %I PASSWORD %L', $1::text, $2::text)", role, scram_verifier(role, password)
    )
    await admin.execute(statement)


def scram_verifier(role: str, password: str) -> str:
    """What PostgreSQL stores of a password (RFC 5803), the same one each time; so the password itself is in no
    statement that a server may log. Raises Misconfigured for a password that is not ASCII.
    """
    if not password.isascii():
        raise Misconfigured(f"the password of {role} must be ASCII")
    # As dear to guess from as what is derived with it.
    salt = hashlib.pbkdf2_hmac("sha256", password.encode(), role.encode(), _ITERATIONS)[:16]
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _ITERATIONS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    salt64, stored64, server64 = (base64.b64encode(part).decode() for part in (salt, stored, server))
    return f"SCRAM-SHA-256${_ITERATIONS}:{salt64}${stored64}:{server64}"


async def _fill_database(databases: Databases, names: Names, root: Path) -> list[str]:
    connection = await asyncpg.connect(databases.administrator_url(names.name), server_settings=_QUIET)
    try:
        await connection.execute(names.fill(_sql("connect.sql") + _sql("database.sql")))
        run = await migrate(connection, names, migrations_of(names.name, root))
    finally:
        await connection.close()
    return [f"{names.database}: {name}" for name in run]


def _sql(file: str) -> str:
    return (_HERE / file).read_text(encoding="utf-8")


def main(say: Callable[[str], None] = print) -> int:
    """Entry point: settings from the environment; returns 2 after a sentence if something does not fit."""
    missing = [name for name in ("DATABASE_URL", "SECRETS_DIR") if not os.environ.get(name)]
    if missing:
        print(f"not set: {', '.join(missing)}", file=sys.stderr)
        return 2
    databases = Databases(os.environ["DATABASE_URL"], Secrets(Path(os.environ["SECRETS_DIR"])))
    try:
        run = asyncio.run(provision(databases))
    except Misconfigured as wrong:
        print(wrong, file=sys.stderr)
        return 2
    say("\n".join(run) or "nothing to do")
    return 0


if __name__ == "__main__":
    run_command(main)
