"""Questions of the same moment are asked as one."""

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from shared.errors import Unavailable
from shared.runtime.aio.coalesce import Coalesced

asked: list[list[int]] = []


async def doubled(keys: Sequence[int]) -> Mapping[int, int]:
    """Twice each key; there is no answer for 13."""
    asked.append(list(keys))
    await asyncio.sleep(0)
    return {key: 2 * key for key in keys if key != 13}


@pytest.fixture(autouse=True)
def _forget() -> None:
    asked.clear()


async def test_questions_of_one_moment_are_asked_once_and_each_has_its_own_answer() -> None:
    together = Coalesced(doubled)
    assert await asyncio.gather(*(together.one(key) for key in (1, 2, 13, 2))) == [2, 4, None, 4]
    assert asked == [[1, 2, 13]]


async def test_a_later_question_is_asked_again_for_the_answer_may_have_changed() -> None:
    together = Coalesced(doubled)
    assert [await together.one(1), await together.one(1)] == [2, 2]
    assert asked == [[1], [1]]


async def test_who_gives_up_takes_the_answer_from_nobody() -> None:
    together = Coalesced(doubled)
    impatient, patient = asyncio.create_task(together.one(1)), asyncio.create_task(together.one(1))
    await asyncio.sleep(0)
    impatient.cancel()
    assert await patient == 2
    assert impatient.cancelled()


async def test_a_failure_is_told_to_everybody_and_does_not_stay() -> None:
    fails = True

    async def sometimes(keys: Sequence[int]) -> Mapping[int, int]:
        if fails:
            raise Unavailable("gone")
        return {key: key for key in keys}

    together = Coalesced(sometimes)
    answers = await asyncio.gather(together.one(1), together.one(2), return_exceptions=True)
    assert [type(answer) for answer in answers] == [Unavailable, Unavailable]
    fails = False
    assert await together.one(1) == 1
