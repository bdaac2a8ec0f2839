"""The headers of an event keep the house conventions and CloudEvents 1.0, whatever the event says."""

import re
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.events.base import Event
from shared.events.catalogue import BY_TYPE, WRITER
from shared.events.envelope import Envelope, headers, open_record, read_envelope, rfc3339
from shared.services import SERVICES
from shared.topics import SHARDS
from tests.contract.events.publishing import envelope, published
from tests.controls import DOSSIER, EVENTS, MESSAGE, dossier_submitted, notice_sent, sealed

ALWAYS = [
    "content-type",
    "ce_specversion",
    "ce_id",
    "ce_source",
    "ce_type",
    "ce_time",
    "ce_subject",
    "ce_dataschema",
    "ce_partitionkey",
    "ce_sequence",
    "ce_correlationid",
    "ce_causationid",
]
FORMS = {
    "content-type": r"application/json",
    "ce_specversion": r"1\.0",
    "ce_id": r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "ce_source": rf"urn:dossier:({'|'.join(SERVICES)}):([0-9]|1[01])",
    "ce_type": r"vn\.gov\.dossier\.[a-z]+(-[a-z]+)*\.v[1-9][0-9]*",
    "ce_time": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z",
    "ce_subject": rf"dossier/{DOSSIER}",
    "ce_dataschema": r"https://[a-z.]+/[a-z]+(-[a-z]+)*\.v[1-9][0-9]*/\d+\.\d+\.\d+\.json",
    "ce_partitionkey": str(DOSSIER),
    "ce_sequence": r"[0-9]{20}",
    "ce_correlationid": str(DOSSIER),
    "ce_causationid": str(MESSAGE),
}

envelopes = st.builds(
    Envelope,
    id=st.uuids(),
    type=st.just("vn.gov.dossier.notice-sent.v1"),
    time=st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2099, 1, 1)).map(
        lambda at: at.replace(microsecond=at.microsecond // 1000 * 1000, tzinfo=timezone(timedelta(hours=7)))
    ),
    dossier_id=st.uuids(),
    writer=st.sampled_from(sorted(set(WRITER.values()))),
    shard=st.integers(0, SHARDS - 1),
    sequence=st.integers(1, 2**63 - 1),
    previous=st.none() | st.uuids(),
    traceparent=st.none() | st.from_regex(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", fullmatch=True),
)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_the_first_event_of_a_shard_bears_these_headers_and_no_others(event: Event) -> None:
    made = published(event, sequence=1).headers

    assert list(made) == ALWAYS
    for name, form in FORMS.items():
        assert re.fullmatch(form, made[name]), (name, made[name])


def test_a_later_event_names_the_one_before_it() -> None:
    made = published(notice_sent(), sequence=42).headers

    assert list(made) == [*ALWAYS, "ce_previous", "traceparent"]
    assert made["ce_sequence"] == "00000000000000000042"
    assert made["ce_previous"] == published(notice_sent(), sequence=41).headers["ce_id"]


def test_without_a_trace_there_is_no_traceparent() -> None:
    assert "traceparent" not in published(notice_sent(), sequence=1).headers


def test_attribute_names_are_those_that_cloudevents_allows() -> None:
    """CloudEvents spec.md, Naming Conventions: small letters and digits, a letter first, 20 at most, never `data`."""
    names = [name.removeprefix("ce_") for name in published(notice_sent(), 2).headers if name.startswith("ce_")]

    assert all(re.fullmatch(r"[a-z][a-z0-9]{0,19}", name) for name in names)
    assert "data" not in names


@settings(deadline=None)
@given(at=st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=7))])))
def test_a_time_is_told_in_utc_with_milliseconds(at: datetime) -> None:
    if not 1 < at.year < 9999:
        return
    told = rfc3339(at)

    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", told)
    assert timedelta() <= at - datetime.fromisoformat(told) < timedelta(milliseconds=1)


@settings(deadline=None)
@given(said=envelopes, cause=st.uuids())
def test_an_envelope_reads_back_as_it_was_written(said: Envelope, cause: UUID) -> None:
    written = [(name, content.encode()) for name, content in headers(type(notice_sent()), said, cause).items()]

    text, _ = open_record(written, b"{}")

    assert read_envelope(text) == said


@settings(deadline=None)
@given(numbers=st.lists(st.integers(1, 2**63 - 1), min_size=2, max_size=20))
def test_sequences_sort_as_text_as_they_do_as_numbers(numbers: list[int]) -> None:
    """CloudEvents extension `sequence`: compared as text."""
    told = [published(notice_sent(), number).headers["ce_sequence"] for number in numbers]

    assert sorted(told) == [f"{number:020d}" for number in sorted(numbers)]


def test_headers_are_made_without_sight_of_what_the_event_says() -> None:
    """No personal data in headers by construction: two applicants, the same headers."""
    one = published(dossier_submitted(code="H26.33.04-260916-0001"))
    other = published(dossier_submitted(code="H26.33.04-260916-0002", agency="H26.16"))

    assert one.data != other.data
    assert one.headers == other.headers


def test_no_header_holds_a_sealed_text() -> None:
    assert sealed("N").encode() in published(dossier_submitted()).data
    assert not any("sealed" in content for content in published(dossier_submitted()).headers.values())


def test_every_type_is_the_kebab_case_of_its_class() -> None:
    for kind, event in BY_TYPE.items():
        kebab = re.sub(r"(?<!^)(?=[A-Z])", "-", event.__name__).lower()
        assert kind == f"vn.gov.dossier.{kebab}.v{event.VERSION.partition('.')[0]}"


def test_the_source_names_writer_and_shard() -> None:
    for event in EVENTS:
        assert published(event).headers["ce_source"] == f"urn:dossier:{WRITER[type(event)]}:{envelope(event).shard}"
