"""A later release, to whom an event is another: topics, stores and trail hold what was written, states the newest."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import asyncpg
import pytest_asyncio

from deploy.local.ground import Ground
from deploy.postgres.provision import Databases
from shared.errors import TooNew
from shared.events.base import Event
from shared.events.envelope import open_record
from shared.events.intake import DossierSubmitted
from shared.events.notification import NoticeSent
from shared.events.upcasters import Upcaster
from shared.runtime.kernel.decider import Decider, Message
from shared.runtime.kernel.message import Record
from shared.runtime.tasks.kinds import Attempt
from tests.ground import empty_topics
from tests.integration.runtime.log import Log
from tests.integration.runtime.stage import Stage, command, staged, work
from tests.integration.runtime.test_rebuild_check import audited, checked
from tests.integration.runtime.test_relay import publish_all, relay
from tests.integration.runtime.test_taking_back import back_up, guard, restore, taking_back
from tests.integration.runtime.toy import Heard, Said, Tally, Worked, dossiers
from tests.integration.runtime.whole import service
from tests.integration.runtime.wire import put, running, soon
from tests.overlay import DossierSubmittedV2, DossierSubmittedV3, later_release, upgraded, written_as
from tests.unit.runtime.records import wire

DOSSIER = dossiers(6, 1)[0]


class NoticeSentV2(NoticeSent):
    """The same of our own, in capitals."""

    TYPE = "vn.gov.dossier.notice-sent.v2"


def _louder(old: NoticeSent) -> NoticeSentV2:
    return NoticeSentV2(**{**dict(old), "message_id": old.message_id.upper()})


OWN = (Upcaster(NoticeSent, NoticeSentV2, _louder),)


def _heard(state: Tally, event: Message[DossierSubmittedV3]) -> Tally:
    told = f"{event.body.code}, papers: {event.body.paper_count}"
    return state.model_copy(update={"intake": Heard(texts=(*state.intake.texts, told))})


def _said(state: Tally, event: Message[NoticeSentV2]) -> Tally:
    return state.model_copy(update={"notification": Said(texts=(*state.notification.texts, event.body.message_id))})


@pytest_asyncio.fixture
async def tomorrow(ground: Ground, fresh_databases: Databases) -> AsyncIterator[Stage]:
    """A stage of its own, in a process of the later release."""
    await empty_topics(ground)
    async with staged(fresh_databases) as stage:
        with later_release():
            yield stage


def _decider(stage: Stage) -> Decider[Any]:
    return upgraded(stage.toy.decider, _heard)


def _written(*kinds: type[Event] | str) -> list[Record]:
    """A shard in which each event was written by another release; a text is a type that nobody knows."""
    log = Log()
    records = [log.say(DOSSIER, f"quiet {n}") for n, _ in enumerate(kinds, 1)]
    return [_as_written(record, kind) for record, kind in zip(records, kinds, strict=True)]


def _as_written(record: Record, kind: type[Event] | str) -> Record:
    text, data = open_record(record.headers, record.value)
    head, body = ({**text, "ce_type": kind}, data) if isinstance(kind, str) else written_as(kind, text, data)
    return replace(record, headers=wire(head), value=body)


async def _hear(stage: Stage, ground: Ground, records: Sequence[Record]) -> Any:
    await put(ground.bootstrap_servers, *records)
    listener = stage.listener(stage.engine(_decider(stage)), ground.bootstrap_servers)
    await listener.prepare()
    await listener.handle(records)
    return listener


async def _position(stage: Stage) -> int:
    found: int = await stage.admin.fetchval("SELECT max(position) FROM heard WHERE source = 'intake'")
    return found


async def test_every_version_is_heard_as_the_newest_and_rebuilt_so_while_the_trail_keeps_what_was_written(
    ground: Ground, fresh_databases: Databases, tomorrow: Stage
) -> None:
    records = _written(DossierSubmitted, DossierSubmittedV2, DossierSubmittedV3, "vn.gov.dossier.dossier-submitted.v9")
    listener = await _hear(tomorrow, ground, records)
    state = await tomorrow.state(DOSSIER)
    assert state.intake.texts == tuple(f"quiet {n}, papers: 2" for n in (1, 2, 3))
    assert (await _position(tomorrow), await tomorrow.count("dead_letters")) == (4, 0)
    assert listener.metrics.handled.labels("skipped")._value.get() == 1
    await audited(ground, fresh_databases, len(records))
    async with asyncpg.create_pool(fresh_databases.url("audit"), min_size=1, max_size=1) as pool:
        kept = await pool.fetch('SELECT value FROM records ORDER BY "offset"')
        trail = await pool.fetch("SELECT type FROM trail ORDER BY sequence")
    assert [row["value"] for row in kept] == [record.value for record in records]
    assert [row["type"] for row in trail] == [
        *(one.TYPE for one in (DossierSubmitted, DossierSubmittedV2, DossierSubmittedV3)),
        "vn.gov.dossier.dossier-submitted.v9",
    ]
    later = replace(service(tomorrow), decider=_decider(tomorrow))
    code, said = await checked(later, ground, fresh_databases)
    assert (code, said[-1].partition(", 0 differ")[1]) == (0, ", 0 differ"), said


async def test_what_we_have_said_in_an_old_version_is_taken_back_as_it_was_and_folded_as_the_newest(
    ground: Ground, tomorrow: Stage
) -> None:
    await back_up(tomorrow)
    await tomorrow.engine().handle([command(DOSSIER, "once"), command(DOSSIER, "again")])
    await publish_all(tomorrow, relay(ground, tomorrow))
    rows = await tomorrow.admin.fetch("SELECT event_id, type, headers, data FROM events ORDER BY position")
    await restore(tomorrow)
    with later_release(OWN):
        taking = taking_back(ground, tomorrow)
        taking.decider = upgraded(tomorrow.toy.decider, _said, OWN)
        await guard(ground, tomorrow, taking).ready()
    back = await tomorrow.admin.fetch("SELECT event_id, type, headers, data FROM events ORDER BY position")
    assert [dict(row) for row in back] == [dict(row) for row in rows]
    assert (await tomorrow.state(DOSSIER)).notification.texts == ("0|ONCE", "1|AGAIN")


async def _too_new(attempt: Attempt) -> Worked:
    raise TooNew("a word that only a later release knows")


async def test_what_one_release_does_not_know_how_to_do_waits_for_one_that_does(stage: Stage) -> None:
    await stage.engine().handle([command(DOSSIER, "work")])

    async def was_tried() -> bool:
        return await stage.count("tasks", "last_error LIKE 'TooNew%' AND attempts > 1 AND claim IS NULL") == 1

    async def is_done() -> bool:
        return await stage.count("tasks") == 0

    async with running(stage.worker(_too_new).run()):
        await soon(was_tried, "an older release to try it, and again")
    assert (await stage.count("dead_letters"), await stage.parked(DOSSIER)) == (0, False)
    async with running(stage.worker(work).run()):
        await soon(is_done, "a later release to do it")
    assert await stage.said(DOSSIER) == ["0|work", "1|done"]
