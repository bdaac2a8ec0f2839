"""The engine's own databases on the one ground: a fresh set per module, emptied before each test."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
import structlog

from deploy.local.ground import Ground
from deploy.postgres.provision import Databases
from tests.integration.runtime.stage import Stage, staged


@pytest.fixture(scope="module")
def module_databases(ground: Ground, request: pytest.FixtureRequest) -> Databases:
    """The five databases of this module; they end with the ground, for dropping one waits for a checkpoint."""
    return asyncio.run(ground.fresh_databases(f"_{request.path.stem.removeprefix('test_')}"))


@pytest_asyncio.fixture
async def stage(module_databases: Databases) -> AsyncIterator[Stage]:
    """The toy's database, empty."""
    async with staged(module_databases) as stage:
        yield stage


@pytest.fixture
def quiet() -> Iterator[None]:
    """No log: a failure that a test brings about by the hundred would be told with all its frames each time."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()
