"""Records as a broken or hostile writer could produce them, on topics whose own writer is not running."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID, uuid5

from shared.events.base import Event
from shared.events.envelope import Envelope, headers
from shared.runtime.aio.clock import now
from shared.runtime.kernel.sharding import shard_of
from shared.runtime.store.headers import name_bytes
from shared.topics import topic_of
from tests import controls, raw

NAMES = UUID("5b0e0c1e-6f4e-5d0b-8a55-3a4a6f0e7d21")

Headers = Sequence[tuple[str, bytes | None]]


@dataclass(frozen=True, slots=True)
class Forged:
    """One record: `headers` and `value` as they go out, written as `wire` says (see `tests.raw`)."""

    id: UUID
    dossier: UUID
    shard: int
    sequence: int
    headers: Headers
    value: bytes | None
    wire: Mapping[str, Any] = field(default_factory=dict)
    codec: str = "none"

    def headed(self, **changes: str | None) -> "Forged":
        """With other headers; None leaves one out."""
        made = {**dict(self.headers), **{name: text.encode() if text else None for name, text in changes.items()}}
        kept = [(name, text) for name, text in made.items() if text is not None or name not in changes]
        return self.with_headers(kept)

    def with_headers(self, headers: Headers) -> "Forged":
        """With exactly these headers."""
        return replace(self, headers=headers)

    def saying(self, value: bytes | None) -> "Forged":
        """With another body."""
        return replace(self, value=value)

    def written(self, codec: str = "none", **wire: Any) -> "Forged":
        """Saying the same in other bytes."""
        return replace(self, codec=codec, wire=wire)

    @property
    def batch(self) -> bytes:
        """What goes out."""
        headers = [(name_bytes(name), content) for name, content in self.headers]
        made = raw.record(str(self.dossier).encode(), self.value, headers, **self.wire)
        return raw.batch(made, codec=self.codec)


@dataclass
class Pen:
    """Writes intake's shards as intake would: dense positions, each naming the one before."""

    said: dict[int, list[UUID]] = field(default_factory=lambda: defaultdict(list))
    dossiers: dict[int, int] = field(default_factory=lambda: defaultdict(int))

    def dossier(self, shard: int) -> UUID:
        """A dossier that nobody has named yet, of this shard."""
        while True:
            self.dossiers[shard] += 1
            found = uuid5(NAMES, f"dossier {shard} {self.dossiers[shard]}")
            if shard_of(found) == shard:
                return found

    def next(self, shard: int, dossier: UUID | None = None, event: Event | None = None, skip: int = 0) -> Forged:
        """The record that follows, or `skip` places behind that. It is not written down as said (see `keep`)."""
        event = event or controls.dossier_submitted()
        sequence = len(self.said[shard]) + 1 + skip
        previous = self.said[shard][-1] if self.said[shard] else None
        envelope = Envelope(
            uuid5(NAMES, f"{shard} {sequence} {self.dossiers[shard]}"), event.TYPE, now(),
            dossier or self.dossier(shard), "intake", shard, sequence, previous,
        )  # fmt: skip
        wire = [(name, text.encode()) for name, text in headers(type(event), envelope, controls.MESSAGE).items()]
        value = event.model_dump_json().encode()
        return Forged(envelope.id, envelope.dossier_id, shard, sequence, wire, value)

    def keep(self, record: Forged) -> None:
        """The record counts as said: the next one follows it."""
        said = self.said[record.shard]
        said += [record.id] * (record.sequence - len(said))


async def produce(bootstrap: str, records: Sequence[Forged], writer: str = "intake") -> Mapping[int, int]:
    """Send them in order; offset of each, by its number. Raises the KafkaError with which the broker refuses one."""
    return {
        n: await raw.send(bootstrap, topic_of(writer), record.shard, record.batch) for n, record in enumerate(records)
    }
