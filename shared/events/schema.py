"""The JSON Schema of every event, drawn from its class: what a subscriber in any language can check. Pure.

Closed at every level (`additionalProperties: false`): it says what the writer may write. A reader ignores fields that
it does not know. Sources: JSON Schema 2020-12; CloudEvents 1.0.2 spec.md, `dataschema`.
"""

import json
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any

from shared.events import catalogue
from shared.events.base import Event
from shared.events.envelope import SCHEMA_ROOT, schema_uri

DRAFT = "https://json-schema.org/draft/2020-12/schema"
DIGESTS = "DIGESTS"
"""File of released versions beside the schemas, one `sha256  path` a line: `sha256sum -c DIGESTS` reads it too."""


def schema(event: type[Event]) -> dict[str, Any]:
    """The schema of `event` as it is written; only a field to which its class gives a default is not required."""
    drawn = event.model_json_schema(mode="serialization")
    return {
        "$schema": DRAFT,
        "$id": schema_uri(event),
        "$comment": f"data of CloudEvents type {event.TYPE}; readers ignore fields that they do not know",
        **drawn,
    }


def path(event: type[Event]) -> str:
    """Where the schema lies in the folder of all schemas: `<kebab>.v<major>/<version>.json`, as in its URI."""
    return schema_uri(event).removeprefix(f"{SCHEMA_ROOT}/")


def schemas(events: Iterable[type[Event]] | None = None) -> Mapping[str, str]:
    """Path → text of the schema of every event in its present version; old types as they were said last."""
    events = (reading.written for reading in catalogue.READINGS.values()) if events is None else events
    return {path(event): json.dumps(schema(event), indent=2, ensure_ascii=False) + "\n" for event in events}


def digest(text: str) -> str:
    """SHA-256 of a schema file, in hex."""
    return sha256(text.encode()).hexdigest()


def released(text: str) -> Mapping[str, str]:
    """Path → digest, out of the text of DIGESTS."""
    return {name: mark for mark, name in (line.split("  ", 1) for line in text.splitlines())}


def listed(digests: Mapping[str, str]) -> str:
    """The text of DIGESTS, by path."""
    return "".join(f"{mark}  {name}\n" for name, mark in sorted(digests.items()))


def edited(present: Mapping[str, str], digests: Mapping[str, str]) -> tuple[str, ...]:
    """Paths of released schemas that are gone or say something else now: a changed meaning is a new version."""
    return tuple(name for name, mark in sorted(digests.items()) if name not in present or digest(present[name]) != mark)
