"""States and tasks' payloads as rows keep them: read open and written whole.

What a row holds beyond what this release knows was put there by another release, beside which this one runs, or to
which one may go on again. It is kept, at whatever depth, and written back as it came.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar

from pydantic import BaseModel
from pydantic_core import SchemaSerializer

M = TypeVar("M", bound=BaseModel)


def as_stored(model: BaseModel) -> str:
    """A state or a task's payload as its row keeps it: JSON text without what is null, which half of its fields are.

    So a field that may be null has the default null, or it could not be read again.
    """
    return _open(type(model)).to_json(model, exclude_none=True).decode()


def read_stored(model: type[M], text: str | bytes) -> M:
    """What a row holds, whatever release has written it. Raises pydantic.ValidationError for what is no `model`."""
    return model.model_validate_json(text, extra="allow")


@cache
def _open(model: type[BaseModel]) -> SchemaSerializer:
    """Writes a model with its unknown fields. The model's own serializer drops them: it is closed, for events' sake.

    Without `_use_prebuilt` pydantic would take the closed serializers of the models inside; a test looks at each.
    """
    return SchemaSerializer(_opened(model.__pydantic_core_schema__), _use_prebuilt=False)


def _opened(schema: Any) -> Any:
    if isinstance(schema, Mapping):
        opened = {name: _opened(part) for name, part in schema.items() if name != "metadata"}
        if schema.get("type") == "model":
            opened["config"] = {**schema.get("config", {}), "extra_fields_behavior": "allow"}
        return opened
    if isinstance(schema, (list, tuple)):
        return type(schema)(_opened(part) for part in schema)
    return schema
