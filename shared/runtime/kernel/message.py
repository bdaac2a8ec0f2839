"""What the engine is handed: messages from Kafka, from our own door and from our own tasks, in one shape."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from shared.errors import DossierError, Poison
from shared.events.base import DOSSIER, Model
from shared.registry import BUGS
from shared.runtime.kernel.decider import Message


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """A data key as it is stored and travels: encrypted under the key-encryption key named `kek_id`."""

    dossier_id: UUID
    kek_id: str
    wrapped: bytes


@dataclass(frozen=True, slots=True)
class Digest:
    """By what a dossier may be found that nobody may read: a keyed digest of something of this kind."""

    dossier_id: UUID
    kind: str
    digest: bytes


@dataclass(frozen=True, slots=True)
class Record:
    """A Kafka record as it came, bytes untouched. `timestamp` in UTC."""

    topic: str
    partition: int
    offset: int
    timestamp: datetime
    key: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record stands in its writer's shard. `sequence` is None where it does not move what has been heard."""

    source: str
    shard: int
    offset: int
    sequence: int | None = None
    event_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """Who asked, and under which idempotency key; `answer` draws the reply from the new state. `digests` take the place
    of those that their dossier has, once it is granted; none leave them as they are.
    """

    client: str
    method: str
    path: str
    key: str
    body_hmac: bytes
    status: int
    answer: Callable[[Any], Mapping[str, Any]]
    data_key: WrappedKey | None = None
    digests: Sequence[Digest] = ()

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """The primary key of the stored answer."""
        return (self.client, self.method, self.path, self.key)


@dataclass(frozen=True, slots=True)
class Claim:
    """The right of one worker to say what came of a task."""

    task_id: UUID
    token: UUID


@dataclass(frozen=True, slots=True)
class Item:
    """One message on its way through the engine, with what its origin needs at commit.

    `message` is None for a record that is only noted (a repeat, an unknown type) or, with `failure`, cannot be read.
    """

    message: Message[Model] | None = None
    record: Record | None = None
    place: Place | None = None
    request: Request | None = None
    claim: Claim | None = None
    failure: Exception | None = None
    dossier_id: UUID | None = None
    redriven: bool = False
    traceparent: str | None = None
    kind: str = DOSSIER
    """Of the subject, whose id is `dossier_id`."""

    @property
    def named(self) -> dict[str, str]:
        """`dossier_id` and `event_id` as log lines have them, each where it is known; a repeat has no event id."""
        message_id = self.message.id if self.message else self.place.event_id if self.place else None
        known = {"dossier_id": self.dossier_id, "event_id": message_id}
        return {name: str(one) for name, one in known.items() if one is not None}


@dataclass(slots=True)
class Handled:
    """What became of one item: ok, duplicate, skipped, dead_lettered, parked, refused, failed or stale."""

    outcome: str
    answer: Mapping[str, Any] | None = None
    status: int = 200
    error: DossierError | Exception | None = None


@dataclass(frozen=True, slots=True)
class Move:
    """How far one shard of one writer is heard after a batch. `expected` is None if no sequence moves."""

    source: str
    shard: int
    next_offset: int
    expected: int | None
    position: int | None
    last_event_id: UUID | None


def moves(items: Sequence[Item]) -> list[Move]:
    """What the batch moves of `heard`, one row per writer and shard, in key order (so that locks cannot cross)."""
    made: dict[tuple[str, int], Move] = {}
    for place in (item.place for item in items if item.place is not None):
        before = made.get((place.source, place.shard))
        made[place.source, place.shard] = _moved(before, place)
    return [made[key] for key in sorted(made)]


def _moved(before: Move | None, place: Place) -> Move:
    expected, position, last = (before.expected, before.position, before.last_event_id) if before else (None,) * 3
    if place.sequence is not None:
        expected = place.sequence - 1 if expected is None else expected
        position, last = place.sequence, place.event_id
    return Move(place.source, place.shard, place.offset + 1, expected, position, last)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A row of dead_letters in the making; `message` is cut to 512 characters and names no person."""

    item: Item
    reason: str
    error_code: str
    error_type: str
    message: str


def dead_letter(item: Item, failure: Exception, service: str) -> DeadLetter:
    """The dead letter of an item that failed in `service`, under a code of the registry. Only our own errors tell their
    text; any other may quote its input.
    """
    reason = failure.reason if isinstance(failure, Poison) else "rule-raised"
    text = str(failure) if isinstance(failure, DossierError) else f"{type(failure).__name__}, see the log"
    code = failure.code if isinstance(failure, DossierError) else None
    # A header may hold a NUL, which no text column can.
    return DeadLetter(item, reason, code or BUGS[service], type(failure).__name__, text.replace("\x00", "\ufffd")[:512])
