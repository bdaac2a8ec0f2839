"""Every alert fires when it should and is silent just below, rests on metrics that there are, and has its runbook.

The rules are judged by Prometheus' own `promtool` (Debian's package prometheus), without a server.
"""

import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.postgres.names import SERVICES
from deploy.watcher import metrics as watcher
from shared.runtime.metrics import Metrics

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "deploy" / "prometheus" / "rules" / "dossier.yml"
RUNBOOK = ROOT / "deploy" / "prometheus" / "RUNBOOK.md"
_OTHERS = {"up"}


@dataclass(frozen=True)
class Case:
    """Series (in promtool's notation, a value a minute) with which an alert fires at `minutes`, and with which not."""

    minutes: int
    fires: Mapping[str, str]
    silent: Mapping[str, str]


_UP = 'up{job="dossier",service="%s"}'
_HANDLED = 'dossier_messages_handled_total{service="payment",outcome="%s"}'
_HTTP = 'dossier_http_requests_total{service="intake",route="/v1/dossiers",status="%s"}'

CASES: Mapping[str, Case] = {
    "DossierServiceDown": Case(
        3, {'up{job="dossier",service="audit"}': "1 0 0 0"}, {'up{job="dossier",service="audit"}': "1 0 1 1"}
    ),
    "DossierServiceGone": Case(
        3,
        {_UP % service: "1x3" for service in SERVICES if service != "audit"} | {_UP % "audit": "1 stale"},
        {_UP % service: "1x3" for service in SERVICES},
    ),
    "SyntheticDossierLate": Case(
        6,
        {'dossier_synthetic_age_seconds{service="watcher"}': "0+60x6"},
        {'dossier_synthetic_age_seconds{service="watcher"}': "0 60 120 180 240 300 20"},
    ),
    "DossierRestartLoop": Case(
        14,
        {'dossier_events_published_total{service="intake"}': "9 1 9 1 9 1 9 1 9 9 9 9 9 9 9"},
        {'dossier_events_published_total{service="intake"}': "9 1 9 1 9 1 9 9 9 9 9 9 9 9 9"},
    ),
    "DossierConsumerStalled": Case(
        12,
        {
            'dossier_consumer_lag_records{service="audit",topic="a"}': "5x12",
            'dossier_consumer_last_success_timestamp_seconds{service="audit"}': "60x12",
        },
        {
            'dossier_consumer_lag_records{service="audit",topic="a"}': "0x12",
            'dossier_consumer_last_success_timestamp_seconds{service="audit"}': "60x12",
        },
    ),
    "DossierConsumerBehind": Case(
        10,
        {'dossier_consumer_oldest_unhandled_timestamp_seconds{service="audit"}': "1x10"},
        {'dossier_consumer_oldest_unhandled_timestamp_seconds{service="audit"}': "0x10"},
    ),
    "DossierOutboxGrowing": Case(
        6,
        {
            'dossier_outbox_pending_events{service="intake"}': "3x6",
            'dossier_outbox_oldest_timestamp_seconds{service="intake"}': "1x6",
        },
        {
            'dossier_outbox_pending_events{service="intake"}': "300x6",
            'dossier_outbox_oldest_timestamp_seconds{service="intake"}': "0+60x6",
        },
    ),
    "DossierTaskBacklog": Case(
        17,
        {'dossier_tasks_oldest_timestamp_seconds{service="verification",task="look-up"}': "1x17"},
        {'dossier_tasks_oldest_timestamp_seconds{service="verification",task="look-up"}': "0x17"},
    ),
    "DossierCircuitOpen": Case(
        11,
        {'dossier_circuit_state{service="verification",dependency="register"}': "2x11"},
        {'dossier_circuit_state{service="verification",dependency="register"}': "2 2 2 2 2 2 2 2 1 0 2 2"},
    ),
    "DossierDeadLetters": Case(
        6,
        {'dossier_dead_letters_open{service="payment"}': "1x6"},
        {'dossier_dead_letters_open{service="payment"}': "0x6"},
    ),
    "DossierParked": Case(
        16,
        {'dossier_parked_dossiers{service="payment"}': "1x16"},
        {'dossier_parked_dossiers{service="payment"}': "0x16"},
    ),
    "DossierSequenceGap": Case(
        6,
        {'dossier_sequence_gaps{service="notification"}': "1x6"},
        {'dossier_sequence_gaps{service="notification"}': "1 1 1 1 1 0 1"},
    ),
    "DossierStoreBehind": Case(
        6,
        {
            'dossier_store_behind_events{service="payment"}': "900x6",
            'dossier_events_taken_back_total{service="payment"}': "0x6",
        },
        {
            'dossier_store_behind_events{service="payment"}': "900 800 700 600 500 400 300",
            'dossier_events_taken_back_total{service="payment"}': "0+100x6",
        },
    ),
    "DossierAuditDiscrepancy": Case(
        5,
        {'dossier_audit_discrepancies{service="audit"}': "0 0 0 0 1 1"},
        {'dossier_audit_discrepancies{service="audit"}': "0x5"},
    ),
    "DossierKeysLate": Case(
        2,
        {'dossier_keys_late{service="notification",task="send-mail"}': "2x2"},
        {'dossier_keys_late{service="notification",task="send-mail"}': "0x2"},
    ),
    "DossierAcceptanceOverdue": Case(
        31,
        {'dossier_acceptance_overdue{service="intake"}': "4x31"},
        {'dossier_acceptance_overdue{service="intake"}': "0x31"},
    ),
    "DossierHttpErrors": Case(
        11,
        {_HTTP % "503": "0+6x11", _HTTP % "201": "0+60x11"},
        {_HTTP % "503": "0+2x11", _HTTP % "201": "0+60x11"},
    ),
    "DossierEventErrorBudgetBurnFast": Case(
        60,
        {_HANDLED % "dead_lettered": "0+2x60", _HANDLED % "ok": "0+98x60"},
        {_HANDLED % "dead_lettered": "0+1x60", _HANDLED % "ok": "0+99x60"},
    ),
    "DossierEventErrorBudgetBurnSlow": Case(
        360,
        {_HANDLED % "parked": "0+1x360", _HANDLED % "ok": "0+99x360"},
        {_HANDLED % "parked": "0+1x360", _HANDLED % "ok": "0+199x360"},
    ),
    "DossierEventLoopBlocked": Case(
        6,
        {'dossier_event_loop_delay_seconds{service="audit"}': "0.6x6"},
        {'dossier_event_loop_delay_seconds{service="audit"}': "0.6 0.6 0.6 0.6 0.6 0.4 0.6"},
    ),
    "DossierKafkaDiskForecast": Case(
        480,
        {"dossier_kafka_disk_usable_bytes": "1000000-110x480"},
        {"dossier_kafka_disk_usable_bytes": "1000000-80x480"},
    ),
    "DossierDatabaseDiskForecast": Case(
        480,
        {
            'dossier_database_bytes{service="intake",instance="a"}': "1000+60x480",
            'dossier_database_bytes{service="intake",instance="b"}': "1000+60x480",
            'dossier_database_bytes{service="audit"}': "1000+60x480",
            "dossier_database_disk_bytes": "1000000x480",
        },
        {
            # One database, seen by two processes, is one.
            'dossier_database_bytes{service="intake",instance="a"}': "1000+60x480",
            'dossier_database_bytes{service="intake",instance="b"}': "1000+60x480",
            "dossier_database_disk_bytes": "1000000x480",
        },
    ),
}


