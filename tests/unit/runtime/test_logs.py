"""A log that nobody floods, and in which nothing is lost without a word."""

import json
import logging
from collections.abc import Iterator
from contextlib import suppress
from io import StringIO

import pytest
import structlog

from shared.runtime.observe import logs
from shared.runtime.observe.logs import PERIOD_S, Repeats, Sparing


class Clock:
    """Seconds that a test moves on."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def written() -> Iterator[StringIO]:
    """What a configured process writes; pytest's own handlers and levels come back."""
    root, library = logging.getLogger(), logging.getLogger("aiokafka")
    before = root.handlers, root.level, library.level
    stream = StringIO()
    logs.configure("payment", "INFO", stream)
    yield stream
    root.handlers, root.level, library.level = before
    structlog.reset_defaults()


def line(message: object, *values: object, name: str = "aiokafka.conn", trace: bool = False) -> logging.LogRecord:
    """A line as a library writes it."""
    caught = (ValueError, ValueError(), None) if trace else None
    return logging.LogRecord(name, logging.ERROR, "conn.py", 1, message, values, caught)


def test_of_lines_that_differ_in_their_values_only_one_in_ten_seconds_is_written() -> None:
    clock = Clock()
    sparing = Sparing(clock)
    passed = []
    for n in range(1200):
        clock.now = n / 60
        passed.append(sparing.filter(line("unable to connect to node %s", n)))
    assert [n for n, one in enumerate(passed) if one] == [0, 600]


def test_the_next_line_that_is_written_tells_how_many_were_held_back() -> None:
    clock = Clock()
    sparing = Sparing(clock)
    for _ in range(8):
        sparing.filter(line("gone"))
    clock.now = PERIOD_S
    told, after = line("gone"), line("gone")
    assert sparing.filter(told)
    assert vars(told)["held_back"] == 7
    clock.now = 2 * PERIOD_S
    assert sparing.filter(after)
    assert "held_back" not in vars(after)


def test_another_message_another_logger_and_an_exception_are_written_at_once() -> None:
    sparing = Sparing(Clock())
    assert sparing.filter(line("gone"))
    assert not sparing.filter(line("gone"))
    assert sparing.filter(line("back"))
    assert sparing.filter(line("gone", name="faust"))
    assert sparing.filter(line("gone", trace=True))


def test_our_own_lines_are_all_written() -> None:
    sparing = Sparing(Clock())
    assert all(sparing.filter(line({"event": "waiting"})) for _ in range(3))


def test_messages_without_number_are_not_remembered_without_end() -> None:
    sparing = Sparing(Clock())
    assert all(sparing.filter(line(f"values in the message {n}")) for n in range(5000))
    assert len(sparing._passed) <= logs.MOST_MESSAGES


def test_both_kinds_of_lines_are_json_with_the_service_and_nothing_that_is_not_on_the_list(written: StringIO) -> None:
    structlog.get_logger("ours").info("started", port=1, full_name="Nguyễn")
    told = line("gone")
    vars(told)["held_back"] = 7
    logging.getLogger("aiokafka").handle(told)
    ours, theirs = (json.loads(one) for one in written.getvalue().splitlines())
    assert (ours["event"], ours["service"], ours["port"], "full_name" in ours) == ("started", "payment", 1, False)
    assert (theirs["event"], theirs["service"], theirs["held_back"]) == ("gone", "payment", 7)


def test_a_fault_that_lasts_is_told_once_and_then_once_a_minute_with_how_many_were_not() -> None:
    clock, lines = Clock(), []
    repeats = Repeats(clock)
    for n in range(27 * 130):
        clock.now = n / 27
        with suppress(structlog.DropEvent):
            lines.append(
                repeats(None, "critical", {"event": "cannot-take-back", "why": "a fork", "request_id": str(n)})
            )
    assert [one.get("held_back") for one in lines] == [None, 27 * 60 - 1, 27 * 60 - 1]


@pytest.mark.parametrize(
    ("method", "fields"),
    [
        ("info", {"event": "same"}),
        ("error", {"event": "bug", "exc_info": True}),
        ("warning", {"event": "bank-report-refused", "reason": "malformed", "reference": "r1"}),
        ("error", {"event": "shard-stopped", "shard": 1, "offset": 17}),
    ],
)
def test_what_is_no_fault_or_names_one_thing_or_bears_a_trace_is_told_each_time(
    method: str, fields: dict[str, object]
) -> None:
    repeats = Repeats(Clock())
    assert [repeats(None, method, dict(fields)) for _ in range(3)] == [fields] * 3


def test_two_faults_that_differ_in_one_field_are_both_told(written: StringIO) -> None:
    log = structlog.get_logger("shared.runtime.test")
    for shard in (1, 2, 1):
        log.error("shard-stopped", shard=shard)
    assert [json.loads(one)["shard"] for one in written.getvalue().splitlines()] == [1, 2]
