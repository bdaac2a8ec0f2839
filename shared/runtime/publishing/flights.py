"""What was sent to Kafka and is not acknowledged yet: one batch per shard. A late one holds up no other shard's."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import asyncpg
from aiokafka.errors import KafkaError
from aiokafka.structs import RecordMetadata

Rows = Sequence[asyncpg.Record]


@dataclass(slots=True)
class Flight:
    """One shard's rows, and Kafka's word for the messages that they were put into, once it comes."""

    rows: Rows
    answer: "asyncio.Future[list[RecordMetadata]]"
    launched_at: float
    is_late: bool = False


@dataclass(frozen=True, slots=True)
class Landing:
    """What Kafka has answered: by shard the rows that it has taken and its word for them, and a refusal, if any."""

    taken: dict[int, tuple[Rows, list[RecordMetadata]]]
    failure: Exception | None


@dataclass
class Flights:
    """Shard → what of it is on its way. `on_landing` is told when an answer comes that nobody waits for any more."""

    on_landing: Callable[[], None] = lambda: None
    _flying: dict[int, Flight] = field(default_factory=dict)

    @property
    def shards(self) -> set[int]:
        """Those of which something is on its way."""
        return set(self._flying)

    def launch(self, shard: int, rows: Rows, *sent: "asyncio.Future[RecordMetadata]") -> None:
        """Note what has been sent of a shard of which nothing is on its way."""
        answer = asyncio.gather(*sent)
        answer.add_done_callback(_heard)
        self._flying[shard] = Flight(rows, answer, asyncio.get_running_loop().time())

    def late(self, seconds: float) -> set[int]:
        """Shards whose answer has been waited for so long."""
        now = asyncio.get_running_loop().time()
        return {shard for shard, flight in self._flying.items() if now >= flight.launched_at + seconds}

    async def land(self, patience_s: float) -> Landing:
        """Wait for what was launched since the last time, so long at most, and take out all that is answered."""
        fresh = [flight for flight in self._flying.values() if not flight.is_late]
        if fresh:
            await asyncio.wait([flight.answer for flight in fresh], timeout=patience_s)
        answered = {shard: flight for shard, flight in self._flying.items() if flight.answer.done()}
        for shard in answered:
            del self._flying[shard]
        for flight in self._flying.values():
            if not flight.is_late:
                flight.is_late = True
                flight.answer.add_done_callback(lambda _: self.on_landing())
        failures = [failure for flight in answered.values() if (failure := _failure(flight.answer)) is not None]
        taken = {n: (one.rows, one.answer.result()) for n, one in answered.items() if _failure(one.answer) is None}
        return Landing(taken, failures[0] if failures else None)


def _failure(answer: "asyncio.Future[list[RecordMetadata]]") -> Exception | None:
    failure = KafkaError("given up") if answer.cancelled() else answer.exception()
    # A send that is cancelled by its producer must not look like a cancellation of whoever waits for it.
    return failure if failure is None or isinstance(failure, Exception) else KafkaError("given up")


def _heard(answer: "asyncio.Future[list[RecordMetadata]]") -> None:
    """Nobody waits any more for what a producer leaves behind that was given up."""
    if not answer.cancelled():
        answer.exception()
