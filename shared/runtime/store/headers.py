"""Headers of a record as rows keep them: every name and content, in wire order, repeats kept."""

import json
from collections.abc import Sequence
from typing import Any

import orjson

Headers = Sequence[tuple[str, bytes | None]]
"""As read: a name's bytes that are no UTF-8 stand in it as halves of surrogate pairs (PEP 383)."""


def name_bytes(name: str) -> bytes:
    """A header's name as it came."""
    return name.encode("utf-8", "surrogateescape")


def headers_json(headers: Headers) -> str:
    """Headers as a JSON list of [name, hexadecimal], in wire order; null for a header without a value."""
    pairs = [[name, None if content is None else content.hex()] for name, content in headers]
    try:
        return orjson.dumps(pairs).decode()
    except TypeError:  # a name that is not UTF-8, for which orjson is too strict
        return json.dumps(pairs)


def headers_of(text: str) -> tuple[tuple[str, bytes | None], ...]:
    """The inverse of `headers_json`."""
    return tuple((name, None if content is None else bytes.fromhex(content)) for name, content in _pairs(text))


def _pairs(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return json.loads(text)
