"""What must be true at any time: the database against the model, after each step of the state machine."""

import asyncio
from collections import Counter
from collections.abc import Coroutine
from typing import Any, TypeVar
from uuid import UUID

import orjson
from hypothesis.stateful import RuleBasedStateMachine, invariant

from shared.events.envelope import open_record
from shared.runtime.store.sql import record_of
from tests.integration.runtime.log import WRITER, Log
from tests.integration.runtime.model import Model
from tests.integration.runtime.stage import Stage, in_order
from tests.integration.runtime.toy import Toy, dossiers

T = TypeVar("T")

BUGS = frozenset({"bug-a", "bug-b"})
DOSSIERS = [*dossiers(3, 3), *dossiers(7, 3)]


class Compared(RuleBasedStateMachine):
    """`runner` has the loop that all connections of `stage` belong to."""

    def __init__(self, runner: asyncio.Runner, stage: Stage) -> None:
        super().__init__()
        self.runner, self.stage = runner, stage
        self.log, self.model = Log(), Model(BUGS)
        stage.toy = Toy(set(BUGS))

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do it, on the stage's loop."""
        return self.runner.run(asyncio.wait_for(work, 120))

    @invariant()
    def the_store_is_dense_and_chained(self) -> None:
        self.run(self.stage.check_store())

    @invariant()
    def every_dossier_is_as_in_the_model(self) -> None:
        for dossier in DOSSIERS:
            life, texts = self.model.lives[dossier], self.run(self.stage.said(dossier))
            assert in_order(texts), "an event did not know of another that was said before it"
            assert Counter(text.partition("|")[2] for text in texts) == +life.said
            state = self.run(self.stage.state(dossier))
            assert list(state.intake.texts) == life.heard
            assert list(state.notification.texts) == texts
            assert self.run(self.stage.parked(dossier)) == life.parked
            assert self.run(self._waiting(dossier)) == [message.text for message in life.waiting]

    @invariant()
    def positions_tasks_and_answers_are_as_in_the_model(self) -> None:
        rows = self.run(self.stage.admin.fetch("SELECT * FROM heard ORDER BY shard"))
        for row in (row for row in rows if row["source"] == WRITER):
            shard = row["shard"]
            assert row["position"] == self.model.heard[shard]
            assert row["last_event_id"] == self.model.last_event(shard)
            assert row["next_offset"] == self.model.next_offset[shard]
        assert self.run(self.stage.count("tasks")) == len(self.model.tasks)
        assert self.run(self.stage.count("requests")) == self.model.answered
        assert self.run(self.stage.count("dead_letters", "dossier_id IS NULL")) == len(self.model.unreadable)

    async def _waiting(self, dossier: UUID) -> list[str]:
        dead = await self.stage.admin.fetch(
            "SELECT * FROM dead_letters WHERE dossier_id = $1 AND settled_at IS NULL", dossier
        )
        parked = await self.stage.admin.fetch(
            "SELECT * FROM parked_messages WHERE dossier_id = $1 ORDER BY ordinal", dossier
        )
        return [_kept_text(row) for row in [*dead, *parked]]


def _kept_text(row: Any) -> str:
    if row["origin"] == "task":
        return str(orjson.loads(row["value"])["body"]["text"]).replace("work", "done")
    _, data = open_record(record_of(row).headers, row["value"])
    return str(orjson.loads(data)["code"])
