"""The engine: load, decide, commit. One transaction holds events, states, tasks, positions heard and answers.

Consumers, the HTTP door and finished tasks of any replica may call `handle` at the same time; the row locks of the
shards make one writer at a time of them, and the version of each state makes every write say what it expected.
"""

import hmac
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID, uuid5

import asyncpg
import orjson
import structlog

from shared.errors import Conflict, DossierError, Fenced, Refused, Unavailable
from shared.events.base import Event
from shared.events.envelope import Envelope, headers, read_body, read_envelope
from shared.runtime import store
from shared.runtime.batch import Handled, Item, dead_letter, moves
from shared.runtime.crash import crash_point
from shared.runtime.decider import Decider, Message, task_id
from shared.runtime.metrics import Metrics
from shared.runtime.sharding import shard_of
from shared.runtime.store import Connection, EventRow, ShardHead, StateRow, StateWrite, TaskWrite
from shared.runtime.work import Draft, Said, Work

log = structlog.get_logger(__name__)

LOST_CONNECTION = (
    OSError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a server's last word to an idle connection that is used before its socket closes
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.LockNotAvailableError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.TransactionTimeoutError,
    asyncpg.InvalidCatalogNameError,
)
"""The database did not take the batch, or we cannot know whether it did: the whole batch is handled again."""

MAX_RACES = 5
_RACES = (Conflict, asyncpg.UniqueViolationError, asyncpg.DeadlockDetectedError, asyncpg.SerializationError)
_NOT_HELD = (*_RACES, asyncpg.DataError, asyncpg.IntegrityConstraintViolationError)


@dataclass(frozen=True)
class Desk:
    """What lists and gauges draw from a state: the unit in charge, its status, when a person should have looked."""

    unit: Callable[[Any], str | None] = lambda state: None
    status: Callable[[Any], int | None] = lambda state: None
    attention_at: Callable[[Any], Any] = lambda state: None


@dataclass
class Engine:
    """Handles batches for one service over one pool. `ready` runs before every commit and raises Unavailable to
    refuse it.
    """

    decider: Decider[Any]
    pool: "asyncpg.Pool[asyncpg.Record]"
    metrics: Metrics
    keep_secret: Callable[[bytes], bytes]
    ready: Callable[[], Awaitable[None]]
    on_lost: Callable[[], None] = lambda: None
    on_committed: Callable[[bool, bool], None] = lambda events, tasks: None
    saw: Callable[[Mapping[int, int]], None] = lambda heads: None
    fits: Callable[[Mapping[int, int]], bool] = lambda heads: True
    desk: Desk = field(default_factory=Desk)

    async def handle(self, items: Sequence[Item]) -> list[Handled]:
        """Handle one batch, all or nothing, and say what became of each item.

        Raises Fenced (other consumer was faster: read the positions again) and Unavailable (database gone), and what a
        bug raises at the commit of a record or outcome; what stood before it in the batch is then committed.
        """
        lost_races = 0
        while True:
            await self.ready()
            try:
                return await self._attempt(items, pessimistic=lost_races > 0)
            except _RACES as race:
                log.info("conflict", why=type(race).__name__, items=len(items))
                self.metrics.conflicts.inc()
                lost_races += 1
                # Locked first and still not won: two items of this batch are each other's rivals, or the store
                # contradicts itself, and then no repetition helps.
                if lost_races > (1 if len(items) > 1 else MAX_RACES):
                    return await self._halve(items, race)
            except LOST_CONNECTION as lost:
                self.on_lost()
                raise Unavailable(f"database: {type(lost).__name__}") from lost
            except (Fenced, Unavailable):
                raise
            except Exception as fault:
                return await self._halve(items, fault)

    def refuse_another(self, heads: Mapping[int, ShardHead]) -> None:
        """Raise Unavailable if the connection that has locked these shards leads to a store that does not fit."""
        if not self.fits(positions(heads)):
            self.on_lost()
            raise Unavailable("the store is older than what this process has seen of it, or has yet to be compared")

    async def _halve(self, items: Sequence[Item], fault: Exception) -> list[Handled]:
        """Find the one message that cannot be committed, and treat it as one whose rule raised: a command fails, a
        record or outcome becomes a dead letter, so that no effect is repeated. A record raises at what is no fault of
        its data, for it comes again by itself once the bug is mended.
        """
        if len(items) > 1:
            middle = len(items) // 2
            return await self.handle(items[:middle]) + await self.handle(items[middle:])
        (item,) = items
        if item.request is not None:
            return [Handled("failed", error=fault)]
        if item.failure is not None or (item.record is not None and not isinstance(fault, _NOT_HELD)):
            raise fault
        return await self.handle([replace(item, failure=fault)])

    async def _attempt(self, items: Sequence[Item], pessimistic: bool) -> list[Handled]:
        async with self.pool.acquire() as conn:
            commit = Commit(self, conn, items)
            async with conn.transaction():
                await commit.prepare(pessimistic)
                await commit.write()
                crash_point("before-commit")
            crash_point("after-commit")
        self.saw(positions(commit.heads))
        self._account(commit)
        self.on_committed(bool(commit.rows), commit.enqueued)
        return [draft.handled for draft in commit.drafts]

    def _account(self, commit: "Commit") -> None:
        for row in commit.rows:
            self.metrics.recorded.labels(row.type).inc()
        for draft in commit.drafts:
            self._tell(draft)

    @staticmethod
    def _tell(draft: Draft) -> None:
        """A line for what was not handled, with the id of the event, command or outcome, where one could be read."""
        item = draft.item
        if draft.dead is not None:
            log.error("dead-letter", **item.named, exc_info=_own(draft.dead))
        elif draft.parked:
            log.warning("parked", **item.named)
        elif draft.handled.outcome == "skipped" and item.place is not None and item.place.event_id is not None:
            log.info("skipped", **item.named)


