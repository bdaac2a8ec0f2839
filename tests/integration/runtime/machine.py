"""A Hypothesis state machine that does to the engine what the world does, and compares it with the model each time.

Two replicas hear intake's log and answer commands; they repeat, overtake one another, are killed before and after
commit, start again, park at rules that raise, are redriven, and lose claims of tasks.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from deploy.waiting import until
from shared.errors import Unavailable
from shared.runtime.admin.deadletters import redrive
from shared.runtime.engine.engine import Engine
from shared.runtime.engine.listener import Listener
from shared.runtime.kernel.message import Handled, Item, Record
from shared.runtime.tasks.kinds import Attempt
from tests.integration.runtime.checks import BUGS, DOSSIERS, Compared
from tests.integration.runtime.log import WRITER
from tests.integration.runtime.model import fails, shards_of
from tests.integration.runtime.stage import Killed, Once, Stage, command, dies_before_commit
from tests.integration.runtime.toy import Worked

SHARDS = shards_of(DOSSIERS)
REPLICAS = 2

some_dossier = st.sampled_from(DOSSIERS)
some_words = st.sampled_from(["plain", "plain", "quiet", "twice", "work", "twice work", "bug-a", "bug-b work"])
some_replica = st.integers(0, REPLICAS - 1)
some_crash = st.sampled_from(["none", "none", "none", "before commit", "after commit"])
some_reach = st.fixed_dictionaries({shard: st.tuples(st.integers(0, 3), st.integers(0, 6)) for shard in SHARDS})
"""Of each shard: how many records before the next one a delivery begins, and how many it holds."""


class EngineMachine(Compared):
    """`runner` has the loop that all connections of `stage` belong to."""

    def __init__(self, runner: asyncio.Runner, stage: Stage) -> None:
        super().__init__(runner, stage)
        self.keys: list[Item] = []
        self.counter = 0
        self.replicas: list[Listener] = []

    @initialize()
    def begin(self) -> None:
        """Empty tables, and two replicas."""
        self.run(self.stage.empty())
        self.replicas = [self.run(self._replica()) for _ in range(REPLICAS)]

    async def _replica(self) -> Listener:
        listener = self.stage.listener()
        await listener.prepare()
        return listener

    def _text(self, words: str) -> str:
        self.counter += 1
        return f"{words} {self.counter}"

    # What others do

    @rule(dossier=some_dossier, words=st.lists(some_words, min_size=1, max_size=4))
    def intake_says(self, dossier: UUID, words: list[str]) -> None:
        for word in words:
            self.log.say(dossier, self._text(word))

    @rule(shard=st.sampled_from(SHARDS))
    def somebody_writes_noise(self, shard: int) -> None:
        self.log.noise(shard)

    # What reaches us

    @rule(replica=some_replica, reach=some_reach, interleaved=st.booleans(), crash=some_crash)
    def deliver(self, replica: int, reach: dict[int, tuple[int, int]], interleaved: bool, crash: str) -> None:
        records, stops = self._batch(self.replicas[replica], reach, interleaved)
        if not records:
            return
        died = self._crashing(replica, crash, records)
        if not (died and crash == "before commit"):
            self._heard(stops)

    def _heard(self, stops: dict[int, int]) -> None:
        for shard, stop in stops.items():
            self.model.hear(self.log, shard, stop)

    def _batch(
        self, listener: Listener, reach: dict[int, tuple[int, int]], interleaved: bool
    ) -> tuple[list[Record], dict[int, int]]:
        """Records of all shards from where this replica stands, or a little before; and where they end."""
        parts, stops = [], {}
        for shard, (back, count) in reach.items():
            start = max(0, listener.positions[WRITER, shard].next_offset - back)
            parts.append(self.log.records[shard][start : start + count])
            stops[shard] = start + len(parts[-1])
        records = [record for part in parts for record in part]
        return (sorted(records, key=lambda record: record.offset) if interleaved else records), stops

    def _crashing(self, replica: int, crash: str, records: Sequence[Record]) -> bool:
        """Deliver to a replica that dies at this point; a dead one is started anew, from what the database says."""
        listener = self.replicas[replica]
        listener.engine = self._engine(crash)
        try:
            self.run(listener.handle(records))
        except Killed:
            self.replicas[replica] = self.run(self._replica())
            return True
        listener.engine = self.stage.engine()
        return False

    def _engine(self, crash: str) -> Engine:
        if crash == "before commit":
            return self.stage.engine(dies_before_commit(self.stage, Killed()))
        return self.stage.engine(saw=Once(Killed())) if crash == "after commit" else self.stage.engine()

    @rule(dossier=some_dossier, words=some_words, crash=some_crash)
    def somebody_asks(self, dossier: UUID, words: str, crash: str) -> None:
        item = command(dossier, self._text(words))
        try:
            (handled,) = self.run(self._engine(crash).handle([item]))
        except Killed:
            if crash == "after commit" and self._fate(item) == "ok":
                self._asked(item)  # it is done, though nobody was told
            return
        assert handled.outcome == self._fate(item)
        assert (handled.outcome == "refused") == isinstance(handled.error, Unavailable)
        if handled.outcome == "ok":
            self._asked(item)

    def _fate(self, item: Item) -> str:
        """What becomes of a command to this dossier now."""
        if self.model.lives[_dossier(item)].parked:
            return "refused"
        return "failed" if fails(_text(item), BUGS) else "ok"

    def _asked(self, item: Item) -> None:
        self.model.asked(_dossier(item), _text(item))
        self.keys.append(item)

    @precondition(lambda self: self.keys)
    @rule(data=st.data())
    def somebody_asks_again(self, data: st.DataObject) -> None:
        item = data.draw(st.sampled_from(self.keys))
        (handled,) = self.run(self.stage.engine().handle([item]))
        assert handled.outcome == "duplicate"

    @rule(replica=some_replica, reach=some_reach, dossier=some_dossier, words=st.lists(some_words, max_size=3))
    def two_writers_meet(
        self, replica: int, reach: dict[int, tuple[int, int]], dossier: UUID, words: list[str]
    ) -> None:
        items = [command(dossier, self._text(word)) for word in words]
        records, stops = self._batch(self.replicas[replica], reach, interleaved=True)
        if not (items and records):
            return
        parked_before = self.model.lives[dossier].parked

        async def meet() -> list[Handled]:
            _, handled = await asyncio.gather(self.replicas[replica].handle(records), self.stage.engine().handle(items))
            return handled

        for item, handled in zip(items, self.run(meet()), strict=True):
            assert not (parked_before and handled.outcome == "ok")
            if handled.outcome == "ok":
                self._asked(item)
        self._heard(stops)

    # What operators and workers do

    @precondition(lambda self: any(life.parked for life in self.model.lives.values()))
    @rule(data=st.data(), broken=st.sampled_from([frozenset(), frozenset({"bug-a"}), BUGS]), dies=st.booleans())
    def an_operator_redrives(self, data: st.DataObject, broken: frozenset[str], dies: bool) -> None:
        parked = sorted(dossier for dossier, life in self.model.lives.items() if life.parked)
        dossier = data.draw(st.sampled_from(parked))
        self.stage.toy.broken = set(broken)
        if dies:
            with suppress(Killed):
                self.run(redrive(self._engine("before commit"), _as_it_is, dossier))
        else:
            redriven = self.run(redrive(self.stage.engine(), _as_it_is, dossier))
            self.model.redrive(dossier, broken)
            assert redriven.parked == self.model.lives[dossier].parked
        self.stage.toy.broken = set(BUGS)

    @precondition(lambda self: self.model.tasks)
    @rule(stolen=st.booleans())
    def a_worker_works(self, stolen: bool) -> None:
        for dossier, text in self.run(self._work(stolen)):
            self.model.worked(dossier, text)

    async def _work(self, stolen: bool) -> list[tuple[UUID, str]]:
        """Run all tasks, one after the other; the first claim may be stolen meanwhile. Returns them in order."""
        done: list[tuple[UUID, str]] = []
        robbed: list[UUID] = []

        async def work(attempt: Attempt) -> Worked:
            if stolen and not robbed:
                robbed.append(attempt.id)
                await self.stage.claim(attempt.id)
            else:
                done.append((attempt.dossier_id, attempt.payload.text))
            return Worked(text=attempt.payload.text)

        every = len(self.model.tasks)
        await self._work_until(work, lambda: len(done) + len(robbed) == every)
        assert await self.stage.count("tasks") == len(robbed), "the outcome of a stolen task was committed"
        await self.stage.admin.execute("UPDATE tasks SET run_at = now()")
        await self._work_until(work, lambda: len(done) == every)
        return done

    async def _work_until(self, work: Any, enough: Callable[[], bool]) -> None:
        """Let a worker run until enough is done, and what it does then has come to its end."""
        worker = self.stage.worker(work, room=1)
        running = asyncio.create_task(worker.run())

        async def level() -> bool:
            return enough()

        try:
            await until(level, seconds=60, what="the tasks to be done", every=0.01)
        finally:
            worker.retire()
            await running
            await worker.drain()


def _dossier(item: Item) -> UUID:
    assert item.dossier_id is not None
    return item.dossier_id


def _text(item: Item) -> str:
    assert item.message is not None
    return str(item.message.body.model_dump()["text"])


def _as_it_is(kept: bytes) -> bytes:
    return kept
