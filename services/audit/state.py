"""What audit remembers of a dossier: which kinds of discrepancy it has told."""

from collections.abc import Mapping
from types import MappingProxyType

from pydantic import Field

from shared.events.audit import DiscrepancyFound
from shared.events.base import Event, Model
from shared.runtime.kernel.decider import Evolve, Message


class Told(Model):
    """What we have said; folding the same event again changes nothing, for audit also hears itself."""

    kinds: tuple[str, ...] = ()


class State(Model):
    """A dossier, or a partition, as audit sees it: what was said of its records."""

    audit: Told = Field(default_factory=Told)


def _told(state: State, event: Message[DiscrepancyFound]) -> State:
    kinds = tuple(sorted({*state.audit.kinds, event.body.kind}))
    return state.model_copy(update={"audit": state.audit.model_copy(update={"kinds": kinds})})


EVOLVES: Mapping[type[Event], Evolve] = MappingProxyType({DiscrepancyFound: _told})
