"""The reference's table of metrics is the contract: every process exports each name of it, its labels, and no other."""

import re

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from deploy.waiting import until
from shared.services import SERVICES
from shared.topics import heard_by
from tests.e2e.proofs.people import cast
from tests.e2e.proofs.play import SOON_S, Play
from tests.reference import REFERENCE, chapter

OF_FAULTS_ONLY = "dossier_results_overdue"
"""Tells of units that owe something, and of no other: no dossier of these proofs is so old."""

pytestmark = pytest.mark.asyncio(loop_scope="session")

_ROW = re.compile(r"^\| `(dossier_\w+)` \| ([\w, ]+|–) \|", re.MULTILINE)


def contract(of: str = "Metrics") -> dict[str, frozenset[str]]:
    """Name → labels, as the reference says in the chapter of that name."""
    rows = _ROW.findall(chapter(REFERENCE, of))
    return {name: frozenset() if labels == "–" else frozenset(labels.split(", ")) for name, labels in rows}


async def exported(play: Play, service: str) -> dict[str, Metric]:
    """Name → what the process of a service exports under it."""
    status, text = await play.ask(play.stack.of(service)[0], "/metrics")
    assert status == 200
    families = text_string_to_metric_families(text)
    return {f"{one.name}_total" if one.type == "counter" else one.name: one for one in families}


async def test_every_process_exports_what_the_reference_promises_and_nothing_else(play: Play) -> None:
    promised = contract()
    assert len(promised) > 20
    for service in SERVICES:
        assert set(await exported(play, service)) == set(promised), service


async def test_labels_are_those_of_the_reference_and_every_name_has_a_value_somewhere(play: Play) -> None:
    await all_played(play, first=90)
    status, _ = await play.ask(play.stack.of("payment")[0], "/v1/payments/vnpay/ipn")
    assert status == 200, "a refusal is told in the bank's way"
    found: dict[str, set[frozenset[str]]] = {name: set() for name in contract()}
    for service in SERVICES:
        for name, metric in (await exported(play, service)).items():
            found[name] |= {frozenset(sample.labels) - {"le"} for sample in metric.samples}
    assert found.pop(OF_FAULTS_ONLY) <= {contract()[OF_FAULTS_ONLY]}
    assert found == {name: {labels} for name, labels in contract().items() if name != OF_FAULTS_ONLY}


async def test_each_service_tells_of_every_topic_that_it_hears(play: Play) -> None:
    await all_played(play, first=92)

    async def told(service: str, name: str, label: str) -> set[str]:
        return {sample.labels[label] for sample in (await exported(play, service))[name].samples}

    async def all_are_told() -> bool:
        heard = {service: {topic.name for topic in heard_by(service)} for service in SERVICES}
        return heard == {service: await told(service, "dossier_consumer_lag_records", "topic") for service in SERVICES}

    await until(all_are_told, seconds=SOON_S, what="every service to tell how far it is behind on each topic")
    for service in SERVICES:
        assert await told(service, "dossier_batch_duration_seconds", "stage") == {"consume"}, service
        assert await told(service, "dossier_event_end_to_end_seconds", "stage") == {"heard"}, service


async def all_played(play: Play, first: int) -> None:
    """Let two dossiers come to their ends."""
    played = await play.begin(cast(2, first))
    await play.filed(played)
    await play.all_well(played)
