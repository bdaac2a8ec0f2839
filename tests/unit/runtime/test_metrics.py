"""The metrics of every process: labels of the contract only, and counters that are there before their first count."""

import pytest

from shared.events.catalogue import SAID_BY
from shared.runtime.observe.metrics import HANDLED, LABELS, Metrics
from shared.services import SERVICES


def test_labels_are_those_of_the_contract() -> None:
    used = {label for metric in Metrics("intake").collectors.values() for label in metric._labelnames}
    assert used == LABELS


@pytest.mark.parametrize("service", SERVICES)
def test_what_an_alert_looks_at_the_rise_of_is_there_from_the_start(service: str) -> None:
    metrics = Metrics(service)
    value = metrics.registry.get_sample_value
    for event in SAID_BY[service]:
        assert value("dossier_events_recorded_total", {"event_type": event.TYPE}) == 0
    for outcome in HANDLED:
        assert value("dossier_messages_handled_total", {"outcome": outcome}) == 0
    assert (value("dossier_start_timestamp_seconds") or 0) > 1_700_000_000
