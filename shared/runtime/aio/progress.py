"""What the consumer of a process has in hand, and when it last finished something: what /livez and gauges look at."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime


@dataclass
class Progress:
    """Times in seconds by the monotonic clock; `oldest` is the time of the oldest record in hand.

    Whoever has begun keeps `began_at` until something is finished, however often it was tried in between.
    """

    oldest: datetime | None = None
    began_at: float | None = None
    handled_at: float | None = None

    @contextmanager
    def work(self) -> Iterator[None]:
        """While the block lasts something is in hand; it is finished when the block ends without an exception."""
        if self.began_at is None:
            self.began_at = time.monotonic()
        yield
        self.oldest, self.began_at, self.handled_at = None, None, time.monotonic()

    def step(self) -> None:
        """A piece of what is in hand is done: it is long, and does not stand still."""
        self.handled_at = time.monotonic()
