"""A circuit breaker per outside system: open = claim no task of it, half-open = one, closed = as many as there is
room.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum


class Circuit(IntEnum):
    """The states, in the numbers of the metric `dossier_circuit_state`."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


@dataclass
class Breaker:
    """Opens after `threshold` failures in a row, for `cool_s` seconds of the monotonic `clock`; then lets one
    through.
    """

    clock: Callable[[], float]
    threshold: int = 5
    cool_s: float = 2.0
    failures: int = 0
    opened_at: float = 0.0

    @property
    def state(self) -> Circuit:
        """Closed, half-open or open, now."""
        if self.failures < self.threshold:
            return Circuit.CLOSED
        return Circuit.OPEN if self.clock() < self.opened_at + self.cool_s else Circuit.HALF_OPEN

    def room(self, wanted: int, busy: int = 0) -> int:
        """How many tasks may be claimed of `wanted`, while `busy` are under way: a hanging probe is the only one."""
        probes = min(1, wanted) if busy == 0 else 0
        return {Circuit.CLOSED: wanted, Circuit.HALF_OPEN: probes, Circuit.OPEN: 0}[self.state]

    def succeeded(self) -> None:
        """The outside system answered, be it with a "no"."""
        self.failures = 0

    def failed(self) -> None:
        """It did not answer properly."""
        self.failures += 1
        self.opened_at = self.clock()
