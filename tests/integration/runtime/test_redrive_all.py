"""After an outage an operator redrives hundreds of dossiers with one command; here on notification's real database."""

import os
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID

import pytest_asyncio

from deploy.local.ground import Ground
from deploy.local.machine import ROOT
from deploy.postgres.provision import Databases
from deploy.stack import without_password
from services.notification.__main__ import service
from services.notification.state import State
from shared.runtime.engine.listener import Listener
from shared.runtime.kafka.clients import Broker
from shared.runtime.kernel.message import Record
from shared.runtime.observe.metrics import Metrics
from tests.e2e.bad_input.operators import Ended, typed
from tests.ground import empty_topics
from tests.integration.runtime.log import Log
from tests.integration.runtime.stage import NOWHERE, Stage, staged
from tests.integration.runtime.toy import NAME, dossiers

SICK = [*dossiers(5, 3), *dossiers(8, 2)]
"""In two shards."""

(BROKEN,) = dossiers(2, 1)
SOUND, STRANGER = dossiers(3, 2)


@dataclass
class Desk:
    """Notification's database as an operator finds it."""

    stage: Stage
    environment: Mapping[str, str]

    async def hear(self, records: Sequence[Record]) -> None:
        """What a process of the service makes of these records, one after the other."""
        engine = self.stage.engine(service().decider)
        listener = Listener(NAME, self.stage.pool, engine, Broker(NOWHERE), Metrics(NAME))
        await listener.prepare()
        for record in records:
            await listener.handle([record])

    async def trouble(self) -> None:
        """A fault like a bug in a rule: the database refuses the applicant of any of the sick dossiers."""
        sick = ", ".join(f"'{dossier}'" for dossier in SICK)
        await self.stage.admin.execute(
            f"""ALTER TABLE states ADD CONSTRAINT trouble CHECK
                (dossier_id NOT IN ({sick}) OR state #>> '{{intake,recipient}}' IS NULL)"""
        )

    async def mended(self) -> None:
        """The fault is over."""
        await self.stage.admin.execute("ALTER TABLE states DROP CONSTRAINT trouble")

    async def spoil(self, dossier: UUID) -> None:
        """Its dead letter holds what a task came to, sealed with a key that nobody has any more."""
        await self.stage.admin.execute(
            "UPDATE dead_letters SET origin = 'task', value = decode(repeat('00', 64), 'hex') WHERE dossier_id = $1",
            dossier,
        )

    async def redrive(self, *words: str) -> Ended:
        """`python -m services.notification deadletters redrive --all`."""
        return await typed(self.environment, "services.notification", "deadletters", "redrive", "--all", *words)

    async def newest_code(self, dossier: UUID) -> str | None:
        """The code of the last application that was taken in of a dossier, which shows in what order they came."""
        row = await self.stage.admin.fetchval("SELECT state FROM states WHERE dossier_id = $1", dossier)
        recipient = State.model_validate_json(row).recipient
        return None if recipient is None else recipient.code


@pytest_asyncio.fixture
async def desk(ground: Ground, fresh_databases: Databases, tmp_path: Path) -> AsyncIterator[Desk]:
    """Five dossiers parked by a fault, one by a record that nobody can read, and one that went on."""
    await empty_topics(ground)
    environment = {
        "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HTTP_PORT": "1", "DATA_DIR": str(tmp_path),
        "KAFKA_BOOTSTRAP_SERVERS": ground.bootstrap_servers, "SECRETS_DIR": str(ground.secrets.directory),
        "DATABASE_URL": without_password(fresh_databases.url(NAME)), "SMTP_HOST": "127.0.0.1", "SMTP_PORT": "1",
    }  # fmt: skip
    async with staged(fresh_databases) as stage:
        desk, log = Desk(stage, environment), Log()
        await desk.trouble()
        first = [log.say(dossier, "first") for dossier in (*SICK, SOUND)]
        broken = replace(log.say(BROKEN, "first"), value=b"not JSON")
        second = [log.say(dossier, "second") for dossier in (*SICK, BROKEN)]
        await desk.hear([*first, broken, *second])
        assert (await stage.count("states", "parked"), await stage.count("parked_messages")) == (6, 6)
        yield desk


