"""What a row keeps of a state or a task's payload is read again as the same, although what is null is left out."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from services.audit import tasks as audits
from services.notification import tasks as notifications
from services.payment import tasks as payments
from services.verification import tasks as verifications
from shared.runtime.kernel.stored import as_stored
from tests.controls import EVENTS
from tests.deciders import DECIDERS
from tests.given import as_message

NOBODY: Any = SimpleNamespace(send=print, tell_desk=print)
"""Stands for what a task's function needs, which nobody calls here."""
KINDS = (
    audits.kinds(), notifications.kinds(NOBODY), payments.kinds(NOBODY, NOBODY, NOBODY),
    verifications.kinds(NOBODY, NOBODY),
)  # fmt: skip
PAYLOADS = dict.fromkeys(kind.payload for kinds in KINDS for kind in kinds.values())
STORED: tuple[type[BaseModel], ...] = (*(type(one.empty) for one in DECIDERS.values()), *PAYLOADS)


@pytest.mark.parametrize("stored", STORED, ids=lambda one: f"{one.__module__}.{one.__name__}")
def test_what_may_be_null_is_null_where_nothing_is_said(stored: type[BaseModel]) -> None:
    wrong = [
        f"{model.__name__}.{name}"
        for model in _models(stored, set())
        for name, field in model.model_fields.items()
        if type(None) in get_args(field.annotation) and (field.is_required() or field.default is not None)
    ]
    assert wrong == []


@pytest.mark.parametrize("decider", DECIDERS.values(), ids=lambda one: one.name)
def test_a_state_of_everything_that_is_said_is_read_again_as_the_same(decider: Any) -> None:
    state = decider.empty
    for event in EVENTS:
        state = decider.evolve(state, as_message(event))
        assert type(state).model_validate_json(as_stored(state)) == state
        assert "null" not in as_stored(state)


def _models(annotation: Any, seen: set[type]) -> Iterator[type[BaseModel]]:
    """The models that a value of this type may be made of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if annotation in seen:
            return
        seen.add(annotation)
        yield annotation
        for field in annotation.model_fields.values():
            yield from _models(field.annotation, seen)
    for part in get_args(annotation):
        yield from _models(part, seen)
