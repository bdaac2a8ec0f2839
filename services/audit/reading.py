"""A Kafka record as audit reads it: its bytes, their digest, and what its headers say. Pure; never raises.

The digest is SHA-256 over `leaf_bytes`, raw bytes without any canonical form, so that anyone can compute it from a
record: the same bytes are to be the leaves of an RFC 6962 tree over the trail.
"""

import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from typing import Literal, Protocol

from shared.errors import Poison
from shared.events.envelope import Envelope, open_record, read_envelope
from shared.runtime.store.headers import Headers, headers_json, name_bytes
from shared.topics import TOPICS

Kind = Literal["gap", "fork", "second-content", "foreign", "unreadable"]

MAX_SEQUENCE = 2**63 - 1
"""A sequence beyond this does not fit where positions are kept; no writer of ours comes near it."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_length = struct.Struct(">i").pack
_NULL = _length(-1)


class Raw(Protocol):
    """What aiokafka hands over. `timestamp` in milliseconds since 1970 UTC."""

    topic: str
    partition: int
    offset: int
    timestamp: int | None
    key: bytes | None
    headers: Headers
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Read:
    """One record, ready to be stored; `event` is None where the headers cannot be read, `fault` says what is wrong."""

    topic: str
    partition: int
    offset: int
    at: datetime | None
    key: bytes | None
    headers: str
    value: bytes | None
    digest: bytes
    event: Envelope | None
    fault: Literal["foreign", "unreadable"] | None

    @property
    def place(self) -> tuple[str, int, int]:
        """Where it lies: topic, partition, offset."""
        return (self.topic, self.partition, self.offset)


def read(raw: Raw) -> Read:
    """The record with digest and envelope. Whatever it holds, something comes of it."""
    event = _envelope(raw.headers, raw.value)
    fault: Literal["foreign", "unreadable"] | None = None
    if event is None:
        fault = "unreadable"
    elif event.writer != TOPICS[raw.topic].writer or event.shard != raw.partition:
        fault = "foreign"
    return Read(
        raw.topic, raw.partition, raw.offset, _time(raw.timestamp), raw.key, headers_json(raw.headers), raw.value,
        digest(raw.key, raw.headers, raw.value), event, fault,
    )  # fmt: skip


def _envelope(headers: Headers, value: bytes | None) -> Envelope | None:
    present = [(name, content) for name, content in headers if content is not None]
    if len(present) != len(headers):
        return None
    try:
        text, _ = open_record(present, value)
        event = read_envelope(text)
    except Poison:
        return None
    return None if event.sequence > MAX_SEQUENCE or "\0" in event.type else event


def _time(milliseconds: int | None) -> datetime | None:
    """The record's time; None for none, or one that no calendar holds."""
    if milliseconds is None:
        return None
    try:
        return _EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError:
        return None


@lru_cache(maxsize=256)
def told_name(name: str) -> bytes | None:
    """A header's name behind its length if the writer's word is in it (CloudEvents, content type), or None."""
    lower = name.lower()
    if not lower.startswith("ce_") and lower != "content-type":
        return None
    encoded = name_bytes(name)
    return _length(len(encoded)) + encoded


def leaf_bytes(key: bytes | None, headers: Headers, value: bytes | None) -> bytes:
    """What is hashed: key, the number of told headers, each one's name and value in wire order, and the record's value.

    Every part stands behind its length, four bytes big-endian and -1 for null, as in Kafka's own protocol.
    """
    told: list[bytes] = []
    for name, content in headers:
        named = told_name(name)
        if named is not None:
            told += (named, *_part(content))
    return b"".join((*_part(key), _length(len(told) // 3), *told, *_part(value)))


def _part(content: bytes | None) -> tuple[bytes, bytes]:
    return (_NULL, b"") if content is None else (_length(len(content)), content)


def digest(key: bytes | None, headers: Headers, value: bytes | None) -> bytes:
    """SHA-256 of the leaf, 32 bytes."""
    return sha256(leaf_bytes(key, headers, value)).digest()
