"""Does a record follow what the trail holds of its shard? Next, repeat, or a discrepancy. Pure.

A shard goes on behind every discrepancy, so each is found once: after a gap or a fork the record that showed it is the
new end. A lower sequence that is not in the trail fills an older gap, and must follow what stands before it there.
"""

from bisect import bisect_left, insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from services.audit.reading import Kind, Read
from shared.events.envelope import Envelope
from shared.runtime.kernel.hearing import Heard


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one record is: `joins` the trail or not, and what does not fit about it. `expected` is the first missing."""

    read: Read
    joins: bool
    kind: Kind | None = None
    expected: int | None = None


@dataclass(frozen=True, slots=True)
class Earlier:
    """What the trail holds at a sequence (digest, None for nothing) and next before it (0: nothing)."""

    digest: bytes | None
    before: int
    before_id: UUID | None


@dataclass
class Shelf:
    """One shard of one writer while a batch is placed; `heard` moves as if the batch were committed."""

    heard: Heard
    earlier: Mapping[int, Earlier] = field(default_factory=dict)
    _fresh: dict[int, tuple[bytes, UUID]] = field(default_factory=dict)
    _order: list[int] = field(default_factory=list)

    def place(self, read: Read) -> Verdict:
        """The verdict on the next record of this shard's partition."""
        self.heard.next_offset = read.offset + 1
        if read.event is None or read.fault is not None:
            return Verdict(read, joins=False, kind=read.fault)
        there = self._there(read.event.sequence)
        if there is None:
            return self._join(read, read.event)
        return Verdict(read, joins=False, kind=None if there == read.digest else "second-content")

    def _join(self, read: Read, event: Envelope) -> Verdict:
        before, before_id = self._before(event.sequence)
        self._fresh[event.sequence] = (read.digest, event.id)
        insort(self._order, event.sequence)
        if event.sequence > self.heard.position:
            self.heard.position, self.heard.last_event_id = event.sequence, event.id
        if before + 1 < event.sequence:
            return Verdict(read, joins=True, kind="gap", expected=before + 1)
        return Verdict(read, joins=True, kind=None if event.previous == before_id else "fork")

    def _there(self, sequence: int) -> bytes | None:
        fresh = self._fresh.get(sequence)
        if fresh is not None:
            return fresh[0]
        earlier = self.earlier.get(sequence)
        return earlier.digest if earlier is not None else None

    def _before(self, sequence: int) -> tuple[int, UUID | None]:
        if sequence > self.heard.position:
            return self.heard.position, self.heard.last_event_id
        earlier = self.earlier[sequence]
        index = bisect_left(self._order, sequence)
        fresh = self._order[index - 1] if index else 0
        return (fresh, self._fresh[fresh][1]) if fresh > earlier.before else (earlier.before, earlier.before_id)


def looked_back(reads: Sequence[Read], position: int) -> list[int]:
    """Sequences of one shard's records that are not beyond all before them: to be looked up in the trail."""
    back: list[int] = []
    for read in reads:
        if read.event is None or read.fault is not None:
            continue
        if read.event.sequence <= position:
            back.append(read.event.sequence)
        position = max(position, read.event.sequence)
    return back