def positions(heads: Mapping[int, ShardHead]) -> dict[int, int]:
    """Shard → the position of its last event."""
    return {shard: head.next_position - 1 for shard, head in heads.items()}


def _own(failure: Exception) -> Exception | None:
    """Only our own errors go to the log whole: any other may quote the data that it failed on."""
    return failure if isinstance(failure, DossierError) else TypeError(type(failure).__name__)


class Commit:
    """One attempt at one transaction."""

    def __init__(self, engine: Engine, conn: Connection, items: Sequence[Item]) -> None:
        self.engine = engine
        self.conn = conn
        self.items = items
        self.moves = moves(items)
        self.drafts: list[Draft] = []
        self.work: dict[UUID, Work] = {}
        self.heads: dict[int, ShardHead] = {}
        self.rows: list[EventRow] = []
        self.enqueued = False

    async def prepare(self, pessimistic: bool) -> None:
        """Load and decide without locks, then lock; or, after a conflict, lock first, so that this attempt must win."""
        if pessimistic:
            await self._lock()
        await self._load()
        if not pessimistic:
            await self._lock()

    async def _lock(self) -> None:
        await store.lock_heard(self.conn, self.moves)
        shards = {shard_of(item.dossier_id) for item in self.items if item.dossier_id is not None}
        if shards:
            self.heads = await store.lock_shards(self.conn, shards)
            self.engine.refuse_another(self.heads)

    async def _load(self) -> None:
        dossiers = {item.dossier_id for item in self.items if item.dossier_id is not None}
        states = await store.load_states(self.conn, dossiers) if dossiers else {}
        answers = await store.load_answers(self.conn, [item.request for item in self.items if item.request])
        caused = await self._caused()
        live = await self._living_claims()
        for item in self.items:
            self.drafts.append(self._draft(item, states, answers, caused, live))

    async def _caused(self) -> Mapping[UUID, list[Message[Event]]]:
        causes = [item.message.id for item in self.items if item.message is not None]
        caused: dict[UUID, list[Message[Event]]] = defaultdict(list)
        for row in await store.load_caused(self.conn, causes) if causes else ():
            envelope = read_envelope(orjson.loads(row["headers"]))
            body = read_body(envelope.type, envelope.writer, row["data"])
            if body is not None:
                caused[row["caused_by"]].append(Message(envelope.id, envelope.dossier_id, envelope.time, body))
        return caused

    async def _living_claims(self) -> set[UUID]:
        claims = [item.claim for item in self.items if item.claim is not None]
        return await store.end_claims(self.conn, claims) if claims else set()

    def _draft(
        self,
        item: Item,
        states: Mapping[UUID, StateRow],
        answers: Mapping[tuple[str, str, str, str], Any],
        caused: Mapping[UUID, Sequence[Message[Event]]],
        live: set[UUID],
    ) -> Draft:
        if item.request is not None and item.request.identity in answers:
            return Draft(item, _answered_before(item, answers[item.request.identity]))
        if item.claim is not None and item.claim.task_id not in live:
            return Draft(item, Handled("stale"))
        if item.dossier_id is None or (item.message is None and item.failure is None):
            return Draft(item, Handled("dead_lettered" if item.failure else "skipped"), dead=item.failure)
        work = self._work(item.dossier_id, states)
        return work.take(item, caused.get(item.message.id, ()) if item.message else ())

    def _work(self, dossier: UUID, states: Mapping[UUID, StateRow]) -> Work:
        if dossier not in self.work:
            row = states.get(dossier)
            decider = self.engine.decider
            state = type(decider.empty).model_validate_json(row.state) if row else decider.empty
            self.work[dossier] = Work(decider, dossier, row.version if row else 0, state, row.parked if row else False)
        return self.work[dossier]

    async def write(self) -> None:
        """Everything that the batch makes true, in one go."""
        await self._number()
        self._position()
        changed = [work for work in self.work.values() if work.steps]
        if changed:
            await store.write_states(self.conn, [self._state_write(work) for work in changed])
        if self.rows:
            await store.append(self.conn, self.rows)
            await store.move_shards(self.conn, self.heads)
        await self._write_tasks()
        await self._write_failures()
        await self._write_answers()
        if self.moves:
            await store.move_heard(self.conn, self.moves)

    async def _number(self) -> None:
        waiting = [one for draft in self.drafts for one in draft.said if one.numbered and not one.stored]
        if not waiting:
            return
        waiting.sort(key=lambda one: one.numbered.series if one.numbered else "")
        wanted: dict[str, int] = defaultdict(int)
        for one in waiting:
            if one.numbered:
                wanted[one.numbered.series] += 1
        following = await store.draw_numbers(self.conn, wanted)
        drawn = {}
        for one in waiting:
            if one.numbered:
                drawn[id(one)] = following[one.numbered.series]
                following[one.numbered.series] += 1
        for work in self.work.values():
            work.numbered(drawn)

    def _position(self) -> None:
        """Give dense positions, shard by shard, and build the wire form with the chain of `previous`."""
        for draft in self.drafts:
            self.rows += self._rows([one for one in draft.said if not one.stored])

    def _rows(self, fresh: Sequence[Said]) -> list[EventRow]:
        rows = []
        for one in fresh:
            shard = shard_of(one.message.dossier_id)
            head = self.heads[shard]
            rows.append(self._row(one, shard, head))
            self.heads[shard] = ShardHead(head.next_position + 1, one.message.id)
        return rows

    def _row(self, one: Said, shard: int, head: ShardHead) -> EventRow:
        message, body = one.message, one.message.body
        envelope = Envelope(
            message.id, body.TYPE, message.at, message.dossier_id,
            self.engine.decider.name, shard, head.next_position, head.last_event_id, one.traceparent,
        )  # fmt: skip
        return EventRow(
            shard, head.next_position, message.id, message.dossier_id, one.caused_by, body.TYPE,
            headers(type(body), envelope, one.caused_by), one.data,
        )  # fmt: skip

    def _state_write(self, work: Work) -> StateWrite:
        desk = self.engine.desk
        return StateWrite(
            work.dossier_id, work.version, work.steps, work.parked, work.state.model_dump_json(),
            desk.unit(work.state), desk.status(work.state), desk.attention_at(work.state),
        )  # fmt: skip

    async def _write_tasks(self) -> None:
        tasks = [
            TaskWrite(task_id(draft.item.message.id, n), task.kind, draft.item.message.dossier_id,
                      task.payload.model_dump_json(), task.after)
            for draft in self.drafts
            if draft.item.message is not None
            for n, task in enumerate(draft.tasks, 1)
        ]  # fmt: skip
        if tasks:
            await store.enqueue(self.conn, tasks)
            self.enqueued = True

    async def _write_failures(self) -> None:
        service = self.engine.decider.name
        dead = [
            (_failure_id(draft.item), dead_letter(draft.item, draft.dead, service), self._kept(draft.item))
            for draft in self.drafts
            if draft.dead is not None
        ]
        if dead:
            await store.write_dead_letters(self.conn, dead)
        parked = [
            (_failure_id(draft.item), draft.item, self._kept(draft.item)) for draft in self.drafts if draft.parked
        ]
        if parked:
            await store.write_parked(self.conn, parked)

    def _kept(self, item: Item) -> bytes | None:
        """What a row keeps of the message: a record as it came; what came of our own task, sealed."""
        if item.record is not None or item.message is None:
            return None
        message = item.message
        plain = {"type": type(message.body).__name__, "id": str(message.id), "at": message.at.isoformat()}
        return self.engine.keep_secret(orjson.dumps({**plain, "body": message.body.model_dump(mode="json")}))

    async def _write_answers(self) -> None:
        answers = []
        for draft in self.drafts:
            request = draft.item.request
            if request is None or draft.handled.outcome != "ok" or draft.item.message is None:
                continue
            answer = request.answer(self.work[draft.item.message.dossier_id].state)
            draft.handled.answer, draft.handled.status = answer, request.status
            answers.append((request, answer))
        if answers:
            await store.write_answers(self.conn, answers)
            await store.write_keys(self.conn, [request.data_key for request, _ in answers if request.data_key])


def _answered_before(item: Item, row: Mapping[str, Any]) -> Handled:
    """The first answer again; the same key with another body is refused."""
    if item.request is None or not hmac.compare_digest(row["body_hmac"], item.request.body_hmac):
        return Handled("refused", error=Refused("DOS-INT-003"))
    return Handled("duplicate", answer=orjson.loads(row["answer"]), status=row["status"])


def _failure_id(item: Item) -> UUID:
    """Unique by topic, partition, offset and content for a record; the task's id for an outcome."""
    record = item.record
    if record is None:
        return item.message.id if item.message else UUID(int=0)
    digest = uuid5(UUID(int=0), (record.value or b"").hex() + repr(record.headers))
    return uuid5(digest, f"{record.topic}/{record.partition}/{record.offset}")
