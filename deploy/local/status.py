"""What a running platform is at: which process is ready, how far each service has heard, published and worked.

Reads as `auditor`, who may change nothing, and asks `/readyz`; so it can be run at any time by anyone who may read the
secrets' folder.
"""

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import psutil
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from deploy.kafka.acls import ADMIN
from deploy.postgres.provision import Databases
from deploy.secrets import Secrets
from deploy.stack import RECORD
from shared.runtime.kafka.clients import Broker
from shared.services import SERVICES
from shared.topics import KEYS, Topic, heard_by

LATE_S = 60.0
"""A task that was due for longer than this is behind."""

Say = Callable[[str], None]
Ends = Mapping[tuple[str, int], int]


@dataclass(frozen=True, slots=True)
class Service:
    """One service's figures. `heard` counts records of the topics it hears, `ends` those that are on them;
    `oldest_s` is how long the oldest due task has been due.
    """

    name: str
    heard: int
    ends: int
    published: int
    stored: int
    tasks: int
    oldest_s: float
    parked: int
    dead: int

    def faults(self) -> list[str]:
        """What is not level, in words; empty if all is."""
        found = {
            f"{self.ends - self.heard} records not heard": self.heard < self.ends,
            f"{self.stored - self.published} events not published": self.published < self.stored,
            f"a task is due for {self.oldest_s:.0f} s": self.oldest_s > LATE_S,
            f"{self.parked} dossiers parked": self.parked > 0,
            f"{self.dead} dead letters open": self.dead > 0,
        }
        return [f"{self.name}: {words}" for words, true in found.items() if true]


@dataclass(frozen=True, slots=True)
class Process:
    """One process: `state` is "ready", or why it is not."""

    service: str
    pid: int
    url: str
    state: str


async def status(folders: Iterable[Path], say: Say = print) -> int:
    """Say how what runs in `folders` is doing. Returns 0 if all is ready and level, 1 if not or if nothing runs."""
    running = [(folder, record) for folder in folders if (record := record_of(folder)) is not None]
    if not running:
        say("nothing runs here; `make run` starts it")
        return 1
    return max([await _tell(folder, record, say) for folder, record in running])


def record_of(folder: Path) -> Mapping[str, Any] | None:
    """What the stack in `folder` has written of itself; None if none runs there (any more)."""
    try:
        record: Mapping[str, Any] = json.loads((folder / RECORD).read_text())
    except FileNotFoundError:
        return None
    return record if psutil.pid_exists(record["pid"]) else None


async def _tell(folder: Path, record: Mapping[str, Any], say: Say) -> int:
    say(f"{folder} (process {record['pid']}, Kafka {record['kafka']})")
    processes = await _processes(record)
    try:
        services = await _services(folder, record)
    except (KafkaError, OSError, asyncpg.PostgresError) as lost:
        say("\n".join(f"{one.service:<14}{one.pid:>8}  {one.url}  {one.state}" for one in processes))
        say(f"Kafka or PostgreSQL does not answer: {type(lost).__name__}")
        return 1
    _table(services, processes, say)
    faults = [f"{one.service} (pid {one.pid}): {one.state}" for one in processes if one.state != "ready"]
    faults += [fault for service in services for fault in service.faults()]
    say("\n".join(faults) if faults else "all ready and level")
    return 1 if faults else 0


async def _processes(record: Mapping[str, Any]) -> Sequence[Process]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as http:
        return await asyncio.gather(
            *(_process(http, entry["service"], entry["pid"], entry["url"]) for entry in record["processes"])
        )


async def _process(http: aiohttp.ClientSession, service: str, pid: int, url: str) -> Process:
    try:
        async with http.get(f"{url}/readyz") as answer:
            faults = (await answer.json())["faults"]
    except (aiohttp.ClientError, OSError, ValueError, KeyError):
        return Process(service, pid, url, "does not answer" if psutil.pid_exists(pid) else "has ended")
    words = "; ".join(f"{name}: {why}" for name, why in faults.items())
    return Process(service, pid, url, f"not ready: {words}" if faults else "ready")


async def _services(folder: Path, record: Mapping[str, Any]) -> Sequence[Service]:
    secrets = Secrets(folder / "secrets")
    databases = Databases(record["postgres"], secrets, record["suffix"])
    present = {entry["service"] for entry in record["processes"]}
    # Ends are read after what was heard would count new records as missed, so they are read before.
    ends = await _ends(secrets.broker(record["kafka"], record["security"], ADMIN))
    return [await _service(databases, name, ends) for name in SERVICES if name in present]


async def _ends(broker: Broker) -> Ends:
    topics = {topic.name: topic for topic in [*heard_by("audit"), KEYS]}
    partitions = [TopicPartition(topic.name, n) for topic in topics.values() for n in range(topic.partitions)]
    async with broker.reader("status") as consumer:
        ends = await consumer.end_offsets(partitions)
    return {(partition.topic, partition.partition): end for partition, end in ends.items()}


async def _service(databases: Databases, name: str, ends: Ends) -> Service:
    connection = await asyncpg.connect(databases.auditor_url(name), timeout=5)
    try:
        heard = await connection.fetch("SELECT source, shard, next_offset FROM heard")
        (figures,) = await connection.fetch(_FIGURES)
    finally:
        await connection.close()
    offsets = {(record["source"], record["shard"]): record["next_offset"] for record in heard}
    come, wanted = _heard(_topics(name), offsets, ends)
    return Service(name, come, wanted, *figures)


def _topics(service: str) -> Mapping[str, Topic]:
    """The topics that a service hears, by the name under which its `heard` table keeps them."""
    keys = {"keys": KEYS} if service in KEYS.readers else {}
    return {**{topic.writer: topic for topic in heard_by(service)}, **keys}


def _heard(topics: Mapping[str, Topic], offsets: Mapping[tuple[str, int], int], ends: Ends) -> tuple[int, int]:
    """Records heard, and records there; what was heard since the ends were read does not count."""
    pairs = [
        (offsets.get((source, shard), 0), ends[topic.name, shard])
        for source, topic in topics.items()
        for shard in range(topic.partitions)
    ]
    return sum(min(pair) for pair in pairs), sum(end for _, end in pairs)


_FIGURES = """SELECT (SELECT sum(published) FROM relay)::bigint, (SELECT sum(next_position - 1) FROM shards)::bigint,
    (SELECT count(*) FROM tasks),
    (SELECT coalesce(extract(epoch FROM now() - min(run_at)), 0)::float FROM tasks WHERE run_at <= now()),
    (SELECT count(*) FROM states WHERE parked), (SELECT count(*) FROM dead_letters WHERE settled_at IS NULL)"""

_HEADS = ("service", "ready", "heard", "published", "tasks", "due for s", "parked", "dead letters", "pid and address")


def _table(services: Sequence[Service], processes: Sequence[Process], say: Say) -> None:
    say("{:<14}{:>7}{:>15}{:>15}{:>7}{:>11}{:>8}{:>14}  {}".format(*_HEADS))
    for one in services:
        mine = [process for process in processes if process.service == one.name]
        ready = f"{sum(process.state == 'ready' for process in mine)}/{len(mine)}"
        heard, published = f"{one.heard}/{one.ends}", f"{one.published}/{one.stored}"
        where = ", ".join(f"{process.pid} {process.url}" for process in mine)
        say(
            f"{one.name:<14}{ready:>7}{heard:>15}{published:>15}{one.tasks:>7}{one.oldest_s:>11.0f}{one.parked:>8}"
            f"{one.dead:>14}  {where}"
        )
