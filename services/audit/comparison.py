"""The writer's store against the trail, position by position: what differs, and how. Pure: two ordered streams in.

Both streams are merged in (shard, position) order and nothing is kept of what agrees, so the size of the trail does not
matter. What differs is kept until the end of the writer, because a swap is only seen when both places are known.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from services.audit.differences import (
    Difference,
    Finding,
    Place,
    difference,
    merged,
    stored_headers,
    tell_apart,
    unequal,
)
from services.audit.reading import digest
from shared.runtime.store.headers import headers_of
from shared.topics import SHARDS

MOST_FINDINGS = 10_000
"""Beyond this many differences a writer's comparison ends: trail and store have nothing to do with each other."""


@dataclass(frozen=True, slots=True)
class Level:
    """How far one shard was when we looked. `told` is the last position that both sides must agree on.

    `counter` is the last position that the writer's own counter has given, `level` whether audit is at the topic's end.
    """

    published: int
    stored: int
    heard: int
    counter: int
    level: bool

    @property
    def told(self) -> int:
        """What the relay has published, or audit has heard meanwhile."""
        return max(self.published, self.heard)


@dataclass(slots=True)
class _End:
    """The last position seen of the shard in work: on either side, and in the trail."""

    shard: int = -1
    position: int = 0
    sequence: int = 0
    event_id: UUID | None = None


@dataclass
class Comparison:
    """One writer's comparison. Feed `pair` in order, then `finish`; `findings` and `waiting` are the result."""

    writer: str
    levels: Mapping[int, Level]
    findings: list[Finding] = field(default_factory=list)
    waiting: dict[int, int] = field(default_factory=dict)
    _differences: list[Difference] = field(default_factory=list)
    _unheard: list[tuple[Place, UUID, str]] = field(default_factory=list)
    _end: _End = field(default_factory=_End)
    _held: dict[int, int] = field(default_factory=dict)

    @property
    def full(self) -> bool:
        """Whether so much is wrong that going on says nothing new."""
        return len(self.findings) + len(self._differences) + len(self._unheard) >= MOST_FINDINGS

    def pair(self, place: Place, stored: Any | None, told: Any | None) -> None:
        """What the store (None: nothing) and the trail (None: nothing) hold at one place."""
        shard, position = place
        if shard != self._end.shard:
            self._close_shard()
            self._end = _End(shard)
        if stored is not None and told is None:
            self._only_stored(place, stored)
        else:
            self._skipped(position)
            self._in_trail(place, stored, told)

    def finish(self) -> list[Finding]:
        """All findings of this writer, in order."""
        self._close_shard()
        stopped = self.full
        if not stopped:  # else what both sides hold at the end was never looked at
            for shard in sorted(self.levels):
                self._beyond(shard, self.levels[shard])
        self.findings += tell_apart(self.writer, self._differences)
        if stopped:
            self._find((0, 0), "stopped here", f"more than {MOST_FINDINGS} differences")
        return sorted(merged(self.findings), key=lambda one: (one.shard, one.first))

    def _find(self, place: Place, what: str, detail: str = "", last: int | None = None) -> None:
        self.findings.append(Finding(self.writer, place[0], place[1], last or place[1], what, detail))

    def _level(self, shard: int) -> Level:
        return self.levels.get(shard, Level(0, 0, 0, 0, True))

    def _only_stored(self, place: Place, row: Any) -> None:
        shard, position = place
        level = self._level(shard)
        if position > level.told and 0 <= shard < SHARDS:
            return
        if position < 1 or not 0 <= shard < SHARDS:
            self._find(place, "added to the store", "no writer gives such a position")
            return
        self._skipped(position)
        if position <= level.heard:
            self._unheard.append((place, row["event_id"], stored_headers(row).get("ce_previous", "")))
        elif level.level:
            self._find(place, "added to the store", "counted as published, never on the topic")
        else:
            self.waiting[shard] = self.waiting.get(shard, 0) + 1

    def _skipped(self, position: int) -> None:
        """Positions between the last one and this that neither side has."""
        if position > self._end.position + 1:
            place = (self._end.shard, self._end.position + 1)
            self._find(place, "gap on the topic", "missing in the store too", last=position - 1)
        self._end.position = max(self._end.position, position)

    def _in_trail(self, place: Place, stored: Any | None, told: Any) -> None:
        self._settle_unheard(told["previous"])
        self._chain(place, told)
        if told["digest"] is None or not _is_whole(told):
            self._find(place, "altered in the trail", "audit's own record does not have its digest")
        elif stored is None:
            cut = place[1] > self._level(place[0]).stored
            self._find(place, "missing in the store", "cut off at the end" if cut else "deleted")
        elif parts := tuple(unequal(stored, told)):
            self._differences.append(difference(place, stored, told, parts))

    def _chain(self, place: Place, told: Any) -> None:
        end = self._end
        if place[1] == end.sequence + 1 and told["previous"] != end.event_id:
            self._find(place, "chain broken", "previous is not the event before it")
        end.sequence, end.event_id = place[1], told["event_id"]

    def _settle_unheard(self, previous: UUID | None) -> None:
        """Rows that only the store has: one that the trail's chain leads back to was once true, any other was added."""
        wanted = str(previous)
        for place, event_id, before in reversed(self._unheard):
            if str(event_id) == wanted:
                self._find(place, "gap on the topic", "missing in the trail, the chain leads to it")
                wanted = before
            else:
                self._find(place, "added to the store", "the chain of the trail does not know it")
        self._unheard.clear()

    def _close_shard(self) -> None:
        self._held[self._end.shard] = self._end.position
        for place, _, _ in self._unheard:
            self._find(place, "missing in the trail", "audit has heard it and does not hold it")
        self._unheard.clear()

    def _beyond(self, shard: int, level: Level) -> None:
        """What only the writer's own cursors tell: positions given or published but held by neither side."""
        held = self._held.get(shard, 0)
        if held < level.heard:
            what, detail = "missing in the trail", "heard, then cut off; missing in the store too"
            self._find((shard, held + 1), what, detail, last=level.heard)
        last = max(held, level.heard)
        if level.published > last:
            self._find((shard, last + 1), "missing in the store", "published, then cut off", last=level.published)
        given = max(level.stored, level.told)
        if level.counter > given:
            self._find(
                (shard, given + 1), "missing in the store", "cut off before it was published", last=level.counter
            )
        taken = max(level.counter, level.told)
        if level.stored > taken:
            self._find((shard, taken + 1), "added to the store", "beyond the shard's counter", last=level.stored)


def _is_whole(told: Any) -> bool:
    same: bool = told["digest"] == told["trail_digest"]
    try:
        return same and digest(told["key"], headers_of(told["headers"]), told["value"]) == told["digest"]
    except (ValueError, TypeError, AttributeError, RecursionError):  # JSON, but no list of names and hexadecimal
        return False


async def paired(stored: AsyncIterator[Any], told: AsyncIterator[Any]) -> AsyncIterator[tuple[Place, Any, Any]]:
    """Both streams merged: each place once, with the row of either side or None."""
    left, right = await anext(stored, None), await anext(told, None)
    while left is not None or right is not None:
        here = (left["shard"], left["position"]) if left is not None else None
        there = (right["shard"], right["sequence"]) if right is not None else None
        place = min(one for one in (here, there) if one is not None)
        yield place, left if here == place else None, right if there == place else None
        if here == place:
            left = await anext(stored, None)
        if there == place:
            right = await anext(told, None)
