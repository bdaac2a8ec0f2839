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

from deploy.watcher import metrics as watcher
from shared.runtime.observe.metrics import Metrics
from shared.services import SERVICES

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "deploy" / "prometheus" / "rules" / "dossier.yml"
RUNBOOK = ROOT / "deploy" / "prometheus" / "RUNBOOK.md"
_OTHERS = {"up"}


@dataclass(frozen=True)
class Case:
    """Series (promtool's notation, a value each `every`) with which an alert fires at `minutes`, and with which not."""

    minutes: int
    fires: Mapping[str, str]
    silent: Mapping[str, str]
    every: str = "1m"


_UP = 'up{job="dossier",service="%s"}'
_HANDLED = 'dossier_messages_handled_total{service="payment",outcome="%s"}'
_BANK = 'dossier_bank_reports_total{service="payment",outcome="%s"}'
_SAID = 'dossier_events_recorded_total{service="%s",event_type="vn.gov.dossier.%s.v1"}'
_MAILS = 'dossier_mails_total{service="notification", outcome="%s", reason="%s"}'
_DUE = 'dossier_tasks_oldest_timestamp_seconds{service="%s",instance="%s",task="%s"}'
_JOB = 'dossier_job_%s_seconds{service="intake",task="sweep",instance="%s"}'
_REFUSED = 'dossier_keys_refused_total{service="payment",instance="%d",reason="replaced"}'
_NEEDS = 'dossier_task_dependency{service="verification",instance="%s",task="look-up",dependency="register"}'
_CIRCUIT = 'dossier_circuit_state{service="verification",instance="%s",dependency="register"}'
_SILENT_SERVER = "0 0 0 1 1 2 1 1 1 1 2 1 1 1 1 1 1 1 2 1 1 1 1 2 1 1 1 1 1 1"
"""The circuit of a verification whose register took connections and answered nothing, as Prometheus saw it every five
seconds.
"""
_SECONDS = 'dossier_http_request_duration_seconds%s{service="intake",route="/v1/dossiers",%%s}'
_HTTP = 'dossier_http_requests_total{service="intake",route="/v1/dossiers",status="%s"}'

