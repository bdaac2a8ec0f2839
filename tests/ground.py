"""The ground that integration, e2e and chaos tests stand on: one real Kafka and PostgreSQL per pytest process.

`tests/conftest.py` offers the fixtures to every floor; nothing starts before a test asks for one.
"""

import asyncio
import itertools
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import asyncpg
import psutil
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

from deploy.kafka.topics import delete_topics, ensure_topics
from deploy.local.ground import Ground
from deploy.local.server import Server
from deploy.postgres.provision import Databases
from shared.topics import TOPICS, Topic

_numbers = itertools.count(1)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def ground(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ground]:
    """A ground with data of its own on free ports, never an external one: tests kill its servers."""
    async with Ground(tmp_path_factory.mktemp("ground"), say=print) as ground:
        await _trust_the_machine(ground)
        yield ground


async def _trust_the_machine(ground: Ground) -> None:
    """Tests kill servers and never the machine, which keeps what a killed server has written: waiting for the disk, at
    each checkpoint of hundreds of databases, would prove nothing more.
    """
    connection = await asyncpg.connect(ground.admin_url)
    try:
        await connection.execute("ALTER SYSTEM SET fsync = off")
        await connection.execute("SELECT pg_reload_conf()")
    finally:
        await connection.close()


@pytest_asyncio.fixture
async def fresh_databases(ground: Ground) -> Databases:
    """The databases, new, migrated and empty, for one test; half a second."""
    return await ground.fresh_databases(f"_t{next(_numbers)}")


async def empty_topics(ground: Ground) -> None:
    """Every topic of the platform without a record, offsets from 0: those that had one are deleted and made again."""
    await ensure_topics(ground.bootstrap_servers)
    if used := await _used(ground.bootstrap_servers):
        await delete_topics(ground.bootstrap_servers, used)
        await ensure_topics(ground.bootstrap_servers, used)


async def _used(bootstrap: str) -> list[Topic]:
    """The topics that have, or had, a record."""
    partitions = [TopicPartition(topic.name, number) for topic in TOPICS.values() for number in range(topic.partitions)]
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False) as consumer:
        consumer.assign(partitions)  # else the leaders are unknown, and asked for half a second later
        ends = await consumer.end_offsets(partitions)
    return [TOPICS[name] for name in {place.topic for place, end in ends.items() if end > 0}]


def separate_ground(directory: Path) -> Ground:
    """Another ground, not started, for a test that ends servers others would miss."""
    return Ground(directory, units=("H02.15.12",), say=print)


def _until_it_stands(pid: int) -> None:
    """A stop is an order: on a busy machine a thread may go on for a moment, and answer."""
    end = time.monotonic() + 30
    while any(_state(thread) not in "TZX" for thread in Path(f"/proc/{pid}/task").iterdir()):
        assert time.monotonic() < end, "a process that was told to stop goes on"
        os.sched_yield()


def _state(thread: Path) -> str:
    try:
        return (thread / "stat").read_text().rpartition(") ")[2][0]
    except FileNotFoundError:
        return "X"


@contextmanager
def frozen(server: Server | None) -> Iterator[None]:
    """While the block lasts, the server and all that it started stand still: connections stay, answers do not come, as
    when a host is lost.
    """
    assert server is not None
    first = psutil.Process(server.pid)
    first.suspend()
    stopped = [first]
    try:
        for child in first.children(recursive=True):
            child.suspend()
            stopped.append(child)
        for process in stopped:
            _until_it_stands(process.pid)
        yield
    finally:
        for process in reversed(stopped):
            process.resume()


@asynccontextmanager
async def frozen_database(ground: Ground, limit_s: float) -> AsyncIterator[None]:
    """While the block lasts, PostgreSQL stands still. Fails unless the block ends before a plain wait for a pool with
    this limit does: asyncpg's pool takes leave of its server first, and of one that stands still not for a minute.
    """
    async with asyncpg.create_pool(ground.admin_url, min_size=1) as pool:
        with frozen(ground.postgres):
            plain = asyncio.create_task(asyncio.wait_for(pool.fetchval("SELECT 1"), limit_s))
            await asyncio.sleep(0)
            yield
            assert not plain.done(), "the answer came no sooner than asyncpg's pool would have given it"
        await asyncio.gather(plain, return_exceptions=True)
