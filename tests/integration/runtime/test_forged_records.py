"""What somebody else puts on a service's own topic proves nothing about its store: after a restart it commits.

A store that was restored from an older backup is still found, and whole again, whatever lies between its events; and
past what cannot be told from an event of its own an operator has a way.
"""

from collections.abc import Callable
from dataclasses import replace
from uuid import uuid4

import pytest

from deploy.local.ground import Ground
from shared.errors import Misconfigured, Unavailable
from shared.runtime.admin.operator import disown
from shared.runtime.kafka.clients import Broker
from shared.runtime.kernel.decider import event_id
from shared.runtime.kernel.message import Record
from shared.runtime.recovery.ends import TAIL
from shared.topics import topic_of
from tests.ground import empty_topics
from tests.integration.runtime.stage import Stage, command
from tests.integration.runtime.test_relay import ends, publish_all, published, relay, store
from tests.integration.runtime.test_taking_back import back_up, engine, events, guard, restore
from tests.integration.runtime.toy import NAME, dossiers
from tests.integration.runtime.wire import put, read_topic

SHARD, ELSEWHERE = 4, 8
(DOSSIER,) = dossiers(SHARD, 1)
Forge = Callable[[Record, int], Record]


@pytest.fixture(autouse=True)
async def _topics_without_a_past(ground: Ground) -> None:
    await empty_topics(ground)


def headed(record: Record, **changed: str) -> Record:
    """The record with other headers; an empty one is left out."""
    head = {**dict(record.headers), **{name: text.encode() for name, text in changed.items()}}
    return replace(record, headers=tuple((name, text) for name, text in head.items() if text))


def raised(record: Record, by: int, **changed: str) -> Record:
    """The record with a higher sequence."""
    sequence = int(dict(record.headers)["ce_sequence"] or b"0") + by
    return headed(record, ce_sequence=f"{sequence:020d}", **changed)


FORGED: dict[str, Forge] = {
    "copied to another partition": lambda one, end: raised(replace(one, partition=ELSEWHERE), 0),
    "copied to another partition, raised": lambda one, end: raised(replace(one, partition=ELSEWHERE), 1000),
    "raised far": lambda one, end: raised(one, 1000),
    "raised to the next sequence": lambda one, end: raised(one, 1),
    "raised, without a previous": lambda one, end: raised(one, 7, ce_previous=""),
    "raised to the highest sequence": lambda one, end: headed(one, ce_sequence=f"{2**63 - 1:020d}"),
    "raised under another id": lambda one, end: raised(one, 1000, ce_id=str(uuid4())),
    "next under another id, that links": lambda one, end: raised(
        one, 1, ce_id=str(uuid4()), ce_previous=(dict(one.headers)["ce_id"] or b"").decode()
    ),
    "of another source": lambda one, end: raised(one, 5, ce_source=f"urn:dossier:intake:{SHARD}"),
    "of another shard": lambda one, end: raised(one, 5, ce_source=f"urn:dossier:{NAME}:{ELSEWHERE}"),
    "in structured mode": lambda one, end: replace(
        one, headers=(("content-type", b"application/cloudevents+json"),), value=b'{"sequence":"00000000000000099999"}'
    ),
}


async def last(ground: Ground, shard: int = SHARD) -> Record:
    """The last record on a partition of the service's own topic."""
    return (await read_topic(ground.bootstrap_servers, topic_of(NAME)))[shard][-1]


async def said_and_published(ground: Ground, stage: Stage, text: str = "said") -> None:
    await store(stage, text)
    await publish_all(stage, relay(ground, stage))


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED.keys())
async def test_after_a_restart_the_service_commits_whatever_somebody_has_put_on_its_topic(
    ground: Ground, stage: Stage, forge: Forge
) -> None:
    await said_and_published(ground, stage)
    end = (await ends(stage))[SHARD]
    await put(ground.bootstrap_servers, *[forge(await last(ground), end)] * 3)
    before = await events(stage)
    (handled,) = await engine(stage, guard(ground, stage)).handle([command(DOSSIER, "after the restart")])
    assert handled.outcome == "ok"
    assert [one for one in await events(stage) if one in before] == before
    assert (await ends(stage))[SHARD] == end + 1
    assert (await published(stage))[SHARD] == end, "what lies there was to be published again"
    await stage.check_store()


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED.keys())
async def test_a_restored_store_is_whole_again_whatever_lies_between_its_events(
    ground: Ground, stage: Stage, forge: Forge
) -> None:
    await said_and_published(ground, stage, "before")
    await back_up(stage)
    await said_and_published(ground, stage, "first half")
    await put(ground.bootstrap_servers, forge(await last(ground), (await ends(stage))[SHARD]))
    await said_and_published(ground, stage, "second half")
    await put(ground.bootstrap_servers, forge(await last(ground), (await ends(stage))[SHARD]))
    said = await events(stage)
    await restore(stage)
    await guard(ground, stage).ready()
    assert await events(stage) == said
    await stage.check_store()


