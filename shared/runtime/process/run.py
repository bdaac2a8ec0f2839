"""One process of one service: relay, consumer, tasks, door and probes, supervised, ended gracefully by SIGTERM."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

import structlog
from starlette.applications import Starlette
from starlette.routing import Route

from shared.errors import Misconfigured
from shared.runtime.aio import crash
from shared.runtime.aio.fatal import EX_SOFTWARE, trace_only
from shared.runtime.engine.retry import retry
from shared.runtime.http.observed import observed
from shared.runtime.http.openapi import publish
from shared.runtime.http.rates import Strangers
from shared.runtime.http.server import Server, http_server, listening
from shared.runtime.kafka.clients import STOP_S
from shared.runtime.kafka.consumer import KafkaConsumer
from shared.runtime.process.garbage import spare_the_collector
from shared.runtime.process.gauges import Gauges
from shared.runtime.process.probes import Health, operations_routes
from shared.runtime.process.wiring import Runtime, database, wire
from shared.runtime.service.callers import strangers
from shared.runtime.service.service import Service
from shared.runtime.service.settings import DoorSettings, Settings
from shared.runtime.store.shapes import refuse_other_shapes, take_shape

log = structlog.get_logger(__name__)

T = TypeVar("T")

EX_USAGE = 2
PROBERS = 64
"""Connections to the probes' port at once."""


def application(runtime: Runtime, routes: Sequence[Route], counted: Strangers) -> Starlette:
    """The door: what the service lets people or machines do. What nobody vouches for is counted as a stranger's."""
    app = observed(routes, runtime.metrics, counted)
    publish(app, f"dossier {runtime.service.name}")
    return app


def probes(runtime: Runtime, health: Health) -> Starlette:
    """What only operators' machines ask: /livez, /readyz, /metrics."""
    return observed(operations_routes(health, runtime.metrics), runtime.metrics)


async def serve(service: Service, settings: Settings) -> None:
    """Run one process of `service` until SIGTERM or SIGINT, or until one of its loops ends (exit 70)."""
    crash.arm(settings.crash_point)
    spare_the_collector()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)
    met_another: list[Callable[[], None]] = []
    async with contextlib.AsyncExitStack() as resources:
        pool = await _unless(stop, resources.enter_async_context(database(settings, service.name, met_another)))
        if pool is not None:
            runtime = wire(service, settings, pool)
            met_another += [runtime.engine.kept.forget, runtime.guard.lost, runtime.listener.look_back]
            if runtime.key_listener is not None:
                met_another.append(runtime.key_listener.look_back)
            await runtime.resources.keys.check(service.hears_keys)
            await retry(partial(take_shape, pool, service.decider.shape))
            await _supervise(runtime, stop)
    # A library's thread that is left behind would keep a drained process for ever.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


