"""The HTTP door: who is calling, what they sent, which key; RFC 9457 problems; the group commit behind every command.

Sources: RFC 9457 (problem details), RFC 6750 (bearer tokens), draft-ietf-httpapi-idempotency-key-header-07.
"""

import asyncio
import hmac
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal, Self, TypeVar
from uuid import UUID

import orjson
import structlog
from pydantic import BaseModel, Field, ValidationError, model_validator
from starlette.requests import Request
from starlette.responses import Response

from shared.errors import Fault, Refused, Unavailable
from shared.events.base import Actor, Model, Word
from shared.events.envelope import traceparent
from shared.forms import IDEMPOTENCY_KEY, MAX_FAULTS, MAX_KEY, NotJson, form_faults, read_json
from shared.ids import derived_id
from shared.registry import CODES
from shared.runtime.aio.clock import now
from shared.runtime.aio.deadline import DOOR_S
from shared.runtime.engine.batcher import Batcher
from shared.runtime.kernel.decider import Command, Message
from shared.runtime.kernel.message import Handled, Item
from shared.runtime.kernel.message import Request as Asked
from shared.wording import Language

M = TypeVar("M", bound=BaseModel)

MAX_BODY_BYTES = 256 * 1024
BODY_S = 10.0
"""So long a body may take to come: as long as what is in hand has when a process ends (half of the usual `DRAIN_S`)."""
COMMANDS = UUID("6f1c53f0-3f57-5f0e-9a64-1f7b5a0d7c11")
"""Namespace of command message ids: uuid5 of client|method|path|key."""

_KEY_FAULT = Fault("", "idempotency-key", (str(MAX_KEY),))


class Client(Model):
    """One client of the secrets file: a citizens' app, an importer, an officer with a unit."""

    name: Word
    role: Literal["citizen", "importer", "officer"]
    unit: Word | None = None
    rate: float | None = Field(None, gt=0, le=100_000)
    """Requests a second, if they are not those that the service grants everybody."""
    token: str = Field(min_length=16, max_length=512, pattern=r"^[\x21-\x7e]+$")

    @model_validator(mode="after")
    def _officers_have_a_unit(self) -> Self:
        if (self.role == "officer") != (self.unit is not None):
            raise ValueError("an officer has a unit, and nobody else")
        return self

    def actor(self, duty: str) -> Actor:
        """This client doing `duty`, as events name it."""
        return Actor(role=self.role, name=self.name, unit=self.unit, duty=duty)


class Clients:
    """Static bearer tokens, compared in constant time. ValueError if two clients share a name or a token."""

    def __init__(self, clients: Sequence[Client]) -> None:
        for name, values in (("name", [one.name for one in clients]), ("token", [one.token for one in clients])):
            if len(set(values)) < len(values):
                raise ValueError(f"two clients have the same {name}")
        self._by_digest = [(sha256(client.token.encode()).digest(), client) for client in clients]

    def identify(self, request: Request) -> Client:
        """Who is calling. Raises Refused DOS-SEC-001 for no or a wrong token."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        given = sha256(token.strip().encode()).digest()
        # Every entry is compared, so that the time tells nothing.
        matches = [client for digest, client in self._by_digest if hmac.compare_digest(digest, given)]
        if scheme.lower() != "bearer" or not matches:
            raise Refused("DOS-SEC-001")
        return matches[0]


@dataclass(frozen=True, slots=True)
class Body:
    """What a request says; `faults` are those of its key, texts and names, to be told with those of its content."""

    content: Any
    faults: tuple[Fault, ...] = ()


async def read_body(request: Request, seconds: float = BODY_S, keyed: bool = True) -> Body:
    """The body as JSON. Raises Refused for another content type, over 256 KiB, not here after `seconds`, not JSON,
    nested too deep; ClientDisconnect if it broke off.

    A missing key is told together with whatever else is wrong: nobody should have to ask twice. What changes nothing
    needs none (`keyed`).
    """
    keyless = () if _key_of(request) or not keyed else (_KEY_FAULT,)
    plain = request.headers.get("content-encoding", "identity").strip().lower() == "identity"
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" or not plain:
        raise Refused("DOS-INT-008", keyless)
    try:
        content, faults = read_json(await read_limited(request, seconds))
    except NotJson as error:
        raise Refused("DOS-INT-005", (*keyless, *error.faults)) from error
    except Refused as unread:
        raise Refused(unread.code, keyless) from unread
    return Body(content, (*keyless, *faults))


def _key_of(request: Request) -> str | None:
    """The request's Idempotency-Key, None without a proper one."""
    key = request.headers.get("idempotency-key", "")
    return key if re.fullmatch(IDEMPOTENCY_KEY, key) else None


