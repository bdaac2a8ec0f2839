"""Events of our own as they lie on the topic: which continue the chain of what is stored, or why none does."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Protocol, TypeVar
from uuid import UUID

from shared.errors import Poison, Unavailable
from shared.events.base import Event
from shared.events.envelope import Envelope, read_body
from shared.runtime.kernel.decider import Message
from shared.runtime.kernel.message import Record
from shared.runtime.store.sql import EventRow


class Linked(Protocol):
    """What stands at a position of a chain, behind the event that it names."""

    @property
    def position(self) -> int: ...
    @property
    def event_id(self) -> UUID: ...
    @property
    def previous(self) -> UUID | None: ...


L = TypeVar("L", bound=Linked)


@dataclass(frozen=True, slots=True)
class Found:
    """One record of our own on the topic, unread but for its headers (`text`)."""

    envelope: Envelope
    text: Mapping[str, str]
    record: Record

    @property
    def position(self) -> int:
        """Its sequence."""
        return self.envelope.sequence

    @property
    def event_id(self) -> UUID:
        """Its id."""
        return self.envelope.id

    @property
    def previous(self) -> UUID | None:
        """The id of the event before it."""
        return self.envelope.previous


@dataclass(frozen=True, slots=True)
class Taken(EventRow):
    """One event of our own as it lies on the topic. `message` is None where this release does not know its type."""

    position: int
    previous: UUID | None
    recorded_at: datetime
    message: Message[Event] | None


@dataclass(frozen=True, slots=True)
class Head:
    """How far a shard is: its last position, and the event there."""

    position: int
    event_id: UUID | None


def following(head: Head, found: Iterable[L]) -> Iterator[L]:
    """Those events that continue the chain behind `head`, in order. Passed over are repeats, what lies behind a hole,
    which its writer has sent once more, and what does not link: of several that do, the first is taken.
    """
    for one in sorted(found, key=attrgetter("position")):
        if one.position == head.position + 1 and one.previous == head.event_id:
            head = Head(one.position, one.event_id)
            yield one


def first_beyond(head: Head, found: Sequence[Found]) -> list[Found]:
    """The lowest of these that lies beyond `head`, if any does."""
    return sorted((one for one in found if one.position > head.position), key=attrgetter("position"))[:1]


def broken(head: Head, shard: int, beyond: Sequence[Found]) -> str:
    """Why a topic that has been read to its end does not continue the store: a fork or a hole, and where."""
    place = "".join(f"offset {one.record.offset} of partition {shard}" for one in beyond)
    if any(one.position == head.position + 1 for one in beyond):
        event = f"event {head.position + 1} of shard {shard} on the topic"
        return f"{event} ({place}) does not continue the store: a fork"
    return f"the topic has no event {head.position + 1} of shard {shard}, but later ones ({place}): a hole"


def taken(found: Found) -> Taken:
    """Raises Unavailable for an event of ours that does not read: it cannot be folded, and nothing may follow it."""
    envelope, one = found.envelope, found.record
    data = one.value or b""
    try:
        body = read_body(envelope.type, envelope.writer, data)
    except Poison as poison:
        place = f"event {envelope.sequence} of shard {envelope.shard}"
        at = f"offset {one.offset} of partition {one.partition}"
        raise Unavailable(f"{place} on the topic ({at}) cannot be read: {poison.reason}") from poison
    message = None if body is None else Message(envelope.id, envelope.dossier_id, envelope.time, body, envelope.kind)
    return Taken(
        envelope.shard, envelope.id, envelope.dossier_id, UUID(found.text["ce_causationid"]), envelope.type,
        dict(found.text), data, envelope.sequence, envelope.previous, one.timestamp, message,
    )  # fmt: skip
