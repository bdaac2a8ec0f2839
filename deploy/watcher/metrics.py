"""The watcher's metrics; names and labels are a contract, as those of the services are."""

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Gauge, disable_created_metrics


@dataclass
class Metrics:
    """What is told of synthetic dossiers. `clock` tells seconds."""

    stages: Iterable[str]
    clock: Callable[[], float] = time.monotonic
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    _since: float = field(init=False)

    def __post_init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        # Before the first has arrived it is as old as the watcher: one that never sees any must be noticed too.
        self._since = self.clock()
        started = Gauge("dossier_start_timestamp_seconds", "When this process began", registry=self.registry)
        started.set_to_current_time()
        age = Gauge(
            "dossier_synthetic_age_seconds",
            "Since the last synthetic dossier went the whole way, or since the start",
            registry=self.registry,
        )
        age.set_function(lambda: self.clock() - self._since)
        self.duration = Gauge(
            "dossier_synthetic_duration_seconds", "How long its way took, from filing", registry=self.registry
        )
        self.dossiers = Counter(
            "dossier_synthetic_dossiers",
            "Synthetic dossiers by how they ended: the whole way, or failed and in which stage",
            ("outcome", "stage"),
            registry=self.registry,
        )
        self._make_gauges_of_disks()
        self.stages = tuple(self.stages)
        for stage in self.stages:
            self.dossiers.labels("failed", stage)
        self.dossiers.labels("ok", self.stages[-1])

    def _make_gauges_of_disks(self) -> None:
        """Not a number until it is known, so that nothing is forecast from a nought."""
        self.topic_bytes = Gauge(
            "dossier_kafka_topic_bytes", "On all brokers' disks, every copy", ("topic",), registry=self.registry
        )
        self.disks_seen = Gauge(
            "dossier_kafka_disk_seen_timestamp_seconds", "When all brokers last told of their disks, or the start",
            registry=self.registry,
        )  # fmt: skip
        self.disks_seen.set_to_current_time()
        self.kafka_usable = Gauge(
            "dossier_kafka_disk_usable_bytes", "Free on the broker's disk that has the least", registry=self.registry
        )
        self.database_disk = Gauge(
            "dossier_database_disk_bytes", "What the databases may take, as the operator says", registry=self.registry
        )
        self.certificates = Gauge(
            "dossier_certificate_not_after_timestamp_seconds",
            "Until when the certificates are good that a client of Kafka meets, the first of them",
            ("dependency",),
            registry=self.registry,
        )
        for each in ("kafka", "kafka-authority"):
            self.certificates.labels(each).set(math.nan)
        self.kafka_usable.set(math.nan)
        self.database_disk.set(math.nan)

    def arrived(self, seconds: float) -> None:
        """One has gone the whole way in so many seconds."""
        self._since = self.clock()
        self.duration.set(seconds)
        self.dossiers.labels("ok", tuple(self.stages)[-1]).inc()

    def failed(self, stage: str) -> None:
        """One has not got beyond this stage."""
        self.dossiers.labels("failed", stage).inc()
