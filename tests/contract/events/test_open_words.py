"""Enums are open at our ears and closed at our hands: a word of a later release is heard, kept and never made up."""

import json
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

import orjson
import pytest
from jsonschema import Draft202012Validator

from services.intake import commands
from shared.errors import Poison
from shared.events.base import Event, Model, UnknownWord
from shared.events.catalogue import BY_TYPE, SAID_BY, WRITER
from shared.events.envelope import read_body
from shared.events.schema import schema
from shared.runtime.kernel.decider import Command
from tests.controls import EVENTS, officer
from tests.tomorrow import WORD, closed_enums, worded

ROOMS = [
    import_module(f"services.{service}.{room.name}")
    for service in SAID_BY
    for room in iter_modules(import_module(f"services.{service}").__path__)
    if room.name in ("rules", "state", "tasks")
]
WORDED = [
    pytest.param(event, place, content, id=f"{type(event).__name__}{place}")
    for event in EVENTS
    for place, content in worded(type(event), event.model_dump(mode="json"))
]


def _models(room: ModuleType) -> list[type[Model]]:
    """What is kept in a room's states, payloads and outcomes; a command is asked for at our own door."""
    found = [thing for thing in vars(room).values() if isinstance(thing, type) and issubclass(thing, Model)]
    return [model for model in found if model.__module__ == room.__name__ and not issubclass(model, Command)]


@pytest.mark.parametrize("event", BY_TYPE.values())
def test_every_enum_of_every_event_is_open(event: type[Event]) -> None:
    assert list(closed_enums(event, event.__name__)) == []


def test_every_enum_of_what_a_service_keeps_of_events_is_open() -> None:
    models = [model for room in ROOMS for model in _models(room)]

    assert len(models) > 40
    assert [place for model in models for place in closed_enums(model, f"{model.__module__}.{model.__name__}")] == []


def test_every_enum_of_what_is_asked_at_our_door_is_closed() -> None:
    asked = [thing for thing in vars(commands).values() if isinstance(thing, type) and issubclass(thing, Model)]
    own = [model for model in asked if model.__module__ == commands.__name__]

    assert [place for model in own for place in closed_enums(model, model.__name__)] != []
    for model in own:
        assert UnknownWord not in {field.annotation for field in model.model_fields.values()}


@pytest.mark.parametrize(("event", "place", "content"), WORDED)
def test_an_unknown_word_is_heard_as_it_was_written_and_written_as_it_was_heard(
    event: Event, place: str, content: Any
) -> None:
    heard = read_body(event.TYPE, WRITER[type(event)], orjson.dumps(content))

    assert heard is not None
    assert heard != event
    assert orjson.loads(heard.model_dump_json()) == heard.model_dump(mode="json") == content
    assert type(heard).model_validate_json(heard.model_dump_json()) == heard


@pytest.mark.parametrize(("event", "place", "content"), WORDED)
def test_nobody_of_ours_can_say_a_word_that_we_do_not_know(event: Event, place: str, content: Any) -> None:
    with pytest.raises(ValueError, match=place.strip("/").split("/")[0]):
        type(event).model_validate(content)


@pytest.mark.parametrize(("event", "place", "content"), WORDED)
def test_the_schema_that_subscribers_read_says_that_the_enum_is_open(event: Event, place: str, content: Any) -> None:
    drawn = schema(type(event))

    Draft202012Validator(drawn).validate(content)
    assert "a word that a later release has added" in json.dumps(drawn)


@pytest.mark.parametrize("ill", ["", " ", "hai từ", "a b", "a\nb", "x" * 129, 7, None, ["officer"]])
def test_what_is_no_word_at_all_is_poison(ill: Any) -> None:
    body = {"by": {**officer().model_dump(), "role": ill}}

    with pytest.raises(Poison, match="by/role"):
        read_body("vn.gov.dossier.processing-started.v1", "intake", orjson.dumps(body))


def test_an_unknown_word_is_none_of_the_known_ones_and_compares_as_what_it_says() -> None:
    assert UnknownWord(WORD) == WORD
    assert isinstance(UnknownWord(WORD), str)
    assert UnknownWord(WORD) not in {"none", "charged"}
