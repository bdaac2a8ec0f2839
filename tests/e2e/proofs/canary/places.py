"""Every place to which a running platform writes, but those that hold personal data by design.

By design they are in clear only outside: in the simulators' folder, which stands for other authorities' systems.
"""

import contextlib
import os
from collections.abc import AsyncIterator, Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import asyncpg
from aiokafka.structs import TopicPartition

from deploy.kafka.topics import administrator
from deploy.stack import Stack
from shared.runtime.kafka.clients import Broker
from shared.services import SERVICES
from tests.e2e.proofs.play import Play

Place = tuple[str, bytes]


async def everywhere(play: Play) -> AsyncIterator[Place]:
    """Each place by name, with what is written there."""
    for n, answer in enumerate(play.answers.kept):
        yield f"HTTP answer {n}", answer
    for process in play.stack.processes:
        yield f"metrics of {process.service}", (await play.ask(process, "/metrics"))[1].encode()
    for place in files(play.stack):
        yield place
    async for place in records(play.stack):
        yield place
    for service in SERVICES:
        async for place in rows(play.stack, service):
            yield place


def files(stack: Stack) -> Iterator[Place]:
    """Logs of services and servers, what Faust keeps, and Kafka's own files as they lie on the disk."""
    folder = stack.directory
    wanted = [*_below(folder / "logs", "*"), *_below(folder / "faust", "*"), *_below(folder / "kafka", "*.log")]
    for path in [*wanted, folder / "postgres" / "server.log"]:
        # Kafka takes a segment away whenever it has a newer one, also while we look.
        with contextlib.suppress(FileNotFoundError):
            yield str(path.relative_to(folder)), path.read_bytes()


def _below(folder: Path, pattern: str) -> list[Path]:
    """Files, but those of topics that a test has deleted: Kafka keeps them for a minute. Not rglob, which fails at a
    folder that goes while it looks.
    """
    found = (Path(where) / name for where, _, names in os.walk(folder) if "-delete" not in where for name in names)
    return sorted(path for path in found if fnmatch(path.name, pattern))


async def records(stack: Stack) -> AsyncIterator[Place]:
    """Every record of every topic, decoded: key, headers, value."""
    servers = stack.ground.bootstrap_servers
    async with administrator(servers) as admin, Broker(servers).reader("canary") as consumer:
        described = await admin.describe_topics()
        partitions = [
            TopicPartition(topic["topic"], one["partition"]) for topic in described for one in topic["partitions"]
        ]
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        await consumer.seek_to_beginning(*partitions)
        waiting = {partition for partition in partitions if ends[partition] > 0}
        while waiting:
            for partition, messages in (await consumer.getmany(timeout_ms=500)).items():
                for message in messages:
                    yield f"{message.topic} {partition.partition} {message.offset}", _whole(message)
            waiting = {partition for partition in waiting if await consumer.position(partition) < ends[partition]}


def _whole(message: Any) -> bytes:
    headers = b"\n".join(name.encode() + b": " + (value or b"") for name, value in message.headers)
    return b"\n".join([message.key or b"", headers, message.value or b""])


async def rows(stack: Stack, service: str) -> AsyncIterator[Place]:
    """Every column of every row of every table of one service's database; bytes as they are, the rest as text."""
    connection = await asyncpg.connect(stack.ground.databases().administrator_url(service))
    try:
        for table, columns in (await _tables(connection)).items():
            for row in await connection.fetch(f"SELECT {', '.join(columns)} FROM {table}"):
                yield f"{service}.{table}", b"\n".join(cell for cell in row if cell is not None)
    finally:
        await connection.close()


async def _tables(connection: Any) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for table, column, kind in await connection.fetch(
        """SELECT format('%I.%I', table_schema, table_name), format('%I', column_name), data_type
           FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name)
           WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema')"""
    ):
        text = column if kind == "bytea" else f"convert_to({column}::text, 'UTF8')"
        found.setdefault(table, []).append(text)
    return found
