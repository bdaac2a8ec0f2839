"""What we write is closed, what we read is open, and what nobody can read is poison, never a crash."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from shared.errors import Poison
from shared.events.base import Event
from shared.events.catalogue import BY_TYPE, SAID_BY, WRITER
from shared.events.envelope import MAX_EVENT_BYTES, open_record, read_body, read_envelope, traceparent
from tests.contract.events.publishing import Golden, envelope, expected, published
from tests.controls import (
    DOSSIER,
    EVENTS,
    applicant,
    citizen_verified,
    dossier_submitted,
    fee_paid,
    notice_sent,
    paper,
    processing_started,
)

STRUCTURED = "application/cloudevents+json; charset=UTF-8"


def _inside(content: Any) -> Iterator[Any]:
    """Copies of `content`, each with an unknown field in another object of it."""
    if isinstance(content, dict):
        yield {**content, "notForeseen": {"deep": [1]}}
        for name, inner in content.items():
            yield from ({**content, name: changed} for changed in _inside(inner))
    elif isinstance(content, list):
        for n, inner in enumerate(content):
            yield from ([*content[:n], changed, *content[n + 1 :]] for changed in _inside(inner))


def _structured(golden: Golden, **changes: Any) -> tuple[list[tuple[str, bytes]], bytes]:
    """The same event in structured mode (Kafka binding §3.3)."""
    attributes = {name[3:]: content for name, content in golden.headers.items() if name.startswith("ce_")}
    event = {**attributes, "datacontenttype": "application/json", "data": golden.content, **changes}
    return [("content-type", STRUCTURED.encode())], json.dumps(event).encode()


# Closed when written


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_an_event_refuses_a_field_that_it_does_not_know(event: Event) -> None:
    for content in _inside(event.model_dump(mode="json")):
        with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
            type(event).model_validate(content)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_an_event_cannot_be_changed(event: Event) -> None:
    name = next(iter(type(event).model_fields))

    with pytest.raises(ValidationError, match="frozen"):
        setattr(event, name, getattr(event, name))


@pytest.mark.parametrize(
    "text", ["079200001234", "Nguyễn Văn An", "sealed.v1.", "sealed.v1.đđ", "sealed.v2." + "A" * 56]
)
def test_a_field_of_personal_data_takes_sealed_text_only(text: str) -> None:
    for field in ("id_number", "full_name", "date_of_birth", "phone", "email"):
        with pytest.raises(ValidationError, match=field):
            applicant(**{field: text})


def test_an_instant_without_its_offset_is_refused() -> None:
    with pytest.raises(ValidationError, match="a time needs its offset"):
        fee_paid(paid_at="2026-09-16T08:40:00")


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+07:00", "9999-12-31T23:59:59-07:00"])
def test_an_instant_that_utc_cannot_tell_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="there is no such instant in UTC"):
        fee_paid(paid_at=text)


@settings(deadline=None)
@given(at=st.datetimes(datetime(2000, 1, 1), datetime(2099, 1, 1)), hours=st.integers(-12, 14))
def test_an_instant_is_written_in_utc_wherever_it_was_read(at: datetime, hours: int) -> None:
    there = at.replace(tzinfo=timezone(timedelta(hours=hours)))
    written = orjson.loads(fee_paid(paid_at=there).model_dump_json())["paid_at"]

    assert written.endswith("Z")
    assert datetime.fromisoformat(written) == there


def test_an_amount_is_whole_dong_and_not_negative() -> None:
    for amount in (-1, 0.5, 10_000_000_001):
        with pytest.raises(ValidationError, match="amount_vnd"):
            fee_paid(amount_vnd=amount)


# Open when read


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_a_reader_ignores_a_field_that_it_does_not_know_at_any_level(event: Event) -> None:
    for content in _inside(event.model_dump(mode="json")):
        assert read_body(event.TYPE, WRITER[type(event)], orjson.dumps(content)) == event


def test_a_reader_skips_a_type_that_it_does_not_know() -> None:
    for unknown in ("vn.gov.dossier.fee-paid.v2", "vn.gov.dossier.moon-landed.v1", "com.example.other"):
        assert read_body(unknown, "payment", b"anything") is None


# Binary and structured mode


@pytest.mark.parametrize("golden", expected().values(), ids=lambda golden: golden.headers["ce_type"])
def test_binary_and_structured_mode_tell_the_same(golden: Golden) -> None:
    binary_text, binary_data = open_record(golden.raw_headers, golden.data)
    text, data = open_record(*_structured(golden))

    kind, writer = golden.headers["ce_type"], read_envelope(binary_text).writer
    told, meant = read_envelope(text), read_envelope(binary_text)
    assert (told.id, told.sequence, told.previous, told.time) == (meant.id, meant.sequence, meant.previous, meant.time)
    assert (told.writer, told.shard, told.dossier_id, told.type) == (meant.writer, meant.shard, meant.dossier_id, kind)
    assert read_body(kind, writer, data) == read_body(kind, writer, binary_data) is not None


def test_binary_mode_hands_over_the_bytes_untouched() -> None:
    golden = published(notice_sent())
    spaced = b"  " + golden.data + b"\n"

    assert open_record(golden.raw_headers, spaced)[1] == spaced


@pytest.mark.parametrize("kind", ["application/cloudevents+json", "Application/CloudEvents+JSON", STRUCTURED])
def test_structured_mode_is_known_by_its_content_type_in_any_case(kind: str) -> None:
    """Kafka binding §3: structured if the content type starts with application/cloudevents, in any case."""
    _, value = _structured(published(notice_sent()))

    text, _ = open_record([("Content-Type", kind.encode())], value)

    assert read_envelope(text).type == notice_sent().TYPE


def test_header_names_are_read_in_any_case() -> None:
    golden = published(notice_sent())

    text, _ = open_record([(name.upper(), content) for name, content in golden.raw_headers], golden.data)

    assert read_envelope(text) == envelope(notice_sent())


# Poison


@pytest.mark.parametrize("name", [name for name in published(notice_sent()).headers if name.startswith("ce_")])
def test_a_missing_attribute_is_poison_that_names_it(name: str) -> None:
    lacking = {other: content for other, content in published(notice_sent()).headers.items() if other != name}

    with pytest.raises(Poison, match=f"{name} is missing or malformed") as poison:
        read_envelope(lacking)
    assert poison.value.reason == "envelope"


MALFORMED = [
    ("ce_id", "42"),
    ("ce_id", ""),
    ("ce_source", "urn:dossier:intake"),
    ("ce_source", "urn:dossier::3"),
    ("ce_source", "urn:dossier:intake:three"),
    ("ce_source", "urn:other:intake:3"),
    ("ce_source", "urn:dossier:intake:" + "9" * 5000),
    ("ce_time", "2026-09-16T08:30:00"),
    ("ce_time", "yesterday"),
    ("ce_time", "0001-01-01T00:00:00+14:00"),
    ("ce_partitionkey", "H26.33.04-260916-0001"),
    ("ce_sequence", "42"),
    ("ce_sequence", "0" * 20),
    ("ce_sequence", "-" + "0" * 18 + "1"),
    ("ce_sequence", "٠" * 19 + "١"),
    ("ce_sequence", "0" * 20 + "1"),
    ("ce_previous", "the one before"),
    ("ce_specversion", "0.3"),
    ("ce_specversion", "1.0.2"),
    ("ce_subject", "dossier/1d9e4b7a-35c2-5f08-8a6b-7c4d2e1f0a93"),
    ("ce_subject", str(DOSSIER)),
    ("ce_dataschema", "notice-sent/1.0.0.json"),
    ("ce_correlationid", "H26.33.04-260916-0001"),
    ("ce_causationid", "42"),
]


@pytest.mark.parametrize(("name", "content"), MALFORMED)
def test_a_malformed_attribute_is_poison_that_names_it(name: str, content: str) -> None:
    made = {**published(notice_sent()).headers, name: content}

    with pytest.raises(Poison, match=f"{name} is missing or malformed"):
        read_envelope(made)


def test_a_header_that_is_not_utf8_is_poison() -> None:
    with pytest.raises(Poison) as poison:
        open_record([("ce_id", b"\xff\xfe")], b"{}")
    assert poison.value.reason == "headers-not-utf8"


def test_a_header_without_a_value_is_poison() -> None:
    """Kafka's protocol allows a null, and the client library hands it on."""
    without: Any = [("ce_id", None)]

    with pytest.raises(Poison):
        open_record(without, b"{}")


