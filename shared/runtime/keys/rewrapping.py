"""Data keys under another key-encryption key: which lie where, and the operator's act that wraps them all anew.

Only their writer's table is changed. Its relay publishes each rewrapped key, the compacted topic keeps the newest of a
dossier, and whoever hears keys stores it in the place of the old one. So a reader that has only the newest
key-encryption key, and begins at the topic's beginning, ends with keys that it can open.
"""

import asyncio
import getpass
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from shared.runtime.kernel.message import WrappedKey
from shared.runtime.keys.sealing import Keks
from shared.runtime.store import sql

Pool = asyncpg.Pool

BATCH = 500
LOOK_S = 0.2
PATIENCE_S = 600.0


async def keks_in_use(asked: "Pool[asyncpg.Record] | sql.Connection") -> Sequence[str]:
    """The names under which data keys lie, whatever their number: each by one look into the index."""
    found: list[str] = []
    while (name := await asked.fetchval(_NEXT_NAME, found[-1] if found else "")) is not None:
        found.append(name)
    return found


async def status(pool: "Pool[asyncpg.Record]", kek: Keks) -> Mapping[str, Any]:
    """How many data keys lie under which key-encryption key; `remaining` do not lie under the newest."""
    async with _patient(pool) as conn:
        return await _status(conn, kek)


async def _status(conn: sql.Connection, kek: Keks) -> Mapping[str, Any]:
    counted = {name: await _count(conn, name) for name in await keks_in_use(conn)}
    remaining = sum(count for name, count in counted.items() if name != kek.newest)
    unpublished = len(await conn.fetch(_UNPUBLISHED))
    return {"wraps": kek.newest, "keys": counted, "unpublished": unpublished, "remaining": remaining}


async def rewrap(
    pool: "Pool[asyncpg.Record]", kek: Keks, progress: Callable[[int, int], object], batch: int = BATCH
) -> Mapping[str, Any]:
    """Wrap every data key under the newest key-encryption key, a batch in a transaction; return once Kafka has them.

    Ended at any point and done again it goes on with what is left. A key that is destroyed meanwhile stays so. Raises
    KekNotHere if one lies under a key-encryption key that we have not, Misconfigured if it does not open.
    """
    async with _patient(pool) as conn:
        done = await _rewrap_all(conn, kek, progress, batch)
        await _until_published(conn, [row["dossier_id"] for row in await conn.fetch(_UNPUBLISHED)])
        if done:
            detail = orjson.dumps({"to": kek.newest, "keys": done}).decode()
            await conn.execute(_NOTE, getpass.getuser(), detail)
        return {"rewrapped": done, **await _status(conn, kek)}


async def _rewrap_all(conn: sql.Connection, kek: Keks, progress: Callable[[int, int], object], batch: int) -> int:
    old = [name for name in await keks_in_use(conn) if name != kek.newest]
    total, done = sum([await _count(conn, name) for name in old]), 0
    progress(done, total)
    while rows := await conn.fetch(_SOME, old, batch):
        done += await _wrap_anew(conn, kek, rows)
        progress(done, max(done, total))
        # Not faster than they are published: events wait behind keys.
        await _until_published(conn, [row["dossier_id"] for row in rows])
    return done


async def _wrap_anew(conn: sql.Connection, kek: Keks, rows: Sequence[asyncpg.Record]) -> int:
    new = [kek.wrap(row["dossier_id"], kek.unwrap(WrappedKey(*row))) for row in rows]
    changed = await conn.fetch(
        _REWRAP, [key.dossier_id for key in new], kek.newest, [key.wrapped for key in new],
        [row["wrapped"] for row in rows],
    )  # fmt: skip
    await conn.execute(_WAKE_THE_RELAY)
    return len(changed)


async def _until_published(conn: sql.Connection, dossiers: Sequence[UUID]) -> None:
    """Return once Kafka has the keys of these dossiers. Without Kafka, or a process of the service, that is never: they
    are published when there is one again, whether anybody still waits here or not.
    """
    while await conn.fetchval(_ANY_UNPUBLISHED, dossiers):
        await asyncio.sleep(LOOK_S)


async def _count(conn: sql.Connection, name: str) -> int:
    count: int = await conn.fetchval(_COUNT, name, timeout=PATIENCE_S)
    return count


@asynccontextmanager
async def _patient(pool: "Pool[asyncpg.Record]") -> AsyncIterator[sql.Connection]:
    """A connection that may count for long, and looks for the last few keys among millions by the index, whatever the
    planner remembers of how many there were.
    """
    async with pool.acquire() as conn:
        await conn.execute(_BE_PATIENT, f"{PATIENCE_S:.0f}s")
        yield conn
        await conn.execute("RESET ALL")


_NEXT_NAME = "SELECT kek_id FROM data_keys WHERE kek_id > $1 ORDER BY kek_id LIMIT 1"
_COUNT = "SELECT count(*) FROM data_keys WHERE kek_id = $1 AND wrapped IS NOT NULL"
_SOME = """SELECT dossier_id, kek_id, wrapped FROM data_keys
    WHERE kek_id = ANY($1) AND wrapped IS NOT NULL LIMIT $2"""
_REWRAP = """UPDATE data_keys d SET kek_id = $2, wrapped = w.new, published = false
    FROM unnest($1::uuid[], $3::bytea[], $4::bytea[]) AS w(dossier_id, new, old)
    WHERE d.dossier_id = w.dossier_id AND d.wrapped = w.old RETURNING d.dossier_id"""
_UNPUBLISHED = "SELECT dossier_id FROM data_keys WHERE NOT published"
_ANY_UNPUBLISHED = """SELECT EXISTS (SELECT FROM data_keys WHERE NOT published AND wrapped IS NOT NULL
    AND dossier_id = ANY($1::uuid[]))"""
_BE_PATIENT = """SELECT set_config(name, CASE name WHEN 'enable_seqscan' THEN 'off' ELSE $1 END, false) FROM pg_settings
    WHERE name IN ('statement_timeout', 'transaction_timeout', 'enable_seqscan')"""
_WAKE_THE_RELAY = "SELECT pg_notify('outbox', '')"
_NOTE = "INSERT INTO operator_acts (who, act, detail) VALUES ($1, 'keys rewrap', $2::jsonb)"