def _rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


ALERTS = [rule for rule in _rules() if "alert" in rule]


def _promtool(*arguments: str) -> str:
    tool = shutil.which("promtool")
    assert tool is not None, "promtool is missing: apt-get install prometheus"
    done = subprocess.run([tool, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_rules_are_what_prometheus_understands() -> None:
    assert "SUCCESS" in _promtool("check", "rules", str(RULES))


def test_every_alert_has_a_case() -> None:
    assert sorted(CASES) == sorted(rule["alert"] for rule in ALERTS)


@pytest.mark.parametrize("alert", sorted(CASES))
def test_an_alert_fires_when_it_should_and_is_silent_just_below(alert: str, tmp_path: Path) -> None:
    case = CASES[alert]
    tests = [_test(alert, case.minutes, case.fires, True), _test(alert, case.minutes, case.silent, False)]
    file = tmp_path / "tests.yml"
    file.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": tests}))
    assert "SUCCESS" in _promtool("test", "rules", str(file))


def _test(alert: str, minutes: int, series: Mapping[str, str], fires: bool) -> dict[str, Any]:
    firing = f'count(ALERTS{{alertname="{alert}",alertstate="firing"}})'
    asked = {"expr": firing, "eval_time": f"{minutes}m", "exp_samples": [{"labels": "{}", "value": 1}] if fires else []}
    given = [{"series": name, "values": values} for name, values in series.items()]
    return {"interval": "1m", "input_series": given, "promql_expr_test": [asked]}


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_says_what_is_felt_how_urgent_it_is_and_where_the_runbook_is(rule: Mapping[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
    assert rule["annotations"]["runbook_url"] == f"RUNBOOK.md#{rule['alert'].lower()}"


def test_the_runbook_has_a_chapter_for_every_alert_and_no_other() -> None:
    chapters = re.findall(r"^## (\w+)$", RUNBOOK.read_text(), re.MULTILINE)
    assert chapters == [rule["alert"] for rule in ALERTS]


def test_every_metric_of_a_rule_is_one_that_a_service_exports() -> None:
    exported = {
        sample for metric in Metrics("intake").collectors.values() for sample in (metric._name, f"{metric._name}_total")
    }
    exported |= {metric.name for metric in watcher.Metrics([""]).registry.collect()}
    named = {name for rule in _rules() for name in re.findall(r"(?<![\w:])dossier_\w+", rule["expr"])}
    assert named <= exported | _OTHERS
