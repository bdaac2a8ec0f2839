"""Views: what people or machines may ask across subjects. A pure function draws a row from each state."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from shared.events.base import DOSSIER


@dataclass(frozen=True, slots=True)
class View:
    """A table of the service's own migrations, by its `name`. `row` draws a state's columns, None where it has no row;
    the column `dossier_id` is added. What a row says is text, numbers, times (UTC), bytes in hex, null. `kind`: of the
    subjects whose states it is drawn from.
    """

    name: str
    row: Callable[[Any], Mapping[str, Any] | None]
    kind: str = DOSSIER


@dataclass(frozen=True, slots=True)
class Query:
    """A named question to a view: those rows in which these columns are `equal` to what is asked for, by a column of
    times (`order`), the earliest first; a row without that time is not among them. `passed`: only if that is over.
    `by_digest`: a keyed digest is asked for besides, as the last; found are dossiers that have it.
    """

    name: str
    view: str
    equal: tuple[str, ...]
    order: str
    passed: bool = False
    by_digest: bool = False


@dataclass(frozen=True, slots=True)
class Figure:
    """What a gauge (by its name in `Metrics`) tells of a view: how many rows there are; or, of a column of times, the
    `oldest` (seconds since 1970, 0 of none). `passed`: of rows whose time in this column is over. `by`: a number for
    each content of this column, which is the gauge's label; `always`: for these even where there is none.
    """

    gauge: str
    view: str
    oldest: str | None = None
    passed: str | None = None
    by: str | None = None
    always: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class ViewWrite:
    """A row (JSON text) that takes the place of the dossier's row in a view; None takes that away."""

    view: str
    dossier_id: UUID
    row: str | None


def changes(views: Sequence[View], dossier_id: UUID, kind: str, before: Any, now: Any) -> Iterator[ViewWrite]:
    """What a state that was `before` and is `now` changes in the views; all its rows if `before` is None. `kind`: of
    the subject, whose id is `dossier_id`.
    """
    for view in (one for one in views if one.kind == kind):
        row = view.row(now)
        if before is None or row != view.row(before):
            yield ViewWrite(view.name, dossier_id, None if row is None else _text(dossier_id, row))


def _text(dossier_id: UUID, row: Mapping[str, Any]) -> str:
    return orjson.dumps({"dossier_id": str(dossier_id), **row}).decode()
