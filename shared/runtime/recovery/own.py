"""Which records of a service's own topic are its own. What anybody else has put there proves nothing about its store.

Its own are of its source, on the partition of their shard, and bear an id that follows from the message that caused
them (`decider.event_id`). That is no signature: whoever may write to the topic and knows all this can forge one, and an
operator can then tell the service to leave it out (`topic disown`).
"""

from collections.abc import Mapping
from typing import NamedTuple
from uuid import UUID

import asyncpg

from shared.errors import Poison
from shared.events.envelope import Envelope, RawHeaders, open_record, read_envelope
from shared.runtime.kernel.decider import event_id

MOST_OF_ONE_CAUSE = 32
"""More events than any message causes."""

DISOWN = "topic disown"
"""The name of the operator's act."""


class Spot(NamedTuple):
    """A place on the topic."""

    partition: int
    offset: int


def own(headers: RawHeaders, service: str, partition: int) -> tuple[Envelope, Mapping[str, str]] | None:
    """Envelope and headers of a record on this partition of `service`'s topic; None if it is not the service's own. It
    publishes in binary mode, so the headers say all.
    """
    try:
        text, _ = open_record(headers, None)
        envelope = read_envelope(text)
    except Poison:
        return None
    ours = (envelope.writer, envelope.shard) == (service, partition)
    return (envelope, text) if ours and _follows(envelope.id, UUID(text["ce_causationid"]), service) else None


def _follows(id_: UUID, cause: UUID, service: str) -> bool:
    return any(id_ == event_id(cause, service, n) for n in range(1, MOST_OF_ONE_CAUSE + 1))


async def disowned(pool: "asyncpg.Pool[asyncpg.Record]") -> frozenset[Spot]:
    """The places whose records an operator has told this service to leave out. Raises as a lost database does."""
    rows = await pool.fetch(_DISOWNED, DISOWN)
    return frozenset(Spot(row[0], row[1]) for row in rows)


_DISOWNED = """SELECT (detail ->> 'partition')::int, (detail ->> 'offset')::bigint FROM operator_acts WHERE act = $1"""
