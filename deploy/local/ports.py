"""Free ports on 127.0.0.1, taken from below the range that the kernel gives to outgoing connections.

From that range, a client that dials a server which is down can be connected to itself (a TCP simultaneous open)
and then holds the port, so that the server cannot come back to it.
"""

import random
import socket

_LOWEST, _HIGHEST = 20_000, 31_999
_TRIES = 200
_given: set[int] = set()
"""What this process was given: not given twice, though whoever has it has not begun to listen on it yet."""


def free_port(preferred: int | None = None) -> int:
    """A port nobody listens on; `preferred` if it is free. Raises OSError if none is found."""
    if preferred is not None and is_free(preferred):
        return preferred
    for _ in range(_TRIES):
        port = random.randint(_LOWEST, _HIGHEST)
        if port not in _given and is_free(port):
            _given.add(port)
            return port
    raise OSError(f"no free port between {_LOWEST} and {_HIGHEST}")


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
