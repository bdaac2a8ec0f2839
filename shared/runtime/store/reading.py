"""Reading states for answers to HTTP: one dossier, or a list that a desk should look at."""

import base64
import re
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar
from uuid import UUID

import asyncpg

from shared.errors import Fault, Refused, Unavailable
from shared.events.base import Model
from shared.runtime.aio.deadline import DOOR_S, with_deadline
from shared.runtime.kernel.stored import read_stored
from shared.runtime.store.lost import LOST_CONNECTION

S = TypeVar("S", bound=Model)

PAGE = 200
"""So many dossiers at most in one answer, and where nobody asks for fewer."""

PageEnd = tuple[datetime, UUID]
"""Where a page ends: the limit and the id of its last dossier."""

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_CURSOR = struct.Struct(">q16s")
_LATEST = 10**16  # microseconds: the year 2286


@dataclass(frozen=True, slots=True)
class Page(Generic[S]):
    """Some of the dossiers of a list, the cursor of the page after (None: this is the last), how many the list has."""

    states: Sequence[S]
    next: str | None
    total: int


def cursor_of(place: PageEnd) -> str:
    """A place as text for a query: 32 letters, digits, hyphens and underscores."""
    microseconds = (place[0] - _BEGINNING) // timedelta(microseconds=1)
    return base64.urlsafe_b64encode(_CURSOR.pack(microseconds, place[1].bytes)).decode()


def place_of(cursor: str) -> PageEnd:
    """The place that a cursor names. Raises ValueError for what is none."""
    if not re.fullmatch(r"[A-Za-z0-9_-]{32}", cursor):
        raise ValueError("not a cursor")
    microseconds, dossier = _CURSOR.unpack(base64.urlsafe_b64decode(cursor))
    if not 0 <= microseconds <= _LATEST:
        raise ValueError("not a time")
    return _BEGINNING + timedelta(microseconds=microseconds), UUID(bytes=dossier)


def page_asked(cursor: str | None, limit: str | None) -> tuple[PageEnd, int]:
    """From where and how many, as a query says it. Raises Refused DOS-INT-015 that names what is wrong."""
    faults, start = [], (_BEGINNING, UUID(int=0))
    try:
        start = start if cursor is None else place_of(cursor)
    except ValueError:
        faults.append(Fault("/cursor", "malformed.cursor"))
    many = PAGE if limit is None else int(limit) if re.fullmatch(r"[0-9]{1,3}", limit) else 0
    if not 1 <= many <= PAGE:
        faults.append(Fault("/limit", "out-of-range.limit", (str(PAGE),)))
    if faults:
        raise Refused("DOS-INT-015", faults)
    return start, many


class StateReader(Generic[S]):
    """Reads states of type `model` from the service's own database. Raises Unavailable if it does not answer."""

    def __init__(
        self, pool: "asyncpg.Pool[asyncpg.Record]", model: type[S], readable: Callable[[], object] = lambda: None
    ) -> None:
        """`readable` raises Unavailable while the database may be an older one, restored."""
        self._pool = pool
        self._readable = readable
        self._model = model

    async def one(self, dossier_id: UUID) -> S | None:
        """The state of a dossier, None if there is none."""
        rows = await self._fetch("SELECT state FROM states WHERE dossier_id = $1", dossier_id)
        return read_stored(self._model, rows[0]["state"]) if rows else None

    async def overdue(self, unit: str, cursor: str | None, limit: str | None) -> Page[S]:
        """Dossiers of one unit whose limit passed unanswered, the oldest first. Raises Refused as `page_asked`.

        A place, not a number of rows, is gone on from: what is answered between two pages moves nothing out of sight.
        """
        return await self._page(_OVERDUE, _OVERDUE_TOTAL, unit, cursor, limit)

    async def unreached(self, unit: str, cursor: str | None, limit: str | None) -> Page[S]:
        """Dossiers of one unit whose applicant must be told otherwise, the longest waiting first; as `overdue`."""
        return await self._page(_UNREACHED, _UNREACHED_TOTAL, unit, cursor, limit)

    async def _page(self, query: str, total: str, unit: str, cursor: str | None, limit: str | None) -> Page[S]:
        start, many = page_asked(cursor, limit)
        rows = await self._fetch(query, unit, *start, many + 1)
        (counted,) = await self._fetch(total, unit)
        shown = rows[:many]
        states = [read_stored(self._model, row["state"]) for row in shown]
        more = cursor_of((shown[-1]["at"], shown[-1]["dossier_id"])) if len(rows) > many else None
        return Page(states, more, counted["total"])

    async def _fetch(self, query: str, *arguments: Any) -> Sequence[asyncpg.Record]:
        self._readable()
        try:
            return await with_deadline(self._pool.fetch(query, *arguments), DOOR_S)
        except (TimeoutError, *LOST_CONNECTION) as lost:
            raise Unavailable(f"database: {type(lost).__name__}") from lost


_OVERDUE = """SELECT dossier_id, attention_at AS at, state FROM states
    WHERE unit = $1 AND attention_at < now() AND status = 1 AND (attention_at, dossier_id) > ($2, $3)
    ORDER BY attention_at, dossier_id LIMIT $4"""
"""Status 1: registered. The limit of any later one is that of the result."""
_OVERDUE_TOTAL = "SELECT count(*) AS total FROM states WHERE unit = $1 AND attention_at < now() AND status = 1"
_UNREACHED = """SELECT u.dossier_id, u.since AS at, s.state FROM unreached u JOIN states s USING (dossier_id)
    WHERE u.unit = $1 AND (u.since, u.dossier_id) > ($2, $3) ORDER BY u.since, u.dossier_id LIMIT $4"""
_UNREACHED_TOTAL = "SELECT count(*) AS total FROM unreached WHERE unit = $1"
