"""uvicorn as every process has it: inside our own loop, and held up by nobody who connects and then stalls."""

import contextlib
import socket
from collections.abc import Callable, Iterator
from functools import partial

import uvicorn
from starlette.applications import Starlette

from shared.errors import Misconfigured
from shared.runtime.http.connections import Connection, Doorkeeper
from shared.runtime.http.crowd import PLACES, Crowd, Network, room

IDLE_S = 30
"""Seconds after which a connection is given up on which no request is under way."""
EACH = 256
"""Connections from one address."""


class Server(uvicorn.Server):
    """uvicorn inside our own loop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Nothing: signals are the process's."""
        yield


def listening(host: str, port: int, setting: str = "HTTP") -> socket.socket:
    """The socket of the server, taken before anything else begins. Raises Misconfigured if it cannot be had, which
    names `setting`_HOST and `setting`_PORT.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=PLACES)
    except OSError as error:
        raise Misconfigured(f"{setting}_HOST {host}, {setting}_PORT {port}: {error.strerror or error}") from error


def http_server(
    app: Starlette,
    host: str,
    port: int,
    drain_s: int,
    idle_s: int = IDLE_S,
    each: int = EACH,
    places: int = PLACES,
    trusted: tuple[Network, ...] = (),
    refused: Callable[[int], None] = lambda status: None,
    count: Callable[[object, str], None] = lambda peer, forwarded: None,
) -> Server:
    """A server for `app`. Told to stop, it takes nothing new and finishes what is in hand; what is not finished after
    `drain_s` seconds (at least 1) it cuts off. From one address it takes `each` connections, save from `trusted`
    networks, and `places` in all; `refused` is told the status of a request that is refused by its head alone, and
    `count` counts it (peer, X-Forwarded-For) and raises Refused for one too many.
    """
    keeper = Doorkeeper(Crowd(room(places), each, trusted), refused, count)
    config = uvicorn.Config(
        app, host, port, log_config=None, access_log=False, lifespan="off", ws="none", proxy_headers=False,
        http=partial(Connection, keeper),  # type: ignore[arg-type]  # whatever makes a protocol
        timeout_keep_alive=idle_s, timeout_graceful_shutdown=drain_s, server_header=False,
    )  # fmt: skip
    return Server(config)
