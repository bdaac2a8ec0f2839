"""The operator's tool: every published position of every writer's store against the trail, read as `auditor`.

Order of looking: how far each relay has published, then (once audit has heard that) a snapshot of the trail, then one
of the store. What is in the trail was stored before it was heard, so the later snapshot must hold it: no service stops.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from services.audit import trail_store
from services.audit.comparison import Comparison, Level, paired
from services.audit.differences import Finding, merged
from services.audit.keys import compare_keys
from services.audit.report import Line, Progress, Report, print_report
from shared.errors import Misconfigured
from shared.runtime.service.settings import OperatorSettings
from shared.topics import KEYS, SHARDS, heard_by, topic_of

AUDITOR = "auditor"
LOOK_S = 0.2
_NO_LIMITS = {"idle_in_transaction_session_timeout": "0", "statement_timeout": "0"}
_REFUSED = (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError,
            asyncpg.InsufficientPrivilegeError)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked on the command line. `databases` holds `{service}`; None is the pattern of DATABASE_URL."""

    wait_s: float = 10.0
    json_file: Path | None = None
    databases: str | None = None


def parse(arguments: Sequence[str]) -> Asked:
    """The command line. Exits 2 on a wrong one."""
    parser = argparse.ArgumentParser("python -m services.audit verify", description=__doc__.partition("\n")[0])
    parser.add_argument("--wait", type=float, default=10.0, metavar="S", help="seconds that audit may lag behind")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report there too")
    parser.add_argument("--databases", metavar="PATTERN", help="names of the databases, such as dossier_{service}")
    given = parser.parse_args(arguments)
    if given.databases is not None and "{service}" not in given.databases:
        parser.error("--databases must hold {service}")
    return Asked(given.wait, given.json, given.databases)


async def verify(settings: OperatorSettings, asked: Asked, out: TextIO) -> int:
    """Compare, print and return the exit code: 0 clean, 1 if anything is wrong. Raises Misconfigured, OSError."""
    report = await examine(settings, asked, Progress(sys.stderr))
    print_report(report, out)
    if asked.json_file is not None:
        whole = {"clean": report.clean, "not_yet_heard": report.not_yet_heard, **asdict(report)}
        asked.json_file.write_text(json.dumps(whole, indent=1) + "\n")
    return 0 if report.clean else 1


async def examine(settings: OperatorSettings, asked: Asked, progress: Progress) -> Report:
    """The whole comparison, one writer after the other."""
    report = Report()
    async with database(settings, asked, "audit") as audit:
        for topic in heard_by("audit"):
            async with database(settings, asked, topic.writer) as store:
                await _examine_writer(_Pair(topic.writer, store, audit, settings), asked.wait_s, report, progress)
        report.findings += await _examine_keys(settings, asked)
    return report


async def _examine_keys(settings: OperatorSettings, asked: Asked) -> list[Finding]:
    """What the services that hear data keys hold against what their writer does."""
    async with AsyncExitStack() as stores:
        writer = await stores.enter_async_context(database(settings, asked, KEYS.writer))
        hearers = {name: await stores.enter_async_context(database(settings, asked, name)) for name in KEYS.readers}
        return await compare_keys(writer, hearers)


@asynccontextmanager
async def database(settings: OperatorSettings, asked: Asked, service: str) -> AsyncIterator[Any]:
    """A read-only connection to one service's database. Raises Misconfigured if `auditor` may not read it."""
    parts = urlsplit(settings.database_url)
    pattern = asked.databases or parts.path.lstrip("/").replace("audit", "{service}", 1)
    name = pattern.replace("{service}", service)
    url = urlunsplit(parts._replace(netloc=f"{AUDITOR}@{parts.netloc.rpartition('@')[2]}", path=f"/{quote(name)}"))
    try:
        connection = await asyncpg.connect(
            url, password=settings.secret("auditor_db_password"), server_settings=_NO_LIMITS, timeout=10
        )
    except _REFUSED as refused:
        raise Misconfigured(f"database {name} as {AUDITOR}: {refused}; see --databases and SECRETS_DIR") from refused
    try:
        yield connection
    finally:
        await connection.close()


@dataclass(frozen=True, slots=True)
class _Pair:
    """One writer's store and the trail."""

    writer: str
    store: Any
    audit: Any
    settings: OperatorSettings


