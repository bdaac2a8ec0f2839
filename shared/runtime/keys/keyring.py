"""Data keys of dossiers, and the three cases a task meets: here, not yet, destroyed."""

import asyncio
import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import asyncpg
import structlog

from shared.errors import KekNotHere, KeyDestroyed, KeyNotHere, Misconfigured, Unavailable
from shared.runtime.aio.coalesce import Coalesced
from shared.runtime.aio.deadline import DOOR_S, with_deadline
from shared.runtime.kernel.message import WrappedKey
from shared.runtime.keys.rewrapping import keks_in_use
from shared.runtime.keys.sealing import Kek, Keks, seal, unseal
from shared.runtime.store.lost import LOST_CONNECTION

log = structlog.get_logger(__name__)


@dataclass
class KeyRing:
    """Opens and seals fields of dossiers whose keys this service holds.

    A key and its dossier's first event come by two ways; where this process hears keys, `patience_s` seconds are waited
    for one that is a moment late, before its task is put back.
    """

    pool: "asyncpg.Pool[asyncpg.Record]"
    kek: Kek | Keks
    patience_s: float = 0.0
    _awaited: dict[UUID, asyncio.Event] = field(default_factory=dict)
    _rows: "Coalesced[UUID, asyncpg.Record]" = field(init=False)

    def __post_init__(self) -> None:
        self._rows = Coalesced(self._of)

    async def check(self, hears: bool = False) -> None:
        """Open one stored key of each key-encryption key: with another one the service must not start. Raises
        Misconfigured.

        Nor without one that is still needed, save where keys are heard (`hears`): what is on the topic may replace the
        stored ones, and until then their tasks wait.
        """
        for name in await keks_in_use(self.pool):
            row = await self.pool.fetchrow(_ONE_UNDER, name)
            try:
                if row is not None:
                    self.kek.unwrap(WrappedKey(*row))
            except KekNotHere as missing:
                if not hears:
                    raise Misconfigured(f"data keys lie under {name}, which is not in secret kek") from missing
                log.warning("keys-under-a-missing-kek", why=name)

    def arrived(self, dossiers: Iterable[UUID]) -> None:
        """These keys have been stored: wake who waits for them."""
        for dossier_id in dossiers:
            event = self._awaited.pop(dossier_id, None)
            if event is not None:
                event.set()

    async def data_key(self, dossier_id: UUID) -> bytes:
        """The dossier's key. Raises KeyNotHere while it has not come or cannot be unwrapped here, KeyDestroyed once it
        is gone for good.
        """
        row = await self._row(dossier_id) or await self._row_soon(dossier_id)
        if row is None:
            raise KeyNotHere(f"the data key of dossier {dossier_id} has not come yet")
        if row["destroyed_at"] is not None:
            raise KeyDestroyed(f"the data key of dossier {dossier_id} was destroyed")
        return self.kek.unwrap(WrappedKey(dossier_id, row["kek_id"], row["wrapped"]))

    async def _row(self, dossier_id: UUID) -> asyncpg.Record | None:
        return await self._rows.one(dossier_id)

    async def _of(self, dossiers: Sequence[UUID]) -> Mapping[UUID, asyncpg.Record]:
        try:
            rows = await with_deadline(self.pool.fetch(_KEYS, dossiers), DOOR_S)
        except (TimeoutError, *LOST_CONNECTION) as lost:
            raise Unavailable(f"database: {type(lost).__name__}") from lost
        return {row["dossier_id"]: row for row in rows}

    async def _row_soon(self, dossier_id: UUID) -> asyncpg.Record | None:
        if not self.patience_s:
            return None
        event = self._awaited.setdefault(dossier_id, asyncio.Event())
        try:
            # Asked again after saying that we wait: the key may have come in between.
            row = await self._row(dossier_id)
            if row is None:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self.patience_s):
                        await event.wait()
                row = await self._row(dossier_id)
            return row
        finally:
            self._awaited.pop(dossier_id, None)

    async def open(self, dossier_id: UUID, sealed: Mapping[str, str]) -> dict[str, str]:
        """Clear texts of sealed fields, by field name. Raises as `data_key`, and ValueError on an altered field."""
        key = await self.data_key(dossier_id)
        return {field: unseal(key, dossier_id, field, text) for field, text in sealed.items()}

    async def seal(self, dossier_id: UUID, clear: Mapping[str, str]) -> dict[str, str]:
        """Sealed texts of clear fields, by field name. Raises as `data_key`."""
        key = await self.data_key(dossier_id)
        return {field: seal(key, dossier_id, field, text) for field, text in clear.items()}


_KEYS = "SELECT dossier_id, kek_id, wrapped, destroyed_at FROM data_keys WHERE dossier_id = ANY($1::uuid[])"
_ONE_UNDER = "SELECT dossier_id, kek_id, wrapped FROM data_keys WHERE kek_id = $1 AND wrapped IS NOT NULL LIMIT 1"
