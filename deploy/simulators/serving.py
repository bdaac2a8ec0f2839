"""One simulator as a process: its arguments, its two ports, and how it ends."""

import argparse
import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol

from aiohttp import web

from deploy.simulators.faults import Faults


class Door(Protocol):
    """The port on which the outside world meets the simulator; it can be closed and opened again."""

    async def open(self) -> None: ...

    async def close(self) -> None:
        """Stops listening and cuts off who is connected."""


class HttpDoor:
    """A door for an aiohttp application."""

    def __init__(self, app: web.Application, host: str, port: int) -> None:
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        self._host, self._port = host, port
        self._site: web.TCPSite | None = None

    async def open(self) -> None:
        if self._site is not None:
            return
        if self._runner.server is None:
            await self._runner.setup()
        self._site = web.TCPSite(self._runner, self._host, self._port, reuse_address=True)
        await self._site.start()

    async def close(self) -> None:
        if self._site is not None:
            await self._site.stop()
            self._site = None
        for connection in self._runner.server.connections if self._runner.server else ():
            if connection.transport is not None:
                connection.transport.abort()

    async def end(self) -> None:
        await self._runner.cleanup()


def arguments(description: str) -> argparse.ArgumentParser:
    """The arguments that every simulator takes."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True, help="where the outside world calls")
    parser.add_argument("--control-port", type=int, required=True, help="where it is told how to behave")
    parser.add_argument("--history", type=Path, required=True, help="append-only JSONL of what reached it")
    parser.add_argument("--seed", type=int, default=1, help="of the random numbers")
    parser.add_argument(
        "--until-stdin-closes", action="store_true", help="end when standard input does, as when the parent dies"
    )
    return parser


async def serve(
    args: argparse.Namespace,
    door: Door,
    control: web.Application,
    faults: Faults[Any],
    work: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Opens both ports, does `work` beside them, and returns on SIGTERM, SIGINT or the end of standard input.

    Raises what `work` raises, so that a bug ends the process.
    """
    stop = asyncio.Event()
    await _hear_the_end(stop, args.until_stdin_closes)
    controller = HttpDoor(control, args.host, args.control_port)
    faults.told.append(lambda: door.close() if faults.settings.refuses_all else door.open())
    await door.open()
    await controller.open()
    try:
        await _until_any(stop.wait(), *([work()] if work else []))
    finally:
        await door.close()
        await controller.end()


async def _until_any(*works: Awaitable[Any]) -> None:
    tasks = [asyncio.ensure_future(work) for work in works]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
    for task in done:
        task.result()


async def _hear_the_end(stop: asyncio.Event, until_stdin_closes: bool) -> None:
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    if until_stdin_closes:
        await loop.connect_read_pipe(lambda: _UntilClosed(stop), sys.stdin)


class _UntilClosed(asyncio.Protocol):
    def __init__(self, stop: asyncio.Event) -> None:
        self._stop = stop

    def eof_received(self) -> None:
        self._stop.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop.set()
