"""Every event class by its CloudEvents type, with the service that may say it."""

from collections.abc import Mapping
from types import MappingProxyType, ModuleType

from shared.events import audit, intake, notification, payment, verification
from shared.events.base import Event


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
