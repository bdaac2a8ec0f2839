"""What was said stays readable, and what we say now is what the golden file holds, byte for byte."""

import pytest

from shared.events import schema
from shared.events.__main__ import FOLDER as SCHEMAS
from shared.events.base import Event
from shared.events.catalogue import BY_TYPE, READINGS, WRITER
from shared.events.envelope import open_record, read_body, read_envelope
from tests.contract.events.publishing import Golden, expected, file_of, kept, read
from tests.controls import EVENTS

CLASSES = sorted(BY_TYPE.values(), key=lambda event: event.TYPE)
KEPT = [pytest.param(golden, id=name) for name, golden in kept()]


def test_the_controls_hold_one_example_of_every_event() -> None:
    assert sorted(type(event).__name__ for event in EVENTS) == sorted(event.__name__ for event in CLASSES)


@pytest.mark.parametrize("event", CLASSES)
def test_every_event_is_published_as_its_golden_file_says(event: type[Event]) -> None:
    golden = read(file_of(event))
    now = expected()[event]

    assert list(now.headers.items()) == list(golden.headers.items())
    assert now.data == golden.data


@pytest.mark.parametrize("golden", KEPT)
def test_every_golden_file_still_reads_as_the_event_that_it_was(golden: Golden) -> None:
    text, data = open_record(golden.raw_headers, golden.data)
    envelope = read_envelope(text)

    event = read_body(envelope.type, envelope.writer, data)

    assert event is not None
    assert READINGS[golden.headers["ce_type"]].newest is type(event)
    assert envelope.writer == WRITER[type(event)]
    if golden.headers == expected()[type(event)].headers:
        assert event in EVENTS


def test_there_is_no_golden_file_of_an_event_that_nobody_knows() -> None:
    assert {golden.headers["ce_type"] for _, golden in kept()} == set(READINGS)


def test_every_version_that_was_ever_released_has_its_golden_file() -> None:
    released = schema.released((SCHEMAS / schema.DIGESTS).read_text())

    assert {f"vn.gov.dossier.{name}" for name in released} <= {name for name, _ in kept()}
