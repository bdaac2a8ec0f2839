"""The wire form: CloudEvents 1.0 in Kafka's binary mode, with the sequence and the chain of each shard.

Sources: CloudEvents 1.0.2 `spec.md`; `bindings/kafka-protocol-binding.md` §3.2 (binary) and §3.3 (structured);
extensions `sequence`, `partitioning`, `distributed-tracing`.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from uuid import UUID

from pydantic import ValidationError

from shared.errors import Poison
from shared.events import catalogue
from shared.events.base import DOSSIER, Event
from shared.ids import read_id

MAX_EVENT_BYTES = 64 * 1024
"""CloudEvents spec.md, Size Limits: what every intermediary must forward."""

SCHEMA_ROOT = "https://schemas.dossier.gov.vn"
_SOURCE = "urn:dossier:"
_STRUCTURED = "application/cloudevents"

_KIND = re.compile(r"[a-z][a-z0-9-]{0,31}")
_TRACEPARENT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")

_UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_CHAIN = re.compile(f"{_UUID} {_UUID}")
_ALWAYS = (
    ("ce_specversion", re.compile(r"1\.0")),
    ("ce_dataschema", re.compile(r"https?://\S+")),
    ("ce_correlationid", re.compile(_UUID)),
    ("ce_causationid", re.compile(_UUID)),
)
"""What every event bears besides its envelope, and in which form."""

RawHeaders = Sequence[tuple[str, bytes | None]]
"""As they came: Kafka takes a header without a value from any client."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """What the headers say. `sequence` counts from 1 within (writer, shard); `previous` is the event before it."""

    id: UUID
    type: str
    time: datetime
    dossier_id: UUID
    writer: str
    shard: int
    sequence: int
    previous: UUID | None
    traceparent: str | None = None
    kind: str = DOSSIER
    """Of the subject, whose id is `dossier_id`."""


def schema_uri(event: type[Event]) -> str:
    """Absolute URI of the event's JSON Schema with its full version."""
    return f"{SCHEMA_ROOT}/{event.TYPE.removeprefix('vn.gov.dossier.')}/{event.VERSION}.json"


def source(writer: str, shard: int) -> str:
    """CloudEvents `source` of one shard of one service."""
    return f"{_SOURCE}{writer}:{shard}"


