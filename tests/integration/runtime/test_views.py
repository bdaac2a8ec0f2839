"""Views say what the states say: after a restore to any moment, after a redrive, and made anew."""

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from itertools import count
from random import Random
from typing import Any
from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from deploy.local.ground import Ground
from deploy.postgres.provision import Databases
from deploy.stack import without_password
from services.intake.state import State
from services.intake.views import UNREACHED
from shared.events.base import Event, Model
from shared.events.envelope import Envelope, headers
from shared.runtime.admin.deadletters import redrive
from shared.runtime.engine.listener import Listener
from shared.runtime.kafka.clients import Broker
from shared.runtime.kernel.decider import Message
from shared.runtime.kernel.message import Handled, Item, Record, Request
from shared.runtime.kernel.sharding import shard_of
from shared.runtime.kernel.view import Figure
from shared.runtime.observe.metrics import Metrics
from shared.runtime.process.wiring import connection
from shared.runtime.publishing.relay import Relay
from shared.runtime.recovery.guard import RestoreGuard
from shared.runtime.recovery.reshaping import Ground as Made
from shared.runtime.recovery.reshaping import reshape
from shared.runtime.recovery.restore import TakingBack
from shared.runtime.service.settings import Settings
from shared.runtime.store.figures import numbers
from shared.runtime.store.reading import StateReader
from shared.topics import heard_by, topic_of
from tests.controls import (
    AGENCY,
    AT,
    EVENTS,
    accept_dossier,
    correct_applicant,
    issue_result,
    notice_sent,
    notice_undeliverable,
    refuse_dossier,
    request_supplement,
    return_result,
    start_processing,
    submit_dossier,
    supply_dossier,
    tell_applicant,
)  # fmt: skip
from tests.deciders import INTAKE
from tests.ground import empty_topics
from tests.integration.runtime.stage import NOWHERE, Stage, as_it_is, staged
from tests.integration.runtime.test_relay import level
from tests.integration.runtime.test_taking_back import back_up, restore
from tests.integration.runtime.toy import dossiers
from tests.integration.runtime.wire import put, running

NAME = "intake"
A, B, C = dossiers(4, 3)
FIRST, SECOND = UUID(int=1), UUID(int=2)

Listed = Mapping[str, Mapping[UUID, Mapping[str, Any]]]
"""View → dossier → row."""
VIEWS = {view.name: view for view in INTAKE.views}


@dataclass
class Desk:
    """The desk's store, and what the others have said to it, by writer and shard."""

    stage: Stage
    ground: Ground
    databases: Databases
    said: dict[tuple[str, int], list[Record]] = field(default_factory=lambda: defaultdict(list))
    clock: Any = field(default_factory=lambda: partial(next, count()))

    def message(self, dossier: UUID, body: Model) -> Message[Any]:
        """Under an id of its own, a minute after the one before."""
        return Message(uuid4(), dossier, AT + timedelta(minutes=self.clock()), body)

    async def ask(self, dossier: UUID, command: Model) -> Handled:
        """Somebody asks for something at the door."""
        (handled,) = await self.stage.engine(INTAKE).handle([self.asked(dossier, command)])
        return handled

    def asked(self, dossier: UUID, command: Model) -> Item:
        """A request under a key of its own."""
        message = self.message(dossier, command)
        request = Request("app", "POST", "/", str(message.id), b"", 200, lambda state: {})
        return Item(message=message, request=request, dossier_id=dossier)

    async def hear(self, dossier: UUID, event: Event) -> None:
        """Its writer says something, which the desk hears."""
        writer, shard, message = _writer(event), shard_of(dossier), self.message(dossier, event)
        log = self.said[writer, shard]
        previous = UUID((dict(log[-1].headers)["ce_id"] or b"").decode()) if log else None
        envelope = Envelope(message.id, type(event).TYPE, message.at, dossier, writer, shard, len(log) + 1, previous)
        head = headers(type(event), envelope, uuid4())
        wire = tuple((name, text.encode()) for name, text in head.items())
        body = event.model_dump_json().encode()
        log.append(Record(topic_of(writer), shard, len(log), message.at, str(dossier).encode(), wire, body))
        await self.hear_again(log[-1:])

    async def hear_again(self, records: Sequence[Record] | None = None) -> None:
        """A process hears these records (all there are), one after the other; what it has heard, it passes over."""
        engine = self.stage.engine(INTAKE)
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
        taking = TakingBack(INTAKE, self.stage.pool, broker, Metrics(NAME))
        await RestoreGuard(NAME, self.stage.pool, broker, wait_s=60.0, take_back=taking.run).ready()

    async def make_anew(self) -> int:
        """All states and views, out of what was said and heard: `rebuild --apply` of a release of another shape."""
        bootstrap = self.ground.bootstrap_servers
        await put(bootstrap, *(record for log in self.said.values() for record in log))
        told = Settings(
            kafka_bootstrap_servers=bootstrap, database_url=without_password(self.databases.url(NAME)),
            secrets_dir=self.ground.secrets.directory, http_port=1,
        )  # fmt: skip
        connect, hears = partial(connection, told, NAME), tuple(topic.writer for topic in heard_by(NAME))
        made = Made(replace(INTAKE, shape=INTAKE.shape + 1), Broker(bootstrap), connect, hears)
        return await reshape(made, self.stage.pool, lambda *_: None)

    async def listed(self) -> Listed:
        """The views, as they stand in their tables."""
        found = dict[str, dict[UUID, dict[str, Any]]]()
        for view in VIEWS:
            rows = [dict(row) for row in await self.stage.admin.fetch(f"SELECT * FROM {view} ORDER BY dossier_id")]
            found[view] = {row.pop("dossier_id"): row for row in rows}
        return found

    async def waiting(self) -> list[UUID]:
        """Whose applicants must be told otherwise."""
        return list((await self.listed())["unreached"])

    async def owed(self) -> Listed:
        """The views as the states have them."""
        states = await self.stage.admin.fetch("SELECT dossier_id, state FROM states ORDER BY dossier_id")
        drawn = {row["dossier_id"]: State.model_validate_json(row["state"]) for row in states}
        return {
            name: {dossier: row for dossier, state in drawn.items() if (row := view.row(state)) is not None}
            for name, view in VIEWS.items()
        }

    async def redrive(self, dossier: UUID) -> int:
        """How many messages a redrive has handled; the dossier goes on."""
        engine = self.stage.engine(INTAKE)
        result = await redrive(engine, as_it_is, dossier)
        assert not result.parked, result
        return result.handled


