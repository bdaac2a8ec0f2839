"""A toy service whose every event counts what was said before it, so that a lost or doubled decision shows.

It bears the name of notification, whose events carry free text. Flags in a text say what its rule does:
`bug` raises while it is broken, `quiet` says nothing, `twice` says two events, `work` orders a task, whose outcome
orders one more where it says `again`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID, uuid5

from shared.events.base import Event, Model
from shared.events.intake import DossierSubmitted
from shared.events.notification import NoticeSent
from shared.runtime.kernel.decider import Command, Decider, Decision, Evolve, Message, Numbered, Outcome, Rule, Task
from shared.runtime.kernel.sharding import shard_of

NAME = "notification"
_NAMES = UUID("00000000-0000-4000-8000-000000000000")


class Heard(Model):
    """What intake has said."""

    texts: tuple[str, ...] = ()


class Said(Model):
    """What we have said."""

    texts: tuple[str, ...] = ()


class Tally(Model):
    """Everything heard and said of one dossier, in order."""

    intake: Heard = Heard()
    notification: Said = Said()


class Say(Command):
    """Say this; where a series is named, with its next number."""

    text: str
    series: str | None = None


class Work(Model):
    """A task: work on this text."""

    text: str


class Worked(Outcome):
    """The work on this text is done."""

    text: str


def notice(text: str) -> NoticeSent:
    """An event that says `text`."""
    return NoticeSent(notice="submission", about=_NAMES, channel="email", locale="vi", message_id=text)


def name(*parts: object) -> UUID:
    """An id of its own for whatever `parts` name."""
    return uuid5(_NAMES, "/".join(map(str, parts)))


def dossiers(shard: int, count: int) -> list[UUID]:
    """So many dossiers of one shard."""
    found: list[UUID] = []
    n = 0
    while len(found) < count:
        dossier = name("dossier", n)
        if shard_of(dossier) == shard:
            found.append(dossier)
        n += 1
    return found


@dataclass
class Toy:
    """The toy's rules. A text that has one of `broken` in it makes them raise."""

    broken: set[str] = field(default_factory=set)

    @property
    def decider(self) -> Decider[Tally]:
        """The pure half, as an engine wants it."""
        rules: Mapping[type[Model], Rule] = {DossierSubmitted: self._hear, Say: self._say, Worked: self._worked}
        folds: Mapping[type[Event], Evolve] = {DossierSubmitted: _heard, NoticeSent: _said}
        return Decider(NAME, Tally(), rules, folds)

    def _hear(self, state: Tally, event: Message[DossierSubmitted]) -> Decision:
        return self._speak(state, event.body.code)

    def _worked(self, state: Tally, outcome: Message[Worked]) -> Decision:
        text = outcome.body.text
        spoken = self._speak(state, text.replace("work", "done"))
        return (
            replace(spoken, tasks=(Task("work", Work(text=text.replace("again ", ""))),)) if "again" in text else spoken
        )

    def _say(self, state: Tally, command: Message[Say]) -> Decision:
        series = command.body.series
        if series is None:
            return self._speak(state, command.body.text)
        return Decision((Numbered(series, lambda number: notice(f"{number}|{command.body.text}")),))

    def _speak(self, state: Tally, text: str) -> Decision:
        if any(word in text for word in self.broken):
            raise ZeroDivisionError(text)
        return speech(len(state.notification.texts), text)


def speech(said: int, text: str) -> Decision:
    """What is said and done about `text` where so much was said before."""
    count = 0 if "quiet" in text else 2 if "twice" in text else 1
    events = tuple(notice(f"{said + n}|{text}") for n in range(count))
    return Decision(events, (Task("work", Work(text=text)),) if "work" in text else ())


def _heard(state: Tally, event: Message[DossierSubmitted]) -> Tally:
    return state.model_copy(update={"intake": Heard(texts=(*state.intake.texts, event.body.code))})


def _said(state: Tally, event: Message[Any]) -> Tally:
    return state.model_copy(update={"notification": Said(texts=(*state.notification.texts, event.body.message_id))})
