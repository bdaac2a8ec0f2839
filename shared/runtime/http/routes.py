"""A route of a door: its function, the UUIDs of its path, and what it takes and answers, for whoever reads the
reference.
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from shared.errors import Refused

Json = dict[str, Any]
Answer = Callable[..., Awaitable[Response]]
"""What answers a request: takes it, and the UUIDs of its path by name."""

_UUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


@dataclass(frozen=True)
class Operation:
    """What one route takes and answers. `about`: more than its summary; `roles`: whose token it needs, nobody's if
    empty; `query`: its parameters, as OpenAPI has them; `refused`: codes beside those of every route of its kind;
    `hidden`: fields of the body's model that belong to files; `example`: of a body. `reads`: it has a body only because
    what is asked for may stand in no address; it changes nothing, and needs no Idempotency-Key.
    """

    summary: str
    answer: type[BaseModel]
    status: int = 200
    body: type[BaseModel] | None = None
    roles: tuple[str, ...] = ()
    query: Sequence[Json] = ()
    refused: tuple[str, ...] = ()
    hidden: frozenset[str] = frozenset()
    example: Json | None = None
    about: str = ""
    reads: bool = False


class DoorRoute(Route):
    """POST for what has a body, GET for what has none; never HEAD, which would be an act without its answer."""

    def __init__(self, path: str, answer: Answer, operation: Operation, tag: str, name: str | None = None) -> None:
        self.operation, self.tag, self._answer = operation, tag, answer
        super().__init__(path, self._answered, name=name or getattr(answer, "__name__", path))
        self.methods = {"POST" if operation.body else "GET"}

    async def _answered(self, request: Request) -> Response:
        """A path that names no UUID is answered as one that there is not; one that names it in capitals (RFC 9562, 4:
        they are read, and never written) is the same path.
        """
        if not all(_UUID.fullmatch(text) for text in request.path_params.values()):
            raise Refused("DOS-INT-404")
        named = {name: UUID(text) for name, text in request.path_params.items()}
        request.scope["path"] = self.path_format.format_map(named)
        return await self._answer(request, **named)
