"""One request to an application without a server or a network: what it answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.types import ASGIApp, Message, Receive
from starlette.types import Scope as AsgiScope


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers (names in small letters) and content of an answer, read if it is JSON."""

    status: int
    headers: Mapping[str, str]
    content: Any


async def ask(
    app: ASGIApp, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes = b"", query: str = "",
    receive: Receive | None = None,
) -> Answer:  # fmt: skip
    """The answer to one request; `receive` tells how its body comes, if not at once and whole."""
    fields = {"host": "desk", **(headers or {})}
    scope: AsgiScope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http", "method": method,
        "path": path, "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in fields.items()],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
    }  # fmt: skip
    said: list[Message] = []

    async def at_once() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        said.append(message)

    await app(scope, receive or at_once, send)
    told = {name.decode(): value.decode() for name, value in said[0]["headers"]}
    content = b"".join(message.get("body", b"") for message in said[1:])
    return Answer(
        said[0]["status"], told, orjson.loads(content) if "json" in told.get("content-type", "") else content or None
    )
