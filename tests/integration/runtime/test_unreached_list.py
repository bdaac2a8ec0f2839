"""Who must be told otherwise, the list says as the states do: after a restore to any moment, and after a redrive."""

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from itertools import count
from typing import Any
from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from deploy.local.ground import Ground
from deploy.postgres.provision import Databases
from services.intake.__main__ import service
from services.intake.state import State
from shared.events.base import Event, Model
from shared.events.envelope import Envelope, headers
from shared.runtime.admin.deadletters import redrive
from shared.runtime.engine.listener import Listener
from shared.runtime.kafka.clients import Broker
from shared.runtime.kernel.decider import Message
from shared.runtime.kernel.message import Item, Record
from shared.runtime.kernel.sharding import shard_of
from shared.runtime.observe.metrics import Metrics
from shared.runtime.publishing.relay import Relay
from shared.runtime.recovery.guard import RestoreGuard
from shared.runtime.recovery.restore import TakingBack
from shared.runtime.store.reading import StateReader
from shared.runtime.store.unreached import counted
from shared.topics import topic_of
from tests.controls import AGENCY, AT, notice_sent, notice_undeliverable, submit_dossier, tell_applicant
from tests.ground import empty_topics
from tests.integration.runtime.stage import NOWHERE, Stage, as_it_is, staged
from tests.integration.runtime.test_relay import level
from tests.integration.runtime.test_taking_back import back_up, restore
from tests.integration.runtime.toy import dossiers
from tests.integration.runtime.wire import running

NAME, WRITER = "intake", "notification"
A, B, C = dossiers(4, 3)
FIRST, SECOND = UUID(int=1), UUID(int=2)

Listed = Mapping[UUID, tuple[str, object, int]]


@dataclass
class Desk:
    """The desk's store, and what notification says to it. `story` is how far it has come."""

    stage: Stage
    ground: Ground
    said: dict[int, list[Record]] = field(default_factory=lambda: defaultdict(list))
    clock: Any = field(default_factory=lambda: partial(next, count()))

    def message(self, dossier: UUID, body: Model) -> Message[Any]:
        """Under an id of its own, a minute after the one before."""
        return Message(uuid4(), dossier, AT + timedelta(minutes=self.clock()), body)

    async def asked(self, dossier: UUID, command: Model) -> None:
        """Somebody asks for something at the door, and is granted it."""
        engine = self.stage.engine(service().decider, desk=service().desk)
        (handled,) = await engine.handle([Item(message=self.message(dossier, command), dossier_id=dossier)])
        assert handled.error is None, handled.error

    async def hear(self, dossier: UUID, event: Event) -> None:
        """Notification says something, which the desk hears."""
        shard, message = shard_of(dossier), self.message(dossier, event)
        log = self.said[shard]
        previous = UUID((dict(log[-1].headers)["ce_id"] or b"").decode()) if log else None
        envelope = Envelope(message.id, type(event).TYPE, message.at, dossier, WRITER, shard, len(log) + 1, previous)
        head = headers(type(event), envelope, uuid4())
        wire = tuple((name, text.encode()) for name, text in head.items())
        body = event.model_dump_json().encode()
        log.append(Record(topic_of(WRITER), shard, len(log), message.at, str(dossier).encode(), wire, body))
        await self.hear_again(log[-1:])

    async def hear_again(self, records: Sequence[Record] | None = None) -> None:
        """A process hears these records (all there are), one after the other; what it has heard, it passes over."""
        engine = self.stage.engine(service().decider, desk=service().desk)
        listener = Listener(NAME, self.stage.pool, engine, Broker(NOWHERE), Metrics(NAME))
        await listener.prepare()
        for record in [one for log in self.said.values() for one in log] if records is None else records:
            await listener.handle([record])

    async def publish(self) -> None:
        """All that the desk has said is on its topic."""
        relay = Relay(NAME, self.stage.pool, Broker(self.ground.bootstrap_servers), Metrics(NAME))
        async with running(relay.run()):
            await level(self.stage)

    async def take_back(self) -> None:
        """A process that starts takes back what the store lacks."""
        broker = Broker(self.ground.bootstrap_servers)
        taking = TakingBack(service().decider, self.stage.pool, broker, Metrics(NAME), service().desk)
        await RestoreGuard(NAME, self.stage.pool, broker, wait_s=60.0, take_back=taking.run).ready()

    async def listed(self) -> Listed:
        """The list, as it stands in its table."""
        rows = await self.stage.admin.fetch("SELECT * FROM unreached ORDER BY dossier_id")
        return {row["dossier_id"]: (row["unit"], row["since"], row["notices"]) for row in rows}

    async def owed(self) -> Listed:
        """The list as the states have it."""
        found = {}
        for row in await self.stage.admin.fetch("SELECT dossier_id, state FROM states"):
            place = service().desk.unreached(State.model_validate_json(row["state"]))
            if place is not None:
                found[row["dossier_id"]] = (place.unit, place.since, place.notices)
        return found

    async def redrive(self, dossier: UUID) -> int:
        """How many messages a redrive has handled; the dossier goes on."""
        engine = self.stage.engine(service().decider, desk=service().desk)
        result = await redrive(engine, as_it_is, dossier)
        assert not result.parked, result
        return result.handled


