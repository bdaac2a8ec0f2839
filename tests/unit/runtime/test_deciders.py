"""What holds for every service: order between sources does not matter, folding cannot fail, rules refuse or decide."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import Refused
from shared.events.base import Event, Model
from shared.events.catalogue import BY_TYPE, WRITER
from shared.runtime.kernel.decider import Decider, Message
from shared.topics import heard_by
from tests import controls, deciders
from tests.controls import AT, DOSSIER, EVENTS
from tests.given import as_message

DECIDERS = pytest.mark.parametrize("decider", deciders.DECIDERS.values(), ids=lambda one: one.name)

ASKED: Sequence[Model] = (
    controls.submit_dossier(),
    controls.supply_dossier(),
    controls.supply_dossier(applicant=controls.applicant()),
    controls.correct_applicant(),
    controls.request_supplement(),
    controls.accept_dossier(),
    controls.refuse_dossier(),
    controls.start_processing(),
    controls.issue_result(),
    controls.return_result(),
    controls.tell_applicant(),
    controls.tell_applicant(controls.MESSAGE),
    controls.found(),
    controls.found("full_name"),
    controls.not_found(),
    controls.key_gone(),
    controls.still_waiting(),
    controls.fee_found(),
    controls.fee_found(fee=controls.fee_assessed(kind="waiver", total_vnd=0, favour=controls.favour())),
    controls.claim_key_gone(),
    controls.payment_opened(),
    controls.report_payment(),
    controls.report_payment(success=False, response_code="51"),
    controls.mail_taken(),
    controls.mail_refused(),
    controls.mail_deferred(),
    controls.mail_needless(),
)

instants = st.datetimes(AT.replace(tzinfo=None), AT.replace(year=2027, tzinfo=None)).map(
    lambda at: at.replace(tzinfo=AT.tzinfo)
)


@st.composite
def messages(draw: st.DrawFn, events: Sequence[Event] = EVENTS) -> Message[Event]:
    """One of these events, about any state of the applicant's data, at any time of a year."""
    event = draw(st.sampled_from(events))
    if hasattr(event, "applicant_version"):
        event = event.model_copy(update={"applicant_version": draw(st.integers(1, 3))})
    return Message(draw(st.uuids()), DOSSIER, draw(instants), event)


def _heard_or_said(decider: Decider[Any]) -> list[str]:
    return [*(topic.writer for topic in heard_by(decider.name)), decider.name]


@st.composite
def two_orders(draw: st.DrawFn, decider: Decider[Any]) -> tuple[list[Message[Event]], list[Message[Event]]]:
    """The same events of all sources of a service, put together in two ways that keep each source's order."""
    sources: Mapping[str, list[Message[Event]]] = {
        writer: draw(st.lists(messages([event for event in EVENTS if WRITER[type(event)] == writer]), max_size=6))
        for writer in _heard_or_said(decider)
    }
    turns = [writer for writer, said in sources.items() for _ in said]
    return _merged(sources, draw(st.permutations(turns))), _merged(sources, draw(st.permutations(turns)))


def _merged(sources: Mapping[str, list[Message[Event]]], turns: Sequence[str]) -> list[Message[Event]]:
    left = {writer: iter(said) for writer, said in sources.items()}
    return [next(left[writer]) for writer in turns]


def _folded(decider: Decider[Any], events: Sequence[Message[Event]]) -> Any:
    state = decider.empty
    for event in events:
        state = decider.evolve(state, event)
    return state


@DECIDERS
@settings(deadline=None)
@given(data=st.data())
def test_in_whatever_order_topics_are_heard_the_state_is_the_same(decider: Decider[Any], data: st.DataObject) -> None:
    one, other = data.draw(two_orders(decider))
    assert _folded(decider, one) == _folded(decider, other)


@DECIDERS
@settings(deadline=None)
@given(events=st.lists(messages(), max_size=15))
def test_folding_any_events_in_any_order_never_fails_and_the_state_survives_storing(
    decider: Decider[Any], events: list[Message[Event]]
) -> None:
    state = _folded(decider, events)
    assert type(state).model_validate_json(state.model_dump_json()) == state


@DECIDERS
@settings(max_examples=60, deadline=None)
@given(events=st.lists(messages(), max_size=10), message=messages())
def test_an_event_is_never_refused_whatever_was_before_it(
    decider: Decider[Any], events: list[Message[Event]], message: Message[Event]
) -> None:
    decider.decide(_folded(decider, [*events, message]), message)


@DECIDERS
@settings(max_examples=60, deadline=None)
@given(events=st.lists(messages(), max_size=10), body=st.sampled_from(ASKED))
def test_a_command_or_outcome_is_decided_or_refused_with_a_code_whatever_was_before_it(
    decider: Decider[Any], events: list[Message[Event]], body: Model
) -> None:
    try:
        decider.decide(_folded(decider, events), as_message(body))
    except Refused as refused:
        assert refused.code.startswith("DOS-")


@DECIDERS
@settings(deadline=None)
@given(events=st.lists(messages(), max_size=8), body=st.sampled_from(ASKED))
def test_the_same_message_in_the_same_state_is_decided_the_same(
    decider: Decider[Any], events: list[Message[Event]], body: Model
) -> None:
    state = _folded(decider, events)
    decided = [_decided(decider, state, body) for _ in range(2)]
    assert decided[0] == decided[1]


def _decided(decider: Decider[Any], state: Any, body: Model) -> object:
    try:
        decision = decider.decide(state, as_message(body))
    except Refused as refused:
        return refused.code, refused.faults
    events = [event if isinstance(event, Event) else event.build(7) for event in decision.events]
    return events, decision.tasks


@DECIDERS
def test_a_service_says_only_what_is_its_own_to_say(decider: Decider[Any]) -> None:
    state = _folded(decider, [as_message(controls.dossier_submitted(), 1), as_message(controls.citizen_verified(), 2)])
    for body in ASKED:
        decided = _decided(decider, state, body)
        said = decided[0] if isinstance(decided, tuple) and isinstance(decided[0], list) else []
        assert {WRITER[type(event)] for event in said} <= {decider.name}


def test_there_is_an_example_of_every_event_of_the_catalogue() -> None:
    assert {type(event) for event in EVENTS} == set(BY_TYPE.values())


@DECIDERS
def test_everything_that_a_service_hears_or_folds_is_said_by_itself_or_on_a_topic_that_it_reads(
    decider: Decider[Any],
) -> None:
    allowed = set(_heard_or_said(decider))
    heard = [body for body in (*decider.rules, *decider.folds) if issubclass(body, Event)]
    assert {WRITER[event] for event in heard} <= allowed
