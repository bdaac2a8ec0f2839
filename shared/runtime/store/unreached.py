"""The list of people who must be told otherwise: one row per dossier in which a notice could not be delivered.

Only a service that draws such a list from its states (`Desk.unreached`) has the table.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from shared.runtime.store.sql import Connection


@dataclass(frozen=True, slots=True)
class Unreached:
    """A dossier on the list: whose officers see it, since when (UTC) somebody waits to be told, and of how much."""

    unit: str
    since: datetime
    notices: int


async def relist(conn: Connection, found: Mapping[UUID, Unreached | None]) -> None:
    """Put these dossiers on the list, or take them off it (None); in the transaction that writes their states."""
    gone = [dossier for dossier, one in found.items() if one is None]
    if gone:
        await conn.execute("DELETE FROM unreached WHERE dossier_id = ANY($1)", gone)
    there = [(dossier, one.unit, one.since, one.notices) for dossier, one in found.items() if one is not None]
    if there:
        await conn.executemany(
            """INSERT INTO unreached (dossier_id, unit, since, notices) VALUES ($1, $2, $3, $4)
               ON CONFLICT (dossier_id) DO UPDATE SET unit = excluded.unit, since = excluded.since,
                   notices = excluded.notices""",
            sorted(there),
        )


async def counted(pool: "asyncpg.Pool[asyncpg.Record]") -> int:
    """How many dossiers stand on the list, of all units."""
    return int(await pool.fetchval("SELECT count(*) FROM unreached"))
