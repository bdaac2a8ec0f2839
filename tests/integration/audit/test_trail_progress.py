"""Audit's own consumer answers for its progress at /livez and in metrics, as the other services' does."""

from collections.abc import Mapping
from typing import Any

import pytest

from deploy.stack import without_password
from deploy.waiting import until
from services.audit.__main__ import service
from shared.runtime.process.gauges import Gauges
from shared.runtime.process.probes import STUCK_S, Health
from shared.runtime.process.wiring import Runtime, wire
from shared.runtime.service.settings import Settings
from tests.integration.audit.stage import SHARD, TOPIC, WRITER, Stage, chain
from tests.integration.runtime.wire import running

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("own_topic_empty")]

LONG_S = STUCK_S + 1
"""No test waits for it: a test says that so much time has passed."""


def process(stage: Stage) -> Runtime:
    """Audit's process, wired as in production, of which nothing runs yet."""
    settings = Settings(
        kafka_bootstrap_servers=stage.bootstrap,
        database_url=without_password(stage.databases.url("audit")),
        secrets_dir=stage.databases.secrets.directory,
        http_port=1,
    )
    return wire(service(), settings, stage.pool)


def loops(runtime: Runtime) -> Mapping[str, Any]:
    """What of it hears and compares."""
    return {
        "guard": runtime.guard.run,
        "watch": runtime.watch.run,
        "group": runtime.group.run,
        **runtime.service.also(runtime.resources),
    }


async def test_records_that_cannot_be_stored_turn_livez_red_until_they_are(stage: Stage) -> None:
    runtime = process(stage)
    health = Health(runtime)

    async def red() -> bool:
        health.passed(LONG_S)
        return list(health.alive()) == ["consumer"]

    async def green() -> bool:
        health.passed(LONG_S)
        return health.alive() == {}

    async with running(*(run() for run in loops(runtime).values())):
        await stage.publish(*chain(3))
        await stage.until_stored(3)
        async with stage.administrator("audit") as conn, conn.transaction():
            await conn.execute("SELECT * FROM heard WHERE source = $1 AND shard = $2 FOR UPDATE", WRITER, SHARD)
            await stage.publish(*chain(6)[3:])
            await until(red, seconds=90, what="livez to be red", every=0.02)
            assert await stage.count("records") == 3
        await stage.until_stored(6)
        await until(green, seconds=90, what="livez to be green", every=0.02)


async def test_an_audit_that_has_nothing_to_hear_stays_green(stage: Stage) -> None:
    runtime = process(stage)
    health, progress = Health(runtime), runtime.resources.progress

    async def looked_again() -> bool:
        return progress.handled_at != before

    async def all_are_owned() -> bool:
        return not runtime.group.unowned

    async with running(*(run() for run in loops(runtime).values())):
        await stage.publish(*chain(1))
        await stage.until_stored(1)
        await until(all_are_owned, seconds=90, what="all partitions to be owned")
        for _ in range(3):
            before = progress.handled_at
            await until(looked_again, seconds=90, what="another look at the topics", every=0.02)
            health.passed(LONG_S)
            assert health.alive() == {}


async def test_audit_tells_how_long_storing_takes_how_old_records_are_and_how_many_wait(stage: Stage) -> None:
    runtime = process(stage)

    def value(name: str, **labels: str) -> float | None:
        return runtime.metrics.registry.get_sample_value(f"dossier_{name}", labels)

    async def level() -> bool:
        await Gauges(runtime).refresh()
        return value("consumer_oldest_unhandled_timestamp_seconds") == 0

    async def five_wait() -> bool:
        return value("consumer_lag_records", topic=TOPIC) == 5

    async def none_waits() -> bool:
        return value("consumer_lag_records", topic=TOPIC) == 0

    async with running(*(run() for run in loops(runtime).values())):
        async with stage.administrator("audit") as conn, conn.transaction():
            await conn.execute("SELECT * FROM heard WHERE source = $1 AND shard = $2 FOR UPDATE", WRITER, SHARD)
            await stage.publish(*chain(5))

            async def one_is_in_hand() -> bool:
                await Gauges(runtime).refresh()
                return bool(value("consumer_oldest_unhandled_timestamp_seconds"))

            await until(one_is_in_hand, seconds=90, what="a record to be in hand")
            await until(five_wait, seconds=90, what="what waits to be counted")
        await stage.until_stored(5)
        await until(level, seconds=90, what="nothing to be in hand")
        await until(none_waits, seconds=90, what="what waits to be counted again")
    assert value("event_end_to_end_seconds_count", stage="heard") == 5
    assert (value("batch_duration_seconds_count", stage="consume") or 0) >= 1
