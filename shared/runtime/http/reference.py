"""An OpenAPI document as one page for people to read: no script, no picture, nothing from elsewhere."""

import json
from base64 import b64encode
from collections.abc import Iterator, Mapping
from hashlib import sha256
from html import escape
from typing import Any

_STYLE = (
    "body{font:16px/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}"
    "h2{border-top:1px solid #ccc;padding-top:1rem;font-size:1.1rem}table{border-collapse:collapse;width:100%}"
    "td,th{border-bottom:1px solid #ddd;padding:.25rem .5rem;text-align:left;vertical-align:top}"
    "pre{background:#f4f4f4;padding:.75rem;overflow-x:auto}code{font-family:monospace}"
)
CSP = (
    f"default-src 'none'; style-src 'sha256-{b64encode(sha256(_STYLE.encode()).digest()).decode()}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""What a browser may load for the page: its own style, by digest."""


def page(document: Mapping[str, Any]) -> str:
    """The whole page in HTML; every text of the document is escaped."""
    title = escape(document["info"]["title"])
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>'
    return (
        f'<!DOCTYPE html><html lang="en"><head>{head}<style>{_STYLE}</style></head><body><main><h1>{title}</h1>'
        f'<p>{escape(document["info"]["description"])} The same for machines: <a href="/openapi.json">openapi.json</a>.'
        f"</p>{''.join(_operations(document))}<h1>Bodies and answers</h1>{''.join(_schemas(document))}"
        "</main></body></html>"
    )


def _operations(document: Mapping[str, Any]) -> Iterator[str]:
    for path, methods in document["paths"].items():
        for method, told in methods.items():
            yield f"<h2><code>{method.upper()} {escape(path)}</code></h2><p>{escape(told['summary'])}"
            yield f" {escape(told.get('description', 'For everybody.'))}</p>"
            yield _table("in the request", _asked(told))
            yield _table("answer", [(status, _link(one)) for status, one in told["responses"].items()])
            example = told.get("requestBody", {}).get("content", {}).get("application/json", {}).get("example")
            yield (
                f"<pre>{escape(json.dumps(example, indent=1, ensure_ascii=False))}</pre>" if example is not None else ""
            )


def _asked(told: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if told["security"]:
        yield "Authorization", "<code>Bearer</code> and a client's token"
    for one in told["parameters"]:
        yield one["name"], escape(f"{one['in']}: {one.get('description', '')}")
    if "requestBody" in told:
        yield "body", _link(told["requestBody"])


def _link(told: Mapping[str, Any]) -> str:
    name = next(iter(told["content"].values()))["schema"]["$ref"].rpartition("/")[2]
    return f'<a href="#{escape(name)}">{escape(name)}</a> {escape(told.get("description", ""))}'


def _schemas(document: Mapping[str, Any]) -> Iterator[str]:
    for name, schema in document["components"]["schemas"].items():
        yield f'<h2 id="{escape(name)}">{escape(name)}</h2><p>{escape(schema.get("description", ""))}</p>'
        required = schema.get("required", ())
        rows = [
            (f"{field}{'' if field in required else ' (may be left out)'}", _kind(told))
            for field, told in schema.get("properties", {}).items()
        ]
        yield _table("field", rows) if rows else f"<p><code>{escape(json.dumps(schema))}</code></p>"


def _kind(told: Mapping[str, Any]) -> str:
    """A field's schema in a line: a link, or what JSON Schema says of it."""
    if "$ref" in told:
        name = escape(told["$ref"].rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    if "items" in told and isinstance(told["items"], Mapping):
        return f"list of {_kind(told['items'])}"
    if "anyOf" in told:
        return " or ".join(_kind(one) for one in told["anyOf"])
    return f"<code>{escape(json.dumps({k: v for k, v in told.items() if k != 'title'}, ensure_ascii=False))}</code>"


def _table(head: str, rows: Any) -> str:
    lines = "".join(f"<tr><th scope=row><code>{escape(name)}</code></th><td>{text}</td></tr>" for name, text in rows)
    return f"<table><thead><tr><th scope=col>{head}</th><th scope=col></th></tr></thead><tbody>{lines}</tbody></table>"
