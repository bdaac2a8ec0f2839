"""What a door takes and answers, in OpenAPI 3.1, drawn from the routes and the models that check them; and a page that
shows it without any script.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from shared.forms import IDEMPOTENCY_KEY
from shared.registry import CODES
from shared.runtime.http.door import json_response
from shared.runtime.http.reference import CSP, page
from shared.runtime.http.routes import DoorRoute, Json, Operation

EVERY = ("DOS-INT-400", "DOS-INT-414", "DOS-INT-429", "DOS-INT-431", "DOS-INT-500", "DOS-INT-503")
BODIED = (
    "DOS-INT-001", "DOS-INT-002", "DOS-INT-003", "DOS-INT-005", "DOS-INT-006", "DOS-INT-007", "DOS-INT-008",
    "DOS-INT-408", "DOS-INT-504",
)  # fmt: skip
READING = tuple(code for code in BODIED if code not in ("DOS-INT-002", "DOS-INT-003", "DOS-INT-504"))
"""Of a body that comes without a key."""
SECURED = ("DOS-SEC-001", "DOS-SEC-003")
NAMED = ("DOS-INT-404", "DOS-SEC-002")
_SCHEMA = "#/components/schemas/{model}"


def document(title: str, routes: Iterable[object]) -> Json:
    """The document of a door, of those of its routes that have an operation."""
    told = [route for route in routes if isinstance(route, DoorRoute)]
    paths: defaultdict[str, Json] = defaultdict(dict)
    for route in told:
        for method in route.methods or ():
            paths[route.path_format][method.lower()] = _operation(route, route.operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": "1", "description": _ABOUT},
        "servers": [{"url": "/"}],
        "paths": dict(paths),
        "components": {
            "schemas": {**_schemas([route.operation for route in told]), "Problem": _PROBLEM},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": _TOKEN}},
        },
    }


def _operation(route: DoorRoute, operation: Operation) -> Json:
    parts = [part[1:-1] for part in route.path_format.split("/") if part.startswith("{")]
    parameters = [{**_ID, "name": part} for part in parts] + [*operation.query]
    said: Json = {
        "summary": operation.summary,
        "operationId": route.name,
        "tags": [route.tag],
        "parameters": parameters + ([_KEY] if operation.body and not operation.reads else []),
        "responses": {str(operation.status): _answer(operation), **_refusals(operation, bool(parts))},
        "security": [{"token": []}] if operation.roles else [],
    }
    told = [
        operation.about, f"For: {', '.join(operation.roles)}." if operation.roles else "",
        _READS if operation.reads else "",
    ]  # fmt: skip
    if any(told):
        said["description"] = " ".join(text for text in told if text)
    if operation.body:
        content: Json = {"schema": _reference(operation.body)}
        said["requestBody"] = {"required": True, "content": {"application/json": content}}
        if operation.example is not None:
            content["example"] = operation.example
    return said


def _answer(operation: Operation) -> Json:
    content = {"application/json": {"schema": _reference(operation.answer)}}
    return {
        "description": "done, or done already under this key"
        if operation.body and not operation.reads
        else "the answer",
        "content": content,
    }


def _refusals(operation: Operation, named: bool) -> Json:
    """Status → the codes that come with it."""
    bodied = READING if operation.reads else BODIED if operation.body else ()
    codes = {*EVERY, *operation.refused, *bodied, *(NAMED if named else ())}
    by_status: defaultdict[int, list[str]] = defaultdict(list)
    for code in sorted(codes | {*(SECURED if operation.roles else ())}):
        by_status[CODES[code].status or 500].append(code)
    return {str(status): _problem(status, codes) for status, codes in sorted(by_status.items())}


def _problem(status: int, codes: Sequence[str]) -> Json:
    said = "; ".join(f"{code}: {CODES[code].title.en}" for code in codes)
    told: Json = {
        "description": said,
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    if status in (429, 503):
        told["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "seconds"}}
    if status == 401:
        told["headers"] = {"WWW-Authenticate": {"schema": {"const": "Bearer"}}}
    return told


def _reference(model: type[BaseModel]) -> Json:
    return {"$ref": _SCHEMA.format(model=model.__name__)}


def _schemas(operations: Sequence[Operation]) -> Json:
    models = {operation.answer for operation in operations} | {one.body for one in operations if one.body}
    ordered = sorted(models, key=lambda model: model.__name__)
    _, told = models_json_schema([(model, "validation") for model in ordered], ref_template=_SCHEMA)
    schemas: Json = told.get("$defs", {})
    for operation in operations:
        for name in operation.hidden if operation.body else ():
            schemas[operation.body.__name__ if operation.body else ""]["properties"].pop(name, None)
    return dict(sorted(schemas.items()))


def publish(app: Starlette, title: str) -> None:
    """Serve the document at /openapi.json and the page at /docs, both from memory and for everybody to read."""
    told = document(title, app.routes)
    shown = page(told)

    async def openapi(request: Request) -> Response:
        return json_response(told)

    async def docs(request: Request) -> Response:
        return HTMLResponse(shown, headers={"content-security-policy": CSP, "x-content-type-options": "nosniff"})

    served: Mapping[str, Callable[[Request], Any]] = {"/openapi.json": openapi, "/docs": docs}
    for path, answer in served.items():
        app.router.add_route(path, answer, methods=["GET"])


_ABOUT = (
    "Every fault is an RFC 9457 problem with a code; all faults of a request are told at once. "
    "Each POST but one that only reads needs an Idempotency-Key: the same key and body get the first answer again, "
    "whatever has happened since."
)
_READS = (
    "It changes nothing, and needs no Idempotency-Key: a POST so that what is asked for stands in no address or log."
)
_TOKEN = "A static token of the clients' file. `Authorization` may be sent once."  # noqa: S105 - a sentence
_ID: Json = {
    "in": "path", "required": True, "schema": {"type": "string", "format": "uuid"},
    "description": "the dossier's id, in small letters",
}  # fmt: skip
_KEY: Json = {
    "name": "Idempotency-Key", "in": "header", "required": True,
    "schema": {"type": "string", "pattern": f"^{IDEMPOTENCY_KEY}$"},
    "description": "new per request, the same for its repetitions",
}  # fmt: skip
_PROBLEM: Json = {
    "type": "object",
    "description": "RFC 9457. In Vietnamese, or in English where Accept-Language prefers it.",
    "required": ["type", "title", "status", "detail", "instance", "code", "trace_id", "errors"],
    "properties": {
        "type": {"type": "string", "pattern": "^urn:dossier:problem:"},
        "title": {"type": "string", "description": "what is wrong"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "what to do"},
        "instance": {"type": "string", "description": "names the request"},
        "code": {"type": "string", "pattern": "^DOS-[A-Z]+-[0-9]{3}$"},
        "trace_id": {"type": "string", "pattern": "^[0-9a-f]{32}$", "description": "also in X-Request-ID"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "code", "detail"],
                "properties": {
                    "pointer": {"type": "string", "description": "place in the body (RFC 6901), never its value"},
                    "code": {"type": "string"},
                    "detail": {"type": "string"},
                },
            },
        },
        "possible": {"type": "array", "items": {"type": "string"}, "description": "steps that are legal now"},
        "retry_after_s": {"type": "integer", "description": "as Retry-After"},
    },
}
