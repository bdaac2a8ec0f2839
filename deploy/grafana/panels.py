"""What a dashboard is made of, and the JSON that Grafana provisions of it. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Unit = Literal["short", "s", "reqps", "percentunit", "bytes"]
"""Grafana's names: a number, seconds, a second, a share of 1, bytes."""

Kind = Literal["timeseries", "stat"]

SOURCE: Mapping[str, str] = {"type": "prometheus", "uid": "prometheus"}
"""The data source of `provisioning/datasources`."""

RUNBOOK = "/public/RUNBOOK.txt"
"""Where Grafana serves the runbook (`compose.yaml` puts it there)."""

_SCHEMA = 39
_WIDTH, _HEIGHT, _COLUMNS = 8, 8, 3


@dataclass(frozen=True, slots=True)
class Query:
    """One PromQL expression, and what a line of its answer is called (`{{label}}` stands for a label's value)."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture: what it shows, in which unit, from which value on it is `red`, and the alert whose chapter of the
    runbook says what to do then.
    """

    title: str
    says: str
    unit: Unit
    queries: Sequence[Query]
    red: float | None = None
    alert: str | None = None
    kind: Kind = "timeseries"


@dataclass(frozen=True, slots=True)
class Dashboard:
    """Panels under a name; `uid` is also the file's name and a part of the address."""

    uid: str
    title: str
    panels: Sequence[Panel]


def rendered(dashboard: Dashboard) -> dict[str, Any]:
    """The dashboard as Grafana's JSON model."""
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "tags": ["dossier"],
        "schemaVersion": _SCHEMA,
        "editable": False,
        "timezone": "Asia/Ho_Chi_Minh",
        "time": {"from": "now-6h", "to": "now"},
        "refresh": "30s",
        "links": [{"type": "dashboards", "title": "Dashboards", "tags": ["dossier"], "asDropdown": True}],
        "templating": {"list": []},
        "annotations": {"list": []},
        "panels": [_panel(n, panel) for n, panel in enumerate(dashboard.panels)],
    }


def _panel(n: int, panel: Panel) -> dict[str, Any]:
    row, column = divmod(n, _COLUMNS)
    return {
        "id": n + 1,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.says,
        "datasource": dict(SOURCE),
        "gridPos": {"h": _HEIGHT, "w": _WIDTH, "x": column * _WIDTH, "y": row * _HEIGHT},
        "fieldConfig": {"defaults": _field(panel), "overrides": []},
        "options": _options(panel.kind),
        "targets": list(_targets(panel.queries)),
        "links": [] if panel.alert is None else [_link(panel.alert)],
    }


def _field(panel: Panel) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if panel.red is not None:
        steps.append({"color": "red", "value": panel.red})
    drawn = {"thresholdsStyle": {"mode": "off" if panel.red is None else "line"}, "fillOpacity": 10}
    return {
        "unit": panel.unit,
        "min": 0,
        "color": {"mode": "palette-classic" if panel.kind == "timeseries" else "thresholds"},
        "thresholds": {"mode": "absolute", "steps": steps},
        "custom": drawn if panel.kind == "timeseries" else {},
    }


def _options(kind: Kind) -> dict[str, Any]:
    if kind == "stat":
        return {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "background", "textMode": "auto"}
    return {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi", "sort": "desc"}}


def _targets(queries: Sequence[Query]) -> Iterator[dict[str, Any]]:
    for letter, query in zip("ABCDEFGH", queries, strict=False):
        legend = query.legend or "__auto"
        yield {"refId": letter, "datasource": dict(SOURCE), "expr": query.expr, "legendFormat": legend, "range": True}


def _link(alert: str) -> dict[str, Any]:
    return {"title": f"Runbook: {alert}", "url": f"{RUNBOOK}#{alert.lower()}", "targetBlank": True}