CASES: Mapping[str, Case] = {
    "DossierServiceDown": Case(
        3, {'up{job="dossier",service="audit"}': "1 0 0 0"}, {'up{job="dossier",service="audit"}': "1 0 1 1"}
    ),
    "DossierServiceGone": Case(
        3,
        {_UP % service: "1x3" for service in SERVICES} | {_UP % "watcher": "1 stale"},
        {_UP % service: "1x3" for service in (*SERVICES, "watcher")},
    ),
    "SyntheticDossierLate": Case(
        6,
        {'dossier_synthetic_age_seconds{service="watcher"}': "0+60x6"},
        {'dossier_synthetic_age_seconds{service="watcher"}': "0 60 120 180 240 300 20"},
    ),
    "DossierRestartLoop": Case(
        14,
        {'dossier_start_timestamp_seconds{service="intake"}': "1 2 3 4 5x10"},
        {'dossier_start_timestamp_seconds{service="intake"}': "1 2 3 4x11"},
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
    "DossierTopicUnheard": Case(
        3,
        {
            'dossier_consumer_unowned_partitions{service="audit",topic="a",instance="1"}': "12x3",
            'dossier_consumer_unowned_partitions{service="audit",topic="b",instance="1"}': "0x3",
        },
        {'dossier_consumer_unowned_partitions{service="audit",topic="a",instance="1"}': "36 0 36 0"},
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
        {
            _DUE % ("verification", "a", "look-up"): "1x17",
            _NEEDS % "a": "1x17",
            _CIRCUIT % "a": "0x17",
            _DUE % ("payment", "b", "open-payment"): "0x17",
        },
        {_DUE % ("verification", "a", "look-up"): "1x17", _NEEDS % "a": "1x17", _CIRCUIT % "a": "1x17"},
    ),
    "DossierCircuitOpen": Case(
        12,
        {_CIRCUIT % "a": f"{_SILENT_SERVER} {' '.join([_SILENT_SERVER.removeprefix('0 0 0 ')] * 5)}"},
        {_CIRCUIT % "a": f"{_SILENT_SERVER} {' '.join([_SILENT_SERVER] * 5)}"},
        every="5s",
    ),
    "DossierRegisterUnusable": Case(
        35,
        {'dossier_register_faults_total{service="verification",reason="record"}': "0 0 0 0 0 1+0.2x30"},
        {
            'dossier_register_faults_total{service="verification",reason="record"}': "0 0 1x33",
            'dossier_register_faults_total{service="verification",reason="silent"}': "0+5x35",
        },
    ),
    "DossierDeadLetters": Case(
        6,
        {'dossier_dead_letters_open{service="payment"}': "1x6"},
        {'dossier_dead_letters_open{service="payment"}': "0x6"},
    ),
    "DossierEventsPassedOver": Case(
        3,
        {'dossier_messages_handled_total{service="payment",outcome="skipped"}': "0 0 1 1"},
        {
            'dossier_messages_handled_total{service="payment",outcome="skipped"}': "0x3",
            'dossier_messages_handled_total{service="payment",outcome="duplicate"}': "0+1x3",
        },
    ),
    "DossierParked": Case(
        16,
        {'dossier_parked_dossiers{service="payment"}': "1x16"},
        {'dossier_parked_dossiers{service="payment"}': "0x16"},
    ),
    "DossierStatesOfAnotherShape": Case(
        11,
        {'dossier_shards_of_another_shape{service="intake"}': "12x11"},
        {'dossier_shards_of_another_shape{service="intake"}': "12 12 12 0x8"},
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
        600,
        {'dossier_audit_discrepancies_open{service="audit"}': "0 1x300 stale _ 1x297"},
        {'dossier_audit_discrepancies_open{service="audit"}': "1x500 0x99", "dossier_audit_discrepancies": "1x600"},
    ),
    "DossierJobLate": Case(
        130,
        {_JOB % ("due_timestamp", "a"): "3600x130", _JOB % ("patience", "a"): "3600x130"},
        # A run that ended in time; a replica that has not heard of it yet; and a job that may take longer.
        {
            _JOB % ("due_timestamp", "a"): "3600x119 90000x11",
            _JOB % ("due_timestamp", "b"): "3600x120 90000x10",
            _JOB % ("patience", "a"): "3600x130",
            _JOB % ("patience", "b"): "3600x130",
            'dossier_job_due_timestamp_seconds{service="audit",task="seal"}': "3600x130",
            'dossier_job_patience_seconds{service="audit",task="seal"}': "7200x130",
        },
    ),
    "DossierJobFailing": Case(
        4,
        {'dossier_job_failures{service="intake",task="sweep"}': "2 3 3 4 4"},
        {'dossier_job_failures{service="intake",task="sweep"}': "2 2 3 0 2"},
    ),
    "DossierKeysLate": Case(
        2,
        {'dossier_keys_late{service="notification",task="send-mail"}': "2x2"},
        {'dossier_keys_late{service="notification",task="send-mail"}': "0x2"},
    ),
    "DossierKeyRefused": Case(
        2,
        {_REFUSED % 0: "0x2", _REFUSED % 1: "0 0 1"},
        {_REFUSED % 0: "0x2", _REFUSED % 1: "0x2"},
    ),
    "DossierAcceptanceOverdue": Case(
        31,
        {'dossier_acceptance_overdue{service="intake"}': "4x31"},
        {'dossier_acceptance_overdue{service="intake"}': "0x31"},
    ),
    "DossierResultsOverdue": Case(
        31,
        {'dossier_results_overdue{service="intake",unit="H02.15.12"}': "1x31"},
        {
            'dossier_results_overdue{service="intake",unit="H02.15.12"}': "1x15 stale _x15",
            "dossier_acceptance_overdue": "1x31",
        },
    ),
    "DossierUnpaid": Case(
        240,
        {
            'dossier_unpaid_dossiers{service="payment"}': "500x240",
            _SAID % ("payment", "payment-requested"): "0+1x240",
            _SAID % ("payment", "fee-paid"): "7x240",
        },
        {
            'dossier_unpaid_dossiers{service="payment"}': "500x240",
            _SAID % ("payment", "payment-requested"): "0+1x240",
            _SAID % ("payment", "fee-paid"): "7x9 8x230",
        },
    ),
    "DossierBankNotTold": Case(14, {_BANK % "99": "0x4 1x4 2x4"}, {_BANK % "99": "0x4 1x8"}),
    "DossierBankSignature": Case(
        30,
        {_BANK % "97": "0x9 1x5 2x5 3x9", _BANK % "00": "5x9 6x20"},
        {_BANK % "97": "0x9 1x5 2x5 3x9", _BANK % "00": "5x9 6x5 8x5 9x9"},
    ),
    "DossierBankAmount": Case(600, {_BANK % "04": "0x9 1x590"}, {_BANK % "04": "1x600", _BANK % "02": "0+1x600"}),
    "DossierBankReference": Case(600, {_BANK % "01": "0x9 1x590"}, {_BANK % "01": "1x600", _BANK % "97": "0+1x600"}),
    "DossierPaymentFailures": Case(
        59,
        {_SAID % ("payment", "payment-failed"): "0x8 6x25 12x24", _SAID % ("payment", "fee-paid"): "3x9 13x49"},
        {_SAID % ("payment", "payment-failed"): "0x8 6x25 12x24", _SAID % ("payment", "fee-paid"): "3x9 16x49"},
    ),
    "DossierPaidTwice": Case(
        600,
        {_SAID % ("payment", "duplicate-payment-found"): "0x9 1x590"},
        {_SAID % ("payment", "duplicate-payment-found"): "1x600", _SAID % ("payment", "fee-paid"): "0+1x600"},
    ),
    "DossierNoticesUndeliverable": Case(
        59,
        {
            _SAID % ("notification", "notice-undeliverable"): "0x8 5x50",
            _SAID % ("notification", "notice-sent"): "0x8 40x50",
        },
        {
            _SAID % ("notification", "notice-undeliverable"): "0x8 5x50",
            _SAID % ("notification", "notice-sent"): "0x8 50x50",
        },
    ),
    "DossierMailsDeferred": Case(
        95,
        {_MAILS % ("deferred", "4.7"): "0x4 0+2x95", _MAILS % ("sent", "2yz"): "0x4 0+1x95"},
        {
            _MAILS % ("deferred", "4.2"): "0x4 0+1x95",
            _MAILS % ("deferred", "crowded"): "0x4 0+50x95",
            _MAILS % ("sent", "2yz"): "0x4 0+2x95",
        },
    ),
    "DossierHttpErrors": Case(
        11,
        {_HTTP % "503": "0+6x11", _HTTP % "201": "0+60x11"},
        {_HTTP % "503": "0+2x11", _HTTP % "201": "0+60x11"},
    ),
    "DossierHttpSlow": Case(
        11,
        {
            _SECONDS % "_bucket" % 'le="2.5"': "0+90x11",
            _SECONDS % "_bucket" % 'le="5.0"': "0+100x11",
            _SECONDS % "_bucket" % 'le="+Inf"': "0+100x11",
            _SECONDS % "_count" % "": "0+100x11",
        },
        {
            _SECONDS % "_bucket" % 'le="2.5"': "0+96x11",
            _SECONDS % "_bucket" % 'le="5.0"': "0+100x11",
            _SECONDS % "_bucket" % 'le="+Inf"': "0+100x11",
            _SECONDS % "_count" % "": "0+100x11",
        },
    ),
    "DossierTurnedAway": Case(
        8,
        {_HTTP % "401": "0+40x8", 'dossier_http_requests_total{service="intake",route="/x",status="401"}': "0+30x8"},
        {_HTTP % "401": "0+50x8", _HTTP % "403": "0+50x8", _HTTP % "429": "0+50x8"},
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
        {"dossier_kafka_disk_usable_bytes": "1000000-110x238 NaN 973600-110x240"},
        {"dossier_kafka_disk_usable_bytes": "1000000-80x238 NaN 980800-80x240"},
    ),
    "DossierDatabaseDiskForecast": Case(
        480,
        {
            'dossier_database_bytes{service="intake",instance="a"}': "1000+60x480",
            'dossier_database_bytes{service="intake",instance="b"}': "1000+60x480",
            'dossier_database_bytes{service="audit"}': "1000+60x380 0 24000+60x98",
            "dossier_database_disk_bytes": "1000000x480",
        },
        {
            # One database, seen by two processes, is one.
            'dossier_database_bytes{service="intake",instance="a"}': "1000+60x480",
            'dossier_database_bytes{service="intake",instance="b"}': "1000+60x480",
            "dossier_database_disk_bytes": "1000000x480",
        },
    ),
    "DossierBackupOld": Case(
        1622,
        {'dossier_backup_timestamp_seconds{service="audit"}': "0x1622"},
        {
            'dossier_backup_timestamp_seconds{service="audit"}': "0x1622",
            'dossier_backup_timestamp_seconds{service="audit",x="2"}': "1x60 5000x1561",
        },
    ),
    "DossierCertificateExpires": Case(
        62,
        {'dossier_certificate_not_after_timestamp_seconds{dependency="kafka"}': "2592000x62"},
        {
            'dossier_certificate_not_after_timestamp_seconds{dependency="kafka"}': "2600000x62",
            'dossier_certificate_not_after_timestamp_seconds{dependency="kafka-authority"}': " ".join(["NaN"] * 63),
        },
    ),
    "DossierDisksUnseen": Case(
        16,
        {"dossier_kafka_disk_seen_timestamp_seconds": "0x16"},
        {"dossier_kafka_disk_seen_timestamp_seconds": "0x1 60x15"},
    ),
}

MORE: Mapping[str, Case] = {
    # With more processes than partitions one has none, for ever.
    "DossierConsumerStalled": Case(
        12,
        {
            'dossier_consumer_lag_records{service="audit",topic="a",instance="1"}': "5x12",
            'dossier_consumer_last_success_timestamp_seconds{service="audit",instance="1"}': "60x12",
            'dossier_consumer_last_success_timestamp_seconds{service="audit",instance="2"}': "0x12",
        },
        {
            'dossier_consumer_lag_records{service="audit",topic="a",instance="1"}': "5x12",
            'dossier_consumer_last_success_timestamp_seconds{service="audit",instance="1"}': "0+60x12",
            'dossier_consumer_last_success_timestamp_seconds{service="audit",instance="2"}': "0x12",
        },
    ),
    "SyntheticDossierLate": Case(7, {"up": "1x7"}, {"dossier_synthetic_age_seconds": "1 _ _ _ 1 _ _ _"}),
    "DossierRestartLoop": Case(
        14,
        {'dossier_start_timestamp_seconds{service="payment"}': "1 stale 2 stale 3 stale _ 4 stale _ 5 stale _ _ _"},
        {'dossier_events_published_total{service="payment"}': "0 stale 0 stale 0 stale _ 0 stale _ 0 stale _ _ _"},
    ),
    "DossierTaskBacklog": Case(
        17,
        {_DUE % ("payment", "b", "open-payment"): "1x17", _CIRCUIT % "a": "2x17", _NEEDS % "a": "1x17"},
        {
            # Two processes of a service have a circuit each; the server that they call is one.
            _DUE % ("verification", "a", "look-up"): "1x17", _NEEDS % "a": "1x17", _CIRCUIT % "a": "0x17",
            _NEEDS % "b": "1x17", _CIRCUIT % "b": "2 1 1 1 2 1 1 1 2 1 1 1 2 1 1 1 2 1",
        },
    ),
    "DossierHttpErrors": Case(  # at night
        11, {_HTTP % "503": "0+1x11"}, {_HTTP % "503": "0 1x10", _HTTP % "201": "0+1x11"}
    ),
    "DossierTurnedAway": Case(8, {_HTTP % "429": "0+70x8"}, {_HTTP % "404": "0+70x8"}),
    "DossierBankSignature": Case(30, {_BANK % "97": "0x9 1x5 2x5 3x9"}, {_BANK % "97": "0x9 1x5 2x13"}),
    "DossierDatabaseDiskForecast": Case(
        480,
        {'dossier_database_bytes{service="audit"}': "1000+120x480", "dossier_database_disk_bytes": "1000000x480"},
        {
            # Nought is what a process tells that has just begun.
            'dossier_database_bytes{service="audit"}': "0 600000x479", "dossier_database_disk_bytes": "1000000x480",
        },
    ),
    "DossierDisksUnseen": Case(16, {"up": "1x16"}, {"dossier_kafka_disk_seen_timestamp_seconds": "0 _ _ 180 _x11 900"}),
}  # fmt: skip
"""What an alert must see besides, or must not."""


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
    cases = [CASES[alert], *([MORE[alert]] if alert in MORE else [])]
    tests = [_test(alert, case, fires) for case in cases for fires in (True, False)]
    rules, file = tmp_path / "rules.yml", tmp_path / "tests.yml"
    asked = [
        rule for rule in _rules() if rule.get("alert", alert) == alert
    ]  # all of them at once take five times as long
    rules.write_text(yaml.safe_dump({"groups": [{"name": "asked", "rules": asked}]}))
    file.write_text(yaml.safe_dump({"rule_files": [str(rules)], "evaluation_interval": "1m", "tests": tests}))
    assert "SUCCESS" in _promtool("test", "rules", str(file))


def test_a_prometheus_that_has_only_just_begun_wakes_nobody(tmp_path: Path) -> None:
    asked = {"expr": 'ALERTS{alertstate="firing"}', "eval_time": "1m", "exp_samples": []}
    series = [{"series": _UP % service, "values": "_ 1"} for service in (*SERVICES, "watcher")]
    file = tmp_path / "tests.yml"
    tests = [{"interval": "1m", "input_series": series, "promql_expr_test": [asked]}]
    file.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": "5s", "tests": tests}))
    assert "SUCCESS" in _promtool("test", "rules", str(file))


def _test(alert: str, case: Case, fires: bool) -> dict[str, Any]:
    firing = f'count(ALERTS{{alertname="{alert}",alertstate="firing"}}) > bool 0'
    samples = [{"labels": "{}", "value": 1}] if fires else []
    asked = {"expr": firing, "eval_time": f"{case.minutes}m", "exp_samples": samples}
    given = [{"series": name, "values": values} for name, values in (case.fires if fires else case.silent).items()]
    return {"interval": case.every, "input_series": given, "promql_expr_test": [asked]}


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_says_what_is_felt_how_urgent_it_is_and_where_the_runbook_is(rule: Mapping[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
    assert rule["annotations"]["runbook_url"] == f"RUNBOOK.md#{rule['alert'].lower()}"


def test_the_runbook_has_a_chapter_for_every_alert_and_no_other() -> None:
    chapters = re.findall(r"^## (\w+)$", RUNBOOK.read_text(), re.MULTILINE)
    assert chapters == [rule["alert"] for rule in ALERTS]


def test_every_metric_of_a_rule_is_one_that_a_service_exports() -> None:
    named = {name for rule in _rules() for name in re.findall(r"(?<![\w:])dossier_\w+", rule["expr"])}
    assert named <= _exported() | _OTHERS


def _exported() -> set[str]:
    """Every name under which a service or the watcher exports something."""
    ours = [metric._name for metric in Metrics("intake").collectors.values()]
    theirs = [metric.name for metric in watcher.Metrics([""]).registry.collect()]
    ends = ("", "_total", "_bucket", "_count", "_sum")
    return {f"{name}{end}" for name in (*ours, *theirs) for end in ends}


def test_the_runbook_names_metrics_that_there_are() -> None:
    named = set(re.findall(r"(?<![\w:.])dossier_\w+", RUNBOOK.read_text()))
    assert named - {"dossier_id", *(f"dossier_{service}" for service in SERVICES)} <= _exported()
