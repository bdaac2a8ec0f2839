"""The golden files: every event of `tests.controls.EVENTS` as it is published, kept for ever per type and version.

`python -m tests.contract.events.publishing` writes those that are missing and never touches one that is there: what was
said must stay readable. `data` is the value's JSON; its bytes are that JSON without spaces, in the order of the file.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import orjson

from shared.events.base import Event
from shared.events.catalogue import WRITER
from shared.events.envelope import Envelope, headers
from shared.events.intake import DossierSubmitted
from shared.runtime.kernel.sharding import shard_of
from tests.controls import AT, DOSSIER, EVENTS, MESSAGE

FOLDER = Path(__file__).parent / "golden"
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@dataclass(frozen=True, slots=True)
class Golden:
    """One published event: headers in wire order, and the bytes of its value."""

    headers: Mapping[str, str]
    data: bytes

    @property
    def raw_headers(self) -> list[tuple[str, bytes]]:
        """The headers as Kafka carries them."""
        return [(name, content.encode()) for name, content in self.headers.items()]

    @property
    def content(self) -> dict[str, Any]:
        """The value, parsed."""
        parsed: dict[str, Any] = orjson.loads(self.data)
        return parsed


def envelope(event: Event, sequence: int = 1) -> Envelope:
    """The envelope of `event` as the `sequence`-th of its shard."""
    before = None if sequence == 1 else uuid5(MESSAGE, str(sequence - 1))
    return Envelope(
        id=uuid5(MESSAGE, str(sequence)),
        type=event.TYPE,
        time=AT,
        dossier_id=DOSSIER,
        writer=WRITER[type(event)],
        shard=shard_of(DOSSIER),
        sequence=sequence,
        previous=before,
        traceparent=TRACEPARENT if sequence > 1 else None,
    )


def published(event: Event, sequence: int = 1, caused_by: UUID = MESSAGE) -> Golden:
    """`event` as the relay publishes it."""
    return Golden(headers(type(event), envelope(event, sequence), caused_by), event.model_dump_json().encode())


def expected() -> Mapping[type[Event], Golden]:
    """Every event of the controls: a submission as the first of its shard, any other as the second."""
    return {type(event): published(event, 1 if isinstance(event, DossierSubmitted) else 2) for event in EVENTS}


def file_of(event: type[Event], folder: Path = FOLDER) -> Path:
    """Where the golden file of the present version of `event` lies."""
    return folder / event.TYPE / f"{event.VERSION}.json"


def kept() -> Iterator[tuple[str, Golden]]:
    """Every golden file of every version ever published: its name and what it holds."""
    for file in sorted(FOLDER.rglob("*.json")):
        yield str(file.relative_to(FOLDER)), read(file)


def read(file: Path) -> Golden:
    """One golden file."""
    content = orjson.loads(file.read_bytes())
    return Golden(content["headers"], orjson.dumps(content["data"]))


def main() -> None:
    """Write the golden files that are missing."""
    for event, golden in expected().items():
        file = file_of(event)
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            shown = {"headers": dict(golden.headers), "data": golden.content}
            file.write_bytes(orjson.dumps(shown, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


if __name__ == "__main__":
    main()