async def read_limited(request: Request, seconds: float) -> bytes:
    """The body, at most 256 KiB of it. Raises Refused: DOS-INT-006 for more, DOS-INT-408 if it takes over `seconds`;
    ClientDisconnect if it broke off.
    """
    parts, size = [], 0
    try:
        async with asyncio.timeout(seconds):
            async for part in request.stream():
                size += len(part)
                if size > MAX_BODY_BYTES:
                    raise Refused("DOS-INT-006")
                parts.append(part)
    except TimeoutError as stalled:
        raise Refused("DOS-INT-408") from stalled
    return b"".join(parts)


More = Callable[[Any, ValidationError | None], Iterable[Fault]]
"""What else is wrong with a content, beside the form that a model found wrong with it."""


def parse(model: type[M], body: Body, more: More = lambda content, wrong: ()) -> M:
    """The body as `model`, nothing converted. Raises Refused DOS-INT-001 that lists every fault at once, without the
    offending values.
    """
    try:
        parsed = model.model_validate_json(orjson.dumps(body.content), strict=True)
    except ValidationError as wrong:
        raise refusal([*form_faults(wrong), *more(body.content, wrong), *body.faults]) from wrong
    faults = [*more(body.content, None), *body.faults]
    if faults:
        raise refusal(faults)
    return parsed


def refusal(faults: Iterable[Fault]) -> Refused:
    """All of these faults, once each, sorted by place; a missing key alone has a code of its own."""
    found = sorted(set(faults))[:MAX_FAULTS]
    return Refused("DOS-INT-002" if found == [_KEY_FAULT] else "DOS-INT-001", found)


@dataclass
class Door:
    """Turns HTTP requests into commands and answers. `hmac_key` keys the digest of bodies kept with idempotency
    keys.
    """

    commands: Batcher
    hmac_key: bytes

    def asked(
        self, request: Request, client: Client, content: Any, status: int, answer: Callable[[Any], Mapping[str, Any]]
    ) -> Asked:
        """The request under its idempotency key. Raises Refused DOS-INT-002 without a proper one."""
        key = _key_of(request)
        if key is None:
            raise refusal([_KEY_FAULT])
        body = hmac.new(self.hmac_key, orjson.dumps(content, option=orjson.OPT_SORT_KEYS), sha256).digest()
        return Asked(client.name, request.method, request.scope["path"], key, body, status, answer)

    async def command(self, asked: Asked, dossier_id: UUID, command: Command, request: Request) -> Response:
        """Commit a command and answer. Raises Refused and Unavailable as the engine found, and Unavailable after
        DOOR_S: what became of it then, a repetition with the same key is told.
        """
        item = Item(
            message=Message(message_id(asked), dossier_id, now(), command),
            request=asked,
            dossier_id=dossier_id,
            traceparent=traceparent(request.headers.get("traceparent", "")),
        )
        request.state.about = item.named
        structlog.contextvars.bind_contextvars(**request.state.about)
        try:
            async with asyncio.timeout(DOOR_S):
                return answer_of(await self.commands.submit(item))
        except TimeoutError as late:
            raise Unavailable(f"no answer from the database within {DOOR_S:g} s") from late


def message_id(asked: Asked) -> UUID:
    """Id of a command's message: the same for every repetition of the request."""
    return derived_id(COMMANDS, "|".join(asked.identity))


def answer_of(handled: Handled) -> Response:
    """The stored answer as a response, the same to the byte each time. Raises what the engine found wrong."""
    if handled.error is not None:
        raise handled.error
    return json_response(handled.answer or {}, handled.status)


def json_response(content: Any, status: int = 200) -> Response:
    """`content` as JSON; never cached, for it is about a person's dossier."""
    # Sorted, for the database gives a stored answer back in an order of its own.
    body = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
    return Response(body, status, {"cache-control": "no-store"}, "application/json")


def problem(refused: Refused, trace_id: str, language: Language) -> Response:
    """An RFC 9457 problem in one language. `instance` names the request, not its address: that may hold what was sent.
    `detail` says what to do.
    """
    entry, code = CODES[refused.code], refused.code
    status = entry.status or 500
    body = {
        "type": f"urn:dossier:problem:{code}",
        "title": entry.title.say(language),
        "status": status,
        "detail": entry.action.say(language),
        "instance": f"urn:uuid:{UUID(trace_id)}",
        "code": code,
        "trace_id": trace_id,
        "errors": [
            {"pointer": fault.pointer, "code": fault.code, "detail": fault.said(language)} for fault in refused.faults
        ],
        **refused.facts,
    }
    headers = {"content-language": language, "vary": "Accept-Language"}
    headers |= {"retry-after": "2"} if status == 503 else {}
    headers |= {"retry-after": str(refused.facts["retry_after_s"])} if status == 429 else {}
    headers |= {"www-authenticate": "Bearer"} if status == 401 else {}
    headers |= {"connection": "close"} if status == 408 else {}
    return Response(orjson.dumps(body), status, headers, "application/problem+json")
