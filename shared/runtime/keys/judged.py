"""Which of the data keys that lie on their topic may be kept. Whoever can write there can put anything in its place.

Only who holds a key-encryption key can wrap a key so that it opens for its dossier (AES-256-GCM, the dossier as
associated data), and a dossier has one key for ever: wrapped anew, it is still the same one. So the first that opens
stays, and another one, or what does not open, is somebody else's. (A null destroys, whoever has written it: that no
reader can tell.)
"""

import hmac
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

import structlog

from shared.errors import KekNotHere, Misconfigured
from shared.runtime.kernel.message import WrappedKey
from shared.runtime.keys.sealing import Keks
from shared.runtime.observe.metrics import Metrics

log = structlog.get_logger(__name__)

REPLACED, UNOPENED, KEK_MISSING = "replaced", "unopened", "kek-missing"
"""Why a key is not kept: another one is held; it does not open for its dossier under the key-encryption key that it
names; one is held that opens, and we have not what this one lies under.
"""
REMEMBERED = 10_000
"""So many of those that were not kept are told once only."""


class HeardKey(NamedTuple):
    """What a record of the keys topic says of a dossier: its key (None: destroyed); and where it lies."""

    dossier_id: UUID
    key: WrappedKey | None
    partition: int
    offset: int


class Settled(NamedTuple):
    """What each dossier's key comes to, in an order that all listeners share (so that locks cannot cross); and whose
    topic has a key that is not theirs, though theirs is held.
    """

    kept: Mapping[UUID, HeardKey]
    contested: frozenset[UUID]


def why_not(keks: Keks, held: WrappedKey | None, heard: WrappedKey) -> str | None:
    """Why the key that was heard may not stand in the place of the one that is held; None if it may."""
    if held == heard:
        return None
    try:
        opened = keks.unwrap(heard)
    except KekNotHere:
        return None if held is None else KEK_MISSING
    except Misconfigured:
        return UNOPENED
    try:
        same = held is None or hmac.compare_digest(opened, keks.unwrap(held))
    except (KekNotHere, Misconfigured):
        return None  # what does not open is none
    return None if same else REPLACED


@dataclass
class Judge:
    """Looks at what is read from the keys topic before any of it is stored; tells and counts what is not kept."""

    keks: Keks
    metrics: Metrics
    _told: "OrderedDict[WrappedKey, None]" = field(default_factory=OrderedDict)

    def __post_init__(self) -> None:
        for reason in (REPLACED, UNOPENED, KEK_MISSING):
            self.metrics.keys_refused.labels(reason)

    def settle(self, heard: Iterable[HeardKey], held: Mapping[UUID, WrappedKey]) -> Settled:
        """What these records, in the order in which they lie, come to where these keys are held: destroyed if any says
        so, the last one otherwise that may stand in the place of the one before.
        """
        kept: dict[UUID, HeardKey] = {}
        contested: set[UUID] = set()
        for one in heard:
            before = kept[one.dossier_id].key if one.dossier_id in kept else held.get(one.dossier_id)
            if one.dossier_id in kept and before is None:
                continue  # it is destroyed for good
            reason = None if one.key is None else why_not(self.keks, before, one.key)
            if reason is None:
                kept[one.dossier_id] = one
            elif one.key is not None:
                self._tell(one.key, reason)
                contested |= {one.dossier_id} if reason != KEK_MISSING and before is not None else set()
        return Settled(dict(sorted(kept.items())), frozenset(contested))

    def _tell(self, key: WrappedKey, reason: str) -> None:
        if key in self._told:
            return
        self._told[key] = None
        if len(self._told) > REMEMBERED:
            self._told.popitem(last=False)
        self.metrics.keys_refused.labels(reason).inc()
        log.error("key-not-kept", why=reason, dossier_id=str(key.dossier_id))
