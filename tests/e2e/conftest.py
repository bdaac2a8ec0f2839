"""The five services together, once for all tests of this floor that send them something and look at what came of it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from deploy.local.ground import External
from deploy.stack import Stack

REGISTER = Path(__file__).parents[1] / "data" / "register.jsonl"


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """Ground, simulators and services in a fresh directory on free ports; the register knows the people of the data."""
    async with Stack(tmp_path_factory.mktemp("stack"), REGISTER, external=External(), say=print) as stack:
        yield stack
