"""A service's database as an operator backs it up and restores it: pg_dump under load, and later its dump instead.

What was committed and never published is gone with a database, by nature. So the processes are killed at a moment at
which everything is published; a kill at another moment is made good, and tried again.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL

import asyncpg

from deploy.local.postgres import binaries
from deploy.postgres.names import Names, quoted
from deploy.stack import Stack
from deploy.waiting import until

TRIES = 20
LEVEL_S = 60
_PENDING = """SELECT sum(s.next_position - 1 - r.published)::bigint FROM shards s JOIN relay r USING (shard)"""
_CONNECTED = "SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND usename = $2"


class NeverLevel(Exception):
    """No kill met a moment at which everything was published."""


@dataclass(frozen=True)
class Backup:
    """A dump of the database of `service`, and the way back to it."""

    stack: Stack
    service: str
    dump: Path

    @property
    def _names(self) -> Names:
        return Names(self.service, self.stack.suffix)

    async def restore(self) -> int:
        """Kill all processes, drop the database, restore the dump; the processes are not started. Returns how many
        events the restored store lacks. Raises NeverLevel.
        """
        said = await self._kill_when_level()
        async with self._administrator() as admin:
            await admin.execute(f"DROP DATABASE {quoted(self._names.database)} WITH (FORCE)")
        await _run("pg_restore", "--create", "--exit-on-error", "--dbname", self.stack.ground.admin_url, str(self.dump))
        return said - await self._ask("SELECT count(*) FROM events")

    async def _kill_when_level(self) -> int:
        for _ in range(TRIES):
            for process in self.stack.of(self.service):
                process.signal(SIGKILL)
                await process.ended()
            await until(self._is_left_alone, seconds=LEVEL_S, what="the server to notice", every=0.05)
            if await self._ask(_PENDING) == 0:
                return await self._ask("SELECT count(*) FROM events")
            for process in self.stack.of(self.service):
                process.start()
            await until(self._is_level, seconds=LEVEL_S, what="everything to be published", every=0.2)
        raise NeverLevel(f"{self.service} never had everything published in {TRIES} kills")

    async def _is_left_alone(self) -> bool:
        """What a dead process had sent is committed by now, or never will be."""
        async with self._administrator() as admin:
            return bool(await admin.fetchval(_CONNECTED, self._names.database, self._names.service) == 0)

    async def _is_level(self) -> bool:
        return await self._ask(_PENDING) == 0

    async def _ask(self, query: str) -> int:
        url = self.stack.ground.databases(self.stack.suffix).administrator_url(self.service)
        connection = await asyncpg.connect(url, timeout=10, command_timeout=20)
        try:
            return int(await connection.fetchval(query))
        finally:
            await connection.close()

    @asynccontextmanager
    async def _administrator(self) -> "AsyncIterator[asyncpg.Connection[asyncpg.Record]]":
        connection = await asyncpg.connect(self.stack.ground.admin_url, timeout=10, command_timeout=60)
        try:
            yield connection
        finally:
            await connection.close()


async def take_backup(stack: Stack, service: str) -> Backup:
    """The database of `service` as it is now, dumped beside its running processes. Raises OSError."""
    backup = Backup(stack, service, stack.directory / f"{service}.dump")
    url = stack.ground.databases(stack.suffix).administrator_url(service)
    await _run("pg_dump", "--format=custom", "--create", "--file", str(backup.dump), url)
    return backup


async def _run(command: str, *arguments: str) -> None:
    process = await asyncio.create_subprocess_exec(
        str(binaries() / command), *arguments, stderr=asyncio.subprocess.PIPE
    )
    _, told = await process.communicate()
    if process.returncode != 0:
        raise OSError(f"{command} ended with {process.returncode}: {told.decode(errors='replace')[:500]}")