def _writer(event: Event) -> str:
    return type(event).__module__.rpartition(".")[2]


@pytest_asyncio.fixture
async def desk(ground: Ground, fresh_databases: Databases) -> AsyncIterator[Desk]:
    """The desk's database, empty, and empty topics."""
    await empty_topics(ground)
    async with staged(fresh_databases, NAME, INTAKE.shape) as stage:
        await stage.admin.execute("TRUNCATE unreached, queue")
        yield Desk(stage, ground, fresh_databases)


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


async def test_after_a_restore_to_any_moment_the_views_are_as_they_were(desk: Desk) -> None:
    for step, (way, dossier, body) in enumerate(STORY):
        await back_up(desk.stage, *VIEWS, into=f"kept_{step}")
        if way == "asked":
            assert (await desk.ask(dossier, body)).error is None
        elif isinstance(body, Event):
            await desk.hear(dossier, body)
    before = await desk.listed()
    waiting = before["unreached"]
    assert [(dossier, row["notices"]) for dossier, row in waiting.items()] == [(one, 1) for one in sorted((A, C))]
    assert sorted(before["queue"]) == sorted((A, B, C))
    assert before == await desk.owed()
    await desk.publish()
    await desk.stage.admin.execute("INSERT INTO digests VALUES ($1, 'phone', 'of what was stated once')", A)
    for step in range(len(STORY)):
        await restore(desk.stage, *VIEWS, out_of=f"kept_{step}")
        await desk.take_back()
        assert await desk.listed() == await desk.owed(), f"before anything is heard again, {step}"
        await desk.hear_again()
        assert await desk.listed() == await desk.owed() == before, step
    assert await desk.stage.count("digests") == 0, "what is taken back may state it anew"
    assert await numbers(desk.stage.pool, Figure("unreached", "unreached")) == {None: len(waiting)}
    page = await StateReader(desk.stage.pool, State).states(UNREACHED, [AGENCY], None, None)
    assert page.total == len(page.rows) == len(waiting)


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
        await desk.ask(dossier, submit_dossier())
    for name, dossier in (("a", A), ("b", B)):
        check = f"ADD CONSTRAINT {name} CHECK ({TROUBLE[table].format(dossier)})"
        await desk.stage.admin.execute(f"ALTER TABLE {table} {check}")
    for dossier in (A, B, C):
        await desk.hear(dossier, notice_undeliverable(about=FIRST))
    await desk.hear(B, notice_sent(about=FIRST))
    assert await desk.waiting() == [C], "the others are parked"
    await desk.stage.admin.execute(f"ALTER TABLE {table} DROP CONSTRAINT a, DROP CONSTRAINT b")
    assert (await desk.redrive(A), await desk.redrive(B)) == (1, 2)
    assert await desk.waiting() == sorted((A, C))
    assert await desk.listed() == await desk.owed()
    await desk.ask(A, tell_applicant())
    assert await desk.waiting() == [C]
    assert await desk.listed() == await desk.owed()


OTHERS = tuple(event for event in EVENTS if _writer(event) in {topic.writer for topic in heard_by(NAME)})
ASKED = (
    submit_dossier, correct_applicant, request_supplement, supply_dossier, accept_dossier, refuse_dossier,
    start_processing, issue_result, return_result, tell_applicant,
)  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
async def test_after_any_history_the_views_say_what_the_states_say_and_once_more_when_made_anew(
    desk: Desk, seed: int
) -> None:
    chance = Random(seed)
    for _ in range(120):
        dossier = chance.choice((A, B, C))
        if chance.random() < 0.5:
            await desk.ask(dossier, chance.choice(ASKED)())  # what is refused changes nothing
        else:
            await desk.hear(dossier, chance.choice(OTHERS))
    before = await desk.listed()
    assert before == await desk.owed()
    assert before["queue"]
    await desk.stage.admin.execute("UPDATE queue SET code = 'spoilt'; DELETE FROM unreached")
    assert await desk.make_anew() == await desk.stage.count("states")
    assert await desk.listed() == await desk.owed() == before
