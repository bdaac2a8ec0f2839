"""Dead letters and the messages parked behind them: list, show, and redrive in order."""

import getpass
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

import asyncpg
import orjson
import structlog

from shared.errors import Unavailable
from shared.events.base import DOSSIER, Model
from shared.runtime.aio.fatal import trace_only
from shared.runtime.engine.engine import Engine
from shared.runtime.kernel.decider import Message, Task
from shared.runtime.kernel.hearing import reread
from shared.runtime.kernel.message import Item, dead_letter
from shared.runtime.kernel.sharding import shard_of
from shared.runtime.kernel.stored import as_stored, read_stored
from shared.runtime.store import sql
from shared.runtime.store.commit import Commit
from shared.runtime.store.lost import LOST_CONNECTION
from shared.runtime.tasks.kinds import TaskFailed

log = structlog.get_logger(__name__)

Open = Callable[[bytes], bytes]

NOTHING_WAITS = "there is nothing to redrive for this dossier"


@dataclass(frozen=True, slots=True)
class Redriven:
    """What a redrive came to: how many messages were handled, and whether the dossier is still parked."""

    handled: int
    parked: bool
    failure: str | None = None


async def redrive(engine: Engine, open_secret: Open, dossier_id: UUID) -> Redriven:
    """Handle a parked dossier's dead letters and what waits behind them, in order, in one transaction.

    The shard's lock is taken first, so an arriving message cannot pass. At the first failure the rest stays parked.
    Raises Unavailable and what a lost connection raises; any other fault is this dossier's, and told of it.
    """
    await engine.ready()
    try:
        async with engine.pool.acquire() as conn, conn.transaction():
            await sql.lock(conn, (), [shard_of(dossier_id)])
            engine.seen([shard_of(dossier_id)])
            waiting = await _waiting(conn, engine, open_secret, dossier_id)
            commit = _Redrive(engine, conn, waiting)
            result = await commit.run(dossier_id)
            if result is None:
                return Redriven(0, False, NOTHING_WAITS)
            await _record(conn, "redrive", {"dossier_id": str(dossier_id), "handled": result.handled})
    except (Unavailable, *LOST_CONNECTION):
        raise
    except Exception as fault:
        # Nothing was changed, all stay where they are.
        error = type(fault).__name__
        log.error("redrive-failed", dossier_id=str(dossier_id), error=error, exc_info=trace_only(fault))
        return Redriven(0, True, error)
    engine.on_committed(bool(commit.rows), True)
    return result


GivenUp = Callable[[Mapping[str, Any]], Task]


async def discard(
    pool: "asyncpg.Pool[asyncpg.Record]", letter_id: UUID, open_secret: Open, given_up: GivenUp | None = None
) -> bool:
    """Settle a dead letter without handling it (it can never be read, say); recorded with the operator's name. If it
    came of a task, the service is told by `given_up` (`Decider.given_up`) of which.
    """
    async with pool.acquire() as conn, conn.transaction():
        found = await conn.fetchrow(
            """UPDATE dead_letters SET settled_at = now(), settled_by = $2
               WHERE id = $1 AND settled_at IS NULL RETURNING origin, dossier_id, value""",
            letter_id,
            getpass.getuser(),
        )
        if found is not None:
            await _record(conn, "discard", {"dead_letter": str(letter_id)})
        if found is not None and found["origin"] == "task" and given_up is not None:
            task = _given_up(given_up, open_secret, found["value"])
            told, payload = uuid5(letter_id, task.kind), as_stored(task.payload)
            await sql.enqueue(conn, [sql.TaskWrite(told, task.kind, found["dossier_id"], payload, task.after)])
    return found is not None


def _given_up(given_up: GivenUp, open_secret: Open, value: bytes) -> Task:
    """What tells of the task by what is kept of it, its payload or its outcome; of nothing if that cannot be read."""
    try:
        kept = orjson.loads(open_secret(value))
        failed = kept["type"] == TaskFailed.__name__
        return given_up(orjson.loads(kept["body"]["payload"]) if failed else kept["body"])
    except Exception as unreadable:
        log.warning("discarded-unread", error=type(unreadable).__name__)
        return given_up({})


