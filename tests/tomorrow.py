"""What a later release might write: events of today with a word in one of their enums that nobody knows yet."""

import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import orjson
from pydantic import BaseModel

from shared.events.base import Event, UnknownWord
from shared.events.catalogue import WRITER
from shared.events.envelope import read_body

WORD = "word-of-tomorrow"


def said_tomorrow(event: Event) -> Iterator[tuple[str, Event]]:
    """`event` as it is heard with the unknown word in each of its enums, one after the other, and where that is."""
    for place, content in worded(type(event), event.model_dump(mode="json")):
        heard = read_body(event.TYPE, WRITER[type(event)], orjson.dumps(content))
        assert heard is not None
        yield place, heard


def worded(kind: Any, content: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Copies of the JSON value `content` of this type, each with the unknown word at another place that takes it."""
    if _is_model(kind) and isinstance(content, Mapping):
        for name, field in kind.model_fields.items():
            inner = worded(field.annotation, content.get(name), f"{place}/{name}")
            yield from ((where, {**content, name: changed}) for where, changed in inner)
    elif get_origin(kind) is tuple:
        yield from _worded_items(get_args(kind)[0], content or [], place)
    elif _is_union(kind) and UnknownWord in get_args(kind):
        yield place, WORD
    elif _is_union(kind) or get_origin(kind) is Annotated:
        yield from (found for inner in get_args(kind) for found in worded(inner, content, place))


def _worded_items(kind: Any, content: Sequence[Any], place: str) -> Iterator[tuple[str, Any]]:
    if _is_union(kind) and UnknownWord in get_args(kind):
        yield place, [*content, WORD]
        return
    for n, item in enumerate(content):
        inner = worded(kind, item, f"{place}/{n}")
        yield from ((where, [*content[:n], changed, *content[n + 1 :]]) for where, changed in inner)


def closed_enums(kind: Any, place: str, opened: bool = False) -> Iterator[str]:
    """Places inside a type where a text must be one of some words, and no other."""
    if get_origin(kind) is Literal:
        if not opened and any(isinstance(word, str) for word in get_args(kind)):
            yield place
    elif _is_model(kind):
        for name, field in kind.model_fields.items():
            yield from closed_enums(field.annotation, f"{place}.{name}")
    else:
        opened = _is_union(kind) and UnknownWord in get_args(kind)
        for inner in get_args(kind):
            yield from closed_enums(inner, place, opened)


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _is_union(kind: Any) -> bool:
    return get_origin(kind) in (Union, types.UnionType)
