"""Records of intake's topic for tests of hearing: at any place of any chain."""

from collections.abc import Mapping
from uuid import UUID, uuid5

from shared.events.envelope import Envelope, headers
from shared.events.intake import DossierSubmitted
from shared.runtime.kernel.message import Record
from shared.topics import topic_of
from tests.controls import AT, DOSSIER, MESSAGE, dossier_submitted

WRITER = "intake"
TOPIC = topic_of(WRITER)
SHARD = 7


def event_id(sequence: int, past: str = "true") -> UUID:
    """The id of the event at a position of one past or another."""
    return uuid5(MESSAGE, f"{past}/{sequence}")


def record(sequence: int, previous: UUID | None, past: str = "true", offset: int = 0, **changed: str) -> Record:
    """An event at this position, behind `previous`; headers may be changed (empty: left out)."""
    envelope = Envelope(
        event_id(sequence, past), DossierSubmitted.TYPE, AT, DOSSIER, WRITER, SHARD, sequence, previous
    )  # fmt: skip
    head = {**headers(DossierSubmitted, envelope, MESSAGE), **changed}
    return Record(TOPIC, SHARD, offset, AT, b"", wire(head), dossier_submitted().model_dump_json().encode())


def genuine(sequence: int, offset: int = 0, **changed: str) -> Record:
    """The true event at this position."""
    return record(sequence, event_id(sequence - 1) if sequence > 1 else None, offset=offset, **changed)


def wire(head: Mapping[str, str]) -> tuple[tuple[str, bytes], ...]:
    """Headers as they travel."""
    return tuple((name.replace("content_type", "content-type"), text.encode()) for name, text in head.items() if text)
