"""A member that the desk does not know is told with its place, at whatever depth it stands: nothing is ignored."""

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from pydantic import BaseModel

from services.intake.acts import ACTS
from services.intake.operations import EXAMPLE
from shared.errors import Refused
from shared.law.faults import examine
from shared.runtime.http.door import Body, parse
from tests.deciders import LAW

CLAIM = {"group": "student", "evidence_sha256": "4d" * 32}
APPLICATION: Mapping[str, Any] = {**EXAMPLE, "waiver_claim": CLAIM}
BODIES: Mapping[type[BaseModel], Mapping[str, Any]] = {act.body: act.example for act in ACTS}


def with_a_stranger(content: Any, name: str = "idempotency_Key") -> Iterator[tuple[str, Any]]:
    """Place → a copy with an unknown member there, once for each object in it."""

    def places(inner: Any, pointer: str) -> Iterator[str]:
        if isinstance(inner, Mapping):
            yield pointer
        pairs = inner.items() if isinstance(inner, Mapping) else enumerate(inner) if isinstance(inner, list) else ()
        for step, value in pairs:
            yield from places(value, f"{pointer}/{step}")

    for pointer in places(content, ""):
        made = copy.deepcopy(content)
        place = made
        for step in pointer.split("/")[1:]:
            place = place[int(step)] if isinstance(place, list) else place[step]
        place[name] = "value"
        yield f"{pointer}/{name}", made


@pytest.mark.parametrize(("place", "body"), list(with_a_stranger(dict(APPLICATION))), ids=lambda one: str(one)[:40])
def test_in_an_application(place: str, body: Any) -> None:
    found = examine(body, LAW)
    assert isinstance(found, tuple)
    assert (place, "unknown-field") in {(fault.pointer, fault.code) for fault in found}


@pytest.mark.parametrize(
    ("model", "place", "body"),
    [(model, *one) for model, body in BODIES.items() for one in with_a_stranger(dict(body))],
)
def test_in_every_other_body(model: type[BaseModel], place: str, body: Any) -> None:
    with pytest.raises(Refused) as refused:
        parse(model, Body(body))
    assert (place, "unknown-field") in {(fault.pointer, fault.code) for fault in refused.value.faults}
