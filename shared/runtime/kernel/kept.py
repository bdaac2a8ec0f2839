"""States that this process has written or read itself: what the store holds in the same version need not be read again.

A version counts every message that was folded, and a commit writes over the version that it names only: a state that
somebody else has written since is never taken for ours. Only a store that was restored from a backup may come to the
same version with another state, so whoever loses a connection forgets everything.
"""

from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

LIMIT = 4000
"""So many dossiers are kept, some 20 MB."""

Known = Mapping[UUID, tuple[int, Any]]
"""Dossier → version, and the state in it."""


@dataclass
class KeptStates:
    """The states of the dossiers that were written last."""

    limit: int = LIMIT
    lost: int = 0
    """How often everything was forgotten: what began before is not kept after."""
    _kept: "OrderedDict[UUID, tuple[int, Any]]" = field(default_factory=OrderedDict)

    def of(self, dossiers: Collection[UUID]) -> Known:
        """What is kept of these dossiers."""
        return {dossier: self._kept[dossier] for dossier in dossiers if dossier in self._kept}

    def keep(self, states: Iterable[tuple[UUID, int, Any]], since: int) -> None:
        """Keep what was committed (dossier, version, state), unless everything was forgotten `since`."""
        if since != self.lost:
            return
        for dossier, version, state in states:
            self._kept[dossier] = (version, state)
            self._kept.move_to_end(dossier)
        while len(self._kept) > self.limit:
            self._kept.popitem(last=False)

    def forget(self) -> None:
        """The store may be another one from now on."""
        self.lost += 1
        self._kept.clear()
