"""A task is begun by the process that orders it, if it has room: claimed in the same transaction, fenced like any."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any

import asyncpg
import pytest

from deploy.waiting import until
from shared.errors import Unavailable
from shared.runtime.engine.batcher import Batcher
from shared.runtime.engine.engine import Engine
from shared.runtime.kernel.message import Claim, Handled, Item
from shared.runtime.tasks.kinds import Attempt
from shared.runtime.tasks.queue import AHEAD, Worker
from tests.integration.runtime.stage import Once, Stage, command, outcome, work
from tests.integration.runtime.toy import Worked, name

INSTANCE = "toy-0"
ROOM = 3


class Counts:
    """The toy's task, as often as it is run."""

    def __init__(self) -> None:
        self.runs = 0

    async def __call__(self, attempt: Attempt) -> Worked:
        self.runs += 1
        return await work(attempt)


async def _once(free: asyncio.Event, attempt: Attempt) -> Worked:
    """The toy's task, once it is let go."""
    await free.wait()
    return await work(attempt)


async def _begun(stage: Stage, run: Any = work, **settings: Any) -> tuple[Worker, Engine]:
    """A worker that has looked once and found nothing, and the engine of its process; it never looks again."""
    engine = stage.engine()
    worker = stage.worker(run, engine, instance=INSTANCE, room=ROOM, **settings)
    await worker._take_back()
    assert await worker._claim_round() == 0
    engine.hands = worker.hands
    return worker, engine


async def test_a_task_is_done_without_anybody_looking_for_it(stage: Stage) -> None:
    worker, engine = await _begun(stage)
    dossier = name("dossier", 1)
    await engine.handle([command(dossier, "work one")])
    assert len(worker.running) == 1
    await worker.drain()
    assert await stage.said(dossier) == ["0|work one", "1|done one"]
    assert await stage.count("tasks") == 0
    assert worker.busy[None] == 0


async def test_what_there_is_no_room_for_waits_unclaimed_and_nothing_overtakes_it(stage: Stage) -> None:
    hangs = asyncio.Event()
    worker, engine = await _begun(stage, partial(_once, hangs))
    await engine.handle([command(name("dossier", n), f"work {n}") for n in range(ROOM + 2)])
    assert (len(worker.running), await stage.count("tasks", "claim IS NULL")) == (ROOM, 2)
    hangs.set()
    await worker.drain()
    worker._short = True  # as a round without room leaves it
    await engine.handle([command(name("dossier", 9), "work nine")])
    assert await stage.count("tasks", "claim IS NULL") == 3
    assert await worker._claim_round() == 3
    await worker.drain()
    assert await stage.count("tasks") == 0


async def test_what_follows_from_a_task_is_begun_at_once_although_others_wait(stage: Stage) -> None:
    worker, engine = await _begun(stage)
    dossier = name("dossier", 1)
    worker._short = True
    await engine.handle([command(dossier, "again work one"), command(name("dossier", 2), "work two")])
    assert len(worker.running) == 0
    (first,) = await stage.admin.fetch("SELECT id FROM tasks WHERE dossier_id = $1", dossier)
    claim = await stage.claim(first["id"])
    await engine.handle([outcome(dossier, claim, "again work one")])
    assert len(worker.running) == 1
    await worker.drain()
    assert await stage.said(dossier) == ["0|again work one", "1|again done one", "2|done one"]
    assert await stage.count("tasks", "claim IS NULL") == 1


async def test_what_is_ordered_while_a_claim_is_on_its_way_takes_no_place_that_is_claimed(stage: Stage) -> None:
    hangs = asyncio.Event()
    worker, engine = await _begun(stage, partial(_once, hangs))
    worker._short = True
    dossier = name("dossier", 9)
    await engine.handle([command(dossier, "again work nine")])
    (first,) = await stage.admin.fetch("SELECT id FROM tasks")
    claim = await stage.claim(first["id"])
    await engine.handle([command(name("dossier", n), f"work {n}") for n in range(ROOM)])
    claims = worker._claim

    async def meanwhile(rooms: Any) -> Any:
        await engine.handle([outcome(dossier, claim, "again work nine")])
        return await claims(rooms)

    worker._claim = meanwhile  # type: ignore[method-assign]
    await worker._claim_round()
    assert (len(worker.running), worker.busy[None]) == (ROOM, ROOM)
    hangs.set()
    await worker.drain()


