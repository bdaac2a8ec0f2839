"""Hands for the runtime tests: engines on a real database, messages of every origin, and what the tables then hold."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import orjson

from deploy.postgres.provision import Databases
from shared.errors import Unavailable
from shared.runtime.engine.batcher import Batcher
from shared.runtime.engine.engine import Engine
from shared.runtime.engine.listener import Listener
from shared.runtime.kafka.clients import Broker
from shared.runtime.kernel.decider import Decider, Message
from shared.runtime.kernel.message import Claim, Item, Request, WrappedKey
from shared.runtime.kernel.view import View
from shared.runtime.observe.metrics import Metrics
from shared.runtime.store.shapes import take_shape
from shared.runtime.tasks.kinds import Attempt, TaskKind
from shared.runtime.tasks.queue import Worker
from shared.topics import SHARDS
from tests.integration.runtime.toy import NAME, Say, Tally, Toy, Work, Worked, name

AT = datetime(2026, 9, 16, 1, 30, tzinfo=UTC)
NOWHERE = "127.0.0.1:1"
"""A broker that nobody reaches: for what must not need one."""

EMPTY = """TRUNCATE events, states, tasks, heard, requests, numbers, dead_letters, parked_messages, data_keys,
        digests, operator_acts, rebuilding, rebuilt, passed_over;
    UPDATE shards SET next_position = 1, last_event_id = NULL, shape = 1;
    UPDATE relay SET published = 0, leader = NULL, lease_until = '-infinity', instance = NULL"""


class Killed(BaseException):
    """Stands for the end of a process: nothing in it foresees this, nor takes it for a bug."""


@dataclass
class Stage:
    """One service's database. `pool` is the service's own role, `admin` may do anything to any row."""

    pool: Any
    admin: Any
    toy: Toy = field(default_factory=Toy)

    async def empty(self) -> None:
        """Begin anew."""
        await self.admin.execute(EMPTY)

    def engine(self, decider: Decider[Any] | None = None, **parts: Any) -> Engine:
        """An engine as a process has one: several on one database are replicas."""
        metrics = Metrics(NAME)
        return Engine(decider or self.toy.decider, self.pool, metrics, as_it_is, parts.pop("ready", _ready), **parts)

    def listener(self, engine: Engine | None = None, bootstrap: str = NOWHERE) -> Listener:
        """A consumer's half of a process."""
        return Listener(NAME, self.pool, engine or self.engine(), Broker(bootstrap), Metrics(NAME))

    def worker(self, run: Callable[[Attempt], Any], engine: Engine | None = None, **settings: Any) -> Worker:
        """A task worker for the toy's one kind of task; inside a running loop."""
        outcomes = Batcher((engine or self.engine()).handle)
        return Worker({"work": TaskKind(Work, run)}, self.pool, outcomes, Metrics(NAME), look_s=0.02, **settings)

    async def state(self, dossier: UUID) -> Tally:
        """What is remembered of a dossier."""
        row = await self.admin.fetchval("SELECT state FROM states WHERE dossier_id = $1", dossier)
        return Tally.model_validate_json(row) if row else Tally()

    async def said(self, dossier: UUID) -> list[str]:
        """The texts of a dossier's events, in order of position."""
        rows = await self.admin.fetch("SELECT data FROM events WHERE dossier_id = $1 ORDER BY position", dossier)
        return [orjson.loads(row["data"])["message_id"] for row in rows]

    async def parked(self, dossier: UUID) -> bool:
        """Whether a dossier waits for an operator."""
        return bool(await self.admin.fetchval("SELECT parked FROM states WHERE dossier_id = $1", dossier))

    async def count(self, table: str, where: str = "true") -> int:
        """Rows of a table."""
        counted: int = await self.admin.fetchval(f"SELECT count(*) FROM {table} WHERE {where}")
        return counted

    async def claim(self, task: UUID) -> Claim:
        """Claim a task as a worker does, in whatever hands it is."""
        claim = Claim(task, uuid4())
        await self.admin.execute(
            "UPDATE tasks SET claim = $2, attempts = attempts + 1, run_at = now() + interval '1 min' WHERE id = $1",
            task, claim.token,
        )  # fmt: skip
        return claim

    async def keep(self, keys: Sequence[WrappedKey]) -> None:
        """Store data keys as a commit does: the relay has yet to publish them."""
        await self.pool.executemany(
            "INSERT INTO data_keys (dossier_id, kek_id, wrapped, published) VALUES ($1, $2, $3, false)",
            [(key.dossier_id, key.kek_id, key.wrapped) for key in keys],
        )

    async def check_store(self) -> None:
        """Every shard: positions dense from 1, the chain of `previous` unbroken, the counter at the end of it."""
        heads = {row["shard"]: row for row in await self.admin.fetch("SELECT * FROM shards")}
        assert len(heads) == SHARDS
        ends = dict.fromkeys(heads, 0)
        last: dict[int, str | None] = dict.fromkeys(heads)
        for row in await self.admin.fetch("SELECT * FROM events ORDER BY shard, position"):
            shard, head = row["shard"], orjson.loads(row["headers"])
            assert row["position"] == ends[shard] + 1, f"a hole or a double in shard {shard}"
            assert head.get("ce_previous") == last[shard], f"the chain of shard {shard} is broken"
            assert (head["ce_id"], int(head["ce_sequence"])) == (str(row["event_id"]), row["position"])
            ends[shard], last[shard] = row["position"], str(row["event_id"])
        for shard, head in heads.items():
            assert head["next_position"] == ends[shard] + 1
            assert head["last_event_id"] == (last[shard] and UUID(last[shard]))


