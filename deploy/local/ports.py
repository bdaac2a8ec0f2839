"""Free ports on 127.0.0.1, taken from below the range that the kernel gives to outgoing connections.

From that range, a client that dials a server which is down can be connected to itself (a TCP simultaneous open)
and then holds the port, so that the server cannot come back to it.

Who was given a port holds it until its process ends, by a lock that all processes of this user see: a server that is
down for a while, as in a test, finds nobody else at its port when it comes back.
"""

import fcntl
import os
import random
import socket
import tempfile
from functools import cache
from pathlib import Path

_LOWEST, _HIGHEST = 20_000, 31_999
_TRIES = 200
_given: set[int] = set()
"""What this process was given: not given twice, though whoever has it has not begun to listen on it yet."""


def free_port(preferred: int | None = None) -> int:
    """A port that nobody listens on and nobody else was given; `preferred` if it is so. Raises OSError if none is."""
    if preferred is not None and is_free(preferred) and _held(preferred):
        return preferred
    for _ in range(_TRIES):
        port = random.randint(_LOWEST, _HIGHEST)
        if port not in _given and is_free(port) and _held(port):
            _given.add(port)
            return port
    raise OSError(f"no free port between {_LOWEST} and {_HIGHEST}")


@cache
def _locks() -> int:
    """The file whose n-th byte is locked by who was given port n. Never closed: with it all locks would go."""
    path = Path(tempfile.gettempdir()) / f"dossier-ports-{os.geteuid()}"
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def _held(port: int) -> bool:
    """Whether the port is this process's now, until it ends (fcntl(2): a lock is not handed down to children)."""
    try:
        fcntl.lockf(_locks(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except (BlockingIOError, PermissionError):
        return False
    return True


def is_free(port: int) -> bool:
    """True if a server could listen on `port` of 127.0.0.1 now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def answers(port: int) -> bool:
    """True if somebody accepts connections on `port` of 127.0.0.1."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0