def rfc3339(at: datetime) -> str:
    """UTC with milliseconds, as `ce_time`."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def unplaced_headers(
    event: type[Event], id_: UUID, at: datetime, dossier_id: UUID, writer: str, shard: int, caused_by: UUID,
    trace: str | None = None, kind: str = DOSSIER,
) -> dict[str, str]:  # fmt: skip
    """Headers of an event whose place in its shard is not given yet: all but its sequence and the event before it.
    No personal data by construction.
    """
    dossier = str(dossier_id)
    made = {
        "content-type": "application/json",
        "ce_specversion": "1.0",
        "ce_id": str(id_),
        "ce_source": source(writer, shard),
        "ce_type": event.TYPE,
        "ce_time": rfc3339(at),
        "ce_subject": f"{kind}/{dossier}",
        "ce_dataschema": schema_uri(event),
        "ce_partitionkey": dossier,
        "ce_correlationid": dossier,
        "ce_causationid": str(caused_by),
    }
    return {**made, "traceparent": trace} if trace else made


def headers(event: type[Event], envelope: Envelope, caused_by: UUID) -> dict[str, str]:
    """All headers of one event, as the store completes and the relay publishes them."""
    one = envelope
    made = unplaced_headers(
        event, one.id, one.time, one.dossier_id, one.writer, one.shard, caused_by, one.traceparent, one.kind
    )
    made["ce_sequence"] = f"{one.sequence:020d}"
    if one.previous is not None:
        made["ce_previous"] = str(one.previous)
    return {name: made[name] for name in _IN_ORDER if name in made}


_IN_ORDER = (
    "content-type", "ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "ce_subject", "ce_dataschema",
    "ce_partitionkey", "ce_sequence", "ce_correlationid", "ce_causationid", "ce_previous", "traceparent",
)  # fmt: skip


def open_record(raw: RawHeaders, value: bytes | None) -> tuple[Mapping[str, str], bytes]:
    """Headers as text and the event's own bytes, of a record in binary or structured mode.

    Raises Poison if a header is null, it or its name is not UTF-8, or a structured record is not a JSON object.
    """
    text = {_name(name): _text(content) for name, content in raw}
    if text.get("content-type", "").lower().startswith(_STRUCTURED):
        return _open_structured(value or b"")
    return text, value or b""


@lru_cache(maxsize=256)
def _name(name: str) -> str:
    """In small letters. Bytes that are no UTF-8 stand in a name as halves of surrogate pairs."""
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise Poison("headers-not-utf8", "a header's name is not UTF-8") from error
    return name.lower()


def _text(content: bytes | None) -> str:
    if content is None:
        raise Poison("headers-not-utf8", "a header is null")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise Poison("headers-not-utf8", "a header is not UTF-8") from error


def _open_structured(value: bytes) -> tuple[Mapping[str, str], bytes]:
    try:
        event = json.loads(value)
        data = event.pop("data")
        # Through UTF-8, for JSON can spell half a surrogate pair, which no log and no column can hold.
        text = {f"ce_{name}".encode().decode(): str(content).encode().decode() for name, content in event.items()}
        return text, json.dumps(data).encode()
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise Poison("structured-unreadable", "a structured record is not a CloudEvent in JSON") from error


def read_envelope(text: Mapping[str, str]) -> Envelope:
    """The envelope in the headers. Raises Poison naming an attribute of an event that is missing or malformed."""
    try:
        return _envelope(text)
    except (KeyError, ValueError, OverflowError) as error:
        raise Poison("envelope", f"header {_malformed(text)} is missing or malformed") from error


def _envelope(text: Mapping[str, str]) -> Envelope:
    if not _fits(text["ce_specversion"], text["ce_dataschema"]):
        raise ValueError("not what we say or hear")
    if _CHAIN.fullmatch(f"{text['ce_correlationid']} {text['ce_causationid']}") is None:
        raise ValueError("no ids")
    writer, shard = _source(text["ce_source"])
    dossier = read_id(text["ce_partitionkey"])
    kind, _, subject = text["ce_subject"].partition("/")
    if subject != str(dossier) or _KIND.fullmatch(kind) is None:
        raise ValueError("another subject")
    previous, trace = text.get("ce_previous"), text.get("traceparent")
    return Envelope(
        read_id(text["ce_id"]), text["ce_type"], _time(text["ce_time"]), dossier, writer, shard,
        _sequence(text["ce_sequence"]), None if previous is None else read_id(previous), traceparent(trace or ""),
        kind,
    )  # fmt: skip


def _malformed(text: Mapping[str, str]) -> str:
    """The first attribute that is missing or malformed."""
    for name, form in _ALWAYS:
        if form.fullmatch(text.get(name, "")) is None:
            return name
    for name, read in _ATTRIBUTES:
        try:
            read(text[name])
        except (KeyError, ValueError, OverflowError):
            return name
    return "ce_previous" if _no_uuid(text.get("ce_previous")) else "ce_subject"


def _no_uuid(text: str | None) -> bool:
    try:
        return text is not None and read_id(text) is None
    except ValueError:
        return True


@lru_cache(maxsize=256)
def _fits(version: str, schema: str) -> bool:
    """Whether the form is one that we read; a few pairs, each in every event."""
    return all(form.fullmatch(one) is not None for one, (_, form) in zip((version, schema), _ALWAYS, strict=False))


def traceparent(value: str) -> str | None:
    """W3C Trace Context, or nothing: a foreign header is never passed on unchecked."""
    return value if _TRACEPARENT.fullmatch(value) else None


def _time(value: str) -> datetime:
    at = datetime.fromisoformat(value)
    if at.tzinfo is None:
        raise ValueError("no offset")
    return at.astimezone(UTC)


@lru_cache(maxsize=256)
def _source(value: str) -> tuple[str, int]:
    """Writer and shard of a `ce_source`; each comes with every event of its shard."""
    writer, _, shard = value.removeprefix(_SOURCE).partition(":")
    if not value.startswith(_SOURCE) or not writer or not shard:
        raise ValueError("not a source of this platform")
    return writer, int(value.rpartition(":")[2])


def _sequence(value: str) -> int:
    if len(value) != 20 or not value.isascii() or not value.isdigit() or not 1 <= int(value) < 2**63:
        raise ValueError("not 20 digits from 1 to 2^63 - 1")
    return int(value)


_ATTRIBUTES: Sequence[tuple[str, Callable[[str], object]]] = (
    ("ce_id", read_id), ("ce_type", str), ("ce_time", _time), ("ce_partitionkey", read_id), ("ce_source", _source),
    ("ce_sequence", _sequence),
)  # fmt: skip


def read_body(event_type: str, writer: str, data: bytes) -> Event | None:
    """The typed body, in the newest version of its event; `None` for a type we do not know. The one place where bodies
    are read. Unknown fields are ignored: subscribers upgrade late, so do we.

    Raises Poison if the body is not what its schema says, or the type belongs to another writer.
    """
    reading = catalogue.READINGS.get(event_type)
    if reading is None:
        return None
    if reading.writer != writer:
        raise Poison("foreign-type", f"{event_type} is not for {writer} to say")
    try:
        body = reading.written.model_validate_json(data, extra="ignore")
    except ValidationError as error:
        raise Poison("schema", _faults_without_input(error)) from error
    return _upcast(event_type, body, reading.steps) if reading.steps else body


def _upcast(event_type: str, body: Event, steps: Sequence[Callable[[Event], Event]]) -> Event:
    """The same fact as the newest version tells it. A step that fails has a bug: its events wait until it is mended."""
    try:
        for step in steps:
            body = step(body)
    except Exception as bug:
        raise Poison("upcast", f"{event_type} cannot be read as its next version: {type(bug).__name__}") from bug
    return body


def _faults_without_input(error: ValidationError) -> str:
    """What is wrong and where, without the offending values: they may be personal data."""
    faults = error.errors(include_input=False, include_url=False, include_context=False)
    return "; ".join(f"{'/'.join(map(str, fault['loc'])) or '(body)'}: {fault['type']}" for fault in faults)[:512]
