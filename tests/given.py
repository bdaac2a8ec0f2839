"""Given these events, when this message, then these events and tasks.

    filed = given(PAYMENT, [dossier_submitted(), citizen_verified()])
    filed.when(fee_found()).then(fee_assessed(), tasks=["open-payment"])

What is given is folded, heard or our own. The message is then treated as the engine treats it: an event that is heard
is folded before its rule decides; a command or an outcome is decided on the state as it is.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import uuid5

import pytest

from shared.errors import Refused
from shared.events.base import Event, Model
from shared.runtime.kernel.decider import Decider, Decision, Message, Numbered, Task
from tests import controls

S = TypeVar("S", bound=Model)

Given = Event | Message[Any]
"""An event as it is, said at the beginning of the story, or with a time of its own."""


@dataclass(frozen=True)
class Situation(Generic[S]):
    """A dossier as one service sees it."""

    decider: Decider[S]
    state: S

    def when(self, message: Model | Message[Any], *, at: datetime = controls.AT) -> "Asked[S]":
        """This message reaches the service (at `at`, unless it brings its own time)."""
        return Asked(self, as_message(message, at=at))


@dataclass(frozen=True)
class Asked(Generic[S]):
    """A message that reaches a situation; nothing is decided before somebody asks what then."""

    situation: Situation[S]
    message: Message[Any]

    @property
    def state(self) -> S:
        """The state on which the rule decides."""
        if isinstance(self.message.body, Event):
            return self.situation.decider.evolve(self.situation.state, self.message)
        return self.situation.state

    @property
    def decision(self) -> Decision:
        """What the service decides; a running number that it asks for is 1."""
        decision = self.situation.decider.decide(self.state, self.message)
        return replace(decision, events=tuple(_built(event) for event in decision.events))

    def then(self, *events: Event | type[Event], tasks: Sequence[Task | str] = ()) -> Situation[S]:
        """Exactly these are said and done, in this order; a class or a kind stands for any of it.

        Returns the situation after it, for the next `when`.
        """
        decision = self.decision
        said = [_as_wanted(one, by) for one, by in _paired(decision.events, events)]
        done = [_task_as_wanted(one, by) for one, by in _paired(decision.tasks, tasks)]
        assert said == list(events), f"said: {said}"
        assert done == list(tasks), f"to be done: {done}"
        return Situation(self.situation.decider, self._after(decision))

    def _after(self, decision: Decision) -> S:
        state = self.state
        for n, event in enumerate(decision.events):
            if isinstance(event, Event):
                said = Message(uuid5(self.message.id, f"said/{n}"), self.message.dossier_id, self.message.at, event)
                state = self.situation.decider.evolve(state, said)
        return state

    def then_nothing(self) -> Situation[S]:
        """Nothing is said and nothing is to be done."""
        return self.then()

    def then_refused(self, code: str, *pointers: str) -> None:
        """It is refused with this code, and with faults at exactly these places."""
        with pytest.raises(Refused) as refused:
            _ = self.decision
        assert refused.value.code == code
        assert sorted(fault.pointer for fault in refused.value.faults) == sorted(pointers)


def given(decider: Decider[S], events: Iterable[Given] = ()) -> Situation[S]:
    """A dossier of which these events are known, in this order."""
    state = decider.empty
    for n, event in enumerate(events):
        state = decider.evolve(state, as_message(event, n))
    return Situation(decider, state)


def as_message(body: Model | Message[Any], n: int | None = None, *, at: datetime = controls.AT) -> Message[Any]:
    """A body as a message about the dossier of the story; the n-th of several has an id of its own."""
    if isinstance(body, Message):
        return body
    message_id = controls.MESSAGE if n is None else uuid5(controls.MESSAGE, f"given/{n}")
    return controls.message(body, at=at, message_id=message_id)


def _built(event: Event | Numbered) -> Event:
    return event.build(1) if isinstance(event, Numbered) else event


def _paired(found: Sequence[Any], wanted: Sequence[Any]) -> list[tuple[Any, Any]]:
    """What was found beside what was wanted; where there is more of the one, None stands for the other."""
    padding = [None] * max(0, len(found) - len(wanted))
    return list(zip(found, [*wanted, *padding], strict=False))


def _as_wanted(event: Event, wanted: Event | type[Event] | None) -> Event | type[Event]:
    return type(event) if isinstance(wanted, type) else event


def _task_as_wanted(task: Task, wanted: Task | str | None) -> Task | str:
    return task.kind if isinstance(wanted, str) else task
