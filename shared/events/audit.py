"""What audit says of the trail. Only services/audit may publish these."""

from typing import Literal

from shared.events.base import Digest, Event, UnknownWord, Word


class DiscrepancyFound(Event):
    """A topic does not tell one unbroken story: a gap, a fork, a second content, a record that does not belong."""

    TYPE = "vn.gov.dossier.discrepancy-found.v1"
    VERSION = "1.1.0"
    SUBJECTS = ()  # whatever the record is about, or the partition where it lies
    kind: Literal["gap", "fork", "second-content", "foreign", "unreadable"] | UnknownWord
    topic: Word
    partition: int
    offset: int
    sequence: int | None
    expected: int | None
    record_sha256: Digest
