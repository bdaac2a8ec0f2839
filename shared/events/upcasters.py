"""What was said in an old version of an event, read as the newest: one pure step per type and version, chained.

A changed meaning is a new type, `….v2`. Its class takes the place and the name of the old one in its service's module;
the old class comes here under its version (`FeePaidV1`), with the step to the next one and a row in UPCASTERS. Neither
is ever removed, for topics keep everything. Only bodies are read anew: what was written stays as it is, and so do ids,
positions and causes.

The release that brings a version has a step `back` too: it reads the new one, and goes on writing the old one. So the
release before, to which one may go back, misses nothing, neither beside it nor when it makes its states anew. The next
release, of which that is true without it, takes the step back away, and with it writes the new version.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from shared.events.base import Event


@dataclass(frozen=True, slots=True)
class Upcaster:
    """One step: an event of the `old` version as one of the next. `step` takes any valid one and cannot fail. `back`,
    for one release, makes the old one of the next; `step` of that is what everybody reads.
    """

    old: type[Event]
    new: type[Event]
    step: Callable[[Any], Event]
    back: Callable[[Any], Event] | None = None


UPCASTERS: Sequence[Upcaster] = ()
"""Every step there is, in any order."""