@pytest_asyncio.fixture
async def desk(ground: Ground, fresh_databases: Databases) -> AsyncIterator[Desk]:
    """The desk's database, empty, and empty topics."""
    await empty_topics(ground)
    async with staged(fresh_databases, NAME) as stage:
        await stage.admin.execute("TRUNCATE unreached")
        yield Desk(stage, ground)


STORY: tuple[tuple[str, UUID, Model], ...] = (
    ("asked", A, submit_dossier()),
    ("asked", B, submit_dossier()),
    ("heard", A, notice_undeliverable(about=FIRST)),
    ("heard", C, notice_undeliverable(about=FIRST)),
    ("asked", C, submit_dossier()),
    ("heard", B, notice_undeliverable(about=FIRST)),
    ("heard", A, notice_undeliverable(about=SECOND)),
    ("asked", A, tell_applicant(FIRST)),
    ("asked", C, tell_applicant()),
    ("heard", B, notice_sent(about=FIRST)),
    ("heard", C, notice_undeliverable(about=SECOND)),
)
"""What is asked of the desk and what it hears; at the end A and C wait, each for the second notice."""


async def test_after_a_restore_to_any_moment_the_list_is_as_it_was(desk: Desk) -> None:
    for step, (way, dossier, body) in enumerate(STORY):
        await back_up(desk.stage, "unreached", into=f"kept_{step}")
        if way == "asked":
            await desk.asked(dossier, body)
        elif isinstance(body, Event):
            await desk.hear(dossier, body)
    before = await desk.listed()
    assert [(dossier, notices) for dossier, (_, _, notices) in before.items()] == [(one, 1) for one in sorted((A, C))]
    assert before == await desk.owed()
    await desk.publish()
    for step in range(len(STORY)):
        await restore(desk.stage, "unreached", out_of=f"kept_{step}")
        await desk.take_back()
        assert await desk.listed() == await desk.owed(), f"before anything is heard again, {step}"
        await desk.hear_again()
        assert await desk.listed() == await desk.owed() == before, step
    assert await counted(desk.stage.pool) == len(before)
    page = await StateReader(desk.stage.pool, State).unreached(AGENCY, None, None)
    assert page.total == len(page.states) == len(before)


TROUBLE = {
    "states": "dossier_id <> '{}' OR jsonb_array_length(state #> '{{notification,notices}}') = 0",
    "unreached": "dossier_id <> '{}'",
}
"""Faults that come and go, where a notice is folded and where its dossier is listed."""


@pytest.mark.parametrize("table", TROUBLE)
async def test_a_redriven_notice_lists_its_dossier_and_one_that_is_told_behind_it_does_not(
    desk: Desk, table: str
) -> None:
    for dossier in (A, B, C):
        await desk.asked(dossier, submit_dossier())
    for name, dossier in (("a", A), ("b", B)):
        check = f"ADD CONSTRAINT {name} CHECK ({TROUBLE[table].format(dossier)})"
        await desk.stage.admin.execute(f"ALTER TABLE {table} {check}")
    for dossier in (A, B, C):
        await desk.hear(dossier, notice_undeliverable(about=FIRST))
    await desk.hear(B, notice_sent(about=FIRST))
    assert list(await desk.listed()) == [C], "the others are parked"
    await desk.stage.admin.execute(f"ALTER TABLE {table} DROP CONSTRAINT a, DROP CONSTRAINT b")
    assert (await desk.redrive(A), await desk.redrive(B)) == (1, 2)
    assert sorted(await desk.listed()) == sorted((A, C))
    assert await desk.listed() == await desk.owed()
    await desk.asked(A, tell_applicant())
    assert list(await desk.listed()) == [C]
    assert await desk.listed() == await desk.owed()
