"""What is stored, counted: every row of every table of the five databases, every running number, every record."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import asyncpg
from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

from deploy.stack import Stack
from deploy.waiting import until
from shared.runtime.keys.heard import SOURCE as KEYS_SOURCE
from shared.services import SERVICES
from shared.topics import KEYS, TOPICS

Counts = Mapping[str, int]

_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'rates' ORDER BY tablename"
"""All but how much each client may ask at the moment, which is no more than a counter."""
_PENDING = """SELECT (SELECT count(*) FROM tasks WHERE run_at <= now() + interval '1 min' OR claim IS NOT NULL)
    + (SELECT sum(s.next_position - 1 - r.published) FROM shards s JOIN relay r USING (shard))"""
"""Tasks of the next minute too: one that failed is only put off, and runs again in seconds."""
_HEARD = "SELECT source, shard, next_offset FROM heard"


@dataclass
class Stored:
    """Looks into every database and at every topic's ends."""

    databases: Mapping[str, "asyncpg.Connection[asyncpg.Record]"]
    consumer: AIOKafkaConsumer
    partitions: list[TopicPartition]

    async def rows(self) -> Counts:
        """Rows of every table of every database, and what has been drawn of every running number."""
        counted: dict[str, int] = {}
        for service, database in self.databases.items():
            tables = [row["tablename"] for row in await database.fetch(_TABLES)]
            query = " UNION ALL ".join(f"SELECT '{service}.{one}', count(*) FROM {one}" for one in tables)
            counted |= {row[0]: row[1] for row in await database.fetch(query)}
            drawn = await database.fetch("SELECT series, last FROM numbers")
            counted |= {f"{service} number {row['series']}": row["last"] for row in drawn}
        return counted

    async def ends(self) -> Counts:
        """The end offset of every partition of every topic."""
        ends = await self.consumer.end_offsets(self.partitions)
        return {f"{partition.topic}/{partition.partition}": offset for partition, offset in ends.items()}

    async def everything(self) -> Counts:
        """Rows and ends."""
        return {**await self.rows(), **await self.ends()}

    async def settle(self, seconds: float = 120.0) -> Counts:
        """Everything, once nothing moves any more: no task is due, all is published and heard, two counts agree."""
        last: Counts = {}

        async def still() -> bool:
            nonlocal last
            pending = await asyncio.gather(*(database.fetchval(_PENDING) for database in self.databases.values()))
            before, last = last, await self.everything()
            return not any(pending) and before == last and await self._all_heard(last)

        await until(still, seconds=seconds, what="the platform to come to rest", every=0.2)
        return last

    async def _all_heard(self, counts: Counts) -> bool:
        """Whether every service has read every topic that it reads to its end."""
        for service, database in self.databases.items():
            heard = {(row["source"], row["shard"]): row["next_offset"] for row in await database.fetch(_HEARD)}
            for topic in TOPICS.values():
                source = KEYS_SOURCE if topic is KEYS else topic.writer
                ends = {n: counts[f"{topic.name}/{n}"] for n in range(topic.partitions)}
                if service in topic.readers and any(heard.get((source, n), 0) < end for n, end in ends.items()):
                    return False
        return True


@asynccontextmanager
async def stored(stack: Stack) -> AsyncIterator[Stored]:
    """Connections to everything, as the administrator."""
    async with AsyncExitStack() as opened:
        databases = {}
        for service in SERVICES:
            url = stack.ground.databases(stack.suffix).administrator_url(service)
            databases[service] = await asyncpg.connect(url)
            opened.push_async_callback(databases[service].close)
        consumer = AIOKafkaConsumer(bootstrap_servers=stack.ground.bootstrap_servers)
        await consumer.start()
        opened.push_async_callback(consumer.stop)
        partitions = [TopicPartition(topic.name, n) for topic in TOPICS.values() for n in range(topic.partitions)]
        yield Stored(databases, consumer, partitions)
