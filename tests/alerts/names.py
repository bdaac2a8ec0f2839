"""The names of metrics: those that the platform's processes export, and those in an expression."""

import re

from deploy.watcher import metrics as watcher
from deploy.watcher.way import STAGES
from shared.runtime.metrics import Metrics

_SUFFIX = re.compile(r"_(total|bucket|count|sum)$")
_NAME = re.compile(r"\bdossier_\w+|\bup\b")


def known_metrics() -> frozenset[str]:
    """Every name of a service's and of the watcher's metrics, without what Prometheus adds for its type."""
    collectors = Metrics("intake").collectors.values()
    services = {metric.name for collector in collectors for metric in collector.collect()}
    watched = {metric.name for metric in watcher.Metrics([stage.name for stage in STAGES]).registry.collect()}
    return frozenset(services | watched | {"up"})


def named_in(expression: str) -> frozenset[str]:
    """The names in a PromQL expression, likewise."""
    return frozenset(_SUFFIX.sub("", name) for name in _NAME.findall(expression))
