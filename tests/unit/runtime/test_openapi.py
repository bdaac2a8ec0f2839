"""The reference of each door is whole: every route with its body, its answers, its problems, and who may ask."""

import json
import re
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import Any, cast

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from starlette.applications import Starlette
from starlette.routing import Route

from services.intake.api import routes as desk
from services.intake.operations import EXAMPLE
from services.payment.api import routes as bank
from shared.registry import CODES
from shared.runtime.http.door import Clients
from shared.runtime.http.observed import observed
from shared.runtime.http.openapi import publish
from shared.runtime.keys.sealing import Kek, Keks
from shared.runtime.observe.metrics import Metrics
from tests.asgi import ask
from tests.deciders import LAW

SETTINGS = SimpleNamespace(
    kek=lambda: Keks([Kek(bytes(32), "kek-1")]), key=lambda name: bytes(32), clients=lambda: Clients([]),
    client_rate=1.0,
)  # fmt: skip
READING = {"/v1/dossiers/find"}
"""A POST for the sake of what is asked for."""
RESOURCES: Any = SimpleNamespace(settings=SETTINGS, door=None, pool=None, readable=lambda: None, metrics=None)


def door(service: str) -> Starlette:
    """The door of a service, behind which nothing is."""
    nobody: Any = None
    made = desk(RESOURCES, LAW) if service == "intake" else bank(nobody, Metrics(service), nobody)
    app = observed(made, Metrics(service))
    publish(app, f"dossier {service}")
    return app


@pytest.fixture(params=["intake", "payment"])
def app(request: pytest.FixtureRequest) -> Starlette:
    """Each door there is."""
    return door(request.param)


async def told(app: Starlette) -> Mapping[str, Any]:
    """Its document."""
    answer = await ask(app, "GET", "/openapi.json")
    assert answer.status == 200
    return cast(Mapping[str, Any], answer.content)


def operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Path, method, operation."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


async def test_the_document_is_openapi_and_its_schemas_are_json_schema(app: Starlette) -> None:
    document = await told(app)
    assert document["openapi"] == "3.1.0"
    assert [str(error) for error in OpenAPIV31SpecValidator(dict(document)).iter_errors()] == []


async def test_every_reference_leads_somewhere_and_nothing_is_told_for_nobody(app: Starlette) -> None:
    document = await told(app)
    named = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document)))
    assert named == set(document["components"]["schemas"])
    ids = [operation["operationId"] for *_, operation in operations(document)]
    assert len(ids) == len(set(ids))


async def test_every_route_is_told(app: Starlette) -> None:
    document = await told(app)
    routes = {
        (one.path, method.lower()) for one in app.routes if isinstance(one, Route) for method in one.methods or ()
    }
    served = {route for route in routes if route[1] != "head" and route[0] not in ("/docs", "/openapi.json")}
    assert {(path, method) for path, method, _ in operations(document)} == served


async def test_every_post_shows_its_body_its_key_and_who_may(app: Starlette) -> None:
    for path, method, operation in operations(await told(app)):
        if method != "post":
            assert "requestBody" not in operation
            continue
        assert operation["requestBody"]["required"] is True, path
        assert "$ref" in operation["requestBody"]["content"]["application/json"]["schema"], path
        keyed = any(one["name"] == "Idempotency-Key" and one["required"] for one in operation["parameters"])
        assert (keyed, "It changes nothing" in operation["description"]) == (path not in READING, path in READING), path
        assert operation["security"] == [{"token": []}], path
        assert {"400", "401", "403", "408", "413", "415", "422", "429", "431", "503"} <= set(operation["responses"])


async def test_problems_are_told_with_codes_of_the_registry_and_when_to_come_again(app: Starlette) -> None:
    for path, method, operation in operations(await told(app)):
        for status, answer in operation["responses"].items():
            if int(status) < 400:
                continue
            for code in re.findall(r"DOS-[A-Z]+-\d{3}", answer["description"]):
                assert str(CODES[code].status) == status, (path, method, code)
            assert "application/problem+json" in answer["content"]
            assert ("Retry-After" in answer.get("headers", {})) == (status in ("429", "503"))


async def test_the_bodys_schema_takes_what_the_desk_takes() -> None:
    document = await told(door("intake"))
    schemas = {"components": document["components"]}
    schema = {**schemas, "$ref": "#/components/schemas/Application"}
    Draft202012Validator(schema).validate(EXAMPLE)
    assert not Draft202012Validator(schema).is_valid({**EXAMPLE, "idempotency_key": "k"})
    assert not Draft202012Validator(schema).is_valid({**EXAMPLE, "copies": 0})


async def test_every_body_is_shown_by_an_example_that_its_schema_takes_and_in_both_languages(app: Starlette) -> None:
    document = await told(app)
    for path, method, operation in operations(document):
        if method == "post":
            content = operation["requestBody"]["content"]["application/json"]
            schema = {"components": document["components"], **content["schema"]}
            Draft202012Validator(schema).validate(content["example"])
            assert "Tiếng Việt: " in operation["description"], path


class Loads(HTMLParser):
    """What a page would have a browser load or run."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Notes what is not text."""
        if tag in ("script", "link", "img", "iframe", "object", "embed", "form", "base"):
            self.found.append(tag)
        self.found += [name for name, value in attrs if name.startswith("on") or name in ("style", "src")]
        self.found += [
            value or "" for name, value in attrs if name == "href" and not (value or "").startswith(("#", "/"))
        ]


async def test_the_page_loads_nothing_and_may_not(app: Starlette) -> None:
    body = b""
    scope_answer = []

    async def send(message: Any) -> None:
        nonlocal body
        scope_answer.append(message)
        body += message.get("body", b"")

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http", "method": "GET",
        "path": "/docs", "raw_path": b"/docs", "query_string": b"", "root_path": "", "headers": [(b"host", b"desk")],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
    }  # fmt: skip
    await app(scope, receive, send)
    headers = dict(scope_answer[0]["headers"])
    assert headers[b"content-security-policy"].startswith(b"default-src 'none'; style-src 'sha256-")
    loads = Loads()
    loads.feed(body.decode())
    assert loads.found == []
    for path, *_ in operations(await told(app)):
        assert path in body.decode()
