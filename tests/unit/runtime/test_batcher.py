"""Group commit: what arrives while a batch is in work makes up the next; nobody is forgotten, nobody answered twice."""

import asyncio
from collections.abc import Sequence
from uuid import uuid5

import pytest

from shared.errors import Unavailable
from shared.runtime.engine.batcher import Batcher
from shared.runtime.kernel.message import Handled, Item, Request
from tests.controls import DOSSIER, MESSAGE, accept_dossier, message


def _item(key: str, client: str = "app") -> Item:
    request = Request(client, "POST", "/", key, b"", 202, lambda state: {})
    return Item(message=message(accept_dossier(), message_id=uuid5(MESSAGE, key)), request=request, dossier_id=DOSSIER)


class Door:
    """Handles batches one at a time, when it is opened, and remembers them."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.open = asyncio.Event()
        self.at_work = 0

    async def handle(self, items: Sequence[Item]) -> list[Handled]:
        self.at_work += 1
        assert self.at_work == 1, "two batches at once"
        self.batches.append([item.request.key for item in items if item.request])
        await self.open.wait()
        self.at_work -= 1
        if any(item.request and item.request.key == "down" for item in items):
            raise Unavailable("database gone")
        return [Handled("ok", {"key": item.request.key}) for item in items if item.request]


async def _submitted(batcher: Batcher, *items: Item) -> list["asyncio.Task[Handled]"]:
    tasks = [asyncio.create_task(batcher.submit(item)) for item in items]
    await asyncio.sleep(0)
    return tasks


async def test_what_arrives_while_one_batch_is_in_work_makes_up_the_next() -> None:
    door = Door()
    batcher = Batcher(door.handle)
    first = await _submitted(batcher, _item("1"))
    await asyncio.sleep(0)
    later = await _submitted(batcher, *(_item(f"{n}") for n in range(2, 6)))
    door.open.set()
    answers = await asyncio.gather(*first, *later)
    assert door.batches == [["1"], ["2", "3", "4", "5"]]
    assert [answer.answer for answer in answers] == [{"key": f"{n}"} for n in range(1, 6)]


async def test_a_batch_is_never_larger_than_its_size() -> None:
    door = Door()
    door.open.set()
    batcher = Batcher(door.handle, size=3)
    await asyncio.gather(*await _submitted(batcher, *(_item(f"{n}") for n in range(7))))
    assert door.batches == [["0", "1", "2"], ["3", "4", "5"], ["6"]]


async def test_a_second_request_under_the_same_key_waits_for_the_answer_to_the_first() -> None:
    door = Door()
    door.open.set()
    batcher = Batcher(door.handle)
    twins = [_item("twin"), _item("other"), _item("twin"), _item("twin"), _item("twin", client="another app")]
    await asyncio.gather(*await _submitted(batcher, *twins))
    assert door.batches == [["twin", "other", "twin"], ["twin"], ["twin"]]


async def test_a_failed_batch_is_told_to_everyone_in_it_and_to_nobody_else() -> None:
    door = Door()
    door.open.set()
    batcher = Batcher(door.handle, size=2)
    results = await asyncio.gather(
        *await _submitted(batcher, _item("1"), _item("down"), _item("3")), return_exceptions=True
    )
    assert [type(result) for result in results] == [Unavailable, Unavailable, Handled]


async def test_a_caller_that_has_gone_away_holds_up_nobody() -> None:
    door = Door()
    batcher = Batcher(door.handle)
    gone, stays = await _submitted(batcher, _item("1"), _item("2"))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.sleep(0)
    door.open.set()
    assert (await stays).outcome == "ok"


async def test_too_much_waiting_is_refused_at_once() -> None:
    door = Door()
    batcher = Batcher(door.handle, size=1, limit=2)
    waiting = await _submitted(batcher, _item("1"))
    await asyncio.sleep(0)
    waiting += await _submitted(batcher, _item("2"), _item("3"))
    with pytest.raises(Unavailable):
        await batcher.submit(_item("4"))
    door.open.set()
    assert [task.outcome for task in await asyncio.gather(*waiting)] == ["ok"] * 3


async def test_draining_waits_for_all_that_was_submitted() -> None:
    door = Door()
    batcher = Batcher(door.handle, size=1)
    await batcher.drain()
    tasks = await _submitted(batcher, _item("1"), _item("2"))
    door.open.set()
    await batcher.drain()
    assert door.batches == [["1"], ["2"]]
    assert all(answer.outcome == "ok" for answer in await asyncio.gather(*tasks))


async def test_what_nobody_waits_for_any_more_is_not_begun() -> None:
    door = Door()
    batcher = Batcher(door.handle)
    (first,) = await _submitted(batcher, _item("1"))
    await asyncio.sleep(0)
    gone, stays = await _submitted(batcher, _item("2"), _item("3"))
    gone.cancel()
    door.open.set()
    assert [(await first).outcome, (await stays).outcome] == ["ok", "ok"]
    assert door.batches == [["1"], ["3"]]
