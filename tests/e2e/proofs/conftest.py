"""One stack of five processes for all proofs that can share it; each leaves it level and running."""

import asyncio
import logging
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio

from deploy.demo.data import write_lines
from deploy.demo.watch import Watcher
from deploy.local.ground import External
from deploy.stack import Stack
from tests.e2e.proofs.play import Answers, Play


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def play(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Play]:
    """The platform, with a register that knows nobody yet and a subscriber that has missed nothing."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # the subscriber's, while the broker is down
    folder = tmp_path_factory.mktemp("stack")
    register = write_lines(folder / "register.jsonl", [])
    answers = Answers()
    # Answered too late is not answered: a hanging service fails its test instead of the floor.
    limit = aiohttp.ClientTimeout(total=60)
    async with (
        Stack(folder, register, external=External(), say=print) as stack,
        aiohttp.ClientSession(timeout=limit, trace_configs=[answers.trace()]) as http,
    ):
        watcher = Watcher(stack.ground.bootstrap_servers)
        await watcher.start()
        play = Play(stack, http, watcher, answers)
        try:
            yield play
        finally:
            for task in play.acting.values():
                task.cancel()
            await asyncio.gather(*play.acting.values(), return_exceptions=True)
            await watcher.stop()
    assert watcher.gaps == 0, "the subscriber has missed something"
