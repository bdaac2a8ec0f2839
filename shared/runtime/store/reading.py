"""Reading for answers to HTTP: one dossier's state, or a page of what a view has."""

import base64
import re
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Generic, TypeVar
from uuid import UUID

import asyncpg

from shared.errors import Fault, Refused, Unavailable
from shared.events.base import Model
from shared.runtime.aio.deadline import DOOR_S, with_deadline
from shared.runtime.kernel.stored import read_stored
from shared.runtime.kernel.view import Query
from shared.runtime.store.lost import LOST_CONNECTION

S = TypeVar("S", bound=Model)
R = TypeVar("R")

PAGE = 200
"""So many dossiers at most in one answer, and where nobody asks for fewer."""

PageEnd = tuple[datetime, UUID]
"""Where a page ends: the time and the id of its last dossier."""

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_CURSOR = struct.Struct(">q16s")
_LATEST = 10**16  # microseconds: the year 2286


@dataclass(frozen=True, slots=True)
class Page(Generic[R]):
    """Some of the rows of a list, the cursor of the page after (None: this is the last), how many the list has."""

    rows: Sequence[R]
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

    async def states(self, query: Query, asked: Sequence[Any], cursor: str | None, limit: str | None) -> Page[S]:
        """States of the dossiers in a view that a query finds, by what is `asked` for in its columns; with what is
        shown of them in one moment. Raises Refused as `page_asked`.

        A place, not a number of rows, is gone on from: what is answered between two pages moves nothing out of sight.
        """
        found = await self._page(_listed(query), query, asked, cursor, limit)
        return replace(found, rows=[read_stored(self._model, row["state"]) for row in found.rows])

    async def rows(
        self, query: Query, asked: Sequence[Any], cursor: str | None, limit: str | None
    ) -> Page[Mapping[str, Any]]:
        """The rows of the view themselves; as `states`."""
        found = await self._page(_drawn(query), query, asked, cursor, limit)
        return replace(found, rows=[dict(row) for row in found.rows])

    async def _page(
        self, listing: str, query: Query, asked: Sequence[Any], cursor: str | None, limit: str | None
    ) -> Page[Any]:
        start, many = page_asked(cursor, limit)
        rows = await self._fetch(listing, *asked, *start, many + 1)
        (counted,) = await self._fetch(_total(query), *asked)
        more = cursor_of((rows[many - 1]["at"], rows[many - 1]["dossier_id"])) if len(rows) > many else None
        return Page(rows[:many], more, counted["total"])

    async def _fetch(self, query: str, *arguments: Any) -> Sequence[asyncpg.Record]:
        self._readable()
        try:
            return await with_deadline(self._pool.fetch(query, *arguments), DOOR_S)
        except (TimeoutError, *LOST_CONNECTION) as lost:
            raise Unavailable(f"database: {type(lost).__name__}") from lost


def _where(query: Query) -> str:
    """Whom a query finds; the names in it are those of a service's own table."""
    asked = [f"v.{column} = ${n}" for n, column in enumerate(query.equal, 1)]
    if query.by_digest:
        asked.append(f"v.dossier_id IN (SELECT dossier_id FROM digests WHERE digest = ${len(asked) + 1})")  # noqa: S608
    return " AND ".join([*asked, f"v.{query.order} " + ("< now()" if query.passed else "IS NOT NULL")])


def _place(query: Query) -> str:
    first = len(query.equal) + 1 + query.by_digest
    after = f"(v.{query.order}, v.dossier_id) > (${first}, ${first + 1})"
    return f"{_where(query)} AND {after} ORDER BY v.{query.order}, v.dossier_id LIMIT ${first + 2}"


@cache
def _drawn(query: Query) -> str:
    return f"SELECT v.*, v.{query.order} AS at FROM {query.view} v WHERE {_place(query)}"  # noqa: S608 - see `_where`


@cache
def _listed(query: Query) -> str:
    return f"""SELECT v.dossier_id, v.{query.order} AS at, s.state FROM {query.view} v JOIN states s USING (dossier_id)
        WHERE {_place(query)}"""  # noqa: S608


@cache
def _total(query: Query) -> str:
    return f"SELECT count(*) AS total FROM {query.view} v WHERE {_where(query)}"  # noqa: S608
