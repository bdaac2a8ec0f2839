"""What a task may look at when it begins: its dossier as it is remembered by then."""

from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar
from uuid import UUID

import asyncpg
from pydantic import BaseModel

from shared.runtime.aio.coalesce import Coalesced
from shared.runtime.kernel.kept import KeptStates
from shared.runtime.kernel.stored import read_stored

S = TypeVar("S", bound=BaseModel)


class Remembered(Generic[S]):
    """Dossiers' states as they were committed last; `empty` is that of one of which nothing is remembered. Tasks that
    begin together ask together, and what this process has `kept` in the same version is not read again.
    """

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]", empty: S, kept: KeptStates) -> None:
        self._pool = pool
        self._empty = empty
        self._kept = kept
        self._together = Coalesced(self._ask)

    async def of(self, dossier_id: UUID) -> S:
        """One dossier's state. Raises what a lost connection raises, and pydantic.ValidationError."""
        found = await self._together.one(dossier_id)
        if found is None:
            return self._empty
        state: S = read_stored(type(self._empty), found) if isinstance(found, str) else found
        return state

    async def _ask(self, dossiers: Sequence[UUID]) -> Mapping[UUID, Any]:
        """By dossier its state, or the JSON text of one that is not kept."""
        known = self._kept.of(dossiers)
        rows = await self._pool.fetch(_STATES, dossiers, [known[one][0] if one in known else 0 for one in dossiers])
        return {row["id"]: known[row["id"]][1] if row["text"] is None else row["text"] for row in rows}


_STATES = """SELECT k.id, CASE WHEN s.version <> k.version THEN s.state::text END AS text
    FROM unnest($1::uuid[], $2::integer[]) AS k(id, version)
    CROSS JOIN LATERAL (SELECT * FROM states WHERE dossier_id = k.id LIMIT 1) s"""
