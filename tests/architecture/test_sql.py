"""SQL stands in the runtime, in migrations, in the audit trail's store and where databases are made; else nowhere."""

import ast
import re
from collections.abc import Iterator

import pytest

from tests.architecture.source import Module, modules, snippet, tracked

HOMES = ("shared/runtime/", "services/audit/trail_store.py", "deploy/postgres/", "deploy/local/")
"""The last one starts PostgreSQL on this machine, and asks it how things stand."""
FILES = (
    "shared/runtime/store/migrations/",
    "services/audit/migrations/",
    "services/intake/migrations/",
    "services/payment/migrations/",
    "deploy/postgres/",
)
STATEMENT = re.compile(
    r"\s*(SELECT|INSERT INTO|UPDATE|DELETE FROM|CREATE|ALTER|DROP|TRUNCATE|GRANT|REVOKE|COPY|LISTEN|NOTIFY|BEGIN|SET"
    r"|WITH \w+ AS|LOCK TABLE|DO \$)(\s|$)"
)


def statements(module: Module) -> Iterator[str]:
    """String literals that begin like a statement; docstrings speak, they do not query."""
    spoken = {id(node.value) for node in ast.walk(module.tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Constant) and id(node) not in spoken and STATEMENT.match(str(node.value)):
            yield module.at(node.lineno, f"SQL: {' '.join(str(node.value).split())[:60]}")


def test_sql_stands_only_in_its_homes() -> None:
    guests = [module for module in modules("services", "shared", "deploy") if not module.path.startswith(HOMES)]

    assert guests
    assert [fault for module in guests for fault in statements(module)] == []


def test_sql_files_lie_in_migrations_or_where_databases_are_made() -> None:
    assert [name for name in tracked() if name.endswith(".sql") and not name.startswith(FILES)] == []


@pytest.mark.parametrize(
    "line",
    [
        "await pool.fetch('SELECT state FROM states')",
        "await pool.execute(f'UPDATE {table} SET a = 1')",
        "QUERY = '''\n    INSERT INTO events VALUES ($1)'''",
        "QUERY = 'WITH late AS (' + inner",
        "await connection.execute('LISTEN dossier')",
    ],
)
def test_a_statement_in_a_guests_house_is_found(line: str) -> None:
    assert list(statements(snippet("services/intake/api.py", line)))


def test_an_english_sentence_is_no_statement() -> None:
    assert not list(statements(snippet("services/intake/api.py", '"""SELECT is not said."""\nx = "Set it right"')))
