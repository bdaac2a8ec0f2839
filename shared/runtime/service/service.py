"""What makes one service: its decider and the rooms around it. Written down once per service, in its `__main__.py`."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import asyncpg
from starlette.routing import Route

from shared.runtime.aio.clock import now
from shared.runtime.aio.progress import Progress
from shared.runtime.http.door import Door
from shared.runtime.kernel.decider import Decider
from shared.runtime.kernel.kept import KeptStates
from shared.runtime.kernel.view import Figure
from shared.runtime.keys.keyring import KeyRing
from shared.runtime.observe.metrics import Metrics
from shared.runtime.service.settings import Settings
from shared.runtime.tasks.jobs import Job
from shared.runtime.tasks.kinds import TaskKind
from shared.services import SERVICES, Keys


@dataclass(frozen=True)
class Resources:
    """What a running process lends to its service's rooms. Whoever hears beside the engine notes its `progress`, and
    tells `lost` when the database does not answer. `readable` raises Unavailable while the store may be an older one.
    `kept` are the states that the engine has written.
    """

    settings: Any
    pool: "asyncpg.Pool[asyncpg.Record]"
    keys: KeyRing
    door: Door
    metrics: Metrics
    clock: Callable[[], datetime] = now
    closing: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    progress: Progress = field(default_factory=Progress)
    lost: Callable[[], None] = lambda: None
    readable: Callable[[], None] = lambda: None
    kept: KeptStates = field(default_factory=KeptStates)


def no_tasks(resources: Resources) -> Mapping[str, TaskKind]:
    """For a service without work on the outside world."""
    return {}


def no_jobs(resources: Resources) -> Sequence[Job]:
    """For a service that does nothing at times of its own."""
    return ()


@dataclass(frozen=True)
class Service:
    """One service. `tasks`, `jobs` and `api` get the running process's resources; `also` are more loops to supervise;
    `figures` are what gauges tell of its views.

    One that takes in work by another way than Kafka does not need it to be ready (`needs_kafka`). What one hears that
    acts on nothing of it may wait up to `hears_within_s` seconds for more, so that a dossier is written once for all.
    """

    decider: Decider[Any]
    settings: type[Settings]
    tasks: Callable[[Resources], Mapping[str, TaskKind]] = no_tasks
    jobs: Callable[[Resources], Sequence[Job]] = no_jobs
    api: Callable[[Resources], Sequence[Route]] | None = None
    hears_events: bool = True
    needs_kafka: bool = True
    hears_within_s: float = 0.0
    figures: Sequence[Figure] = ()
    also: Callable[[Resources], Mapping[str, Callable[[], Awaitable[None]]]] = lambda resources: {}

    @property
    def name(self) -> str:
        """The service's name: its topic, database, role and consumer group."""
        return self.decider.name

    @property
    def makes_keys(self) -> bool:
        """Whether it is the one service that makes data keys, by the table of services."""
        return SERVICES[self.name].keys is Keys.MAKES

    @property
    def hears_keys(self) -> bool:
        """Whether it opens sealed data with keys that it hears, by the table of services."""
        return SERVICES[self.name].keys is Keys.READS
