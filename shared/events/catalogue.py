"""Every event class by its CloudEvents type, with the service that may say it; and how each type is read."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType, ModuleType
from typing import Any

from shared.events import audit, intake, notification, payment, verification
from shared.events.base import Event
from shared.events.upcasters import UPCASTERS, Upcaster


def _said_in(module: ModuleType) -> list[type[Event]]:
    return [
        thing
        for thing in vars(module).values()
        if isinstance(thing, type) and issubclass(thing, Event) and thing.__module__ == module.__name__
    ]


SAID_BY: Mapping[str, tuple[type[Event], ...]] = MappingProxyType(
    {
        module.__name__.rpartition(".")[2]: tuple(_said_in(module))
        for module in (intake, verification, payment, notification, audit)
    }
)
"""Service name → the event classes that only it may publish."""

BY_TYPE: Mapping[str, type[Event]] = MappingProxyType(
    {event.TYPE: event for events in SAID_BY.values() for event in events}
)
"""CloudEvents `type` → event class."""

WRITER: Mapping[type[Event], str] = MappingProxyType(
    {event: service for service, events in SAID_BY.items() for event in events}
)
"""Event class → the service that says it."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How the body of one type is read: as the class that it was `written` by, then step by step as the `newest`."""

    written: type[Event]
    newest: type[Event]
    writer: str
    steps: tuple[Callable[[Any], Event], ...] = ()


def readings(said: Mapping[type[Event], str], upcasters: Sequence[Upcaster] = ()) -> Mapping[str, Reading]:
    """Every type that can be read, old ones too. Raises ValueError if a step leads from or to no version beside it, or
    if two lead from one.
    """
    found = {event.TYPE: Reading(event, event, writer) for event, writer in said.items()}
    for step in sorted(upcasters, key=lambda one: _version(one.new), reverse=True):
        after = found.get(_next_type(step.old))
        if after is None or after.written is not step.new or step.old.TYPE in found:
            raise ValueError(f"{step.old.TYPE} is still said, has two steps, or one that leads nowhere")
        found[step.old.TYPE] = Reading(step.old, after.newest, after.writer, (step.step, *after.steps))
    return MappingProxyType(found)


def _version(event: type[Event]) -> int:
    return int(event.TYPE.rpartition(".v")[2])


def _next_type(event: type[Event]) -> str:
    return f"{event.TYPE.rpartition('.v')[0]}.v{_version(event) + 1}"


READINGS: Mapping[str, Reading] = readings(WRITER, UPCASTERS)
"""CloudEvents `type` → how it is read: of every event in every version that was ever said."""


def types_read_as(events: Iterable[type[Event]]) -> list[str]:
    """The types that come to one of these classes, in whichever version they were written."""
    wanted = set(events)
    return [kind for kind, reading in READINGS.items() if reading.newest in wanted]


def steps_back(upcasters: Sequence[Upcaster]) -> Mapping[type[Event], Callable[[Any], Event]]:
    """The newest versions that this release does not write yet, with the step to the one that it writes."""
    return MappingProxyType({one.new: one.back for one in upcasters if one.back is not None})


BACK: Mapping[type[Event], Callable[[Any], Event]] = steps_back(UPCASTERS)


def as_written(event: Event) -> Event:
    """What is about to be said, in the version in which this release writes it."""
    back = BACK.get(type(event))
    return event if back is None else back(event)


def as_read(written: Event) -> Event:
    """What was written, in its newest version. Raises what a step raises."""
    reading = READINGS.get(written.TYPE)
    for step in reading.steps if reading is not None else ():
        written = step(written)
    return written
