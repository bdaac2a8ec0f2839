"""Gathers what the oracle judges: topics read directly, stores and trail by SQL, the books of bank and mail server.

Nothing here goes through a service: an operator's commands run as processes of their own, and everything else is read
where it lies. The platform should be quiet.
"""

import asyncio
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import asyncpg
import orjson
from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

from deploy.stack import Stack
from shared.services import SERVICES
from shared.topics import SHARDS, TOPICS
from tests.oracle import Charge, Evidence, Kill, Mail, Told

REBUILT = tuple(name for name, row in SERVICES.items() if not row.keeps_trail)
VERIFY = "audit verify"
COMMAND_S = 120.0

_STORE = "SELECT shard, position, headers, data FROM events ORDER BY shard, position"
_TRAIL = """SELECT t.shard, t.sequence, r.headers, r.value FROM trail t JOIN records r ON r.id = t.record_id
            ORDER BY r.topic, t.shard, t.sequence"""


def told(headers: Iterable[tuple[str, str]], data: bytes) -> Told:
    """One event, wherever it stands. Headers are compared as pairs in order of name."""
    pairs = tuple(sorted(headers))
    text = dict(pairs)
    writer, _, shard = text["ce_source"].removeprefix("urn:dossier:").partition(":")
    return Told(
        writer, int(shard), int(text["ce_sequence"]), text["ce_id"], text.get("ce_previous"), text["ce_type"],
        text["ce_partitionkey"], pairs, data,
    )  # fmt: skip


async def read_topics(bootstrap: str) -> list[Told]:
    """Every record of the event topics from the beginning to the end, in the order of each partition."""
    partitions = [TopicPartition(topic, shard) for topic in _event_topics() for shard in range(SHARDS)]
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="earliest", max_poll_records=5000
    )
    await consumer.start()
    try:
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        await consumer.seek_to_beginning(*partitions)
        found: list[Told] = []
        waiting = {tp for tp in partitions if ends[tp] > 0}
        while waiting:
            got = await consumer.getmany(*waiting, timeout_ms=1000)
            found += [_of_record(record) for records in got.values() for record in records]
            waiting = {tp for tp in waiting if await consumer.position(tp) < ends[tp]}
        return found
    finally:
        await consumer.stop()


def _event_topics() -> list[str]:
    return [topic.name for topic in TOPICS.values() if topic.public]


def _of_record(record: Any) -> Told:
    return told([(name, value.decode()) for name, value in record.headers], record.value)


async def read_store(url: str) -> list[Told]:
    """Every event in a writer's own store."""
    rows = await _fetch(url, _STORE)
    return [told(orjson.loads(row["headers"]).items(), row["data"]) for row in rows]


async def read_trail(url: str) -> list[Told]:
    """Every event in audit's trail, with the bytes of the record that it stored."""
    rows = await _fetch(url, _TRAIL)
    return [told(_stored_headers(row["headers"]), row["value"]) for row in rows]


def _stored_headers(stored: str) -> list[tuple[str, str]]:
    return [(name, bytes.fromhex(content).decode()) for name, content in orjson.loads(stored)]


async def _fetch(url: str, query: str) -> Sequence[Any]:
    connection = await asyncpg.connect(url, timeout=30)
    try:
        rows: Sequence[Any] = await connection.fetch(query)
        return rows
    finally:
        await connection.close()


async def run_command(stack: Stack, service: str, *arguments: str) -> tuple[int, str]:
    """`python -m services.<service> …` as an operator runs it: exit code and everything that it printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", f"services.{service}", *arguments,
        cwd=stack.tree, env=stack.environment(service), stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        async with asyncio.timeout(COMMAND_S):
            printed, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    return process.returncode or 0, printed.decode(errors="replace")


async def run_commands(stack: Stack) -> dict[str, tuple[int, str]]:
    """The audit's comparison, and for each service its states rebuilt from the trail against the live ones."""
    commands: dict[str, tuple[str, ...]] = {VERIFY: ("audit", "verify")}
    commands |= {f"{service} rebuild --check": (service, "rebuild", "--check") for service in REBUILT}
    answers = await asyncio.gather(*(run_command(stack, *command) for command in commands.values()))
    return dict(zip(commands, answers, strict=True))


def charges(history: Iterable[Mapping[str, Any]]) -> list[Charge]:
    """What the bank took, from its own book: attempts to pay that were new and went well."""
    return [
        Charge(line["params"]["vnp_TxnRef"], int(line["params"]["vnp_Amount"]) // 100)
        for line in history
        if line["code"] == "00" and line.get("already") is False
    ]


async def gather(
    stack: Stack, accepted: Mapping[str, str], kills: Sequence[Kill] = (), *, commands: bool = True
) -> Evidence:
    """All evidence about `stack`. `accepted`: dossier id → code of every application that was answered 2xx.

    Without `commands`, what an operator's commands say of it is left out: they take most of the time.
    """
    url = {service: stack.ground.databases(stack.suffix).auditor_url(service) for service in SERVICES}
    statuses = await _fetch(
        url["intake"], "SELECT dossier_id, (state #>> '{intake,status}')::int AS status FROM states"
    )
    noticed = await _fetch(
        url["notification"],
        "SELECT data, recorded_at FROM events WHERE type LIKE '%.notice-sent.%'",
    )
    return Evidence(
        accepted,
        await read_topics(stack.ground.bootstrap_servers),
        [one for service in SERVICES for one in await read_store(url[service])],
        await read_trail(url["audit"]),
        {str(row["dossier_id"]): row["status"] for row in statuses},
        charges(stack.outside.history("bank", "pay")),
        [Mail(line["message_id"], datetime.fromisoformat(line["at"])) for line in stack.outside.mails()],
        {orjson.loads(row["data"])["message_id"]: row["recorded_at"].astimezone(UTC) for row in noticed},
        kills,
        await run_commands(stack) if commands else {},
    )


async def in_flight_anywhere(stack: Stack) -> int:
    """How many messages are on their way in the whole platform; 0 is quiet."""
    return sum([await in_flight(stack, service) for service in SERVICES])


_ON_THEIR_WAY = """SELECT (SELECT sum(s.next_position - 1 - r.published) FROM shards s JOIN relay r USING (shard))
                        + (SELECT count(*) FROM tasks WHERE claim IS NOT NULL OR run_at <= now()) AS own,
                   (SELECT json_object_agg(source, position) FROM (SELECT source, sum(position) AS position
                        FROM heard WHERE source <> 'keys' GROUP BY source) h) AS heard"""
_PUBLISHED = "SELECT sum(published) FROM relay"


async def in_flight(stack: Stack, service: str) -> int:
    """Messages on their way in or to `service`: committed and not published, published and not heard, tasks to run."""
    databases = stack.ground.databases(stack.suffix)
    (row,) = await _fetch(databases.auditor_url(service), _ON_THEIR_WAY)
    unheard = 0
    for writer, position in orjson.loads(row["heard"] or "{}").items():
        ((published,),) = await _fetch(databases.auditor_url(writer), _PUBLISHED)
        unheard += max(0, int(published) - int(position))
    return int(row["own"]) + unheard
