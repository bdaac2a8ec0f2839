"""Jepsen's queue checks over what clients did and what a subscriber saw: lost, doubled, reordered, phantom.

A client's act is an operation under one idempotency key: it begins with the first attempt and ends with the last answer
(ok, fail) or without one (unknown: it may have happened, once or not at all). This file only checks.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

Outcome = Literal["ok", "fail", "unknown"]


@dataclass(slots=True)
class Operation:
    """One act of a client. `message` is the id that its events name as their cause, `says` the event that an accepted
    act says. `began` and `ended` are seconds of one monotonic clock; `dossier` is empty until the answer tells it.
    """

    client: str
    says: str
    message: str
    began: float
    dossier: str = ""
    outcome: Outcome = "unknown"
    ended: float | None = None
    attempts: int = 1

    def __str__(self) -> str:
        return f"{self.says} by {self.client} ({self.outcome}, cause {self.message})"


@dataclass(frozen=True, slots=True)
class Observed:
    """One event as a subscriber got it, repeats included, in the order in which it came."""

    source: str
    sequence: int
    id: str
    name: str
    cause: str
    dossier: str

    def __str__(self) -> str:
        return f"{self.name} {self.source} #{self.sequence} of {self.dossier} (cause {self.cause})"


@dataclass(frozen=True)
class Findings:
    """What the checker objects to, by kind, in sentences; and what it counted."""

    lost: Sequence[str] = ()
    doubled: Sequence[str] = ()
    reordered: Sequence[str] = ()
    phantom: Sequence[str] = ()
    operations: Mapping[str, int] = field(default_factory=dict)
    repeats: int = 0

    @property
    def faults(self) -> list[str]:
        """All of it, each with its kind."""
        kinds = {"lost": self.lost, "doubled": self.doubled, "reordered": self.reordered, "phantom": self.phantom}
        return [f"{kind}: {fault}" for kind, faults in kinds.items() for fault in faults]


def check(operations: Sequence[Operation], observed: Sequence[Observed]) -> Findings:
    """Compare what clients were told with what a subscriber saw of it, once everything has drained."""
    once = _once(observed)
    causes: dict[str, list[Observed]] = defaultdict(list)
    for event in once:
        causes[event.cause].append(event)
    return Findings(
        list(_lost(operations, causes, once)),
        list(_doubled(once)),
        [*_falling(observed), *_reordered(operations, causes)],
        list(_phantom(operations, once)),
        Counter(operation.outcome for operation in operations),
        len(observed) - len(once),
    )


def _once(observed: Iterable[Observed]) -> list[Observed]:
    """Each event once: the same content under the same sequence again is only a repeat."""
    return list(dict.fromkeys(observed))


def _lost(
    operations: Iterable[Operation], causes: Mapping[str, Sequence[Observed]], once: Iterable[Observed]
) -> Iterator[str]:
    for operation in operations:
        said = [event for event in causes.get(operation.message, ()) if event.name == operation.says]
        if operation.outcome == "ok" and not said:
            yield f"{operation} was answered and never seen"
    sequences: dict[str, set[int]] = defaultdict(set)
    for event in once:
        sequences[event.source].add(event.sequence)
    for source, seen in sequences.items():
        missing = max(seen) - min(seen) + 1 - len(seen)
        if missing:
            yield f"{missing} sequences of {source} were never seen"


def _doubled(once: Iterable[Observed]) -> Iterator[str]:
    """One effect at two places: the same id, the same act of the same cause, or two contents of one sequence."""
    firsts: dict[tuple[str, ...], Observed] = {}
    for event in once:
        keys = [("id", event.id), ("place", event.source, str(event.sequence))]
        keys.append(("act", event.cause, event.name, event.dossier))
        for key in keys:
            first = firsts.setdefault(key, event)
            if first != event:
                yield f"{event} after {first}"
                break


def _falling(observed: Iterable[Observed]) -> Iterator[str]:
    """A sequence seen for the first time after a later one of its source."""
    highest: dict[str, int] = {}
    seen: set[tuple[str, int]] = set()
    for event in observed:
        place = event.source, event.sequence
        if place not in seen and event.sequence < highest.get(event.source, 0):
            yield f"{event} came after #{highest[event.source]}"
        seen.add(place)
        highest[event.source] = max(event.sequence, highest.get(event.source, 0))


def _reordered(operations: Iterable[Operation], causes: Mapping[str, Sequence[Observed]]) -> Iterator[str]:
    """Of one dossier: what was answered before the next act began stands before it."""
    by_dossier: dict[str, list[tuple[Operation, Observed]]] = defaultdict(list)
    for operation in operations:
        for event in causes.get(operation.message, ()):
            if event.name == operation.says and operation.outcome == "ok":
                by_dossier[event.dossier].append((operation, event))
    for pairs in by_dossier.values():
        pairs.sort(key=lambda pair: pair[0].began)
        for (earlier, first), (later, second) in pairwise(pairs):
            finished = earlier.ended is not None and earlier.ended <= later.began
            if finished and first.source == second.source and first.sequence > second.sequence:
                yield f"{first} was answered before {second} was asked for"


def _phantom(operations: Sequence[Operation], once: Iterable[Observed]) -> Iterator[str]:
    """What clients cause and none of them asked for, or what was refused."""
    asked = {operation.message: operation for operation in operations}
    acts = {operation.says for operation in operations}
    for event in once:
        operation = asked.get(event.cause)
        if operation is None and event.name in acts:
            yield f"{event} was asked for by nobody"
        elif operation is not None and operation.outcome == "fail":
            yield f"{event} was refused to {operation.client}"
