"""What a later release has put into a state or payload is kept, at whatever depth, and written back as it came."""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson
import pytest

from services.audit.rules import HEARS as AUDITS
from services.audit.state import EVOLVES
from services.audit.state import State as Audited
from shared.runtime.kernel.decider import Decider
from shared.runtime.kernel.stored import as_stored, read_stored
from shared.runtime.recovery.rebuild import _equal
from tests.controls import EVENTS
from tests.deciders import INTAKE, NOTIFICATION, PAYMENT, VERIFICATION
from tests.given import as_message

DECIDERS: tuple[Decider[Any], ...] = (
    INTAKE, VERIFICATION, PAYMENT, NOTIFICATION, Decider("audit", Audited(), AUDITS, EVOLVES),
)  # fmt: skip
TOMORROW = {"since": "2027", "of": [1, {"who": None}]}


def everything(decider: Decider[Any]) -> Any:
    """A state of everything that is said."""
    state = decider.empty
    for event in EVENTS:
        state = decider.evolve(state, as_message(event))
    return state


def with_more(model: Any, stored: Any) -> Any:
    """The stored form with a field of tomorrow in each object that stands for a model."""
    if isinstance(model, (list, tuple)):
        return [with_more(one, kept) for one, kept in zip(model, stored, strict=True)]
    if not hasattr(type(model), "model_fields"):
        return stored
    inner = {name: with_more(getattr(model, name), kept) for name, kept in stored.items()}
    return {**inner, "tomorrow": TOMORROW}


def places(stored: Any, path: str = "") -> Iterator[str]:
    """Where the field of tomorrow stands."""
    if isinstance(stored, Mapping):
        if stored.get("tomorrow") == TOMORROW:
            yield path
        for name, inner in stored.items():
            if name != "tomorrow":
                yield from places(inner, f"{path}/{name}")
    elif isinstance(stored, list):
        for number, inner in enumerate(stored):
            yield from places(inner, f"{path}/{number}")


@pytest.mark.parametrize("decider", DECIDERS, ids=lambda one: one.name)
def test_what_is_unknown_is_written_back_as_it_came(decider: Decider[Any]) -> None:
    state = everything(decider)
    stored = with_more(state, orjson.loads(as_stored(state)))
    assert len(list(places(stored))) >= (2 if decider.name == "audit" else 3)
    again = read_stored(type(state), orjson.dumps(stored))
    assert orjson.loads(as_stored(again)) == stored


@pytest.mark.parametrize("decider", DECIDERS, ids=lambda one: one.name)
def test_no_event_makes_a_state_forget_what_is_unknown_in_it_or_in_one_of_its_parts(decider: Decider[Any]) -> None:
    empty = with_more(decider.empty, orjson.loads(as_stored(decider.empty)))
    parts = set(places(empty))
    for event in EVENTS:
        state = read_stored(type(decider.empty), orjson.dumps(empty))
        after = decider.evolve(state, as_message(event))
        assert parts <= set(places(orjson.loads(as_stored(after)))), type(event).__name__


@pytest.mark.parametrize("decider", DECIDERS, ids=lambda one: one.name)
def test_what_is_unknown_in_a_live_state_is_no_difference_to_a_rebuilt_one_and_anything_else_is(
    decider: Decider[Any],
) -> None:
    state = everything(decider)
    live = orjson.dumps(with_more(state, orjson.loads(as_stored(state)))).decode()
    assert _equal(state, live, decider.empty)
    assert not _equal(decider.empty, live, decider.empty)
