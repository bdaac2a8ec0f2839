"""The decider: load, decide, evolve. Everything here is pure; `services/*/rules.py` and `state.py` are written in
it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, Generic, TypeVar
from uuid import UUID

from shared.events.base import DOSSIER, Event, Model
from shared.ids import derived_id
from shared.runtime.kernel.view import View

B = TypeVar("B", bound=Model, covariant=True)
S = TypeVar("S", bound=Model)


class Command(Model):
    """What somebody asks for at our own door, in the imperative."""


class Outcome(Model):
    """What came of one of our own tasks (a rung alarm is one too)."""


@dataclass(frozen=True, slots=True)
class Message(Generic[B]):
    """Anything that reaches a service. `at` (UTC) is an event's `ce_time`, a command's receipt, a task's ending."""

    id: UUID
    dossier_id: UUID
    at: datetime
    body: B
    kind: str = DOSSIER
    """Of the subject, whose id is `dossier_id`."""


@dataclass(frozen=True, slots=True)
class Numbered:
    """An event that needs the next running number of a series; the engine draws it inside the transaction."""

    series: str
    build: Callable[[int], Event]


@dataclass(frozen=True, slots=True)
class Task:
    """Work on the outside world, or an alarm: `kind` names its function, `after` (UTC) is when it may start."""

    kind: str
    payload: Model
    after: datetime | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What the service now says, in order, and what is to be done. Nothing to say is a normal answer."""

    events: tuple[Event | Numbered, ...] = ()
    tasks: tuple[Task, ...] = ()


NOTHING = Decision()


def not_numbered(event: Event) -> tuple[str, int] | None:
    """Of a service whose events bear no running numbers."""
    return None


def owes_nothing(state: Any, last: Message[Event]) -> tuple[Task, ...]:
    """Of a service all of whose tasks come of messages that it hears, and hears again after a restore."""
    return ()


Rule = Callable[[Any, Message[Any]], Decision]
Evolve = Callable[[Any, Message[Any]], Any]


@dataclass(frozen=True)
class Decider(Generic[S]):
    """One service's pure half: an empty state, the rules by what they answer, the folds by event class.

    For events that are taken back after a restore: `drawn` reads the series and running number that one bears; `owed`
    are the tasks that a state needs after `last`, its last event, if no message that is heard again orders them.
    `given_up` makes the task that tells the service that an operator has discarded what a task came to, out of what is
    known of that (JSON: its payload, or its outcome; empty if it cannot be read): for a service that waits for each of
    its outcomes. `shape` numbers how states are folded: a release that folds a field out of events that older releases
    have folded already takes the next number, as does one that draws other rows of `views`, and its states are made
    anew (`rebuild --apply`). `others` are the empty states of subjects that are no dossiers, by kind.
    """

    name: str
    empty: S
    rules: Mapping[type[Model], Rule]
    folds: Mapping[type[Event], Evolve] = field(default_factory=dict)
    drawn: Callable[[Event], tuple[str, int] | None] = not_numbered
    owed: Callable[[Any, Message[Event]], tuple[Task, ...]] = owes_nothing
    given_up: Callable[[Mapping[str, Any]], Task] | None = None
    shape: int = 1
    views: Sequence[View] = ()
    others: Mapping[str, S] = field(default_factory=dict)

    def empty_of(self, kind: str) -> S:
        """The empty state of a kind of subject; the dossier's for one of which this service has nothing to remember."""
        return self.others.get(kind, self.empty)

    def evolve(self, state: S, event: Message[Event]) -> S:
        """Fold one event, heard or our own, into the state. Unknown events change nothing; it cannot fail."""
        fold = self.folds.get(type(event.body))
        if fold is None:
            return state
        folded: S = fold(state, event)
        return folded

    def decide(self, state: S, message: Message[Model]) -> Decision:
        """What to say and to do about `message`; a rule sees a heard event already folded into `state`."""
        rule = self.rules.get(type(message.body))
        return NOTHING if rule is None else rule(state, message)


@lru_cache(maxsize=4096)
def event_id(message_id: UUID, service: str, n: int) -> UUID:
    """Id of the n-th event (from 1) that `service` says because of a message: the same at every attempt. Asked for
    when a task is ordered, when its outcome is loaded, decided and said.
    """
    return derived_id(message_id, f"{service}/{n}")


def task_id(message_id: UUID, n: int) -> UUID:
    """Id of the n-th task (from 1) that a message causes; it is also the id of the task's outcome message."""
    return derived_id(message_id, f"task/{n}")


def dossier_id(message_id: UUID) -> UUID:
    """Id of the dossier that a submitting command creates."""
    return derived_id(message_id, "dossier")
