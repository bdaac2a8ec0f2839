"""The dashboards are what their table makes, show metrics that there are, and lead to the runbook.

Grafana itself is not run: its JSON is checked for what its schema demands of every panel. That each expression finds
something is shown against a real Prometheus (`test_expressions.py`).
"""

import json
import re
import shutil
import subprocess
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.grafana.__main__ import FOLDER, files
from deploy.grafana.panels import RUNBOOK, SOURCE, Panel, rendered
from deploy.grafana.table import DASHBOARDS
from tests.alerts.names import known_metrics, labels_of, named_in

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
PROVISIONING = DEPLOY / "grafana" / "provisioning"
PANELS = [pytest.param(panel, id=f"{board.uid}: {panel.title}") for board in DASHBOARDS for panel in board.panels]
BOARDS = [pytest.param(rendered(board), id=board.uid) for board in DASHBOARDS]
UNITS = {"short", "s", "reqps", "percentunit", "bytes"}


def test_there_are_five_and_they_are_what_the_table_makes() -> None:
    made = files()
    assert len(made) == 5
    assert {path.name: path.read_text(encoding="utf-8") for path in FOLDER.iterdir()} == made


@pytest.mark.parametrize("panel", PANELS)
def test_every_metric_of_a_panel_is_one_that_some_process_exports(panel: Panel) -> None:
    for query in panel.queries:
        assert named_in(query.expr)
        assert named_in(query.expr) <= known_metrics(), query.expr


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_groups_by_labels_that_its_metrics_have(panel: Panel) -> None:
    for query in panel.queries:
        grouped = {label for listed in re.findall(r"by \(([^)]*)\)", query.expr) for label in listed.split(", ")}
        shown = set(re.findall(r"{{(\w+)}}", query.legend))
        made = set(re.findall(r'label_replace\(.*, "(\w+)", "\$1", "\w+", "[^"]*"\)', query.expr))
        for name in named_in(query.expr):
            assert grouped <= labels_of(name), query.expr
        assert shown <= grouped | made, query


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_can_be_read(panel: Panel) -> None:
    assert panel.title
    assert panel.says.endswith(".")
    assert panel.unit in UNITS
    assert panel.queries
    chapters = (DEPLOY / "prometheus" / "RUNBOOK.md").read_text(encoding="utf-8")
    assert panel.alert is None or f"\n## {panel.alert}\n" in chapters


@pytest.mark.parametrize("board", BOARDS)
def test_grafana_finds_what_it_needs_of_every_panel(board: dict[str, Any]) -> None:
    assert board == json.loads(json.dumps(board))
    assert {"uid", "title", "schemaVersion", "panels", "time", "templating", "annotations"} <= board.keys()
    panels = board["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len({panel["title"] for panel in panels}) == len(panels)
    for panel in panels:
        assert panel["type"] in {"timeseries", "stat"}
        assert panel["datasource"] == SOURCE
        assert panel["fieldConfig"]["defaults"]["thresholds"]["steps"][0]["value"] is None
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
        assert all(link["url"].startswith(RUNBOOK) for link in panel["links"])


@pytest.mark.parametrize("board", BOARDS)
def test_no_panel_lies_over_another_or_outside_of_the_grid(board: dict[str, Any]) -> None:
    places = [panel["gridPos"] for panel in board["panels"]]
    assert all(one["x"] >= 0 and one["x"] + one["w"] <= 24 for one in places)
    for one, other in combinations(places, 2):
        apart = (
            one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        )  # fmt: skip
        assert apart, (one, other)


def test_what_is_provisioned_is_what_compose_puts_there() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    grafana = compose["services"]["grafana"]
    assert grafana["profiles"] == ["dashboards"]
    mounted = dict(volume.removesuffix(":ro").split(":") for volume in grafana["volumes"])
    (source,) = yaml.safe_load((PROVISIONING / "datasources" / "dossier.yml").read_text())["datasources"]
    assert (source["type"], source["uid"]) == (SOURCE["type"], SOURCE["uid"])
    assert source["url"] == "http://prometheus:9090"
    (provider,) = yaml.safe_load((PROVISIONING / "dashboards" / "dossier.yml").read_text())["providers"]
    assert mounted["./grafana/dashboards"] == provider["options"]["path"]
    assert mounted["./grafana/provisioning"] == "/etc/grafana/provisioning"
    assert mounted["./prometheus/RUNBOOK.md"] == f"/usr/share/grafana{RUNBOOK}"
    assert all((DEPLOY / folder).exists() for folder in mounted if folder.startswith("./"))


def test_prometheus_can_read_every_expression(tmp_path: Path) -> None:
    expressions = [query.expr for board in DASHBOARDS for panel in board.panels for query in panel.queries]
    rules = [{"record": f"dashboard:panel:{n}", "expr": expr} for n, expr in enumerate(expressions)]
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboards", "rules": rules}]}), encoding="utf-8")
    promtool = shutil.which("promtool")
    assert promtool is not None, "promtool is missing: apt-get install prometheus"
    checked = subprocess.run([promtool, "check", "rules", str(file)], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
