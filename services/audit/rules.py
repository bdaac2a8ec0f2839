"""What audit decides: a discrepancy that was found is told, once. Pure.

Finding it is not a rule but arithmetic over positions (`ordering.py`), done where the records are stored.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from services.audit.state import State
from shared.events.audit import DiscrepancyFound
from shared.events.base import Digest, Model, UnknownWord, Word
from shared.runtime.kernel.decider import Decision, Message, Outcome, Rule

PARTITION = "partition"
"""The kind of subject that a record is about which names no other: where it lies."""


class Discrepancy(Outcome):
    """The alarm that rings because of one record: a topic does not tell one unbroken story."""

    kind: Literal["gap", "fork", "second-content", "foreign", "unreadable"] | UnknownWord
    topic: Word
    partition: int
    offset: int
    sequence: int | None = None
    expected: int | None = None
    record_sha256: Digest


def on_discrepancy(state: State, alarm: Message[Discrepancy]) -> Decision:
    """Say it. That it is said once is the alarm's: its id is made of the record and the kind."""
    return Decision((DiscrepancyFound(**alarm.body.model_dump()),))


HEARS: Mapping[type[Model], Rule] = MappingProxyType({Discrepancy: on_discrepancy})
