"""Is this record the next one, a repeat, a gap, a fork, or none of ours? Pure: positions in, verdicts out."""

from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from uuid import UUID

from shared.errors import Poison
from shared.events.envelope import Envelope, open_record, read_body, read_envelope
from shared.runtime.kernel.decider import Message
from shared.runtime.kernel.message import Item, Place, Record
from shared.topics import SHARDS, TOPICS

MAX_RECORD_BYTES = 256 * 1024
"""A body larger than this is not parsed; events are at most 64 KiB."""
PIECE_BYTES = 8 * 1024 * 1024
"""What one transaction hears at most."""


@dataclass(slots=True)
class Heard:
    """How far one shard of one writer is heard."""

    position: int = 0
    last_event_id: UUID | None = None
    next_offset: int = 0


class Break(Enum):
    """Why a shard cannot be heard on."""

    GAP = "gap"
    FORK = "fork"


@dataclass(frozen=True, slots=True)
class Broken:
    """A record that does not follow: a gap (something is missing before it) or a fork (another past)."""

    kind: Break
    record: Record
    envelope: Envelope
    expected: int


Positions = MutableMapping[tuple[str, int], Heard]


def classify(record: Record, positions: Positions) -> Item | Broken:
    """The item that this record comes to; `positions` is moved on as if the item were committed."""
    writer = TOPICS[record.topic].writer
    heard = positions.setdefault((writer, record.partition), Heard())
    try:
        text, data = _opened(record)
        envelope = read_envelope(text)
        _belongs(envelope, record, writer)
    except Poison as poison:
        return _advance(heard, Item(record=record, place=_seat(writer, record), failure=poison))
    verdict = _order(envelope, heard)
    if isinstance(verdict, Break):
        return Broken(verdict, record, envelope, heard.position + 1)
    if verdict == "repeat":
        return _advance(heard, Item(record=record, place=Place(writer, record.partition, record.offset)))
    heard.position, heard.last_event_id = envelope.sequence, envelope.id
    place = Place(writer, record.partition, record.offset, envelope.sequence, envelope.id)
    return _advance(heard, _read(record, place, envelope, data))


def _seat(writer: str, record: Record) -> Place | None:
    """Where the record lies; None on a partition beyond our shards, which somebody has added."""
    return Place(writer, record.partition, record.offset) if record.partition < SHARDS else None


def _opened(record: Record) -> tuple[Mapping[str, str], bytes]:
    """Headers and body; of a body that is too large only the headers, so that its position counts as heard."""
    return open_record(record.headers, None if _too_large(record) else record.value)


def _too_large(record: Record) -> bool:
    return len(record.value or b"") > MAX_RECORD_BYTES


def _belongs(envelope: Envelope, record: Record, writer: str) -> None:
    if envelope.writer != writer:
        raise Poison("foreign-writer", f"{envelope.writer} may not write to the topic of {writer}")
    if envelope.shard != record.partition:
        raise Poison("foreign-partition", f"shard {envelope.shard} on partition {record.partition}")


def _order(envelope: Envelope, heard: Heard) -> Break | str:
    """Next = last + 1 and `previous` = the last id; lower is a repeat; higher a gap; another past is a fork."""
    if envelope.sequence == heard.position and envelope.id != heard.last_event_id and heard.last_event_id is not None:
        return Break.FORK
    if envelope.sequence <= heard.position:
        return "repeat"
    if envelope.sequence > heard.position + 1:
        return Break.GAP
    if heard.position > 0 and heard.last_event_id is None:
        return "next"  # an operator has skipped to here: the chain begins anew
    return "next" if envelope.previous == heard.last_event_id else Break.FORK


def _read(record: Record, place: Place, envelope: Envelope, data: bytes) -> Item:
    try:
        if _too_large(record):
            raise Poison("too-large", f"{len(record.value or b'')} bytes, at most {MAX_RECORD_BYTES}")
        body = read_body(envelope.type, envelope.writer, data)
        if body is not None and body.SUBJECTS and envelope.kind not in body.SUBJECTS:
            raise Poison("envelope", f"{envelope.type} is about no {envelope.kind}")
    except Poison as poison:
        return Item(record=record, place=place, failure=poison, dossier_id=envelope.dossier_id, kind=envelope.kind)
    if body is None:
        return Item(record=record, place=place)
    message = Message(envelope.id, envelope.dossier_id, envelope.time, body, envelope.kind)
    return Item(
        message=message, record=record, place=place, dossier_id=envelope.dossier_id, traceparent=envelope.traceparent,
        kind=envelope.kind,
    )  # fmt: skip


def _advance(heard: Heard, item: Item) -> Item:
    if item.place is not None:
        heard.next_offset = max(heard.next_offset, item.place.offset + 1)
    return item


def reread(record: Record) -> Item:
    """A parked record or dead letter once more, outside the order of its shard. Raises nothing:
    a failure is in the item.
    """
    try:
        text, data = _opened(record)
        envelope = read_envelope(text)
    except Poison as poison:
        return Item(record=record, failure=poison)
    writer = TOPICS[record.topic].writer
    place = Place(writer, record.partition, record.offset, envelope.sequence, envelope.id)
    item = _read(record, place, envelope, data)
    return replace(item, place=None, traceparent=None, redriven=True, dossier_id=envelope.dossier_id)


def pieces(records: Sequence[Record]) -> Iterator[list[Record]]:
    """The records in pieces of at most PIECE_BYTES each, or of one that is larger: what somebody else fills a topic
    with must not make a transaction that can never end in time.
    """
    piece, size = list[Record](), 0
    for record in records:
        if piece and size + len(record.value or b"") > PIECE_BYTES:
            yield piece
            piece, size = [], 0
        piece.append(record)
        size += len(record.value or b"")
    if piece:
        yield piece
