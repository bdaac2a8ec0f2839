"""The quick way to an event's time and body in the trail says what the whole reading says, whatever the headers are."""

from datetime import datetime

from hypothesis import given
from hypothesis import strategies as some

from shared.errors import Poison
from shared.events.envelope import open_record, read_envelope
from shared.runtime.recovery.rebuild import _time_and_body
from shared.runtime.store.headers import Headers, headers_json
from tests.unit.runtime.records import genuine

OURS = genuine(2)
NAMES = some.sampled_from(
    ["content-type", "Content-Type", "ce_time", "CE_TIME", "ce_id", "ce_subject", "x", 'a"ce_time"', '"content-type"']
)
TEXTS = some.sampled_from(
    [
        b"application/json", b"application/cloudevents+json", b"2026-03-02T01:00:00.000Z", b"2026-03-02T08:00:00+07:00",
        b"2026-03-02T08:00:00", b"yesterday", b"Z", b"\xff", b"", b"2026-02-30T00:00:00.000Z", None,
    ]
)  # fmt: skip
ODD = some.lists(some.tuples(some.integers(0, len(OURS.headers)), NAMES, TEXTS), max_size=3)


def _with(odd: list[tuple[int, str, bytes | None]]) -> Headers:
    """Our own headers with others among them."""
    headers = list[tuple[str, bytes | None]](OURS.headers)
    for place, name, text in odd:
        headers.insert(place, (name, text))
    return headers


def _whole(headers: Headers) -> tuple[datetime, bytes] | None:
    """Time and body as the live service reads them; None where it cannot: such a record has no place in the trail."""
    try:
        text, data = open_record(headers, OURS.value)
        return read_envelope(text).time, data
    except Poison:
        return None


def _quick(headers: Headers) -> tuple[datetime, bytes] | None:
    try:
        return _time_and_body(headers_json(headers), OURS.value)
    except Poison:
        return None


@given(ODD, some.booleans())
def test_an_event_of_the_trail_is_read_as_the_live_service_reads_it(
    odd: list[tuple[int, str, bytes | None]], without_ours: bool
) -> None:
    headers = _with(odd)
    if without_ours:
        headers = [one for one in headers if one not in OURS.headers or one[0] not in ("content-type", "ce_time")]
    quick, whole = _quick(headers), _whole(headers)
    assert whole is None or quick == whole


def test_what_our_own_relays_publish_is_read_the_quick_way() -> None:
    assert _quick(OURS.headers) == _whole(OURS.headers) is not None
