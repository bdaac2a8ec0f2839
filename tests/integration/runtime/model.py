"""What must come of everything that is done to the engine: a small model in memory, without a database."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from uuid import UUID

from shared.runtime.kernel.sharding import shard_of
from tests.integration.runtime.log import Log, event_id
from tests.integration.runtime.toy import speech


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message that waits for an operator: heard, or the outcome of a task."""

    text: str
    heard: bool


@dataclass
class Life:
    """One dossier: what it heard in order, what was said how often, and what waits since it is parked."""

    heard: list[str] = field(default_factory=list)
    said: Counter[str] = field(default_factory=Counter)
    waiting: list[Waiting] = field(default_factory=list)

    @property
    def parked(self) -> bool:
        """A dossier is parked exactly while something of it waits."""
        return bool(self.waiting)


@dataclass
class Model:
    """All dossiers of a toy service, its tasks, and how far it has heard intake."""

    broken: frozenset[str]
    lives: dict[UUID, Life] = field(default_factory=lambda: defaultdict(Life))
    tasks: list[tuple[UUID, str]] = field(default_factory=list)
    answered: int = 0
    heard: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    next_offset: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    unreadable: set[tuple[int, int]] = field(default_factory=set)

    def hear(self, log: Log, shard: int, stop: int) -> None:
        """Intake's shard is heard up to (not with) this offset."""
        for record in log.records[shard][self.next_offset[shard] : stop]:
            told = log.told.get((shard, record.offset))
            if told is None:
                self.unreadable.add((shard, record.offset))
            else:
                self.heard[shard] += 1
                self.take(told[0], Waiting(told[1], heard=True), self.broken)
            self.next_offset[shard] = record.offset + 1

    def take(self, dossier: UUID, message: Waiting, broken: frozenset[str]) -> None:
        """A message that is kept if it cannot be handled."""
        life = self.lives[dossier]
        if life.parked or fails(message.text, broken):
            life.waiting.append(message)
        else:
            self.handle(dossier, message)

    def handle(self, dossier: UUID, message: Waiting) -> None:
        """A message whose rule does not raise."""
        life = self.lives[dossier]
        if message.heard:
            life.heard.append(message.text)
        decision = speech(0, message.text)
        life.said[message.text] += len(decision.events)
        self.tasks += [(dossier, message.text) for _ in decision.tasks]

    def asked(self, dossier: UUID, text: str) -> None:
        """A command that was answered."""
        self.handle(dossier, Waiting(text, heard=False))
        self.answered += 1

    def worked(self, dossier: UUID, text: str) -> None:
        """A task's outcome."""
        self.tasks.remove((dossier, text))
        self.take(dossier, Waiting(text.replace("work", "done"), heard=False), self.broken)

    def redrive(self, dossier: UUID, broken: frozenset[str]) -> None:
        """Handle what waits, up to the first that fails still."""
        life = self.lives[dossier]
        while life.waiting and not fails(life.waiting[0].text, broken):
            self.handle(dossier, life.waiting.pop(0))

    def last_event(self, shard: int) -> UUID | None:
        """The id of the last event heard of a shard."""
        return event_id(shard, self.heard[shard]) if self.heard[shard] else None


def fails(text: str, broken: frozenset[str]) -> bool:
    """Whether the toy's rule raises at this text."""
    return any(word in text for word in broken)


def shards_of(dossiers: list[UUID]) -> list[int]:
    """The shards that these dossiers lie in."""
    return sorted({shard_of(dossier) for dossier in dossiers})
