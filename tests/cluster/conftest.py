"""Three brokers, and a PostgreSQL for what is published there."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from deploy.local.ground import External, Ground
from deploy.local.machine import LIBS
from deploy.postgres.provision import Databases
from tests.cluster.brokers import Cluster
from tests.integration.runtime.stage import Stage, staged


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    """Three brokers that the tests kill."""
    async with Cluster(tmp_path_factory.mktemp("cluster"), LIBS, say=print) as cluster:
        yield cluster


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def ground(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ground]:
    """The cluster, with databases beside it."""
    external = External(bootstrap_servers=cluster.bootstrap_servers)
    async with Ground(tmp_path_factory.mktemp("ground"), external, units=("H02.15.12",), say=print) as ground:
        yield ground


@pytest_asyncio.fixture
async def stage(ground: Ground) -> AsyncIterator[Stage]:
    """The toy's database, empty."""
    databases: Databases = ground.databases()
    async with staged(databases) as stage:
        yield stage
