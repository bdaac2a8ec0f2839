"""The gate of the load under fire: requests pass as they are permitted, and some applications wait for their fault."""

import asyncio
import random

from tests.chaos.load import Gate


async def passed(gate: Gate, tasks: "dict[str, asyncio.Task[None]]") -> set[str]:
    """Who has passed, once everybody who may has done so."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return {name for name, task in tasks.items() if task.done()}


async def test_applications_that_are_held_back_pass_only_when_one_is_filed_or_nothing_is_held_back() -> None:
    gate = Gate(random.Random(0), kept=2)
    filings = {f"filing {n}": asyncio.create_task(gate.enter(filing=True)) for n in range(3)}
    acts = {"act": asyncio.create_task(gate.enter())}
    tasks = filings | acts
    assert await passed(gate, tasks) == set()
    gate.allow(10)
    assert len(await passed(gate, filings)) == 1
    assert await passed(gate, acts) == {"act"}
    gate.file()
    assert len(await passed(gate, filings)) == 2
    gate.kept = 0
    gate.allow(0)
    assert len(await passed(gate, filings)) == 3
    gate.file()  # nobody is left


async def test_a_request_that_is_given_up_while_it_waits_uses_up_no_permit() -> None:
    gate = Gate(random.Random(0))
    tasks = {name: asyncio.create_task(gate.enter()) for name in ("given up", "patient")}
    assert await passed(gate, tasks) == set()
    tasks["given up"].cancel()
    await asyncio.sleep(0)
    gate.allow(1)
    await asyncio.wait_for(tasks["patient"], 5)
    assert (gate.passed, gate.permits) == (1, 0)