async def _examine_writer(pair: _Pair, wait_s: float, report: Report, progress: Progress) -> None:
    published = await trail_store.published(pair.store)
    ends = await _until_level(pair, published, wait_s)
    async with AsyncExitStack() as snapshots:
        for connection in (pair.audit, pair.store):
            await snapshots.enter_async_context(connection.transaction(isolation="repeatable_read", readonly=True))
            await trail_store.take_snapshot(connection)
        levels = await _levels(pair, published, ends)
        comparison = Comparison(pair.writer, levels)
        rows = paired(trail_store.stored_side(pair.store), trail_store.trail_side(pair.audit, pair.writer))
        async for place, stored, told in rows:
            comparison.pair(place, stored, told)
            progress.step(pair.writer)
            if comparison.full:
                break
        progress.step(pair.writer, last=True)
        await _report(pair, levels, comparison, report)


async def _until_level(pair: _Pair, published: Mapping[int, int], wait_s: float) -> Mapping[int, int] | None:
    """Wait until audit has heard what is published; if it does not come, ask Kafka where the topic ends."""
    deadline = asyncio.get_running_loop().time() + wait_s
    while True:
        heard = await trail_store.heard_of(pair.audit, pair.writer)
        if all(heard.get(shard, (0, 0))[0] >= position for shard, position in published.items()):
            return None
        if asyncio.get_running_loop().time() >= deadline:
            return await _topic_ends(pair)
        await asyncio.sleep(LOOK_S)


async def _topic_ends(pair: _Pair) -> Mapping[int, int] | None:
    """Shard → the end of the writer's partition; None if Kafka is not named or does not answer."""
    if not pair.settings.kafka_bootstrap_servers:
        return None
    tps = [TopicPartition(topic_of(pair.writer), shard) for shard in range(SHARDS)]
    try:
        async with pair.settings.broker("audit").reader("audit-verify") as reader:
            ends = await reader.end_offsets(tps)
    except (KafkaError, OSError):
        return None
    return {tp.partition: ends[tp] for tp in tps}


async def _levels(pair: _Pair, published: Mapping[int, int], ends: Mapping[int, int] | None) -> dict[int, Level]:
    heard = await trail_store.heard_of(pair.audit, pair.writer)
    stored = await trail_store.stored_ends(pair.store)
    levels = {}
    for shard in sorted(published.keys() | heard.keys() | stored.keys()):
        sequence, offset = heard.get(shard, (0, 0))
        at_the_end = ends is not None and offset >= ends.get(shard, 0)
        end, counter = stored.get(shard, (0, 0))
        levels[shard] = Level(published.get(shard, 0), end, sequence, counter, at_the_end)
    return levels


async def _report(pair: _Pair, levels: Mapping[int, Level], comparison: Comparison, report: Report) -> None:
    """Lines and findings of one writer: what the comparison found, and what audit found when it stored."""
    rows = await trail_store.discrepancies_of(pair.audit, pair.writer)
    findings = comparison.finish() + list(merged(_strays(pair.writer, rows)))
    counts = {row["shard"]: row for row in await trail_store.counts_of(pair.audit, pair.writer, topic_of(pair.writer))}
    for shard in sorted(levels.keys() | counts.keys() | {one.shard for one in findings}):
        here = [row for row in rows if row["shard"] == shard]
        strays = sum(row["kind"] not in ("gap", "fork") for row in here)
        records, seen = (counts[shard]["records"], counts[shard]["seen"]) if shard in counts else (0, 0)
        own = [one for one in findings if one.shard == shard]
        filled = sum(_is_filled(row) for row in here)
        report.lines.append(
            Line(
                pair.writer, shard, levels[shard].published if shard in levels else 0, seen, records - seen - strays,
                sum(one.last - one.first + 1 for one in own if one.what == "gap on the topic"), filled,
                len(here) - filled, comparison.waiting.get(shard, 0), len(own),
            )
        )  # fmt: skip
    report.findings += findings


def _is_filled(row: Any) -> bool:
    """Whether everything that a gap was missing came later."""
    filled: bool = row["kind"] == "gap" and row["filled"] == row["sequence"] - row["expected"]
    return filled


def _strays(writer: str, rows: Sequence[Any]) -> list[Finding]:
    """Records that never came into the trail; gaps and forks are found again by the comparison itself."""
    return [
        Finding(
            writer, row["shard"], row["sequence"] or 0, row["sequence"] or 0, row["kind"], f"offset {row['offset']}"
        )
        for row in rows
        if row["kind"] not in ("gap", "fork")
    ]
