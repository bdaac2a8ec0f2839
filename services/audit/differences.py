"""What can be wrong at a position: one row against the other, and what a set of differing rows amounts to. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any
from uuid import UUID

import orjson

from services.audit.reading import told_name
from shared.runtime.store.headers import headers_of

Place = tuple[int, int]
"""Shard and position."""

_CAUSE = "ce_causationid"
KEYS_TOPIC = "keys"
"""Stands for the writer in findings about data keys; the shard is then a partition, the sequence 0."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong at positions `first` to `last` of a shard; `detail` names headers or places only."""

    writer: str
    shard: int
    first: int
    last: int
    what: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Difference:
    """Two rows of the same position that differ: ids, digests of the values, and the parts that are not equal."""

    place: Place
    stored_id: UUID
    trail_id: UUID
    stored_value: bytes
    trail_value: bytes
    parts: tuple[str, ...]


def stored_headers(stored: Any) -> dict[str, Any]:
    """The headers in the writer's row; none where somebody has put something else in their place."""
    try:
        headers = orjson.loads(stored["headers"])
    except orjson.JSONDecodeError:  # the database takes deeper nesting and greater numbers
        return {}
    return headers if isinstance(headers, dict) else {}


def unequal(stored: Any, told: Any) -> Iterator[str]:
    """Names of the parts in which a stored event and its record differ."""
    ours = {name: text for name, text in stored_headers(stored).items() if told_name(name)}
    theirs = {name: (content or b"").decode("utf-8", "replace") for name, content in headers_of(told["headers"])}
    theirs = {name: text for name, text in theirs.items() if told_name(name)}
    names = sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name))
    yield from (f"header {name if name.isprintable() else ascii(name)}" for name in names)
    if stored["data"] != told["value"]:
        yield "value"
    if str(stored["dossier_id"]).encode() != told["key"]:
        yield "key"
    yield from (f"column {name}" for name in ("event_id", "type", "dossier_id") if stored[name] != told[name])
    # By this column a writer knows what it has answered already. A header that is not there is named as such above.
    cause = theirs.get(_CAUSE)
    if cause is not None and cause != str(stored["caused_by"]):
        yield "column caused_by"


def difference(place: Place, stored: Any, told: Any, parts: tuple[str, ...]) -> Difference:
    """Both rows of one position, cut down to what tells a swap from a change."""
    values = sha256(stored["data"]).digest(), sha256(told["value"] or b"").digest()
    return Difference(place, stored["event_id"], told["event_id"], *values, parts)


def tell_apart(writer: str, differences: list[Difference]) -> Iterator[Finding]:
    """Swapped, moved, added or altered: by where else the same event, or the same value, stands."""
    told = {one.trail_id: one for one in differences}
    stored = {one.stored_id for one in differences}
    values = {one.trail_value: one for one in differences}
    for one in differences:
        what, detail = _kind(one, told.get(one.stored_id), values.get(one.stored_value), one.trail_id in stored)
        yield Finding(writer, *one.place, one.place[1], what, detail or ", ".join(one.parts))


def _kind(one: Difference, home: Difference | None, source: Difference | None, elsewhere: bool) -> tuple[str, str]:
    if one.stored_id == one.trail_id:
        if source is not None and source is not one and source.stored_value == one.trail_value:
            return "swapped", f"value of {_name(source.place)}"
        return f"altered {'value' if 'value' in one.parts else one.parts[0].partition(' ')[0]}", ""
    if home is not None:
        return ("swapped" if home.stored_id == one.trail_id else "moved"), f"holds the event of {_name(home.place)}"
    if elsewhere:
        return "added to the store", "what stood here was moved"
    return "replaced", ""


def _name(place: Place) -> str:
    return f"shard {place[0]} position {place[1]}"


def merged(findings: list[Finding]) -> Iterator[Finding]:
    """The same thing at neighbouring positions as one finding."""
    run: Finding | None = None
    for one in sorted(findings, key=lambda one: (one.shard, one.what, one.detail, one.first)):
        if run is not None and (one.shard, one.what, one.detail) == (run.shard, run.what, run.detail) \
                and one.first == run.last + 1:  # fmt: skip
            run = replace(run, last=one.last)
            continue
        if run is not None:
            yield run
        run = one
    if run is not None:
        yield run
