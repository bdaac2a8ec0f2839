"""A synthetic dossier goes through the platform again and again; its age is a metric, and it is in nobody's way."""

import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from shutil import disk_usage
from typing import Any

import asyncpg
import pytest

from deploy.stack import Process
from deploy.waiting import until
from deploy.watcher.way import STAGES
from shared.law.synthetic import AGENCY, PROCEDURE
from shared.topics import TOPICS, topic_of
from tests.e2e.proofs.play import SOON_S, Play
from tests.e2e.proofs.test_metrics import contract, exported

pytestmark = pytest.mark.asyncio(loop_scope="session")

AGE = "dossier_synthetic_age_seconds"
ENDED = "dossier_synthetic_dossiers_total"
OLD_S = 6.0
"""Twelve periods of these tests."""
MAILBOX = "synthetic@dichvucong.example"


@asynccontextmanager
async def watcher(play: Play, **more: str) -> AsyncIterator[Process]:
    """A watcher with a short period, while the block lasts."""
    process = await play.stack.start_watcher(SYNTHETIC_PERIOD_S="0.5", **more)
    try:
        yield process
    finally:
        process.signal(signal.SIGTERM)
        try:
            assert await process.ended() == 0, process.last_words()
        finally:
            play.stack.processes.remove(process)


async def arrived(play: Play, count: int) -> None:
    """Return once so many have gone the whole way."""

    async def enough() -> bool:
        return await play.metric("watcher", ENDED, outcome="ok") >= count

    await until(enough, seconds=SOON_S, what=f"{count} synthetic dossiers to arrive")


async def age_is(play: Play, above: bool) -> None:
    """Return once the age is above OLD_S, or below it."""

    async def so() -> bool:
        return (await play.metric("watcher", AGE) > OLD_S) == above

    await until(so, seconds=SOON_S, what=f"the age to be {'above' if above else 'below'} {OLD_S:g} s")


async def in_the_desks_database(play: Play, query: str) -> Sequence[Any]:
    """Rows of the desk's own database, as an administrator sees them."""
    connection = await asyncpg.connect(play.stack.ground.databases().administrator_url("intake"))
    try:
        rows: Sequence[Any] = await connection.fetch(query, AGENCY)
        return rows
    finally:
        await connection.close()


async def test_synthetic_dossiers_arrive_and_a_subscriber_knows_them_by_their_first_event(play: Play) -> None:
    async with watcher(play):
        await arrived(play, 3)
        assert await play.metric("watcher", ENDED, outcome="failed") == 0
        assert await play.metric("watcher", "dossier_synthetic_duration_seconds") > 0
    mine = [
        case
        for case in play.watcher.cases.values()
        for first in case.all("DossierSubmitted")
        if (first.data["agency"], first.data["procedure"]) == (AGENCY, PROCEDURE)
    ]
    assert sum(len(case.all("ResultReturned")) for case in mine) >= 3
    assert all(case.last("PaymentRequested") is None for case in mine), "the bank is left alone"


async def test_they_are_in_no_status_and_no_list_and_their_mails_go_to_the_operator(play: Play) -> None:
    async with watcher(play):
        await arrived(play, 1)
    assert await in_the_desks_database(play, "SELECT 1 FROM states WHERE state #>> '{intake,agency}' = $1")
    for view in ("queue", "unreached"):
        assert await in_the_desks_database(play, f"SELECT 1 FROM {view} WHERE unit = $1") == []
    synthetic = [mail for mail in play.stack.outside.mails() if AGENCY in mail["subject"]]
    assert synthetic
    assert {address for mail in synthetic for address in mail["rcpt_to"]} == {MAILBOX}


@pytest.mark.parametrize(
    ("service", "stage"),
    [("intake", "filed"), ("verification", "identity"), ("payment", "fee"), ("notification", "told")],
)
async def test_while_a_service_is_stopped_the_age_grows_and_the_stage_is_told(
    service: str, stage: str, play: Play
) -> None:
    async with watcher(play, SYNTHETIC_PATIENCE_S="5"), play.all_standing_after():
        await arrived(play, 1)
        (process,) = play.stack.of(service)
        process.signal(signal.SIGTERM)
        assert await process.ended() == 0

        async def told() -> bool:
            return await play.metric("watcher", ENDED, outcome="failed", stage=stage) > 0

        await until(told, seconds=SOON_S, what=f"a failure at {stage}")
        await age_is(play, above=True)
        process.start()
        await play.stack.ready(process)
        await age_is(play, above=False)


async def test_what_the_reference_promises_of_the_watcher_is_exported_and_nothing_else(play: Play) -> None:
    async with watcher(play, DATABASE_DISK_BYTES="1000000000"):

        async def told() -> bool:
            return bool((await exported(play, "watcher"))["dossier_kafka_topic_bytes"].samples)

        await until(told, seconds=SOON_S, what="the sizes of the topics")
        found = await exported(play, "watcher")
    labels = {name: {frozenset(sample.labels) for sample in metric.samples} for name, metric in found.items()}
    assert labels == {name: {labels} for name, labels in contract("Metrics of the watcher").items()}
    stages = {sample.labels["stage"] for sample in found[ENDED].samples}
    assert stages == {stage.name for stage in STAGES}
    sizes = {sample.labels["topic"]: sample.value for sample in found["dossier_kafka_topic_bytes"].samples}
    assert sizes.keys() == TOPICS.keys()
    assert sizes[topic_of("intake")] > 0
    (usable,) = found["dossier_kafka_disk_usable_bytes"].samples
    free = disk_usage(play.stack.directory).free
    assert 0.5 * free < usable.value < 2 * free, "of the very disk, whoever else writes to it"
    (may_take,) = found["dossier_database_disk_bytes"].samples
    assert may_take.value == 1_000_000_000