@pytest.mark.parametrize(
    "value",
    [None, b"", b"\xff", b"not json", b"[]", b"42", b"null", b'"text"', b"{}", b'{"id": "1"}', b"[" * 100_000,
     rb'{"type": "\ud800", "data": {}}', rb'{"\ud800": "1", "data": {}}', b'{"data_base64": "AA=="}'],
)  # fmt: skip
def test_a_structured_record_that_is_no_cloudevent_is_poison(value: bytes | None) -> None:
    with pytest.raises(Poison) as poison:
        open_record([("content-type", STRUCTURED.encode())], value)
    assert poison.value.reason == "structured-unreadable"


@pytest.mark.parametrize(
    "data", [b"", b"\xff", b"not json", b"null", b"[]", b"42", b"[" * 100_000, b'{"by":' * 1000, b"{}", b'{"by": 1}']
)
def test_a_body_that_its_schema_does_not_know_is_poison(data: bytes) -> None:
    with pytest.raises(Poison) as poison:
        read_body(processing_started().TYPE, "intake", data)
    assert poison.value.reason == "schema"


def test_what_is_said_of_a_bad_body_holds_none_of_its_values() -> None:
    body = {**citizen_verified().model_dump(mode="json"), "register_request": "Nguyễn Văn An 079200001234"}

    with pytest.raises(Poison) as poison:
        read_body(citizen_verified().TYPE, "verification", orjson.dumps(body))

    assert str(poison.value) == "register_request: string_pattern_mismatch"