async def _unless(stop: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """What `work` returns; None if the process is told to stop before that."""
    working, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    await asyncio.wait([working, stopping], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if working.done():
        return working.result()
    working.cancel()
    return None


async def _supervise(runtime: Runtime, stop: asyncio.Event) -> None:
    health = Health(runtime)
    settings = runtime.settings
    listeners = {"probes": _probes(runtime, health), **_door(runtime)}
    _start(runtime, health, listeners)
    log.info("started", probe_port=settings.probe_port, port=getattr(settings, "http_port", None))
    waiting = asyncio.create_task(stop.wait())
    done, _ = await asyncio.wait([waiting, *runtime.loops.values()], return_when=asyncio.FIRST_COMPLETED)
    if waiting not in done:
        os._exit(_report(done))
    health.ending = True
    await _drain(runtime, listeners)


@dataclass(frozen=True)
class _Listener:
    server: Server
    socket: socket.socket

    async def run(self) -> None:
        await self.server.serve([self.socket])


def _probes(runtime: Runtime, health: Health) -> _Listener:
    settings = runtime.settings
    server = http_server(
        probes(runtime, health), settings.probe_host, settings.probe_port, 1, places=PROBERS, each=PROBERS
    )
    return _Listener(server, listening(settings.probe_host, settings.probe_port, "PROBE"))


def _door(runtime: Runtime) -> Mapping[str, _Listener]:
    """The service's door, if it lets anybody in."""
    settings, api = runtime.settings, runtime.service.api
    if api is None or not isinstance(settings, DoorSettings):
        return {}
    host, port, counted = settings.http_host, settings.http_port, strangers(settings)
    # The other half of the time to drain is for all that comes after the last request.
    server = http_server(
        application(runtime, api(runtime.resources), counted), host, port, int(settings.drain_s / 2),
        settings.http_idle_s, settings.http_connections, trusted=counted.trusted, refused=partial(_refused, runtime),
        count=counted.count,
    )  # fmt: skip
    return {"http": _Listener(server, listening(host, port))}


def _refused(runtime: Runtime, status: int) -> None:
    runtime.metrics.http_requests.labels("unknown", "unknown", status).inc()


def _start(runtime: Runtime, health: Health, listeners: Mapping[str, _Listener]) -> None:
    loops: dict[str, Callable[[], Awaitable[Any]]] = {
        **{name: listener.run for name, listener in listeners.items()},
        "watch": runtime.watch.run,
        "guard": runtime.guard.run,
        "group": runtime.group.run,
        "relay": runtime.relay.run,
        "tasks": runtime.worker.run,
        "gauges": Gauges(runtime).run,
        "pulse": health.pulse,
        **runtime.service.also(runtime.resources),
    }
    if runtime.jobs.table:
        loops["jobs"] = runtime.jobs.run
    if runtime.key_listener is not None:
        loops["keys"] = runtime.key_listener.run
    if runtime.service.hears_events:
        loops["consumer"] = partial(_consume, runtime)
        loops["listener"] = runtime.listener.run
    for name, run in loops.items():
        runtime.loops[name] = asyncio.create_task(_run(run), name=name)


async def _run(run: Callable[[], Awaitable[Any]]) -> None:
    await run()


async def _consume(runtime: Runtime) -> None:
    """Start the consumer once the database and the broker are there, and watch it; a crashed one ends the process. It
    leaves the group while states have another shape, so that a process of that one hears in its place.
    """
    service, listener = runtime.service, runtime.listener
    await retry(listener.prepare)
    await runtime.broker.wait(service.name)
    while True:
        await retry(partial(refuse_other_shapes, runtime.pool, service.name, service.decider.shape))
        listener.let_go = runtime.engine.moved_on = False
        consumer = _consumer(runtime)
        if not await _started(consumer):
            log.critical("consumer-ended")
            return
        runtime.consumer = consumer
        while consumer.alive and not listener.let_go:
            await asyncio.sleep(1.0)
        if not listener.let_go:
            log.critical("consumer-ended")
            return
        runtime.consumer = None
        await consumer.stop()


async def _started(consumer: KafkaConsumer) -> bool:
    """Start it; False if it crashes meanwhile (a broker that knows of no broker yet ends aiokafka's coordinator): its
    start would be waited for without end.
    """
    starting = asyncio.create_task(consumer.start(), name="consumer-start")
    while not starting.done():
        if consumer.crashed:
            return False
        await asyncio.wait([starting], timeout=1.0)
    starting.result()
    return True


def _consumer(runtime: Runtime) -> KafkaConsumer:
    settings, listener, name = runtime.settings, runtime.listener, runtime.service.name
    return KafkaConsumer(
        name, runtime.broker, [topic.name for topic in listener.topics], listener.handle, listener.next_offsets,
        settings.data_dir / f"{name}-{os.getpid()}", settings.instance, within_s=runtime.service.hears_within_s,
    )  # fmt: skip


def _report(done: "set[asyncio.Task[Any]]") -> int:
    """Log which loop ended and why; the exit code that goes with it: 2 for a setting, 70 for a bug."""
    code = EX_SOFTWARE
    for task in done:
        error = task.exception() if not task.cancelled() else None
        if isinstance(error, Misconfigured):
            sys.stderr.write(f"cannot start: {error}\n")
            code = EX_USAGE
        trace = trace_only(error) if error else None
        log.critical("loop-ended", task=task.get_name(), error=type(error).__name__, exc_info=trace)
    sys.stdout.flush()
    sys.stderr.flush()
    return code


async def _drain(runtime: Runtime, listeners: Mapping[str, _Listener]) -> None:
    """Take nothing new, finish what is in hand, and leave; within `drain_s` and a few seconds. What is not published
    by then, another replica's relay publishes, or the next start. Probes are answered to the end.
    """
    began = datetime.now(UTC)
    if "http" in listeners:
        listeners["http"].server.should_exit = True
    # Faust tells at ERROR that its agent, idle, was cancelled; in a drain that is what is meant to happen.
    logging.getLogger("faust").setLevel(logging.CRITICAL)
    finishing = asyncio.create_task(_finish(runtime), name="drain")
    # Not asyncio.timeout: Faust's services take a cancellation for an order to stop, and go on waiting.
    await asyncio.wait([finishing], timeout=runtime.settings.drain_s)
    if not finishing.done():
        log.warning("drain-timed-out")
    elif (error := finishing.exception()) is not None:
        log.error("drain-failed", error=type(error).__name__)
    for task in runtime.loops.values():
        task.cancel()
    closing = [asyncio.create_task(_run(close)) for close in runtime.resources.closing]
    await asyncio.wait([*runtime.loops.values(), *closing], timeout=STOP_S + 1)
    log.info("stopped", seconds=(datetime.now(UTC) - began).total_seconds())


async def _finish(runtime: Runtime) -> None:
    """Begin no task; end requests in hand, the batch in hand, the tasks in hand, then what these have to commit."""
    runtime.worker.retire()
    if "http" in runtime.loops:
        await asyncio.wait([runtime.loops["http"]])
    if runtime.consumer is not None:
        # What it tells Kafka on leaving is only a hint; with Kafka down it would wait for minutes to tell it.
        await asyncio.wait([asyncio.create_task(runtime.consumer.stop())], timeout=STOP_S)
        await runtime.listener.idle()
    await asyncio.wait([runtime.loops["tasks"]])
    for _ in range(2):  # an outcome that was being committed may have begun a task
        await runtime.worker.drain()
        await runtime.batcher.drain()
