"""Databases, roles and migrations on a real PostgreSQL. (Who may do what there: `tests/secured`.)"""

from pathlib import Path

import asyncpg
import pytest

from deploy.local.ground import Ground
from deploy.postgres.migrations import Migration
from deploy.postgres.provision import Databases, provision, scram_verifier
from shared.errors import Misconfigured
from shared.services import SERVICES

_FIRST = "CREATE TABLE stamps (id int PRIMARY KEY); GRANT SELECT, INSERT ON stamps TO :service;"


async def _fetchval(url: str, query: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


def _project(directory: Path, **files: str) -> Path:
    folder = directory / "shared" / "runtime" / "store" / "migrations"
    folder.mkdir(parents=True, exist_ok=True)
    for name, sql in files.items():
        (folder / f"{name}.sql").write_text(sql)
    return directory


@pytest.fixture
def another(ground: Ground, request: pytest.FixtureRequest) -> Databases:
    """A set of databases that is not made yet."""
    return ground.databases("_" + request.node.name.removeprefix("test_")[:30])


async def test_provisioning_twice_changes_nothing(ground: Ground) -> None:
    before = await _fetchval(ground.databases().administrator_url("intake"), "SELECT max(applied_at) FROM migrations")
    run = await provision(ground.databases())
    after = await _fetchval(ground.databases().administrator_url("intake"), "SELECT max(applied_at) FROM migrations")
    assert run == ()
    assert before is not None
    assert before == after


async def test_a_password_is_stored_as_the_same_verifier_each_time_and_sent_in_no_statement(ground: Ground) -> None:
    stored = "SELECT string_agg(rolpassword, ',' ORDER BY rolname) FROM pg_authid WHERE rolname LIKE 'dossier\\_%'"
    before = await _fetchval(ground.admin_url, stored)
    await provision(ground.databases())
    assert await _fetchval(ground.admin_url, stored) == before
    password = ground.secrets.read("intake_db_password")
    verifier = scram_verifier("dossier_intake", password)
    assert verifier in str(before)
    assert password not in verifier


def test_a_password_that_is_not_ascii_is_refused() -> None:
    with pytest.raises(Misconfigured, match="dossier_intake must be ASCII"):
        scram_verifier("dossier_intake", "mật khẩu")


async def test_every_service_reaches_its_own_database(ground: Ground) -> None:
    for service in SERVICES:
        assert await _fetchval(ground.database_url(service), "SELECT current_user") == f"dossier_{service}"


async def test_a_stopped_process_cannot_hold_its_locks_for_long(ground: Ground) -> None:
    settings = ("lock_timeout", "idle_in_transaction_session_timeout", "statement_timeout", "transaction_timeout")
    told = [await _fetchval(ground.database_url("intake"), f"SHOW {name}") for name in settings]
    assert told == ["5s", "10s", "10s", "15s"]


async def test_a_migration_runs_once_and_a_later_one_is_added(another: Databases, tmp_path: Path) -> None:
    first = await provision(another, _project(tmp_path, **{"001_first": _FIRST}))
    added = "CREATE TABLE more (id int)"
    second = await provision(another, _project(tmp_path, **{"002_second": added}))
    assert [line.split(": ")[1] for line in (*first, *second)] == [
        *["shared/001_first"] * len(SERVICES),
        *["shared/002_second"] * len(SERVICES),
    ]
    assert await _fetchval(another.auditor_url("audit"), "SELECT count(*) FROM more") == 0


async def test_a_migration_that_was_changed_after_it_was_run_is_refused(another: Databases, tmp_path: Path) -> None:
    await provision(another, _project(tmp_path, **{"001_first": _FIRST}))
    with pytest.raises(Misconfigured, match=r"shared/001_first changed after it was run: put the file back"):
        await provision(another, _project(tmp_path, **{"001_first": _FIRST + " -- a word more"}))


def _without(root: Path, name: str) -> Path:
    (root / f"shared/runtime/store/migrations/{name}.sql").unlink()
    return root


async def test_a_release_works_on_beside_what_a_later_one_has_only_added(another: Databases, tmp_path: Path) -> None:
    root = _project(tmp_path, **{"001_first": _FIRST, "002_second": "ALTER TABLE stamps ADD COLUMN place text"})
    await provision(another, root)
    assert await provision(another, _without(root, "002_second")) == ()
    assert await _fetchval(another.url("payment"), "SELECT count(place) FROM stamps") == 0


async def test_code_older_than_the_database_is_refused(another: Databases, tmp_path: Path) -> None:
    root = _project(tmp_path, **{"001_first": _FIRST, "002_second": "ALTER TABLE stamps DROP COLUMN id"})
    await provision(another, root)
    with pytest.raises(Misconfigured, match="shared/002_second was run but is not here, and does more than add"):
        await provision(another, _without(root, "002_second"))


async def test_a_line_of_releases_that_goes_another_way_is_refused(another: Databases, tmp_path: Path) -> None:
    root = _project(tmp_path, **{"001_first": _FIRST, "002_second": "CREATE TABLE more ()", "003_third": "SELECT 1"})
    await provision(another, root)
    with pytest.raises(Misconfigured, match="shared/002_second was run but is not here, and what comes after it is"):
        await provision(another, _without(root, "002_second"))


ADDS = (
    "",
    "-- a comment; DROP TABLE stamps\nCREATE TABLE more (id int NOT NULL, CHECK (id > 0));\nGRANT SELECT ON more TO x;",
    "CREATE INDEX by_place ON stamps (place);",
    "ALTER TABLE stamps ADD COLUMN place text",
    "alter table stamps add column if not exists place text not null default ''",
    "ALTER TABLE stamps ADD COLUMN place text, ADD COLUMN at timestamptz NOT NULL DEFAULT now()",
    "CREATE FUNCTION twice(int) RETURNS int LANGUAGE sql AS $$ SELECT $1; $$; COMMENT ON TABLE stamps IS 'DROP; it''s'",
)
CHANGES = (
    "DROP TABLE stamps",
    "CREATE TABLE more (id int); DROP TABLE stamps",
    "ALTER TABLE stamps ADD COLUMN place text NOT NULL",
    "ALTER TABLE stamps ADD COLUMN place text, ADD COLUMN at timestamptz NOT NULL",
    "ALTER TABLE stamps ADD COLUMN place text, DROP COLUMN id",
    "ALTER TABLE stamps ADD COLUMN place text CHECK (place <> '')",
    "ALTER TABLE stamps ADD COLUMN place text UNIQUE",
    "ALTER TABLE stamps RENAME COLUMN id TO number",
    "ALTER TABLE stamps ALTER COLUMN id TYPE bigint",
    "ALTER TABLE stamps ADD CONSTRAINT positive CHECK (id > 0)",
    "CREATE UNIQUE INDEX once ON stamps (place)",
    "CREATE OR REPLACE FUNCTION twice(int) RETURNS int LANGUAGE sql AS $$ SELECT $1 * 3 $$",
    "CREATE TRIGGER told BEFORE INSERT ON stamps EXECUTE FUNCTION tell()",
    "UPDATE stamps SET id = id + 1",
    "REVOKE INSERT ON stamps FROM :service",
    "DO $$ BEGIN DROP TABLE stamps; END $$",
)


@pytest.mark.parametrize(("sql", "adds"), [*((sql, True) for sql in ADDS), *((sql, False) for sql in CHANGES)])
def test_a_migration_adds_or_does_more(sql: str, adds: bool) -> None:
    assert Migration("shared/002_second", "", sql).additive is adds


async def test_a_migration_that_fails_leaves_nothing_and_names_its_line(another: Databases, tmp_path: Path) -> None:
    broken = "CREATE TABLE half (id int);\nSELECT * FROM nowhere;"
    with pytest.raises(Misconfigured, match=r"shared/001_first, line 2: relation \"nowhere\" does not exist"):
        await provision(another, _project(tmp_path, **{"001_first": broken}))
    assert await _fetchval(another.administrator_url("intake"), "SELECT to_regclass('half')") is None


async def test_a_fresh_set_of_databases_is_empty_and_reached_by_the_same_roles(fresh_databases: Databases) -> None:
    assert await _fetchval(fresh_databases.url("payment"), "SELECT count(*) FROM events") == 0
    assert await _fetchval(fresh_databases.url("payment"), "SELECT current_database()") != "dossier_payment"


async def test_a_statement_that_fails_puts_no_personal_data_into_the_server_log(ground: Ground) -> None:
    assert ground.postgres is not None
    for statement in (
        "SELECT 'Lò Thị Mẫu'::int",
        "DO $$ BEGIN RAISE 'Lò Thị Mẫu'; END $$",
        "SELECT 'Lò Thị Mẫu' FROM nowhere",
    ):
        with pytest.raises(asyncpg.PostgresError):
            await _fetchval(ground.database_url("intake"), statement)
    assert "Mẫu" not in ground.postgres.log.read_text()