def as_it_is(kept: bytes) -> bytes:
    """Seals nothing, and so opens it too."""
    return kept


async def _ready() -> None:
    return None


async def not_ready() -> None:
    """A guard that refuses."""
    raise Unavailable("not compared yet")


_PATIENT = dict.fromkeys(("lock_timeout", "statement_timeout", "transaction_timeout"), "60s")
"""A race that a test holds up must not be decided by how long a slow machine takes to set it up."""


@asynccontextmanager
async def staged(databases: Databases, service: str = NAME, shape: int = 1) -> AsyncIterator[Stage]:
    """The stage on one service's database, emptied, for states of this shape."""
    async with asyncpg.create_pool(databases.url(service), min_size=1, max_size=8, server_settings=_PATIENT) as pool:
        admin = await asyncpg.connect(databases.administrator_url(service))
        try:
            stage = Stage(pool, admin)
            await stage.empty()
            await take_shape(pool, shape)
            yield stage
        finally:
            await admin.close()


def command(
    dossier: UUID, text: str, key: str | None = None, *, client: str = "app", body: bytes = b"body",
    series: str | None = None,
) -> Item:  # fmt: skip
    """Somebody asks us, under an idempotency key of their own, to say `text`."""
    request = Request(client, "POST", "/say", key or text, body, 202, _answer)
    message = Message(name(client, request.key), dossier, AT, Say(text=text, series=series))
    return Item(message=message, request=request, dossier_id=dossier)


def _answer(state: Any) -> dict[str, Any]:
    return {"said": len(state.notification.texts)} if isinstance(state, Tally) else {}


def outcome(dossier: UUID, claim: Claim, text: str) -> Item:
    """A claimed task has come to its end."""
    message = Message(claim.task_id, dossier, AT, Worked(text=text))
    return Item(message=message, claim=claim, dossier_id=dossier)


async def work(attempt: Attempt) -> Worked:
    """The toy's task, done well."""
    return Worked(text=attempt.payload.text)


def in_order(texts: Sequence[str]) -> bool:
    """Whether every event knew of all that was said before it."""
    return [int(text.partition("|")[0]) for text in texts] == list(range(len(texts)))


class Once:
    """Fails the first time, then never again: a crash at one place."""

    def __init__(self, failure: BaseException) -> None:
        self.failure: BaseException | None = failure

    def __call__(self, *_: object) -> None:
        failure, self.failure = self.failure, None
        if failure is not None:
            raise failure


def drawing(decider: Decider[Any], row: Callable[[Any], None]) -> Decider[Any]:
    """This decider with a view that has no rows, asked for whenever states are written."""
    return replace(decider, views=(View("nothing", row),))


def dies_before_commit(stage: Stage, failure: BaseException) -> Decider[Any]:
    """The toy, whose first drawing of a view fails, inside the transaction."""
    return drawing(stage.toy.decider, Once(failure))
