"""When the platform is level again after a fault, seen from outside: in its databases."""

import asyncio
from dataclasses import dataclass
from typing import Any

import asyncpg
import orjson

from deploy.stack import Stack
from shared.services import SERVICES
from shared.topics import heard_by

OLDEST_S = 5.0
"""A task that is due may wait so long while all is well."""

Places = dict[str, dict[int, int]]
"""Writer → shard → position."""

_MARK = "SELECT shard, next_position - 1 AS position FROM shards"
_WHERE = """SELECT (SELECT json_object_agg(shard, published) FROM relay) AS published,
                   (SELECT json_agg(json_build_array(source, shard, position)) FROM heard
                    WHERE source <> 'keys') AS heard,
                   (SELECT count(*) FROM tasks WHERE run_at < now() - make_interval(secs => $1)) AS late"""
_LEADERS = "SELECT DISTINCT instance FROM relay WHERE lease_until > now()"


@dataclass
class Look:
    """Looks into the databases as the auditor does."""

    stack: Stack

    async def _fetch(self, service: str, query: str, *arguments: object) -> list[Any]:
        url = self.stack.ground.databases(self.stack.suffix).auditor_url(service)
        connection = await asyncpg.connect(url, timeout=10, command_timeout=20)
        try:
            return list(await connection.fetch(query, *arguments))
        finally:
            await connection.close(timeout=5)

    async def mark(self) -> Places:
        """The last committed position of every shard now."""
        rows = await asyncio.gather(*(self._fetch(service, _MARK) for service in SERVICES))
        marks = [{row["shard"]: row["position"] for row in found} for found in rows]
        return dict(zip(SERVICES, marks, strict=True))

    async def behind(self, mark: Places) -> int:
        """How many of the events up to `mark` are not published, or not heard by somebody who must, and how many tasks
        have been due for more than OLDEST_S.
        """
        rows = [(await self._fetch(service, _WHERE, OLDEST_S))[0] for service in SERVICES]
        missing = 0
        for service, row in zip(SERVICES, rows, strict=True):
            published = {int(shard): at for shard, at in orjson.loads(row["published"]).items()}
            heard = {(source, shard): at for source, shard, at in orjson.loads(row["heard"] or "[]")}
            missing += int(row["late"]) + _short(mark[service], published)
            for topic in heard_by(service):
                writer = topic.writer
                known = {shard: heard.get((writer, shard), 0) for shard in mark[writer]}
                missing += _short(mark[writer], known)
        return missing

    async def dead(self) -> dict[str, list[str]]:
        """Service → the reasons of its dead letters."""
        found = {}
        for service in SERVICES:
            query = "SELECT reason || ': ' || error_type || ': ' || message AS why FROM dead_letters"
            rows = await self._fetch(service, query)
            found[service] = [row["why"] for row in rows]
        return found

    async def leaders(self, service: str) -> list[str]:
        """The instances that hold a lease of the relay."""
        return [row["instance"] for row in await self._fetch(service, _LEADERS)]

    async def inside(self, ports: set[int]) -> bool:
        """Whether a connection that came from one of these ports is inside a transaction that has written."""
        query = """SELECT count(*) FROM pg_stat_activity WHERE client_port = ANY($1::int[])
                   AND backend_xid IS NOT NULL"""
        connection = await asyncpg.connect(self.stack.ground.admin_url, timeout=10, command_timeout=20)
        try:
            return int(await connection.fetchval(query, list(ports))) > 0
        finally:
            await connection.close(timeout=5)


def _short(mark: dict[int, int], reached: dict[int, int]) -> int:
    return sum(max(0, position - reached.get(shard, 0)) for shard, position in mark.items())
