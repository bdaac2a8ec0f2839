"""The JSON Schemas in the repository: a second opinion on events, by another library than the one that writes."""

import hashlib
import json
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import ValidationError as SchemaError

from shared.events import schema
from shared.events.__main__ import FOLDER, main, present
from shared.events.base import Event
from shared.events.catalogue import BY_TYPE
from shared.events.envelope import schema_uri
from tests.contract.events.publishing import Golden, expected, file_of, kept, read

CLASSES = sorted(BY_TYPE.values(), key=lambda event: event.TYPE)
KEPT = [pytest.param(golden, id=name) for name, golden in kept()]
FORMATS = FormatChecker(["uuid"])


@FORMATS.checks("date-time", raises=ValueError)
def _is_an_instant(text: object) -> bool:
    return datetime.fromisoformat(str(text)).tzinfo is not None


def _validator(uri: str) -> Draft202012Validator:
    path = uri.removeprefix("https://schemas.dossier.gov.vn/")
    content = json.loads((FOLDER / path).read_text())
    assert content["$id"] == uri
    Draft202012Validator.check_schema(content)
    return Draft202012Validator(content, format_checker=FORMATS)


def test_the_schemas_in_the_repository_are_those_of_the_classes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schemas", "--check"]) == 0, capsys.readouterr().err


@pytest.mark.parametrize("golden", KEPT)
def test_every_golden_value_satisfies_the_schema_that_its_header_names(golden: Golden) -> None:
    _validator(golden.headers["ce_dataschema"]).validate(golden.content)


def _objects(part: Any) -> Iterator[dict[str, Any]]:
    """Every schema of an object inside `part`."""
    if isinstance(part, dict):
        if part.get("type") == "object" or "properties" in part:
            yield part
        for inner in part.values():
            yield from _objects(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from _objects(inner)


@pytest.mark.parametrize("event", CLASSES)
def test_a_schema_is_closed_at_every_level(event: type[Event]) -> None:
    objects = list(_objects(schema.schema(event)))

    assert objects
    assert all(part["additionalProperties"] is False for part in objects)


def _with_a_stranger(content: Any) -> Iterator[Any]:
    """Copies of `content`, each with an unknown field in another object of it."""
    if isinstance(content, dict):
        yield {**content, "not_foreseen": 1}
        for name, inner in content.items():
            yield from ({**content, name: changed} for changed in _with_a_stranger(inner))
    elif isinstance(content, list):
        for n, inner in enumerate(content):
            yield from ([*content[:n], changed, *content[n + 1 :]] for changed in _with_a_stranger(inner))


@pytest.mark.parametrize("event", CLASSES)
def test_an_unknown_field_at_any_level_is_refused_by_the_schema(event: type[Event]) -> None:
    validator = _validator(schema_uri(event))
    strangers = list(_with_a_stranger(read(file_of(event)).content))

    assert strangers
    for content in strangers:
        with pytest.raises(SchemaError, match="not_foreseen"):
            validator.validate(content)


@pytest.mark.parametrize("event", CLASSES)
def test_a_missing_field_is_refused_by_schema_and_class_alike(event: type[Event]) -> None:
    content = read(file_of(event)).content
    required = [name for name, field in event.model_fields.items() if field.is_required()]

    for name in required:
        lacking = {other: value for other, value in content.items() if other != name}
        assert list(_validator(schema_uri(event)).iter_errors(lacking)), name
        with pytest.raises(ValueError, match=name):
            event.model_validate(lacking)


def test_a_schema_lies_where_its_uri_says() -> None:
    assert set(schema.schemas()) <= set(present(FOLDER))
    for event in CLASSES:
        assert schema_uri(event) == f"https://schemas.dossier.gov.vn/{schema.path(event)}"
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*\.v[1-9]/\d+\.\d+\.\d+\.json", schema.path(event))


def test_no_released_schema_was_edited_or_removed() -> None:
    digests = schema.released((FOLDER / schema.DIGESTS).read_text())

    assert digests
    for name, mark in digests.items():
        assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == mark, name


@pytest.fixture
def released_folder(tmp_path: Path) -> Path:
    assert main(["schemas"], tmp_path) == 0
    assert main(["release"], tmp_path) == 0
    assert main(["schemas", "--check"], tmp_path) == 0
    return tmp_path


def test_an_edit_of_a_released_schema_is_found(released_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = released_folder / "fee-paid.v1" / "0.9.0.json"
    old.write_text("{}\n")
    assert main(["release"], released_folder) == 0

    old.write_text('{"type": "object"}\n')

    assert main(["schemas", "--check"], released_folder) == 1
    assert "fee-paid.v1/0.9.0.json is released, and was edited or removed" in capsys.readouterr().err


def test_the_removal_of_a_released_schema_is_found(released_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (released_folder / "fee-paid.v1" / "1.0.0.json").unlink()

    assert main(["schemas", "--check"], released_folder) == 1
    assert "fee-paid.v1/1.0.0.json is released, and was edited or removed" in capsys.readouterr().err


def test_the_generator_does_not_overwrite_a_released_schema(released_folder: Path) -> None:
    file = released_folder / "fee-paid.v1" / "1.0.0.json"
    file.write_text("{}\n")

    assert main(["schemas"], released_folder) == 1
    assert file.read_text() == "{}\n"


def test_a_schema_that_is_not_up_to_date_is_found_and_written_anew(tmp_path: Path) -> None:
    assert main(["schemas"], tmp_path) == 0
    file = tmp_path / "fee-paid.v1" / "1.0.0.json"
    file.write_text("{}\n")

    assert main(["schemas", "--check"], tmp_path) == 1
    assert main(["release"], tmp_path) == 1
    assert main(["schemas"], tmp_path) == 0
    assert main(["schemas", "--check"], tmp_path) == 0


@pytest.mark.parametrize("event", CLASSES)
def test_the_schema_agrees_with_what_the_class_writes_now(event: type[Event]) -> None:
    _validator(schema_uri(event)).validate(expected()[event].content)