async def test_the_outside_system_is_asked_by_the_next_while_an_outcome_is_committed(stage: Stage) -> None:
    commits, asked = asyncio.Event(), Counter[str]()
    engine = stage.engine()

    async def asks(attempt: Attempt) -> Worked:
        asked["now"] += 1
        asked["most"] = max(asked["most"], asked["now"])
        await asyncio.sleep(0)
        asked["now"] -= 1
        asked["all"] += 1
        return await work(attempt)

    async def slow(items: Sequence[Item]) -> list[Handled]:
        await commits.wait()
        return await engine.handle(items)

    worker = stage.worker(asks, engine, instance=INSTANCE, room=1)
    worker.outcomes = Batcher(slow)
    await engine.handle([command(name("dossier", n), f"work {n}") for n in range(AHEAD + 2)])
    running = asyncio.create_task(worker.run())
    await until(lambda: _holds(asked["all"] == AHEAD), seconds=10, what="as many to be asked for as may wait")
    assert await stage.count("tasks", "claim IS NOT NULL") == AHEAD
    commits.set()
    await until(lambda: _none(stage), seconds=10, what="every outcome to be committed")
    worker.retire()
    await running
    assert (asked["most"], asked["all"]) == (1, AHEAD + 2)


async def _holds(true: bool) -> bool:
    return true


async def _none(stage: Stage) -> bool:
    return await stage.count("tasks") == 0


async def test_who_comes_after_a_killed_process_takes_back_what_it_had_begun_at_once(stage: Stage) -> None:
    _, engine = await _begun(stage, lease_s=3600.0)
    dossier = name("dossier", 1)
    engine.hands.begin = lambda taken, claimed: None  # type: ignore[method-assign]  # it ends between the two
    await engine.handle([command(dossier, "work one")])
    (row,) = await stage.admin.fetch("SELECT id, claim, claimed_by, attempts, run_at > now() AS leased FROM tasks")
    assert (row["claimed_by"], row["attempts"], row["leased"]) == (INSTANCE, 1, True)
    again = stage.worker(work, instance=INSTANCE)
    await again._take_back()
    (handled,) = await stage.engine().handle([outcome(dossier, Claim(row["id"], row["claim"]), "work one")])
    assert handled.outcome == "stale"
    assert await again._claim_round() == 1
    await again.drain()
    assert await stage.said(dossier) == ["0|work one", "1|done one"]


@pytest.mark.parametrize("was_made", [True, False])
async def test_a_commit_whose_answer_is_lost_leaves_no_task_claimed_by_nobody(stage: Stage, was_made: bool) -> None:
    counts = Counts()
    worker, engine = await _begun(stage, counts, lease_s=3600.0)
    dossier, pool, cut = name("dossier", 1), engine.pool, Once(asyncpg.InterfaceError("cut"))
    engine.pool = _Cut(pool, cut, was_made)  # type: ignore[assignment]
    with pytest.raises(Unavailable):
        await engine.handle([command(dossier, "work one")])
    assert worker.busy[None] == 0
    engine.pool = pool
    await engine.handle([command(dossier, "work one")])
    await worker.hands.free_adrift()
    await worker.drain()
    await worker._claim_round()
    await worker.drain()
    assert counts.runs == 1
    assert await stage.said(dossier) == ["0|work one", "1|done one"]
    assert await stage.count("tasks") == 0


class _Cut:
    """A pool whose connections break at the commit, before it is made or after it."""

    def __init__(self, pool: Any, cut: Once, was_made: bool) -> None:
        self._pool, self._cut, self._was_made = pool, cut, was_made
        self._conn: Any = None

    def acquire(self) -> "_Cut":
        return self

    async def __aenter__(self) -> "_Cut":
        self._conn = await self._pool.acquire()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._pool.release(self._conn)

    async def fetch(self, statement: str, *parameters: Any) -> Any:
        commits = "commit_batch" in statement
        if commits and not self._was_made:
            self._cut()
        rows = await self._conn.fetch(statement, *parameters)
        if commits:
            self._cut()
        return rows
