"""Kafka and PostgreSQL killed, restarted, and left behind by their parent."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import psutil
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from deploy.kafka.topics import is_ready
from deploy.local.ground import External, Ground, wipe
from deploy.local.kafka import ARCHIVE, LocalKafka
from deploy.local.machine import LIBS
from deploy.local.ports import free_port
from deploy.local.postgres import LocalPostgres
from deploy.local.server import GroundError
from deploy.waiting import until
from tests.ground import separate_ground

_TOPIC = TopicPartition("gov.dossier.intake.v1", 0)
_PARENT = """
import asyncio, sys
from pathlib import Path
from deploy.local.ground import Ground
async def main():
    async with Ground(Path(sys.argv[1]), units=()) as ground:
        print(ground.kafka.pid, ground.postgres.pid, flush=True)
        await asyncio.Event().wait()
asyncio.run(main())
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def own(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ground]:
    """A ground for this file alone: its servers are killed."""
    async with separate_ground(tmp_path_factory.mktemp("own")) as ground:
        yield ground


@pytest.fixture
def kafka(own: Ground) -> LocalKafka:
    assert own.kafka is not None
    return own.kafka


@pytest.fixture
def postgres(own: Ground) -> LocalPostgres:
    assert own.postgres is not None
    return own.postgres


async def _write(kafka: LocalKafka, value: bytes) -> None:
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers, acks="all") as producer:
        await producer.send_and_wait(_TOPIC.topic, value, partition=_TOPIC.partition)


async def _last(kafka: LocalKafka) -> bytes:
    async with AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap_servers) as consumer:
        consumer.assign([_TOPIC])
        end = await consumer.end_offsets([_TOPIC])
        consumer.seek(_TOPIC, end[_TOPIC] - 1)
        return bytes((await asyncio.wait_for(consumer.getone(), 60)).value)


async def _series(own: Ground, statement: str) -> list[str]:
    connection = await asyncpg.connect(own.database_url("intake"))
    try:
        return [row["series"] for row in await connection.fetch(statement)]
    finally:
        await connection.close()


async def test_a_broker_killed_and_started_again_answers_on_its_port_with_its_data(kafka: LocalKafka) -> None:
    port, first = kafka.port, kafka.pid
    await _write(kafka, b"before the kill")
    assert await kafka.kill() == -signal.SIGKILL
    await kafka.start()
    assert (kafka.port, await _last(kafka)) == (port, b"before the kill")
    assert kafka.pid != first


async def test_a_broker_restarted_in_peace_keeps_its_data(kafka: LocalKafka) -> None:
    await _write(kafka, b"before the restart")
    await kafka.restart()
    assert await _last(kafka) == b"before the restart"


async def test_a_database_killed_and_started_again_keeps_what_was_committed(
    own: Ground, postgres: LocalPostgres
) -> None:
    port = postgres.port
    await _series(own, "INSERT INTO numbers VALUES ('killed', 1) RETURNING series")
    assert await postgres.kill() == -signal.SIGKILL
    await postgres.start()
    assert postgres.port == port
    assert await _series(own, "SELECT series FROM numbers WHERE series = 'killed'") == ["killed"]


async def test_killing_a_database_ends_every_backend_at_once(own: Ground, postgres: LocalPostgres) -> None:
    connection = await asyncpg.connect(own.database_url("intake"))
    backend = connection.get_server_pid()
    await postgres.kill()
    assert not psutil.pid_exists(backend) or psutil.Process(backend).status() == psutil.STATUS_ZOMBIE
    connection.terminate()
    await postgres.start()


async def test_a_database_restarted_in_peace_keeps_its_data(own: Ground, postgres: LocalPostgres) -> None:
    await _series(own, "INSERT INTO numbers VALUES ('restarted', 1) RETURNING series")
    await postgres.restart()
    assert await _series(own, "SELECT series FROM numbers WHERE series = 'restarted'") == ["restarted"]


async def test_a_second_ground_on_the_same_directory_is_refused(own: Ground) -> None:
    with pytest.raises(GroundError, match=f"is in use by process {os.getpid()}"):
        await Ground(own.directory, units=()).start()
    with pytest.raises(GroundError, match="is in use"):
        wipe(own.directory)


async def test_both_servers_die_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _PARENT, str(tmp_path)]
    parent = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert parent.stdout is not None
    line = await asyncio.wait_for(parent.stdout.readline(), 150)
    servers = [psutil.Process(int(pid)) for pid in line.split()]
    families = [process for server in servers for process in (server, *server.children(recursive=True))]
    assert len(families) > 4
    parent.kill()
    assert await parent.wait() == -signal.SIGKILL

    async def all_gone() -> bool:
        return not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in families)

    await until(all_gone, seconds=60, what="the servers to die")


async def test_servers_run_whatever_the_folder_is_called(tmp_path: Path) -> None:
    folder = tmp_path / "hồ sơ cũ, của Ð'Ắk (50%) \\u0041 #1"
    folder.mkdir()
    (folder / "libs").symlink_to(LIBS, target_is_directory=True)
    async with Ground(folder / "ground", External(), units=(), libs=folder / "libs", secured=True) as ground:
        assert ground.kafka is not None
        assert ground.kafka.admin is not None
        assert await is_ready(ground.bootstrap_servers, ground.kafka.admin)
        assert (ground.kafka.home / "data" / "meta.properties").exists()
        assert await _series(ground, "INSERT INTO numbers VALUES ('there', 1) RETURNING series") == ["there"]


async def test_an_archive_that_is_none_is_passed_over(tmp_path: Path) -> None:
    (libs := tmp_path / "libs").mkdir()
    for jar in LIBS.glob("*.jar"):
        (libs / jar.name).symlink_to(jar)
    (libs / ARCHIVE).write_bytes(b"no archive" * 1000)
    broker = LocalKafka(tmp_path / "kafka", free_port(), libs)
    await broker.start()
    assert await broker.stop() == 143


async def test_a_server_that_cannot_start_says_why(tmp_path: Path, postgres: LocalPostgres) -> None:
    squatter = LocalPostgres(tmp_path / "postgres", postgres.port, "made-up")
    with pytest.raises(GroundError, match=f"port {postgres.port} is taken"):
        await squatter.start()
    broken = LocalPostgres(tmp_path / "postgres", free_port(), "made-up")
    await broken.start()
    await broken.stop()
    (tmp_path / "postgres/data/PG_VERSION").write_text("7")
    with pytest.raises(GroundError, match=r"(?s)ended at its start.*incompatible with server"):
        await broken.start()
    with pytest.raises(GroundError, match="run `make setup`"):
        await LocalKafka(tmp_path / "kafka", free_port(), tmp_path).start()


async def test_a_data_directory_of_another_installation_is_named(tmp_path: Path, postgres: LocalPostgres) -> None:
    await postgres.stop()
    stranger = LocalPostgres(postgres.home, postgres.port, "another password")
    with pytest.raises(GroundError, match="another administrator's password"):
        await stranger.start()
    await postgres.start()
