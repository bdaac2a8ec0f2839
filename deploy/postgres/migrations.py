"""Numbered SQL files, each run once as the owner of the tables and remembered with its digest."""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import asyncpg

from deploy.postgres.names import Names, quoted
from shared.errors import Misconfigured

ROOT = Path(__file__).resolve().parents[2]

_FILE_NAME = re.compile(r"\d{3,4}_[a-z0-9_]+\.sql")
_REMEMBERED = "SELECT name, digest, additive FROM migrations"
_REMEMBER = "INSERT INTO migrations (name, digest, additive) VALUES ($1, $2, $3)"

_COMMENT = r"--[^\n]*"
_TEXT = r"\$(\w*)\$.*?\$\1\$|'(?:[^']|'')*'"
"""A text, or the body of a function: what is in it is no statement of the file."""
_COLUMN = (
    r"ADD COLUMN (IF NOT EXISTS )?(?!.* NOT NULL(?!.* DEFAULT ))(?!.* (UNIQUE|PRIMARY KEY|CHECK|REFERENCES)\b)[^,]+"
)
_ADDITIVE = re.compile(
    rf"(CREATE (TABLE|INDEX|SEQUENCE|VIEW|FUNCTION|TYPE)|GRANT|COMMENT) .*|ALTER TABLE \S+ {_COLUMN}(, ?{_COLUMN})*",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: `name` is its room and number (`shared/001_events`), `digest` the SHA-256 of its text, in hex."""

    name: str
    digest: str
    sql: str

    @property
    def additive(self) -> bool:
        """Whether code that does not know of it works on: tables, indexes, functions, columns that may be left out, and
        rights are added, and nothing else is done.
        """
        plain = re.sub(f"{_COMMENT}|{_TEXT}", _no_statement, self.sql, flags=re.DOTALL)
        return all(_ADDITIVE.fullmatch(" ".join(one.split())) for one in plain.split(";") if one.strip())


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
    """Runs what the database has not seen yet, each file in a transaction of its own; returns the names run. What a
    later release has run is passed over if this one works on beside it.

    Raises Misconfigured if a file that was run has changed or is gone, or if one cannot be run; nothing of that
    file is left behind.
    """
    rows = await connection.fetch(_REMEMBERED)
    seen: dict[str, str] = {row["name"]: row["digest"] for row in rows}
    _refuse_a_changed_past(names.database, seen, migrations)
    _refuse_what_we_cannot_work_on(names.database, {row["name"]: row["additive"] for row in rows}, migrations)
    new = [migration for migration in migrations if migration.name not in seen]
    for migration in new:
        await _run(connection, names, migration)
    return tuple(migration.name for migration in new)


def _refuse_a_changed_past(database: str, seen: dict[str, str], migrations: Sequence[Migration]) -> None:
    present = {migration.name: migration.digest for migration in migrations}
    changed = sorted(name for name, digest in seen.items() if present.get(name, digest) != digest)
    if changed:
        raise Misconfigured(
            f"{database}: {', '.join(changed)} changed after it was run: put the file back as it was and write the "
            "change as a new migration (or, while nothing is worth keeping: python -m deploy.local wipe)"
        )


def _refuse_what_we_cannot_work_on(database: str, seen: Mapping[str, bool], migrations: Sequence[Migration]) -> None:
    """A later release has run what is not here. Beside that we work on, if it comes after all that we know of its room
    and only adds; then everything that we know was run before it, and stands as we know it.
    """
    last = {room: max(names) for room, names in groupby(sorted(m.name for m in migrations), _room)}
    unknown = sorted(seen.keys() - {migration.name for migration in migrations})
    amid = [name for name in unknown if name < last.get(_room(name), "")]
    if amid:
        raise Misconfigured(f"{database}: {', '.join(amid)} was run but is not here, and what comes after it is")
    changing = [name for name in unknown if not seen[name]]
    if changing:
        raise Misconfigured(
            f"{database}: {', '.join(changing)} was run but is not here, and does more than add: this code is older "
            "than the data, and cannot work on them"
        )


def _room(name: str) -> str:
    return name.partition("/")[0]


def _no_statement(found: re.Match[str]) -> str:
    return " " if found[0].startswith("--") else " '' "


async def _run(connection: asyncpg.Connection, names: Names, migration: Migration) -> None:
    sql = names.fill(migration.sql)
    try:
        async with connection.transaction():
            # Whoever waits for a table holds up all who come after: rather fail, and be run again.
            await connection.execute("SET LOCAL lock_timeout = '3s'")
            await connection.execute(f"SET LOCAL ROLE {quoted(names.owner)}")
            await connection.execute(sql)
            await connection.execute(_REMEMBER, migration.name, migration.digest, migration.additive)
    except asyncpg.PostgresError as error:
        position = int(error.as_dict().get("position") or 0)
        line = f", line {sql[:position].count(chr(10)) + 1}" if position else ""
        raise Misconfigured(f"{names.database}: migration {migration.name}{line}: {error}") from error
