"""Keyed digests by which a dossier may be found: those that are not there, and what they are made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar
from uuid import UUID

import asyncpg

from shared.events.base import Model
from shared.runtime.kernel.message import Digest
from shared.runtime.kernel.stored import read_stored
from shared.runtime.store.sql import columns

S = TypeVar("S", bound=Model)
PIECE = 1000


@dataclass(frozen=True, slots=True)
class Undigested(Generic[S]):
    """A dossier that has a data key, and no digest."""

    dossier_id: UUID
    state: S


@dataclass(frozen=True)
class Digests(Generic[S]):
    """The digests in a service's database; its states are of this model."""

    pool: "asyncpg.Pool[asyncpg.Record]"
    model: type[S]

    async def lacking(self, after: UUID) -> tuple[UUID | None, Sequence[Undigested[S]]]:
        """Where the piece of dossiers beyond this one ends (None: there are no more), and which of it have none."""
        rows = await self.pool.fetch(_PIECE, after, PIECE)
        found = [Undigested(row["dossier_id"], read_stored(self.model, row["state"])) for row in rows if row["state"]]
        return (rows[-1]["dossier_id"] if rows else None), found

    async def said(self, events: Sequence[UUID]) -> Mapping[UUID, tuple[str, bytes]]:
        """Type and value of these events of our own."""
        rows = await self.pool.fetch("SELECT event_id, type, data FROM events WHERE event_id = ANY($1)", events)
        return {row["event_id"]: (row["type"], row["data"]) for row in rows}

    async def fill(self, digests: Sequence[Digest]) -> None:
        """Put these where there are none by now: what a request has stated meanwhile is newer."""
        dossiers = sorted({one.dossier_id for one in digests})
        async with self.pool.acquire() as conn, conn.transaction():
            # Whoever writes digests waits for the row of the key, so none come while it is looked whether there are.
            await conn.execute(
                "SELECT FROM data_keys WHERE dossier_id = ANY($1) ORDER BY dossier_id FOR UPDATE", dossiers
            )
            rows = await conn.fetch("SELECT DISTINCT dossier_id FROM digests WHERE dossier_id = ANY($1)", dossiers)
            there = {row["dossier_id"] for row in rows}
            new = [one for one in digests if one.dossier_id not in there]
            await conn.execute("SELECT write_digests($1, $2, $3)", *columns(new, "dossier_id", "kind", "digest"))


_PIECE = """SELECT k.dossier_id, CASE WHEN k.destroyed_at IS NULL AND NOT EXISTS (
            SELECT FROM digests d WHERE d.dossier_id = k.dossier_id)
        THEN (SELECT s.state::text FROM states s WHERE s.dossier_id = k.dossier_id) END AS state
    FROM data_keys k WHERE k.dossier_id > $1 ORDER BY k.dossier_id LIMIT $2"""
