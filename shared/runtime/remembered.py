"""What a task may look at when it begins: its dossier as it is remembered by then."""

from typing import TypeVar
from uuid import UUID

import asyncpg
from pydantic import BaseModel

S = TypeVar("S", bound=BaseModel)


async def remembered(pool: "asyncpg.Pool[asyncpg.Record]", empty: S, dossier_id: UUID) -> S:
    """A dossier's state as it was committed last; `empty` if nothing is remembered of it. Raises what a lost connection
    raises, and pydantic.ValidationError.
    """
    state = await pool.fetchval("SELECT state::text FROM states WHERE dossier_id = $1", dossier_id)
    return empty if state is None else type(empty).model_validate_json(state)
