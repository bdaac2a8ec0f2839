"""What was said in an old version of an event, read as the newest: one pure step per type and version, chained.

A changed meaning is a new type, `….v2`. Its class takes the place and the name of the old one in its service's module;
the old class comes here under its version (`FeePaidV1`), with the step to the next one and a row in UPCASTERS. Neither
is ever removed, for topics keep everything. Only bodies are read anew: what was written stays as it is, and so do ids,
positions and causes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from shared.events.base import Event


@dataclass(frozen=True, slots=True)
class Upcaster:
    """One step: an event of the `old` version as one of the next. `step` takes any valid one and cannot fail."""

    old: type[Event]
    new: type[Event]
    step: Callable[[Any], Event]


UPCASTERS: Sequence[Upcaster] = ()
"""Every step there is, in any order."""
