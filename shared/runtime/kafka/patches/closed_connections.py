"""Connections to Kafka that are closed are cut at once, with whatever is still on its way.

TLS ends a connection in two steps: one side says that it is done, and waits for the other to say so too. A broker
(4.3.1) to which this comes close behind requests that it has yet to answer does not notice, and uvloop waits for half a
minute (asyncio ends at the first answer that still comes). So a reader or producer that was stopped while it fetched
took 30 s to stop. Whoever waited for it with less patience began anew, and the busier the machine, the longer nothing
came of it. aiokafka closes a connection only when nobody waits for an answer any more, so nothing is lost.

Upstream: uvloop issue 471 (open; pull request 503 was given up): a TLS connection that is closed is read on, for up to
30 s, until the other side says so too. That brokers overlook it behind unanswered requests has no issue of its own.
Looked at: uvloop 0.23.0, aiokafka 0.14.0; Kafka 4.3.1.
Goes when: uvloop ends a connection that is closed, or aiokafka cuts one itself. The names of aiokafka that this rests
on are private: its version is pinned, and a test on a secured Kafka closes so.
"""

from typing import Any

from aiokafka.conn import AIOKafkaConnection

_close = AIOKafkaConnection.close


def cut_when_closed() -> None:
    """From now on no client of this process, Faust's neither, waits for a broker to agree that a connection ends."""
    AIOKafkaConnection.close = _cut


def _cut(self: Any, reason: Any = None, exc: BaseException | None = None) -> Any:
    transport = None if self._writer is None or self._writer.is_closing() else self._writer.transport
    closed = _close(self, reason, exc)
    if transport is not None:
        transport.abort()
    return closed