async def many(ground: Ground, stage: Stage) -> None:
    await said_and_published(ground, stage)
    one = await last(ground)
    await put(ground.bootstrap_servers, *(raised(one, n) for n in range(1, 400)))


async def test_copies_by_the_hundred_hide_no_event_of_a_restored_store(ground: Ground, stage: Stage) -> None:
    await back_up(stage)
    await many(ground, stage)
    said = await events(stage)
    await guard(ground, stage).ready()
    await restore(stage)
    await guard(ground, stage).ready()
    assert await events(stage) == said


async def test_records_of_its_own_once_more_hide_no_event_of_a_restored_store(ground: Ground, stage: Stage) -> None:
    await said_and_published(ground, stage, "before")
    await back_up(stage)
    once_more = await last(ground)
    await said_and_published(ground, stage, "since")
    await put(ground.bootstrap_servers, *[once_more] * (2 * TAIL))
    said = await events(stage)
    await guard(ground, stage).ready()
    assert (await published(stage)) == (await ends(stage)), "nothing is to be published again"
    await restore(stage)
    await guard(ground, stage).ready()
    assert await events(stage) == said


def as_its_own(one: Record, previous: str, value: bytes | None = None) -> Record:
    """The next event, forged by somebody who knows how ids are made: only its content could tell it from a true one."""
    cause = uuid4()
    made = raised(one, 1, ce_id=str(event_id(cause, NAME, 1)), ce_causationid=str(cause), ce_previous=previous)
    return replace(made, value=one.value if value is None else value)


def id_of(record: Record) -> str:
    return (dict(record.headers)["ce_id"] or b"").decode()


BLOCKING: dict[str, tuple[Callable[[Record], Record], str]] = {
    "does not link": (lambda one: as_its_own(one, str(uuid4())), "a fork"),
    "leaves a hole": (lambda one: raised(as_its_own(one, str(uuid4())), 5), "a hole"),
    "links and cannot be read": (lambda one: as_its_own(one, id_of(one), b"nothing"), "cannot be read"),
}


@pytest.mark.parametrize(("forge", "why"), BLOCKING.values(), ids=BLOCKING.keys())
async def test_an_operator_disowns_what_looks_like_an_event_of_its_own_and_the_service_goes_on(
    ground: Ground, stage: Stage, forge: Callable[[Record], Record], why: str
) -> None:
    await said_and_published(ground, stage)
    true = await last(ground)
    await put(ground.bootstrap_servers, forge(true))
    forged = await last(ground)
    watching, broker = guard(ground, stage), Broker(ground.bootstrap_servers)
    with pytest.raises(Unavailable, match=f"offset {forged.offset} of partition {SHARD}.*{why}"):
        await engine(stage, watching).handle([command(DOSSIER, "refused")])
    with pytest.raises(Misconfigured, match="is in the store"):
        await disown(stage.pool, broker, NAME, SHARD, true.offset)
    assert await disown(stage.pool, broker, NAME, SHARD, forged.offset + 1) is None
    detail = await disown(stage.pool, broker, NAME, SHARD, forged.offset)
    assert detail is not None
    assert (detail["partition"], detail["offset"], detail["event_id"]) == (SHARD, forged.offset, id_of(forged))
    (act,) = await stage.admin.fetch("SELECT who, act, detail FROM operator_acts")
    assert act["act"] == "topic disown"
    (handled,) = await engine(stage, watching).handle([command(DOSSIER, "goes on")])
    assert handled.outcome == "ok"
    await guard(ground, stage).ready()
    await stage.check_store()


async def test_what_only_its_content_could_tell_from_an_event_of_its_own_is_taken_for_one(
    ground: Ground, stage: Stage
) -> None:
    """Said in the runbook: whoever may write to the topic and knows the chain can do this; audit has the record."""
    await said_and_published(ground, stage)
    end = (await ends(stage))[SHARD]
    one = await last(ground)
    await put(ground.bootstrap_servers, as_its_own(one, id_of(one)))
    await guard(ground, stage).ready()
    assert (await ends(stage))[SHARD] == end + 1
