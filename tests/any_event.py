"""Any content that a JSON Schema of ours allows: what a writer of that version may have said."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from hypothesis import strategies as st

LONGEST = 80
"""So much of a text that may be longer is enough."""


def valid(schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    """JSON values that fit `schema`, of the vocabulary that our events' schemas use."""
    return _valid(schema, schema.get("$defs", {}))


def _valid(part: Mapping[str, Any], known: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    if "$ref" in part:
        return _valid(known[part["$ref"].rpartition("/")[2]], known)
    if "anyOf" in part:
        return st.one_of([_valid(one, known) for one in part["anyOf"]])
    if "const" in part or "enum" in part:
        return st.sampled_from([part["const"]] if "const" in part else part["enum"])
    return _OF_TYPE[part["type"]](part, known)


def _object(part: Mapping[str, Any], known: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    fields = {name: _valid(one, known) for name, one in part.get("properties", {}).items()}
    required = {name: fields.pop(name) for name in part.get("required", ())}
    return st.fixed_dictionaries(required, optional=fields)


def _array(part: Mapping[str, Any], known: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    return st.lists(_valid(part["items"], known), min_size=part.get("minItems", 0), max_size=4)


def _integer(part: Mapping[str, Any], known: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    return st.integers(part.get("minimum", -(2**53)), part.get("maximum", 2**53))


def _string(part: Mapping[str, Any], known: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    if "pattern" in part:
        return st.from_regex(part["pattern"].replace("16384", str(LONGEST)), fullmatch=True)
    match part.get("format"):
        case "uuid":
            return st.uuids().map(str)
        case "date-time":
            return st.builds(_instant, st.datetimes(datetime(1900, 1, 1), datetime(2199, 1, 1)), st.integers(-840, 840))
        case "date":
            return st.dates().map(str)
    return st.text(st.characters(codec="utf-8"), max_size=min(part.get("maxLength", LONGEST), LONGEST))


def _instant(at: datetime, offset_min: int) -> str:
    """RFC 3339: an offset has no seconds."""
    return at.replace(tzinfo=timezone(timedelta(minutes=offset_min))).isoformat()


_OF_TYPE: Mapping[str, Callable[..., st.SearchStrategy[Any]]] = {
    "object": _object, "array": _array, "integer": _integer, "string": _string,
    "boolean": lambda part, known: st.booleans(), "null": lambda part, known: st.none(),
}  # fmt: skip
