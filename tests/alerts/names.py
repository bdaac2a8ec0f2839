"""The names of metrics: those that the platform's processes export, and those in an expression."""

import re

from deploy.watcher import metrics as watcher
from deploy.watcher.way import STAGES
from shared.runtime.observe.metrics import Metrics

_SUFFIX = re.compile(r"_(total|bucket|count|sum)$")
_NAME = re.compile(r"\bdossier_\w+|\bup\b")


def known_metrics() -> frozenset[str]:
    """Every name of a service's and of the watcher's metrics, without what Prometheus adds for its type."""
    collectors = Metrics("intake").collectors.values()
    services = {metric.name for collector in collectors for metric in collector.collect()}
    watched = {metric.name for metric in watcher.Metrics([stage.name for stage in STAGES]).registry.collect()}
    return frozenset(services | watched | {"up"})


def labels_of(name: str) -> frozenset[str]:
    """The labels by which a metric may be grouped: its own, and what Prometheus adds."""
    collectors = [*Metrics("intake").collectors.values(), *watcher.Metrics([""]).registry._collector_to_names]
    own = {label for one in collectors if getattr(one, "_name", None) == name for label in one._labelnames}
    return frozenset(own | {"service", "le"})


def named_in(expression: str) -> frozenset[str]:
    """The names in a PromQL expression, likewise."""
    return frozenset(_SUFFIX.sub("", name) for name in _NAME.findall(expression))
