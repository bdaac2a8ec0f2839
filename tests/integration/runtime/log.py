"""What intake would have on its topic: a log of records per shard, in memory, dense and chained."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from shared.events.envelope import Envelope, headers
from shared.events.intake import DossierSubmitted
from shared.runtime.kernel import decider
from shared.runtime.kernel.message import Record
from shared.runtime.kernel.sharding import shard_of
from shared.topics import topic_of
from tests.controls import dossier_submitted
from tests.integration.runtime.toy import name

WRITER = "intake"
TOPIC = topic_of(WRITER)
AT = datetime(2026, 9, 16, 1, 30, tzinfo=UTC)


@dataclass
class Log:
    """The shards of a writer that only appends."""

    records: dict[int, list[Record]] = field(default_factory=lambda: defaultdict(list))
    sequences: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    told: dict[tuple[int, int], tuple[UUID, str]] = field(default_factory=dict)
    """(shard, offset) → the dossier and text of an event; what nobody can read is not here."""

    def say(self, dossier: UUID, text: str) -> Record:
        """One event more, at the end of the dossier's shard."""
        shard = shard_of(dossier)
        self.sequences[shard] += 1
        record = record_of(dossier, text, self.sequences[shard], len(self.records[shard]))
        self.records[shard].append(record)
        self.told[shard, record.offset] = (dossier, text)
        return record

    def noise(self, shard: int) -> Record:
        """A record that nobody can read: it has an offset but no position."""
        record = Record(TOPIC, shard, len(self.records[shard]), AT, b"?", (), b"\xff")
        self.records[shard].append(record)
        return record


def cause(shard: int, sequence: int) -> UUID:
    """The message because of which the event at a position was said."""
    return name("cause", shard, sequence)


def event_id(shard: int, sequence: int) -> UUID:
    """The id of the event at a position."""
    return decider.event_id(cause(shard, sequence), WRITER, 1)


def record_of(dossier: UUID, text: str, sequence: int, offset: int) -> Record:
    """The record of an application whose code is `text`, at this position."""
    shard = shard_of(dossier)
    previous = event_id(shard, sequence - 1) if sequence > 1 else None
    envelope = Envelope(
        event_id(shard, sequence), DossierSubmitted.TYPE, AT, dossier, WRITER, shard, sequence, previous
    )  # fmt: skip
    head = headers(DossierSubmitted, envelope, cause(shard, sequence))
    wire = tuple((key, value.encode()) for key, value in head.items())
    body = dossier_submitted(code=text).model_dump_json().encode()
    return Record(TOPIC, shard, offset, AT, str(dossier).encode(), wire, body)
