"""What a process is made of: its pool, and the parts of one running service, each connected to the others."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import asyncpg
import structlog

from shared.errors import Misconfigured, MovedOn, Unavailable
from shared.runtime.aio.deadline import with_deadline
from shared.runtime.engine.batcher import Batcher
from shared.runtime.engine.engine import Engine
from shared.runtime.engine.listener import Listener
from shared.runtime.http.door import Door
from shared.runtime.kafka.clients import STOP_S, Broker
from shared.runtime.kafka.watch import Watch
from shared.runtime.keys.heard import KeyListener
from shared.runtime.keys.judged import Judge
from shared.runtime.keys.keyring import KeyRing
from shared.runtime.keys.sealing import Kek, Keks, seal_kept
from shared.runtime.observe.metrics import Metrics
from shared.runtime.process.group import Group
from shared.runtime.publishing.relay import Relay
from shared.runtime.recovery.guard import RestoreGuard
from shared.runtime.recovery.restore import TakingBack
from shared.runtime.service.service import Resources, Service
from shared.runtime.service.settings import OperatorSettings, Settings
from shared.runtime.store import sql
from shared.runtime.store.lost import LOST_CONNECTION
from shared.runtime.tasks.jobs import Jobs
from shared.runtime.tasks.queue import Worker
from shared.topics import KEYS, heard_by, topic_of

if TYPE_CHECKING:
    from shared.runtime.kafka.consumer import KafkaConsumer  # Faust, a quarter of the start of an operator's command

log = structlog.get_logger(__name__)

KEY_PATIENCE_S = 3.0
PLANS = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
}
"""Every statement of a service finds a few rows by their keys, and its plan is kept: planning it again for the batch in
hand took half of the time of a commit. A plan that is kept must not be one that read a small table from end to end.
Where no index helps, PostgreSQL before 18 takes what is off for so costly that it compiles the statement each time.
"""
PLANNED_FOR_S = 20.0
"""A plan that was good for an empty table, such as walking all of its index, is none for what has grown since."""
COMMAND_S = 12.0
"""For a server that has stopped: one that runs ends a statement after 10 s, as the roles are told."""


@dataclass
class Runtime:
    """The parts of one running service, wired; nothing runs yet."""

    service: Service
    settings: Settings
    pool: "asyncpg.Pool[asyncpg.Record]"
    metrics: Metrics
    broker: Broker
    watch: Watch
    guard: RestoreGuard
    group: Group
    engine: Engine
    relay: Relay
    batcher: Batcher
    resources: Resources
    worker: Worker
    listener: Listener
    jobs: Jobs
    key_listener: KeyListener | None = None
    consumer: "KafkaConsumer | None" = None
    loops: dict[str, "asyncio.Task[None]"] = field(default_factory=dict)


@contextlib.asynccontextmanager
async def database(
    settings: OperatorSettings, service: str, met_another: Sequence[Callable[[], None]] = (), waits: bool = True
) -> AsyncIterator["asyncpg.Pool[asyncpg.Record]"]:
    """The service's pool. The first connection is waited for, so that a service may start before its database; a
    command that an operator waits for does not (`waits`): it raises Unavailable.

    `met_another` are told when a new connection leads to another server or database than the one before, or to the same
    one started anew: it may be an older one, restored.
    """
    met = ""

    async def tell(conn: sql.Connection) -> None:
        nonlocal met
        before, met = met, await conn.fetchval(_IDENTITY)
        if met != before:
            for told in met_another:
                told()

    while (pool := await _connected(settings, service, tell)) is None:
        if not waits:
            raise Unavailable("the database cannot be reached at DATABASE_URL")
        await asyncio.sleep(1.0)
    try:
        yield pool
    finally:
        with contextlib.suppress(TimeoutError):
            await with_deadline(pool.close(), STOP_S)


@dataclass
class _Planning:
    """When each connection's plans were made (seconds by the loop's clock)."""

    _at: "WeakKeyDictionary[object, float]" = field(default_factory=WeakKeyDictionary)

    async def renew(self, conn: Any) -> None:
        """Before a connection is lent: let go of plans that are older than `PLANNED_FOR_S`."""
        now, wire = asyncio.get_running_loop().time(), conn._con
        if now - self._at.setdefault(wire, now) >= PLANNED_FOR_S:
            self._at[wire] = now
            await conn.execute("DISCARD PLANS")


async def _as_it_is(conn: sql.Connection) -> None:
    """A connection given back needs no clearing: nothing of ours changes its session, and a transaction left open is
    rolled back without this. It would cost a round trip for each use.
    """


_IDENTITY = "SELECT concat(pg_postmaster_start_time(), ' ', oid) FROM pg_database WHERE datname = current_database()"


async def _connected(
    settings: OperatorSettings, service: str, init: Callable[[sql.Connection], Coroutine[Any, Any, None]]
) -> "asyncpg.Pool[asyncpg.Record] | None":
    """The pool, or None while the database cannot be reached. Raises Misconfigured if it never will take us."""
    try:
        return await asyncpg.create_pool(
            settings.database_url,
            password=settings.secret(f"{service}_db_password"),
            min_size=2,
            max_size=settings.pool_size,
            command_timeout=COMMAND_S,
            timeout=5,
            init=init,
            max_inactive_connection_lifetime=0,
            max_queries=sys.maxsize,
            setup=_Planning().renew,
            reset=_as_it_is,
            server_settings={"application_name": service, **PLANS},
        )
    except asyncpg.InvalidAuthorizationSpecificationError as refused:
        raise Misconfigured(f"the database refuses the user of DATABASE_URL with {service}_db_password") from refused
    except asyncpg.InvalidCatalogNameError as unknown:
        raise Misconfigured("DATABASE_URL names a database that is not there: provision it first") from unknown
    except asyncpg.InsufficientPrivilegeError as refused:
        raise Misconfigured("DATABASE_URL names a database that its user may not use") from refused
    except asyncpg.ClientConfigurationError as wrong:
        raise Misconfigured(f"DATABASE_URL: {wrong}") from wrong
    except (TimeoutError, *LOST_CONNECTION) as lost:
        log.warning("waiting-for-database", why=type(lost).__name__)
        return None


LIMITS = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout", "transaction_timeout")
"""What the service's role may not take longer for; the last one is PostgreSQL 17's."""


async def connection(settings: OperatorSettings, service: str) -> sql.Connection:
    """A connection of its own to the service's database, for work that takes as long as it takes."""
    conn = await asyncpg.connect(
        settings.database_url, password=settings.secret(f"{service}_db_password"), timeout=5,
        server_settings={"application_name": service},
    )  # fmt: skip
    await conn.execute("SELECT set_config(name, '0', false) FROM pg_settings WHERE name = ANY($1)", LIMITS)
    return conn


