"""Numbered SQL files, each run once as the owner of the tables and remembered with its digest."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from deploy.postgres.names import Names, quoted
from shared.errors import Misconfigured

ROOT = Path(__file__).resolve().parents[2]

_FILE_NAME = re.compile(r"\d{3,4}_[a-z0-9_]+\.sql")
_REMEMBERED = "SELECT name, digest FROM migrations"
_REMEMBER = "INSERT INTO migrations (name, digest) VALUES ($1, $2)"


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: `name` is its room and number (`shared/001_events`), `digest` the SHA-256 of its text, in hex."""

    name: str
    digest: str
    sql: str


def migrations_of(service: str, root: Path = ROOT) -> tuple[Migration, ...]:
    """What makes the tables of `service`, in order: first those that every service has, then its own."""
    shared = _read("shared", root / "shared" / "runtime" / "store" / "migrations")
    return (*shared, *_read(service, root / "services" / service / "migrations"))


def _read(room: str, folder: Path) -> Iterable[Migration]:
    for file in sorted(folder.glob("*.sql")):
        if not _FILE_NAME.fullmatch(file.name):
            raise Misconfigured(f"{file}: a migration is named like 001_what_it_does.sql")
        text = file.read_text(encoding="utf-8")
        yield Migration(f"{room}/{file.stem}", hashlib.sha256(text.encode()).hexdigest(), text)


async def migrate(connection: asyncpg.Connection, names: Names, migrations: Sequence[Migration]) -> tuple[str, ...]:
    """Runs what the database has not seen yet, each file in a transaction of its own; returns the names run.

    Raises Misconfigured if a file that was run has changed or is gone, or if one cannot be run; nothing of that
    file is left behind.
    """
    seen: dict[str, str] = {row["name"]: row["digest"] for row in await connection.fetch(_REMEMBERED)}
    _refuse_a_changed_past(names.database, seen, migrations)
    new = [migration for migration in migrations if migration.name not in seen]
    for migration in new:
        await _run(connection, names, migration)
    return tuple(migration.name for migration in new)


def _refuse_a_changed_past(database: str, seen: dict[str, str], migrations: Sequence[Migration]) -> None:
    present = {migration.name: migration.digest for migration in migrations}
    changed = sorted(name for name, digest in seen.items() if present.get(name, digest) != digest)
    gone = sorted(seen.keys() - present.keys())
    if changed:
        raise Misconfigured(
            f"{database}: {', '.join(changed)} changed after it was run: put the file back as it was and write the "
            "change as a new migration (or, while nothing is worth keeping: python -m deploy.local wipe)"
        )
    if gone:
        raise Misconfigured(f"{database}: {', '.join(gone)} was run but is not here: this code is older than the data")


async def _run(connection: asyncpg.Connection, names: Names, migration: Migration) -> None:
    sql = names.fill(migration.sql)
    try:
        async with connection.transaction():
            # Whoever waits for a table holds up all who come after: rather fail, and be run again.
            await connection.execute("SET LOCAL lock_timeout = '3s'")
            await connection.execute(f"SET LOCAL ROLE {quoted(names.owner)}")
            await connection.execute(sql)
            await connection.execute(_REMEMBER, migration.name, migration.digest)
    except asyncpg.PostgresError as error:
        position = int(error.as_dict().get("position") or 0)
        line = f", line {sql[:position].count(chr(10)) + 1}" if position else ""
        raise Misconfigured(f"{names.database}: migration {migration.name}{line}: {error}") from error
