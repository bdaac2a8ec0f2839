"""uvicorn as every process has it: inside our own loop, and held up by nobody who connects and then stalls."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from shared.errors import Misconfigured

IDLE_S = 30
"""Seconds after which a connection is given up on which no request is under way, or the head of one does not end."""
PLACES = 2000
"""Connections at once; more are answered 503, an operator's probes too."""


class Server(uvicorn.Server):
    """uvicorn inside our own loop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Nothing: signals are the process's."""
        yield


class _Protocol(HttpToolsProtocol):
    """Gives up a connection whose next request's head is not whole in time. uvicorn gives up one that is idle after an
    answer, but any byte ends that, and for a first request or the rest of a head it waits for ever.
    """

    _giving_up: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._await_head()

    def on_headers_complete(self) -> None:
        self._stop_waiting()
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.cycle.response_complete:
            self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def _await_head(self) -> None:
        self._stop_waiting()
        self._giving_up = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def _stop_waiting(self) -> None:
        if self._giving_up is not None:
            self._giving_up.cancel()


def listening(host: str, port: int, setting: str = "HTTP") -> socket.socket:
    """The socket of the server, taken before anything else begins. Raises Misconfigured if it cannot be had, which
    names `setting`_HOST and `setting`_PORT.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=PLACES)
    except OSError as error:
        raise Misconfigured(f"{setting}_HOST {host}, {setting}_PORT {port}: {error.strerror or error}") from error


def http_server(app: FastAPI, host: str, port: int, drain_s: int, idle_s: int = IDLE_S) -> Server:
    """A server for `app`. Told to stop, it takes nothing new and finishes what is in hand; what is not finished after
    `drain_s` seconds (at least 1) it cuts off.
    """
    config = uvicorn.Config(
        app, host, port, log_config=None, access_log=False, lifespan="off", http=_Protocol, limit_concurrency=PLACES,
        proxy_headers=False, timeout_keep_alive=idle_s, timeout_graceful_shutdown=drain_s, server_header=False,
    )  # fmt: skip
    return Server(config)