async def test_what_still_fails_stays_as_it_was_and_is_told_with_a_total_and_exit_1(desk: Desk) -> None:
    ended = await desk.redrive()
    assert (ended.code, ended.answer) == (1, {"dossiers": 6, "handled": 0, "still_parked": 6, "remaining": 6})
    told = [line for line in ended.err.splitlines() if line[:1].isdigit()]
    assert [line.split()[1] for line in told] == [f"{dossier}:" for dossier in (*SICK, BROKEN)], (
        "the first to fail first"
    )
    assert told[0] == f"1/6 {SICK[0]}: 0 handled, still parked (CheckViolationError)"
    assert await desk.stage.count("parked_messages") == 6


async def test_all_are_taken_up_in_order_once_the_fault_is_over_and_the_unreadable_holds_nobody_up(desk: Desk) -> None:
    await desk.mended()
    ended = await desk.redrive()
    assert (ended.code, ended.answer) == (1, {"dossiers": 6, "handled": 10, "still_parked": 1, "remaining": 1})
    assert {await desk.newest_code(dossier) for dossier in SICK} == {"second"}
    assert await desk.stage.count("tasks") == 2 * len(SICK) + 1

    (letter,) = await desk.stage.admin.fetch("SELECT id FROM dead_letters WHERE settled_at IS NULL")
    await typed(desk.environment, "services.notification", "deadletters", "discard", str(letter["id"]))
    ended = await desk.redrive()
    assert (ended.code, ended.answer) == (0, {"dossiers": 1, "handled": 1, "still_parked": 0, "remaining": 0})
    assert await desk.newest_code(BROKEN) == "second"
    assert await desk.stage.count("states", "parked") == await desk.stage.count("parked_messages") == 0

    ended = await desk.redrive()
    assert (ended.code, ended.answer) == (0, {"dossiers": 0, "handled": 0, "still_parked": 0, "remaining": 0})


async def test_one_that_cannot_be_opened_is_told_and_counted_and_holds_nobody_up(desk: Desk) -> None:
    await desk.mended()
    await desk.spoil(SICK[1])
    ended = await desk.redrive()
    assert (ended.code, ended.answer) == (1, {"dossiers": 6, "handled": 8, "still_parked": 2, "remaining": 2})
    assert f"2/6 {SICK[1]}: 0 handled, still parked (InvalidTag)" in ended.err.splitlines()


async def test_a_state_that_cannot_be_read_is_told_and_counted_and_holds_nobody_up(desk: Desk) -> None:
    await desk.mended()
    await desk.stage.admin.execute("UPDATE states SET state = '{\"intake\": 5}' WHERE dossier_id = $1", SICK[1])
    ended = await desk.redrive()
    assert (ended.code, ended.answer) == (1, {"dossiers": 6, "handled": 8, "still_parked": 2, "remaining": 2})
    assert f"2/6 {SICK[1]}: 0 handled, still parked (ValidationError)" in ended.err.splitlines()


async def test_a_dossier_for_which_nothing_waits_is_told_with_exit_1(desk: Desk) -> None:
    states = await desk.stage.count("states")
    for dossier in (SOUND, STRANGER):
        ended = await typed(desk.environment, "services.notification", "deadletters", "redrive", str(dossier))
        assert (ended.code, ended.answer) == (1, {
            "dossier_id": str(dossier), "handled": 0, "parked": False,
            "failure": "there is nothing to redrive for this dossier",
        })  # fmt: skip
    assert await desk.stage.count("states") == states


async def test_one_kind_of_failure_is_redriven_by_its_reason_or_error_type(desk: Desk) -> None:
    await desk.mended()
    schema = await desk.redrive("--reason", "schema")
    assert (schema.code, schema.answer) == (1, {"dossiers": 1, "handled": 0, "still_parked": 1, "remaining": 1})
    refused = await desk.redrive("--reason", "CheckViolationError")
    assert (refused.code, refused.answer) == (0, {"dossiers": 5, "handled": 10, "still_parked": 0, "remaining": 0})
    acts = await desk.stage.count("operator_acts", "act = 'redrive' AND detail ->> 'dossier_id' <> ''")
    assert acts == 6, "each is recorded"


async def test_a_reason_without_all_is_refused(desk: Desk) -> None:
    words = ("deadletters", "redrive", str(SICK[0]), "--reason", "schema")
    ended = await typed(desk.environment, "services.notification", *words)
    assert (ended.code, ended.out, "--reason goes with --all" in ended.err) == (2, "", True)