def test_what_is_said_of_many_faults_stays_short() -> None:
    papers = [{"code": "?"}] * 500
    body = {**dossier_submitted().model_dump(mode="json"), "papers": papers}

    with pytest.raises(Poison) as poison:
        read_body(dossier_submitted().TYPE, "intake", orjson.dumps(body))

    assert len(str(poison.value)) <= 512


@pytest.mark.parametrize("kind", sorted(BY_TYPE))
def test_only_its_one_writer_may_say_an_event(kind: str) -> None:
    event = next(event for event in EVENTS if kind == event.TYPE)
    data = published(event).data

    for service in SAID_BY:
        if service == WRITER[type(event)]:
            assert read_body(kind, service, data) == event
        else:
            with pytest.raises(Poison) as poison:
                read_body(kind, service, data)
            assert poison.value.reason == "foreign-type"


@settings(deadline=None)
@given(
    value=st.binary(max_size=200),
    kind=st.sampled_from(["application/json", STRUCTURED]),
    name=st.sampled_from(["ce_id", "ce_source", "ce_time", "ce_sequence", "ce_previous", "ce_type", "x"]),
    content=st.binary(max_size=40),
)
def test_bytes_from_anywhere_are_read_or_are_poison(value: bytes, kind: str, name: str, content: bytes) -> None:
    raw = [*published(fee_paid(), 2).raw_headers, ("content-type", kind.encode()), (name, content)]
    try:
        text, data = open_record(raw, value)
        said = read_envelope(text)
        read_body(said.type, said.writer, data)
    except Poison:
        return
    assert isinstance(said.id, UUID)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(
    changes=st.dictionaries(
        st.sampled_from(["id", "source", "type", "time", "partitionkey", "sequence", "data"]), json_values, min_size=1
    )
)
def test_a_structured_record_with_anything_in_it_is_read_or_is_poison(changes: dict[str, Any]) -> None:
    try:
        text, data = open_record(*_structured(published(fee_paid()), **changes))
        said = read_envelope(text)
        read_body(said.type, said.writer, data)
    except Poison:
        return
    assert "".join(text.values()).encode()


# Size and trace


def test_an_ordinary_event_is_far_below_the_limit() -> None:
    for event in EVENTS:
        golden = published(event)
        whole = len(golden.data) + sum(len(name) + len(content) for name, content in golden.raw_headers)
        assert whole < 8 * 1024 < MAX_EVENT_BYTES


def test_a_dossier_with_two_hundred_papers_still_fits() -> None:
    papers = tuple(paper(f"paper-{n}") for n in range(200))

    assert len(published(dossier_submitted(papers=papers)).data) < MAX_EVENT_BYTES


@pytest.mark.parametrize(
    "foreign", ["", "00-0-0-00", "ff", "00-" + "A" * 32 + "-" + "b" * 16 + "-01", "x" * 5000, "00\r\nx: y"]
)
def test_a_foreign_trace_is_dropped_if_it_is_not_one(foreign: str) -> None:
    """W3C Trace Context, traceparent."""
    assert traceparent(foreign) is None