def waiting(pool: "asyncpg.Pool[asyncpg.Record]") -> int:
    """Tasks that wait for a connection of `pool` now. asyncpg does not tell; its queue of free connections knows."""
    queue = pool._queue  # type: ignore[attr-defined]
    return 0 if queue is None else sum(not getter.done() for getter in queue._getters)


def wire(service: Service, settings: Settings, pool: "asyncpg.Pool[asyncpg.Record]") -> Runtime:
    """Every part of the process, connected to the others. Must be called inside the running loop."""
    metrics = Metrics(service.name)
    metrics.pool_waiting.set_function(partial(waiting, pool))
    broker = settings.broker(service.name)
    hears = [topic.name for topic in heard_by(service.name)]
    keys_topic = [KEYS.name] if service.makes_keys or service.hears_keys else []
    watch = Watch(broker, service.name, [topic_of(service.name), *hears, *keys_topic], service.name)
    holds_keys = service.makes_keys or service.hears_keys
    judge = Judge(settings.kek() if holds_keys else Keks([Kek(bytes(32), "none")]), metrics)
    taking_back = TakingBack(service.decider, pool, broker, metrics, judge if service.makes_keys else None)
    guard = RestoreGuard(
        service.name, pool, broker, service.makes_keys, hears=hears,
        take_back=taking_back.run, tell_behind=metrics.behind.set,
    )  # fmt: skip
    group = Group(service.name, hears, pool, broker, metrics)
    relay = Relay(service.name, pool, broker, metrics, service.makes_keys, guard.again, settings.instance)
    engine = _engine(service, settings, metrics, guard)
    batcher = Batcher(engine.handle)
    patience = KEY_PATIENCE_S if service.hears_keys else 0.0
    keys = KeyRing(pool, judge.keks, patience)
    door = Door(batcher, settings.body_key())
    resources = Resources(
        settings, pool, keys, door, metrics, lost=guard.lost, readable=guard.readable, kept=engine.kept
    )
    whole = partial(_whole, guard, engine)
    jobs = Jobs(service.jobs(resources), pool, metrics, whole)
    worker = Worker(
        jobs.kinds(service.tasks(resources)), pool, batcher, metrics,
        settings.task_room, settings.task_lease_s, settings.instance, whole=whole, shape=service.decider.shape,
    )  # fmt: skip
    engine.hands = worker.hands
    engine.on_committed = partial(_committed, relay, worker)
    listener = Listener(service.name, pool, engine, broker, metrics, progress=resources.progress)
    key_listener = KeyListener(service.name, pool, broker, judge, keys.arrived)
    return Runtime(
        service, settings, pool, metrics, broker, watch, guard, group, engine, relay, batcher,
        resources, worker, listener, jobs, key_listener if service.hears_keys else None,
    )  # fmt: skip


def _whole(guard: RestoreGuard, engine: Engine) -> None:
    """Raises Unavailable while no outcome of a task could be committed here, or an older store may hold done ones."""
    guard.seen(())
    if engine.moved_on:
        raise MovedOn("the states have the shape of another release")


def lone_engine(service: Service, settings: OperatorSettings, pool: "asyncpg.Pool[asyncpg.Record]") -> Engine:
    """What an operator's command commits with: what it comes to, the service's processes find within a second."""
    guard = RestoreGuard(service.name, pool, settings.broker(service.name), service.makes_keys)
    return _engine(service, settings, Metrics(service.name), guard)


def _engine(service: Service, settings: OperatorSettings, metrics: Metrics, guard: RestoreGuard) -> Engine:
    return Engine(
        service.decider, guard.pool, metrics, seal_kept(settings.kept_key())[0],
        guard.ready, guard.lost, saw=guard.saw, seen=guard.seen,
    )  # fmt: skip


def _committed(relay: Relay, worker: Worker, events: bool, tasks: bool) -> None:
    if events:
        relay.wake()
    if tasks:
        worker.wake()
