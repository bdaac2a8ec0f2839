"""One platform on a Kafka that lets nobody in whom it does not know."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from deploy.demo.data import generate, write_lines
from deploy.demo.watch import Watcher
from deploy.kafka.acls import SUBSCRIBERS
from deploy.local.ground import External
from deploy.stack import Stack
from tests.secured.play import COUNT, NOW, Play


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def play(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Play]:
    """All services, each as its own principal, and a downstream system as `subscriber`."""
    folder = tmp_path_factory.mktemp("secured")
    data = generate(COUNT, NOW, seed=11)
    register = write_lines(folder / "register.jsonl", data.register)
    async with Stack(folder, register, external=External(), say=print, secured=True) as stack:
        watcher = Watcher(stack.ground.bootstrap_servers, login=stack.ground.broker(SUBSCRIBERS[0]).login)
        await watcher.start()
        yield Play(stack, watcher, data)
        await watcher.stop()
