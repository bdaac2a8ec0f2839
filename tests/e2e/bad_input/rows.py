"""What a row of the table of bad requests says, and how it becomes a request."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.e2e.bad_input.answers import FAULTS
from tests.e2e.bad_input.applications import GOOD, but, encoded, texts_in
from tests.e2e.bad_input.wire import Request

SUBMIT = "/v1/dossiers"
JSON = "application/json"
OWN = "its own"
"""Instead of a key: a key that no other row uses."""

TELLING = 6
"""A text of fewer characters may stand in a problem by chance."""

_OURS = frozenset({"direct", "online", "postal", "counter", "standard", "application/pdf", "application-form"})
"""Words of the contract: that they stand in a problem tells nothing of what was sent."""


@dataclass(frozen=True, slots=True)
class Row:
    """One bad request and its answer.

    `faults` are written `<pointer> <code>`, and are all that may be listed. `client` is a name of the clients' file, or
    None for no token. `path` may name a dossier of the scene as `{registered}`. `marks` were sent beside the body.
    `possible` are the steps that the problem must name, if any are said.
    """

    name: str
    status: int
    code: str
    faults: tuple[str, ...] = ()
    body: Any = field(default_factory=lambda: GOOD)
    client: str | None = "citizen-app-a"
    method: str = "POST"
    path: str = SUBMIT
    key: str | None = OWN
    headers: Mapping[str, str] = field(default_factory=dict)
    chunked: bool = False
    marks: tuple[str, ...] = ()
    possible: tuple[str, ...] | None = None

    def request(self, tokens: Mapping[str, str], dossiers: Mapping[str, str]) -> Request:
        """The request on the wire."""
        headers = {"content-type": JSON}
        if self.client is not None:
            headers["authorization"] = f"Bearer {tokens[self.client]}"
        if self.key is not None:
            headers["idempotency-key"] = self.name.replace(" ", "-") if self.key == OWN else self.key
        headers |= self.headers
        path = self.path.format(**dossiers) if "{" in self.path else self.path
        kept = {name: value for name, value in headers.items() if value}
        return Request(self.method, path, kept, self.bytes(), self.chunked)

    def bytes(self) -> bytes:
        """The body: bytes as they are, anything else as JSON."""
        return self.body if isinstance(self.body, bytes) else encoded(self.body)

    def sent(self) -> set[str]:
        """Texts of this request that may stand in no answer and no log."""
        return {*self.marks, *(text for text in _texts(self.bytes()) if len(text) >= TELLING and text not in _OURS)}


def _texts(body: bytes) -> list[str]:
    try:
        return list(texts_in(json.loads(body)))
    except (ValueError, RecursionError):
        return []


def wrong(name: str, pointer: str, value: object, *codes: str) -> Row:
    """An application with one wrong value."""
    return Row(name, *FAULTS, tuple(f"{pointer} {code}" for code in codes), but({pointer: value}))


def act(name: str, dossier: str) -> str:
    """The path of an officer's act."""
    return f"{SUBMIT}/{{{dossier}}}/{name}"
