"""One attempt at making a batch true: load, decide, write. Nothing is locked while it decides.

Two round trips in the usual case: what is remembered, and what is written (`commit_batch`, a transaction of its own).
Where more has to be said in the same transaction (a running number, a dead letter), one is opened around it.
"""

import hmac
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID, uuid5

import orjson

from shared.errors import Refused
from shared.events.catalogue import as_written
from shared.events.envelope import unplaced_headers
from shared.runtime.aio.crash import crash_point
from shared.runtime.kernel.decider import Decider, Message, Task, event_id, task_id
from shared.runtime.kernel.kept import Known
from shared.runtime.kernel.message import Claim, Handled, Item, dead_letter, moves
from shared.runtime.kernel.sharding import shard_of
from shared.runtime.kernel.stored import as_stored, read_stored
from shared.runtime.kernel.view import ViewWrite, changes
from shared.runtime.kernel.work import Draft, Said, Work
from shared.runtime.store import sql
from shared.runtime.store.hands import NO_HANDS, NOTHING
from shared.runtime.store.sql import Answer, Batch, Connection, EventRow, Loaded, StateRow, StateWrite, Taken, TaskWrite


class Commit:
    """One attempt at one transaction. `seen` tells how far this process has seen shards, and raises Unavailable while
    the store has yet to be compared.
    """

    def __init__(
        self, decider: Decider[Any], conn: Connection, items: Sequence[Item],
        seen: Callable[[Collection[int]], Mapping[int, int]], keep_secret: Callable[[bytes], bytes],
        known: Callable[[Collection[UUID]], Known] = lambda dossiers: {},
        take: Callable[[Sequence[TaskWrite], Collection[UUID]], Taken] = NO_HANDS.take,
    ) -> None:  # fmt: skip
        self.decider = decider
        self.conn = conn
        self.items = items
        self.seen = seen
        self.keep_secret = keep_secret
        self.known = known
        self.take = take
        self.taken = NOTHING
        self.claimed: Collection[UUID] = ()
        self.kept: Known = {}
        self.moves = moves(items)
        self.shards = sorted({shard_of(item.dossier_id) for item in items if item.dossier_id is not None})
        self.drafts: list[Draft] = []
        self.work: dict[UUID, Work] = {}
        self.rows: list[EventRow] = []
        self.ends: Mapping[int, int] = {}
        self.enqueued = False

    async def make(self, pessimistic: bool) -> None:
        """Load, decide and write; or, after a conflict, lock first, so that this attempt must win. Raises Conflict,
        Fenced, Behind, Unavailable, and what the database refuses.
        """
        if not pessimistic:
            await self.load()
        if not (pessimistic or self._more_to_say()):
            await self.write()
            return
        async with self.conn.transaction():
            if pessimistic:
                await sql.lock(self.conn, self.moves, self.shards)
                await self.load()
            await self._number()
            await self._write_failures()
            await self.write()

    def _more_to_say(self) -> bool:
        """Whether there is more to be written than `commit_batch` writes."""
        return any(
            draft.dead is not None or draft.parked or any(one.numbered for one in draft.said) for draft in self.drafts
        )

    async def load(self) -> None:
        """Read what is remembered and decide every item."""
        dossiers = {item.dossier_id for item in self.items if item.dossier_id is not None}
        self.kept = self.known(dossiers)
        found = await sql.load(
            self.conn,
            {dossier: self.kept[dossier][0] if dossier in self.kept else 0 for dossier in dossiers},
            [self._first_of(item.message) for item in self.items if item.message is not None],
            [item.claim for item in self.items if item.claim is not None],
            [item.request for item in self.items if item.request is not None],
        )
        for item in self.items:
            self.drafts.append(self._draft(item, found))

    def _first_of(self, message: Message[Any]) -> UUID:
        """The first event that a message causes: with it lie all others, for they were committed together."""
        return event_id(message.id, self.decider.name, 1)

    def _answered(self, message: Message[Any], found: Loaded) -> bool:
        return self._first_of(message) in found.said

    def _draft(self, item: Item, found: Loaded) -> Draft:
        if item.request is not None and item.request.identity in found.answers:
            return Draft(item, _answered_before(item, found.answers[item.request.identity]))
        if item.claim is not None and item.claim.task_id not in found.living:
            return Draft(item, Handled("stale"))
        if item.dossier_id is None or (item.message is None and item.failure is None):
            return Draft(item, Handled("dead_lettered" if item.failure else "skipped"), dead=item.failure)
        work = self._work(item.dossier_id, item.message.kind if item.message else item.kind, found.states)
        return work.take(item, item.message is not None and self._answered(item.message, found))

    def _work(self, dossier: UUID, kind: str, states: Mapping[UUID, StateRow]) -> Work:
        if dossier not in self.work:
            row = states.get(dossier)
            version, parked, kind = (row.version, row.parked, row.kind) if row else (0, False, kind)
            self.work[dossier] = Work(self.decider, dossier, version, self._state(dossier, kind, row), parked, kind)
        return self.work[dossier]

    def _state(self, dossier: UUID, kind: str, row: StateRow | None) -> Any:
        empty = self.decider.empty_of(kind)
        if row is None:
            return empty
        if row.state is None:
            return self.kept[dossier][1]
        return read_stored(type(empty), row.state)

    def states(self) -> Iterator[tuple[UUID, int, Any]]:
        """What this attempt has made true, once it is committed: dossiers, their versions and states."""
        for work in self.work.values():
            yield work.dossier_id, work.version + work.steps, work.state

    async def write(self) -> None:
        """Everything that the batch makes true, in one go."""
        self.rows = [self._row(one) for draft in self.drafts for one in draft.said]
        changed = [work for work in self.work.values() if work.steps]
        (tasks, following), answers = self._tasks(), self._answers()
        seen = self.seen(self.shards)
        self.taken = self.take(tasks, following)
        batch = Batch(
            self.decider.shape, seen, self.shards, self.moves, self._claims(),
            [_state_write(work) for work in changed], self._views(changed), self.rows, tasks, self.taken, answers,
        )  # fmt: skip
        crash_point("before-commit")
        committed = await sql.commit(self.conn, batch)
        self.ends, self.claimed = committed.ends, committed.claimed
        self.enqueued = any(task.id not in self.taken.tasks for task in tasks)

    async def _number(self) -> None:
        waiting = [one for draft in self.drafts for one in draft.said if one.numbered]
        if not waiting:
            return
        waiting.sort(key=lambda one: one.numbered.series if one.numbered else "")
        wanted: dict[str, int] = defaultdict(int)
        for one in waiting:
            if one.numbered:
                wanted[one.numbered.series] += 1
        following = await sql.draw_numbers(self.conn, wanted)
        drawn = {}
        for one in waiting:
            if one.numbered:
                drawn[id(one)] = following[one.numbered.series]
                following[one.numbered.series] += 1
        for work in self.work.values():
            work.numbered(drawn)

    def _row(self, one: Said) -> EventRow:
        message, written = one.message, type(as_written(one.message.body))
        shard = shard_of(message.dossier_id)
        bare = unplaced_headers(
            written, message.id, message.at, message.dossier_id, self.decider.name, shard, one.caused_by,
            one.traceparent, message.kind,
        )  # fmt: skip
        return EventRow(shard, message.id, message.dossier_id, one.caused_by, written.TYPE, bare, one.data)

    def _claims(self) -> list[Claim]:
        """Claims under which something is said."""
        return [
            draft.item.claim
            for draft in self.drafts
            if draft.item.claim is not None and draft.handled.outcome != "stale"
        ]

    def _views(self, changed: Sequence[Work]) -> list[ViewWrite]:
        return [one for work in changed for one in self._rows_of(work)]

    def _rows_of(self, work: Work) -> Iterator[ViewWrite]:
        """What changes in the views; of a dossier that had no state yet nothing is there to be taken away."""
        before = work.base if work.version else None
        drawn = changes(self.decider.views, work.dossier_id, work.kind, before, work.state)
        return (one for one in drawn if work.version or one.row is not None)

    def _tasks(self) -> tuple[list[TaskWrite], set[UUID]]:
        """What is to be enqueued, and which of it an outcome orders."""
        tasks, following = list[TaskWrite](), set[UUID]()
        for draft in self.drafts:
            message = draft.item.message
            if message is None or not draft.tasks:
                continue
            some = [ordered(self.decider, message, n, task) for n, task in enumerate(draft.tasks, 1)]
            tasks += some
            if draft.item.claim is not None:
                following.update(task.id for task in some)
        return tasks, following

    def _answers(self) -> list[Answer]:
        answers = []
        for draft in self.drafts:
            request = draft.item.request
            if request is None or draft.handled.outcome != "ok" or draft.item.message is None:
                continue
            answer = request.answer(self.work[draft.item.message.dossier_id].state)
            draft.handled.answer, draft.handled.status = answer, request.status
            answers.append((request, answer))
        return answers

    async def _write_failures(self) -> None:
        service = self.decider.name
        dead = [
            (_failure_id(draft.item), dead_letter(draft.item, draft.dead, service), self._kept(draft.item))
            for draft in self.drafts
            if draft.dead is not None
        ]
        if dead:
            await sql.write_dead_letters(self.conn, dead)
        parked = [
            (_failure_id(draft.item), draft.item, self._kept(draft.item)) for draft in self.drafts if draft.parked
        ]
        if parked:
            await sql.write_parked(self.conn, parked)

    def _kept(self, item: Item) -> bytes | None:
        """What a row keeps of the message: a record as it came; what came of our own task, sealed."""
        if item.record is not None or item.message is None:
            return None
        message = item.message
        plain = {"type": type(message.body).__name__, "id": str(message.id), "at": message.at.isoformat(),
                 "kind": message.kind}  # fmt: skip
        return self.keep_secret(orjson.dumps({**plain, "body": message.body.model_dump(mode="json")}))


def ordered(decider: Decider[Any], message: Message[Any], n: int, task: Task) -> TaskWrite:
    """The n-th task (from 1) that a message orders, as it is enqueued."""
    id_ = task_id(message.id, n)
    said, payload = event_id(id_, decider.name, 1), as_stored(task.payload)
    return TaskWrite(id_, task.kind, message.dossier_id, payload, task.after, said, decider.shape, message.kind)


def _state_write(work: Work) -> StateWrite:
    return StateWrite(work.dossier_id, work.kind, work.version, work.steps, work.parked, as_stored(work.state))


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
