"""Key rings without a database, for the tasks that open personal data: the key is here, not yet here, or destroyed."""

from typing import Any, cast
from uuid import UUID

from shared.errors import KeyDestroyed, KeyNotHere
from shared.runtime.keys.keyring import KeyRing
from shared.runtime.keys.sealing import Kek, seal
from tests.controls import DOSSIER

KEY = bytes(range(32))


class Ring(KeyRing):
    """One key for every dossier, or the failure that stands in its place."""

    def __init__(self, instead: Exception | None = None) -> None:
        super().__init__(cast(Any, None), Kek(bytes(32)))
        object.__setattr__(self, "instead", instead)

    async def data_key(self, dossier_id: UUID) -> bytes:
        instead: Exception | None = getattr(self, "instead", None)
        if instead is not None:
            raise instead
        return KEY


HERE = Ring()
NOT_YET = Ring(KeyNotHere("not yet"))
DESTROYED = Ring(KeyDestroyed("destroyed"))


def sealed_field(field: str, text: str) -> str:
    """`text` under the key that `HERE` holds."""
    return seal(KEY, DOSSIER, field, text)
