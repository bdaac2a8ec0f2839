"""Views: what people or machines may ask across dossiers. A pure function draws a row from each state."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson


@dataclass(frozen=True, slots=True)
class View:
    """A table of the service's own migrations, by its `name`. `row` draws a state's columns, None where it has no row;
    the column `dossier_id` is added. What a row says is text, numbers, times (UTC), bytes in hex, null.
    """

    name: str
    row: Callable[[Any], Mapping[str, Any] | None]


@dataclass(frozen=True, slots=True)
class ViewWrite:
    """A row (JSON text) that takes the place of the dossier's row in a view; None takes that away."""

    view: str
    dossier_id: UUID
    row: str | None


def changes(views: Sequence[View], dossier_id: UUID, before: Any, now: Any) -> Iterator[ViewWrite]:
    """What a state that was `before` and is `now` changes in the views; all its rows if `before` is None."""
    for view in views:
        row = view.row(now)
        if before is None or row != view.row(before):
            yield ViewWrite(view.name, dossier_id, None if row is None else _text(dossier_id, row))


def _text(dossier_id: UUID, row: Mapping[str, Any]) -> str:
    return orjson.dumps({"dossier_id": str(dossier_id), **row}).decode()
