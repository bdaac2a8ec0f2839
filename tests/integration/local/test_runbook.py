"""What the runbook lets an operator ask of the databases, asked of real ones."""

import re

import asyncpg
import pytest

from deploy.local.ground import Ground
from deploy.local.machine import ROOT

QUESTION = re.compile(r'psql -U postgres -d dossier_(\w+) -c "([^"]+)"')
QUESTIONS = QUESTION.findall((ROOT / "deploy" / "prometheus" / "RUNBOOK.md").read_text())


def test_the_runbook_asks_something() -> None:
    assert len(QUESTIONS) >= 4


@pytest.mark.parametrize(("service", "query"), QUESTIONS, ids=[service for service, _ in QUESTIONS])
async def test_the_database_understands_what_the_runbook_asks(service: str, query: str, ground: Ground) -> None:
    connection = await asyncpg.connect(ground.databases().administrator_url(service))
    try:
        assert await connection.fetch(query) is not None
    finally:
        await connection.close()