async def _record(conn: sql.Connection, act: str, detail: Mapping[str, Any]) -> None:
    await conn.execute(
        "INSERT INTO operator_acts (who, act, detail) VALUES ($1, $2, $3::jsonb)",
        getpass.getuser(), act, orjson.dumps(detail).decode(),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Waiting:
    item: Item
    row_id: UUID
    value: bytes | None
    dead: bool


async def _waiting(conn: sql.Connection, engine: Engine, open_secret: Open, dossier: UUID) -> list[_Waiting]:
    dead = await conn.fetch(
        "SELECT * FROM dead_letters WHERE dossier_id = $1 AND settled_at IS NULL ORDER BY first_failed_at, id", dossier
    )
    parked = await conn.fetch("SELECT * FROM parked_messages WHERE dossier_id = $1 ORDER BY ordinal", dossier)
    return [
        _Waiting(_item(engine, open_secret, row), row["id"], row["value"], n < len(dead))
        for n, row in enumerate([*dead, *parked])
    ]


def _item(engine: Engine, open_secret: Open, row: asyncpg.Record) -> Item:
    """What a row keeps, once more. Raises nothing: that it cannot be opened or read is the failure in the item."""
    if row["origin"] == "kafka":
        return reread(sql.record_of(dict(row)))
    try:
        return Item(message=_message(engine, open_secret, row), dossier_id=row["dossier_id"], redriven=True)
    except Exception as fault:
        return Item(failure=fault, dossier_id=row["dossier_id"], redriven=True)


def _message(engine: Engine, open_secret: Open, row: asyncpg.Record) -> Message[Model]:
    kept = orjson.loads(open_secret(row["value"]))
    known: list[type[Model]] = [*engine.decider.rules, TaskFailed]
    models = {model.__name__: model for model in known}
    body, at = read_stored(models[kept["type"]], orjson.dumps(kept["body"])), datetime.fromisoformat(kept["at"])
    return Message(UUID(kept["id"]), row["dossier_id"], at, body, kept.get("kind", DOSSIER))


class _Redrive(Commit):
    """A commit whose items come from the dead letters instead of from outside."""

    def __init__(self, engine: Engine, conn: sql.Connection, waiting: Sequence[_Waiting]) -> None:
        items = [one.item for one in waiting]
        super().__init__(engine.decider, conn, items, engine.seen, engine.keep_secret)
        self.waiting = waiting

    async def run(self, dossier_id: UUID) -> Redriven | None:
        """Handle what waits; None if nothing does, and the dossier is not parked either."""
        firsts = [self._first_of(item.message) for item in self.items if item.message is not None]
        found = await sql.load(self.conn, {dossier_id: 0}, firsts, (), ())
        kinds = [item.message.kind for item in self.items if item.message is not None]
        work = self._work(dossier_id, kinds[0] if kinds else DOSSIER, found.states)
        if not self.waiting and not work.parked:
            return None
        self.shards = [shard_of(dossier_id)]
        work.parked = False
        done = 0
        for one in self.waiting:
            if one.item.message is None and one.item.failure is None:
                # An event whose type this release does not know: skipped, as it would be if it came now.
                await self._settle(one)
                done += 1
                continue
            message = one.item.message
            draft = work.take(one.item, message is not None and self._answered(message, found))
            if draft.dead is not None:
                await self._fail(one, draft.dead)
                break
            self.drafts.append(draft)
            await self._settle(one)
            done += 1
        work.steps += 1
        await self._number()
        await self.write()
        failed = done < len(self.waiting)
        return Redriven(done, work.parked, type(draft.dead).__name__ if failed else None)

    async def _settle(self, one: _Waiting) -> None:
        await self._enqueue_again(one.item)
        if one.dead:
            await self.conn.execute(
                """UPDATE dead_letters SET settled_at = now(), settled_by = $2, redrives = redrives + 1
                   WHERE id = $1""",
                one.row_id,
                getpass.getuser(),
            )
        else:
            await self.conn.execute("DELETE FROM parked_messages WHERE id = $1", one.row_id)

    async def _enqueue_again(self, item: Item) -> None:
        """A task whose function failed runs again, under its own id."""
        message = item.message
        if message is not None and isinstance(message.body, TaskFailed):
            said, body = self._first_of(message), message.body
            task = sql.TaskWrite(message.id, body.kind, message.dossier_id, body.payload, None, said)
            await sql.enqueue(self.conn, [replace(task, subject=message.kind)])

    async def _fail(self, one: _Waiting, failure: Exception) -> None:
        """Still failing: a dead letter (it may have been only parked so far), and one redrive more."""
        log.error("redrive-failed", **one.item.named, error=type(failure).__name__)
        if not one.dead:
            await self.conn.execute("DELETE FROM parked_messages WHERE id = $1", one.row_id)
        letter = dead_letter(replace(one.item, failure=failure), failure, self.decider.name)
        await sql.write_dead_letters(self.conn, [(one.row_id, letter, one.value)])
        await self.conn.execute("UPDATE dead_letters SET redrives = redrives + 1 WHERE id = $1", one.row_id)
