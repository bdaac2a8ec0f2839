"""When jobs are due: by Vietnam's clock and an agency's calendar; and which times are caught up after an outage."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.law.calendar import ALWAYS, VIETNAM, Calendar, vietnam_date
from shared.schedule import GRACE, Daily, Every, Missed, When, handled_by, is_left_out

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
DIVISORS = [n for n in range(1, 1441) if 1440 % n == 0]
CALENDARS = (None, Calendar(), Calendar(saturday_mornings=ALWAYS), Calendar(days_off=frozenset({date(2026, 10, 2)})))
INSTANTS = st.datetimes(
    datetime(2024, 1, 1),
    datetime(2030, 12, 31),
    timezones=st.sampled_from([UTC, VIETNAM, timezone(-timedelta(hours=9))]),
)
EVERY = st.sampled_from(DIVISORS).map(Every)
DAILY = st.builds(Daily, st.times(), st.sampled_from(CALENDARS))
WHEN: st.SearchStrategy[When] = st.one_of(EVERY, DAILY)


def at(text: str) -> datetime:
    """An instant written as Vietnamese time."""
    return datetime.fromisoformat(text).replace(tzinfo=VIETNAM)


def due_between(when: When, start: datetime, end: datetime) -> Iterator[datetime]:
    """All due times in (start, end]."""
    while (start := when.after(start)) <= end:
        yield start


@pytest.mark.parametrize(
    ("when", "instant", "due"),
    [
        (Every(1), "2026-11-30 08:00:00", "2026-11-30 08:01"),
        (Every(15), "2026-11-30 08:14:59", "2026-11-30 08:15"),
        (Every(1440), "2026-11-30 00:00:01", "2026-12-01 00:00"),
        (Daily(time(2)), "2026-11-30 01:59:59", "2026-11-30 02:00"),
        (Daily(time(2)), "2026-11-30 02:00:00", "2026-12-01 02:00"),
        (Daily(time(7), Calendar()), "2026-08-21 07:00", "2026-08-22 07:00"),  # a Saturday that is worked
        (Daily(time(7), Calendar()), "2026-08-28 07:00", "2026-09-03 07:00"),  # an exchanged day and National Day
        (Daily(time(7), Calendar()), "2026-02-13 12:00", "2026-02-23 07:00"),  # Tết
        (Daily(time(23), Calendar(saturday_mornings=ALWAYS)), "2026-09-18 23:00", "2026-09-19 23:00"),
    ],
)
def test_the_next_time_is_the_first_one_after(when: When, instant: str, due: str) -> None:
    assert when.after(at(instant)) == at(due)


@given(EVERY, INSTANTS)
def test_every_so_many_minutes_is_counted_from_midnight_in_vietnam(when: Every, instant: datetime) -> None:
    due = when.after(instant)
    there = due.astimezone(VIETNAM)
    assert instant < due <= instant + when.minutes * MINUTE
    assert (there.hour * 60 + there.minute) % when.minutes == 0
    assert (there.second, there.microsecond) == (0, 0)


@given(DAILY, INSTANTS)
def test_daily_is_at_that_time_in_vietnam_on_every_day_of_the_calendar_and_on_no_other(
    when: Daily, instant: datetime
) -> None:
    due = when.after(instant)
    assert due > instant
    assert due.astimezone(VIETNAM).time() == when.at
    first, last = vietnam_date(instant), vietnam_date(due)
    passed = [first + n * DAY for n in range((last - first).days + 1)]
    works = [day for day in passed if when.calendar is None or when.calendar.is_working_day(day)]
    assert [day for day in works if datetime.combine(day, when.at, VIETNAM) > instant] == [last]


@given(WHEN, INSTANTS, st.timedeltas(timedelta(0), timedelta(days=9)))
def test_nothing_is_due_between_an_instant_and_its_next_time(when: When, instant: datetime, later: timedelta) -> None:
    due = when.after(instant)
    between = min(instant + later, due - timedelta(microseconds=1))
    assert when.after(between) == due
    assert when.after(due) > due


@pytest.mark.parametrize("minutes", [0, -1, 7, 1441])
def test_minutes_that_do_not_divide_the_day_are_refused(minutes: int) -> None:
    with pytest.raises(ValueError, match="divide"):
        Every(minutes)


def test_a_time_of_another_zone_and_an_instant_of_none_are_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        Daily(time(2, tzinfo=UTC))
    for when in (Every(1), Daily(time(2))):
        with pytest.raises(ValueError, match="zone"):
            when.after(datetime(2026, 1, 1))


def run_late(when: When, missed: Missed, since: datetime, back: datetime) -> list[datetime]:
    """The times that run (in no time) when everybody is back after an outage that began at `since`."""
    ran, handled = [], since
    while (due := when.after(handled)) <= back:
        if not is_left_out(missed, due, back):
            ran.append(due)
        before, handled = handled, handled_by(missed, due, back)
        assert handled > before
    return ran


@given(WHEN, INSTANTS, st.timedeltas(timedelta(0), timedelta(days=3)))
def test_missed_times_are_each_caught_up_or_once_for_all_or_left_out(
    when: When, since: datetime, outage: timedelta
) -> None:
    back = since + outage
    due = list(due_between(when, since, back)) if isinstance(when, Daily) or when.minutes > 10 else []
    if due:
        assert run_late(when, Missed.EACH, since, back) == due
        assert run_late(when, Missed.ONCE, since, back) == due[:1], "once, for all of them"
    in_time = list(due_between(when, max(since, back - GRACE - timedelta(microseconds=1)), back))
    assert run_late(when, Missed.SKIP, since, back) == in_time
