"""The order in which a dossier's events can have happened, whatever the clocks of their writers say. Pure.

Of one writer the order is that of its positions. Across writers an event comes after the one that it answers: ids are
derived from the message that caused them (`shared.runtime.kernel.decider`), so an id proves its cause without any
clock. A notice comes after the event that it is about, whichever notice had to go before it. What follows from none of
these is as the clocks say.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Protocol, TypeVar
from uuid import UUID

from shared.runtime.kernel.decider import event_id, task_id

FIRST = "DossierSubmitted"
"""Nobody says anything of a dossier that has not been filed."""

CONDITIONS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "DossierAccepted": frozenset({"CitizenVerified", "FeeAssessed", "FeeWaived", "FeePaid"}),
        "ApplicantTold": frozenset({"NoticeUndeliverable"}),
    }
)
"""What the desk demands before (the law, C4): the first of each of these, where there is one. An officer's act names no
event.
"""

_TASKS = 8
"""As many as one message orders at most. Of several events that it causes the first alone is looked for: the others
come after it in their writer's own order.
"""


_KEPT = 4096
"""Events whose answers' ids are kept, 2 kB each: of one that is told again and again they are derived once."""


class Told(Protocol):
    """One event of a dossier. `name`: what happened, as `FeePaid`; `id`: None if it was not kept; `at`: by its writer's
    clock.
    """

    @property
    def id(self) -> UUID | None: ...
    @property
    def name(self) -> str: ...
    @property
    def at(self) -> datetime: ...


T = TypeVar("T", bound=Told)
About = Mapping[UUID, UUID]
"""A notice's event → the event that it is about."""
_NOTHING: About = MappingProxyType({})
Place = tuple[str, int]
"""A writer's name and the place among its events of the dossier."""


def in_causal_order(told: Mapping[str, Sequence[T]], about: About = _NOTHING) -> list[T]:
    """The events of a dossier, told by writer in the order of its positions, as they can have happened: the same
    whichever writer was heard first, and no effect before its cause.
    """
    before = _before(told, about)
    nexts = dict.fromkeys(told, 0)
    ordered: list[T] = []
    while heads := {writer: told[writer][n] for writer, n in nexts.items() if n < len(told[writer])}:
        free = [one for one in heads if all(n < nexts[cause] for cause, n in before.get((one, nexts[one]), ()))]
        # Events that wait for each other were never said so by us; they are still told.
        chosen = min(free or heads, key=lambda writer: (heads[writer].at, writer))
        nexts[chosen] += 1
        ordered.append(heads[chosen])
    return ordered


def _before(told: Mapping[str, Sequence[T]], about: About) -> dict[Place, set[Place]]:
    """What must have been said by others before each event."""
    places = {(writer, n): one for writer, events in told.items() for n, one in enumerate(events)}
    answered = _answered(told)
    by_id = {one.id: place for place, one in places.items() if one.id is not None}
    first = {name: place for place, name in reversed([(place, one.name) for place, one in places.items()])}
    before: dict[Place, set[Place]] = {}
    for place, one in places.items():
        causes = {first[name] for name in (FIRST, *CONDITIONS.get(one.name, ())) if name in first}
        if one.id in answered:
            causes.add(answered[one.id])
        if one.id is not None and (of := about.get(one.id)) is not None and of in by_id:
            causes.add(by_id[of])
        before[place] = {cause for cause in causes if cause[0] != place[0]}
    return before


def _answered(told: Mapping[str, Sequence[T]]) -> dict[UUID | None, Place]:
    """Every id that an answer of another writer to one of these events can bear → the event that it answers."""
    return {
        answer: (writer, n)
        for writer, events in told.items()
        for n, one in enumerate(events)
        if one.id is not None
        for answer in _answers(one.id, tuple(other for other in told if other != writer and told[other]))
    }


@lru_cache(_KEPT)
def _answers(cause: UUID, writers: tuple[str, ...]) -> tuple[UUID, ...]:
    messages = (cause, *(task_id(cause, n) for n in range(1, _TASKS + 1)))
    return tuple(event_id(one, writer, 1) for one in messages for writer in writers)
