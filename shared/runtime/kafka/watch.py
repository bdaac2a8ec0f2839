"""Whether there is a Kafka that answers us, and lets us do what we must."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from aiokafka.errors import KafkaError

from shared.runtime.kafka.clients import Broker, refusal

log = structlog.get_logger(__name__)

ASK_EVERY_S = 2.0
SILENT_S = 10.0
"""A broker that has not answered for this long is missing; one that is busy for a moment is not."""


@dataclass
class Watch:
    """Asks the brokers every few seconds over a connection of its own, and remembers when one last answered. One that
    does not let us do what we must (with `topics` and `group`) gives no answer either, but a reason.
    """

    broker: Broker
    client: str
    topics: Sequence[str] = ()
    group: str = ""
    silent_s: float = SILENT_S
    answered_at: float | None = None
    refusal: str | None = None

    @property
    def answers(self) -> bool:
        """Whether a broker has answered within the last `silent_s` seconds."""
        return self.answered_at is not None and time.monotonic() - self.answered_at <= self.silent_s

    @property
    def reason(self) -> str:
        """Why nothing can be said to be there, in words."""
        return self.refusal or f"has not answered for {self.silent_s:g} s"

    @property
    def fell_silent(self) -> bool:
        """Whether none answers any more, though one did."""
        return self.answered_at is not None and not self.answers

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            try:
                await self.broker.ask(self.client, self.topics, self.group)
                self.answered_at, self.refusal = time.monotonic(), None
            except (KafkaError, OSError) as lost:
                self._note(lost)
            await asyncio.sleep(ASK_EVERY_S)

    def _note(self, lost: Exception) -> None:
        before, self.refusal = self.refusal, refusal(lost)
        if self.refusal is None:
            log.info("kafka-does-not-answer", why=type(lost).__name__)
        elif self.refusal != before:
            log.error("kafka-refuses", why=self.refusal)
