"""What is wrong with a body before its content is judged: of the JSON itself (RFC 8259), and of the form of a model.

Faults point at their place (RFC 6901) and never quote a value; a name that the sender made up is cut and cleaned.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import orjson
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from shared.cleaning import BYTE_ORDER_MARK, named, placed
from shared.errors import Fault
from shared.wording import FAULTS

MAX_DEPTH = 32
MAX_FAULTS = 100
MAX_KEY = 128
IDEMPOTENCY_KEY = rf"[\x21-\x7e]{{1,{MAX_KEY}}}"
"""A proper Idempotency-Key as a whole, at the door and in files."""

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_ESCAPED_OR_RAW = re.compile(rb"\\u|\x7f|\xc2[\x80-\x9f]")  # others cannot stand in JSON unescaped
_LONGEST_NAME = 64
_NO_ASCII = re.compile(r"[^\x21-\x7e]")
"""What no pattern of ours allows, and nobody sees or tells from a letter: it is named."""

_KINDS: Mapping[str, tuple[str, str | None]] = MappingProxyType(
    {
        "extra_forbidden": ("unknown-field", None),
        "string_pattern_mismatch": ("malformed", None),
        "string_unicode": ("malformed", None),
        "string_too_long": ("too-long", "max_length"),
        "string_too_short": ("too-short", "min_length"),
        "too_long": ("too-many", "max_length"),
        "literal_error": ("unknown-value", "expected"),
        "greater_than_equal": ("out-of-range.least", "ge"),
        "less_than_equal": ("out-of-range.most", "le"),
        "timezone_aware": ("no-time-zone", None),
    }
)
"""What pydantic calls a fault → what we call it, and which limit of ours its sentence names."""


class NotJson(Exception):
    """These bytes are not JSON in UTF-8, or nested too deep: `faults` say where."""

    def __init__(self, faults: tuple[Fault, ...] = ()) -> None:
        super().__init__("not JSON in UTF-8, or nested too deep")
        self.faults = faults


class _Twice(dict[str, Any]):
    """An object that names a field twice: readers would differ about its value."""

    names: tuple[str, ...] = ()


def read_json(body: bytes) -> tuple[Any, tuple[Fault, ...]]:
    """What the body says, and what is wrong with its texts and names; a byte-order mark before it is passed over.
    Raises NotJson.
    """
    try:
        content = orjson.loads(body.removeprefix(BYTE_ORDER_MARK))
    except orjson.JSONDecodeError as error:
        raise NotJson from error
    faults = [*(_text_faults(content) if _may_hide_something(body) else ()), *_twice(body)]
    return content, tuple(sorted(faults))[:MAX_FAULTS]


def _may_hide_something(body: bytes) -> bool:
    """Whether it is worth looking at every text: most bodies have no escape, no control character, and few levels."""
    return _ESCAPED_OR_RAW.search(body) is not None or body.count(b"{") + body.count(b"[") > MAX_DEPTH


def _walk(content: Any) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Every value with its place, the whole first. Raises NotJson where it is nested too deep."""
    waiting: list[tuple[tuple[str | int, ...], Any]] = [((), content)]
    while waiting:
        place, value = waiting.pop()
        if len(place) >= MAX_DEPTH:
            raise NotJson((Fault(pointer(place), "too-deep", (str(MAX_DEPTH),)),))
        yield place, value
        if isinstance(value, dict):
            waiting += [((*place, name), inner) for name, inner in value.items()]
        elif isinstance(value, list):
            waiting += [((*place, n), inner) for n, inner in enumerate(value)]


def _text_faults(content: Any) -> Iterator[Fault]:
    """Control characters in a text or a name; tabs and line ends are none."""
    for place, value in _walk(content):
        if isinstance(value, str) and (found := _CONTROL.search(value)):
            yield Fault(pointer(place), "control-character", placed(found.start(), found[0]))
        if isinstance(value, dict) and (bad := next(filter(None, map(_CONTROL.search, value)), None)):
            yield Fault(pointer(place), "control-character.field", (named(bad[0]),))


def _twice(body: bytes) -> list[Fault]:
    """Fields that are named twice in one object: the fast reader has taken the last one without a word."""
    found: list[_Twice] = []

    def build(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) == len(pairs):
            return made
        names = [name for name, _ in pairs]
        twice = _Twice(made)
        twice.names = tuple(name for name in made if names.count(name) > 1)
        found.append(twice)
        return twice

    content = json.loads(body.removeprefix(BYTE_ORDER_MARK), object_pairs_hook=build)
    if not found:
        return []
    places = [(*place, name) for place, value in _walk(content) if isinstance(value, _Twice) for name in value.names]
    return [Fault(pointer(place), "duplicate-field") for place in places]


def form_faults(wrong: ValidationError) -> Iterator[Fault]:
    """What a model found wrong, without any value that was sent."""
    for error in wrong.errors(include_url=False):
        yield Fault(pointer(error["loc"]), *_kind(error))


def _kind(error: ErrorDetails) -> tuple[str, tuple[str, ...]]:
    """What is wrong, and what is told of it: our own limits, or the place and name of one character."""
    found, context = error["type"], error.get("ctx", {})
    if found in FAULTS:
        return found, context.get("told", ())
    if found == "string_pattern_mismatch" and (stranger := _NO_ASCII.search(error["input"])):
        return "malformed.character", placed(stranger.start(), stranger[0])
    kind, limit = _KINDS.get(found) or ("wrong-type", None)
    # Of the library's context only our own limit is told: the rest may be the value itself.
    return kind, (str(context[limit]).replace(" or ", ", "),) if limit else ()


def pointer(path: Iterable[str | int]) -> str:
    """The JSON pointer of a path; each name is cut after 64 characters and bare of control characters."""
    return "".join("/" + _name(str(step)).replace("~", "~0").replace("/", "~1") for step in path)


def _name(step: str) -> str:
    return _CONTROL.sub("\ufffd", step[:_LONGEST_NAME])
