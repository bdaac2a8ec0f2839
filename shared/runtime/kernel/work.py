"""One dossier inside one batch: its state as read, what its messages decide, and the state that comes of it. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from shared.errors import Refused, Unavailable
from shared.events.base import DOSSIER, Event
from shared.events.catalogue import as_read, as_written
from shared.events.envelope import MAX_EVENT_BYTES
from shared.runtime.kernel.decider import Decider, Decision, Message, Numbered, Task, event_id
from shared.runtime.kernel.message import Handled, Item

LONGEST_NUMBER = 10**12
"""Stands for a running number until it is drawn; longer than any, so that the size checked is the largest possible."""


@dataclass(slots=True)
class Said:
    """An event about to be stored: its message as everybody will read it, its data as they are written. `numbered`
    still waits for its running number.
    """

    message: Message[Event]
    caused_by: UUID
    data: bytes = b""
    numbered: Numbered | None = None
    traceparent: str | None = None


@dataclass(slots=True)
class Draft:
    """What one item comes to, before the commit makes it true."""

    item: Item
    handled: Handled
    said: list[Said] = field(default_factory=list)
    tasks: Sequence[Task] = ()
    parked: bool = False
    dead: Exception | None = None


@dataclass(slots=True)
class Work:
    """A dossier's state while a batch is decided. `version` 0 is a dossier that has no row yet."""

    decider: Decider[Any]
    dossier_id: UUID
    version: int
    state: Any
    parked: bool
    kind: str = DOSSIER
    base: Any = None
    folded: list[Message[Any] | Said] = field(default_factory=list)
    steps: int = 0

    def __post_init__(self) -> None:
        self.base = self.state

    def take(self, item: Item, answered: bool) -> Draft:
        """Decide one item. `answered`: events are stored already because of it; they were folded when they were stored,
        so nothing is said again, and only what was heard is folded.
        """
        if self.parked and not item.redriven:
            return self._wait(item)
        if item.failure is not None:
            return self._die(item, item.failure)
        try:
            return self._decide(item, answered)
        except Refused as refusal:
            return Draft(item, Handled("refused", error=refusal)) if item.request else self._die(item, refusal)
        except Exception as bug:
            return Draft(item, Handled("failed", error=bug)) if item.request else self._die(item, bug)

    def _decide(self, item: Item, answered: bool) -> Draft:
        message = item.message
        if message is None:
            raise AssertionError("only a readable message is decided")
        heard = [message] if isinstance(message.body, Event) else []
        state = self._folded_into(self.state, heard)
        if answered:
            return self._answer_again(item, message, state, heard)
        decision = self.decider.decide(state, message)
        said = self._say(item, message, decision)
        self.state = self._folded_into(state, [one.message for one in said])
        self.folded += [*heard, *said]
        self.steps += 1
        return Draft(item, Handled("ok"), said, decision.tasks)

    def _answer_again(self, item: Item, message: Message[Any], state: Any, heard: Sequence[Message[Any]]) -> Draft:
        """What the state, which knows the answer already, still has to be done; a command it may be past."""
        try:
            tasks = self.decider.decide(state, message).tasks
        except Refused:
            tasks = ()
        self.state = state
        self.folded += heard
        self.steps += 1
        return Draft(item, Handled("ok"), tasks=tasks)

    def _folded_into(self, state: Any, events: Sequence[Message[Any]]) -> Any:
        for event in events:
            state = self.decider.evolve(state, event)
        return state

    def _say(self, item: Item, message: Message[Any], decision: Decision) -> list[Said]:
        return [self._draft(item, message, n, event) for n, event in enumerate(decision.events, 1)]

    def _draft(self, item: Item, message: Message[Any], n: int, event: Event | Numbered) -> Said:
        numbered = event if isinstance(event, Numbered) else None
        written = as_written(event.build(LONGEST_NUMBER) if isinstance(event, Numbered) else event)
        id_ = event_id(message.id, self.decider.name, n)
        said = Message(id_, self.dossier_id, message.at, as_read(written), self.kind)
        return Said(said, message.id, _wire(written), numbered, traceparent=item.traceparent)

    def _wait(self, item: Item) -> Draft:
        if item.request:
            return Draft(item, Handled("refused", error=Unavailable("the dossier is parked", "DOS-INT-504")))
        self.steps += 1
        return Draft(item, Handled("parked"), parked=True)

    def _die(self, item: Item, failure: Exception) -> Draft:
        self.parked = True
        self.steps += 1
        return Draft(item, Handled("dead_lettered", error=failure), dead=failure)

    def numbered(self, numbers: Mapping[int, int]) -> None:
        """Put the drawn running numbers (by id of the Said) into the events and fold once more."""
        for one in self.folded:
            if isinstance(one, Said) and one.numbered is not None:
                written = as_written(one.numbered.build(numbers[id(one)]))
                one.message = replace(one.message, body=as_read(written))
                one.data = _wire(written)
        self.state = self._folded_into(
            self.base, [one.message if isinstance(one, Said) else one for one in self.folded]
        )


def _wire(body: Event) -> bytes:
    """The event's value on the wire. Raises Refused if it is over 64 KiB, so that it can never stop a relay."""
    data = body.model_dump_json().encode()
    if len(data) > MAX_EVENT_BYTES:
        raise Refused("DOS-INT-007")
    return data
