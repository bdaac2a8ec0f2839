"""/livez, /readyz and /metrics, at a port of their own: not for everybody, and no crowd at the door may fill it.

Alive means progress: the loops run and the event loop wakes in time.
"""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

from aiokafka.structs import TopicPartition
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from shared.runtime.aio.deadline import with_deadline
from shared.runtime.http.door import json_response
from shared.runtime.observe.metrics import Metrics
from shared.runtime.process.wiring import Runtime
from shared.runtime.store.lost import LOST_CONNECTION
from shared.runtime.store.shapes import refuse_other_shapes

ANSWER_S = 3.0
STUCK_S = 60.0
"""Records that wait for longer than this, in hand or not, while the database answers are not progress; nor are
partitions that no process of the service has owned for so long.
"""


@dataclass
class Health:
    """What the two probes look at."""

    runtime: Runtime
    stuck_s: float = STUCK_S
    stood_s: float = 0.0
    ending: bool = False
    deaf_s: float = 0.0
    _stood_at: float | None = None
    _unowned: frozenset[TopicPartition] = frozenset()

    async def pulse(self) -> None:
        """Measure how late the event loop wakes, and remember that it did."""
        while True:
            began = time.monotonic()
            await asyncio.sleep(0.5)
            beat_s = time.monotonic() - began
            self.runtime.metrics.loop_delay.set(max(0.0, beat_s - 0.5))
            self.passed(beat_s)

    def passed(self, seconds: float) -> None:
        """So much time has passed: add up how long no batch has been finished, though one is in hand or records wait
        (as when the consumer has died without a word). Time in which nothing can be committed or fetched does not
        count: no restart brings a database or a broker back.
        """
        progress, consumer = self.runtime.resources.progress, self.runtime.consumer
        waiting = consumer is not None and any(consumer.committed_lag().values())
        to_do = waiting or progress.began_at is not None
        if not to_do or progress.handled_at != self._stood_at:
            self._stood_at, self.stood_s = progress.handled_at, 0.0
        elif self.runtime.guard.checked and not (self.runtime.watch.fell_silent or self.runtime.engine.moved_on):
            self.stood_s += seconds
        self._listened(seconds)

    def _listened(self, seconds: float) -> None:
        """Add up how long there have been partitions that nobody owned the whole time, while Kafka answered and let us
        do what we must: what is missing there no restart brings.
        """
        still = self._unowned & self.runtime.group.unowned
        self._unowned = still or self.runtime.group.unowned
        if not still:
            self.deaf_s = 0.0
        elif self.runtime.guard.checked and self.runtime.watch.answers and not self.runtime.engine.moved_on:
            self.deaf_s += seconds

    def alive(self) -> dict[str, str]:
        """Faults of this process itself; empty when it is alive. A missing dependency is not one of them, nor is what
        ends in a drain, which has a time limit of its own.
        """
        if self.ending:
            return {}
        faults = {name: "ended" for name, task in self.runtime.loops.items() if task.done()}
        consumer = self.runtime.consumer
        if consumer is not None and not consumer.alive:
            faults["consumer"] = "crashed"
        if self.stood_s > self.stuck_s:
            faults["consumer"] = f"no batch finished for over {self.stuck_s:g} s, though records wait"
        if self.deaf_s > self.stuck_s:
            topics = sorted({tp.topic for tp in self._unowned})
            faults["group"] = f"{len(self._unowned)} partitions of {', '.join(topics)} are heard by no process"
        return faults

    async def missing(self) -> dict[str, str]:
        """Dependencies without which nothing can be accepted, told within ANSWER_S. Where work comes in by another way
        than Kafka, neither Kafka is one nor what is heard of it: what is stored is published later. A process that is
        ending accepts nothing either.
        """
        if self.ending:
            return {"process": "is ending"}
        watch = self.runtime.watch
        silent = self.runtime.service.needs_kafka and not watch.answers
        kafka = {"kafka": watch.reason} if silent else {}
        return {**kafka, **await self._store()} or self._own_faults()

    def _own_faults(self) -> dict[str, str]:
        heard = self.runtime.service.needs_kafka
        return {name: fault for name, fault in self.alive().items() if heard or name != "group"}

    async def _store(self) -> dict[str, str]:
        try:
            await with_deadline(self._ask_store(), ANSWER_S)
        except TimeoutError:
            return {"store": self.runtime.guard.reason or "the database does not answer"}
        except LOST_CONNECTION as lost:
            return {"database": type(lost).__name__}
        except Exception as refused:
            return {"store": str(refused)[:200]}
        return {}

    async def _ask_store(self) -> None:
        await self.runtime.pool.fetchval("SELECT 1")
        await self.runtime.guard.ready()
        await refuse_other_shapes(self.runtime.pool, self.runtime.service.name, self.runtime.service.decider.shape)


def operations_routes(health: Health, metrics: Metrics) -> list[Route]:
    """The routes that operators' machines ask."""

    async def livez(request: Request) -> Response:
        return _verdict(health.alive())

    async def readyz(request: Request) -> Response:
        return _verdict(await health.missing())

    async def exposition(request: Request) -> Response:
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return [Route("/livez", livez), Route("/readyz", readyz), Route("/metrics", exposition)]


def _verdict(faults: dict[str, Any]) -> Response:
    return json_response({"status": "fault" if faults else "ok", "faults": faults}, 503 if faults else 200)
