"""What gauges tell of views, asked of the database."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import asyncpg

from shared.runtime.kernel.view import Figure


async def numbers(pool: "asyncpg.Pool[asyncpg.Record]", figure: Figure) -> Mapping[Any, float]:
    """The figure's number, under None; where it goes `by` a column, one under each content that there is."""
    return {row["content"]: row["number"] for row in await pool.fetch(statement(figure))}


@cache
def statement(figure: Figure) -> str:
    """The question as the database is asked it; its names are those of a service's own table."""
    number = "count(*)" if figure.oldest is None else f"coalesce(extract(epoch FROM min({figure.oldest})), 0)"
    late = f"WHERE {figure.passed} < now()" if figure.passed else ""
    grouped = f"GROUP BY {figure.by}" if figure.by else ""
    return f"SELECT {figure.by or 'NULL'} AS content, {number}::float8 AS number FROM {figure.view} {late} {grouped}"  # noqa: S608
