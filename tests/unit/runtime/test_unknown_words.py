"""A word of a later release, in any enum of any event that a service hears or has said itself: the service goes on."""

from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.intake.acts import possible
from services.intake.limits import limit
from services.intake.reaching import to_be_told
from services.intake.timeline import timeline
from services.notification.rules import SendMail, now
from services.notification.texts import spoken, subject, text
from services.notification.waiting import waiting
from shared.errors import Refused
from shared.events.base import Event, UnknownWord
from shared.events.catalogue import WRITER
from shared.events.envelope import read_body
from shared.events.schema import schema
from shared.runtime.kernel.decider import Decider
from shared.runtime.kernel.stored import as_stored
from tests import controls
from tests.any_event import valid
from tests.controls import EVENTS
from tests.deciders import DECIDERS, INTAKE, LAW, NOTIFICATION
from tests.given import as_message
from tests.tomorrow import said_tomorrow
from tests.unit.runtime.test_deciders import ASKED

CLAIMED = controls.fee_assessed(claim_unmet="not-less")
TOMORROW = [
    pytest.param(heard, id=f"{type(event).__name__}{place}")
    for event in (*EVENTS, CLAIMED)
    for place, heard in said_tomorrow(event)
]


def _goes_on(decider: Decider[Any], events: list[Event]) -> None:
    """Every event is folded and decided, the state survives storing, and all that is drawn from it can be drawn."""
    state = decider.empty
    for n, event in enumerate(events):
        message = as_message(event, n)
        state = decider.evolve(state, message)
        decider.decide(state, message)
    assert type(state).model_validate_json(as_stored(state)) == state
    for body in ASKED:
        try:
            decider.decide(state, as_message(body))
        except Refused as refused:
            assert all(fault.message for fault in refused.faults)
    _shown(state)


def _shown(state: Any) -> None:
    match state:
        case INTAKE.empty.__class__():
            timeline(LAW, state)
            to_be_told(state)
            possible(state, controls.officer())
            limit(LAW, state)
        case NOTIFICATION.empty.__class__():
            for one in waiting(state, state.applicant_version):
                found = now(state, SendMail(about=one.about, applicant_version=state.applicant_version))
                if isinstance(found, tuple) and not isinstance(found[0].notice, UnknownWord):
                    owed, recipient = found
                    assert subject(owed, recipient) + text(LAW, owed, recipient, "An") + spoken(LAW, owed, recipient)


@pytest.mark.parametrize("decider", DECIDERS.values(), ids=lambda one: one.name)
@pytest.mark.parametrize("heard", TOMORROW)
def test_the_service_goes_on_when_the_word_comes_in_the_midst_of_the_story(decider: Decider[Any], heard: Event) -> None:
    story = [heard if type(event) is type(heard) else event for event in EVENTS]
    for events in (story, [heard], [*EVENTS, heard], [*reversed(story)]):
        _goes_on(decider, [event for event in events if type(event) in {*decider.folds, *decider.rules}])


@pytest.mark.parametrize("decider", DECIDERS.values(), ids=lambda one: one.name)
@settings(max_examples=60, deadline=None)
@given(events=st.lists(st.sampled_from([*(one.values[0] for one in TOMORROW), *EVENTS]), max_size=12))
def test_the_service_goes_on_whatever_words_come_in_whatever_order(decider: Decider[Any], events: list[Event]) -> None:
    _goes_on(decider, events)


@pytest.mark.parametrize("decider", DECIDERS.values(), ids=lambda one: one.name)
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data())
def test_whatever_a_schema_of_ours_allows_is_folded_and_kept(decider: Decider[Any], data: st.DataObject) -> None:
    state = decider.empty
    for n, kind in enumerate(data.draw(st.lists(st.sampled_from(list(decider.folds)), min_size=1, max_size=4))):
        content = data.draw(valid(schema(kind)))
        heard = read_body(kind.TYPE, WRITER[kind], orjson.dumps(content))
        assert heard is not None
        state = decider.evolve(state, as_message(heard, n))
        kept = as_stored(state)
        assert as_stored(type(state).model_validate_json(kept)) == kept
