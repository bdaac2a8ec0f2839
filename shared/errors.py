"""Failures, as a tree. Their codes are in `shared/registry.py`, what is said of single faults in `shared/wording.py`.

    DossierError
    ├── Refused          the caller asked for something that cannot be: an RFC 9457 problem, nothing is stored
    ├── Unavailable      we cannot serve now (database gone, dossier parked): 503 with Retry-After
    │   ├── Behind       the database is older than what this process has seen of it
    │   └── MovedOn      the states belong to another release by now: this process waits to be replaced
    ├── Poison           a record that nobody can read: a dead letter
    ├── Transient        an outside system did not answer properly: its task runs again later
    ├── KeyNotHere       a data key has not arrived yet: the task waits for it
    │   └── KekNotHere   a data key lies under a key-encryption key that we were not given: 503, the task waits
    ├── TooNew           a task holds a word that only a later release knows: it waits for that release
    ├── KeyDestroyed     a data key was destroyed: an outcome
    ├── Conflict         somebody else wrote this dossier first: load and decide again
    ├── Fenced           somebody else heard these records first: read the positions again
    └── Misconfigured    the service cannot start like this: exit 2

What the law foresees (a refusal at the door, an expiry, a mismatch) is an event, never one of these.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from shared.registry import CODES, POISONS
from shared.wording import FAULTS, Language, Text


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One thing that is wrong: where (JSON pointer, RFC 6901), what (a kind of `shared/wording.py`), and what is put
    into the sentence about it, a Text where that differs by language: never the value itself.
    """

    pointer: str
    kind: str
    told: tuple[str | Text, ...] = ()

    @property
    def code(self) -> str:
        """The word that clients read: the kind up to its dot."""
        return self.kind.partition(".")[0]

    @property
    def message(self) -> str:
        """The sentence in English."""
        return self.said("en")

    def said(self, language: Language) -> str:
        """The sentence in one language."""
        told = tuple(one.say(language) if isinstance(one, Text) else one for one in self.told)
        return FAULTS[self.kind].say(language, told)


_NO_FACTS: Mapping[str, Any] = MappingProxyType({})


class DossierError(Exception):
    """Root of all failures of this platform. `code` is that of the registry, None where the class has none."""

    code: str | None = None


class Refused(DossierError):
    """The caller asked for something that cannot be. Carries the code, every fault at once, and `facts` that help to
    act on it: further members of the problem (RFC 9457, 3.2), none of them what was sent.
    """

    def __init__(self, code: str, faults: Sequence[Fault] = (), facts: Mapping[str, Any] = _NO_FACTS) -> None:
        super().__init__(f"{code} {CODES[code].title.en}")
        self.code: str = code
        self.faults = tuple(faults)
        self.facts = facts


class Unavailable(DossierError):
    """We cannot serve now; the same request may be repeated. `code` is one of the 503s."""

    def __init__(self, reason: str, code: str = "DOS-INT-503") -> None:
        super().__init__(reason)
        self.code: str = code


class Behind(Unavailable):
    """The connection leads to a database that lacks what this process has seen committed: an older one, restored."""


class MovedOn(Unavailable):
    """The states of a shard have the shape of another release: this process may not write them (`rebuild --apply`)."""


class Poison(DossierError):
    """A record or body that cannot be read. `reason` is a short word, the message carries no personal data."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.code = POISONS[reason]


class Transient(DossierError):
    """An outside system was slow, down or wrong; its task runs again. `dependency` names it for the breaker.

    `well`: the system itself answers, and only about this one thing nothing that helps; others need not wait for it.
    """

    def __init__(
        self, dependency: str, message: str, retry_after_s: float | None = None, *, well: bool = False
    ) -> None:
        super().__init__(message)
        self.dependency = dependency
        self.retry_after_s = retry_after_s
        self.well = well


class KeyNotHere(DossierError):
    """The dossier's data key has not arrived on the keys topic yet."""


class KekNotHere(KeyNotHere):
    """The dossier's data key lies under a key-encryption key that is not (yet, or any more) in secret kek."""


class TooNew(DossierError):
    """What is to be done hangs on a word that this release does not know; a process of a later one does it."""


class KeyDestroyed(DossierError):
    """The dossier's data key was destroyed; its personal data can no longer be read by anyone."""


class Conflict(DossierError):
    """Another writer changed a dossier between our reading and our writing it."""


class Fenced(DossierError):
    """Another consumer has heard these positions already."""


class Misconfigured(DossierError):
    """A setting is missing or wrong, or the ground does not fit; the message says which and what to do."""
