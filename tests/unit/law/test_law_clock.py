"""The working calendar and the legal clock (C1-C5, C9): cases counted by hand, and properties."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.law.calendar import AFTERNOON, ALWAYS, LAST_YEAR, MORNING, VIETNAM, Calendar, vietnam_date
from shared.law.clock import (
    WORKING_DAY,
    Duration,
    DurationUnit,
    Verdict,
    accept_by,
    add_working_hours,
    add_working_time,
    due_at,
    take_working_time,
    verdict,
    working_time_between,
)

ORDINARY = Calendar()
WITH_SATURDAYS = Calendar(saturday_mornings=ALWAYS)


def at(text: str) -> datetime:
    """An instant written as Vietnamese time, e.g. `2026-11-24 07:00`."""
    return datetime.fromisoformat(text).replace(tzinfo=VIETNAM)


# --- C1: which days are worked


@pytest.mark.parametrize(
    ("closing", "opening"),
    [
        ("2026-08-21 17:00", "2026-08-22 07:00"),  # Saturday 22 August 2026 is worked
        ("2026-08-28 17:00", "2026-09-03 07:00"),  # for Monday 31 August; then National Day
        ("2026-11-23 17:00", "2026-11-25 07:00"),  # Culture Day, 24 November
        ("2025-11-23 17:00", "2025-11-24 07:00"),  # which was no holiday before 2026
        ("2026-02-13 17:00", "2026-02-23 07:00"),  # Tết 2026: nine days
        ("2027-02-03 17:00", "2027-02-11 07:00"),  # Tết 2027
        ("2023-01-19 17:00", "2023-01-27 07:00"),  # Tết 2023
        ("2023-08-31 17:00", "2023-09-05 07:00"),  # National Day on a Saturday: Friday and Monday off
        ("2024-04-26 17:00", "2024-05-02 07:00"),  # Monday 29 April 2024 exchanged
        ("2024-05-03 17:00", "2024-05-04 07:00"),  # for Saturday 4 May
        ("2025-04-25 17:00", "2025-04-26 07:00"),  # Saturday 26 April 2025 is worked
        ("2025-04-29 17:00", "2025-05-05 07:00"),  # for Friday 2 May
        ("2027-12-31 17:00", "2028-01-04 07:00"),  # New Year's Day 2028 on a Saturday
        ("2028-01-21 17:00", "2028-01-31 07:00"),  # Tết 2028
        ("2030-01-30 17:00", "2030-02-07 07:00"),  # Tết 2030
        ("2030-11-22 17:00", "2030-11-26 07:00"),  # Culture Day 2030 on a Sunday
        ("2026-12-31 17:00", "2027-01-04 07:00"),  # over the end of a year
    ],
)
def test_after_closing_the_next_opening_is_on_the_next_working_day(closing: str, opening: str) -> None:
    assert ORDINARY.next_opening(at(closing)) == at(opening)


def test_a_decision_that_the_library_lacks_closes_one_day_and_opens_another() -> None:
    calendar = Calendar(days_off=frozenset({date(2026, 10, 2)}), worked_days=frozenset({date(2026, 10, 10)}))
    assert calendar.next_opening(at("2026-10-01 17:00")) == at("2026-10-05 07:00")
    assert calendar.next_opening(at("2026-10-09 17:00")) == at("2026-10-10 07:00")


def test_a_decision_wins_over_a_worked_saturday_and_over_a_holiday() -> None:
    calendar = Calendar(days_off=frozenset({date(2026, 8, 22)}), worked_days=frozenset({date(2026, 11, 24)}))
    assert not calendar.is_working_day(date(2026, 8, 22))
    assert calendar.is_working_day(date(2026, 11, 24))


def test_an_agency_with_saturday_mornings_is_open_until_half_past_eleven() -> None:
    saturday = date(2026, 9, 19)
    assert WITH_SATURDAYS.hours(saturday) == (MORNING,)
    assert ORDINARY.hours(saturday) == ()
    assert WITH_SATURDAYS.hours(date(2026, 8, 22)) == (MORNING, AFTERNOON), "a worked Saturday is a whole day"
    assert WITH_SATURDAYS.hours(date(2024, 2, 10)) == (), "Tết on a Saturday stays a holiday"


def test_years_without_known_holidays_are_refused_rather_than_guessed() -> None:
    with pytest.raises(ValueError, match="known from 2000 to 2100"):
        ORDINARY.hours(date(LAST_YEAR + 1, 1, 4))


@given(st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31)))
def test_the_fixed_offset_says_what_the_time_zone_says(moment: datetime) -> None:
    instant = moment.replace(tzinfo=UTC)
    assert instant.astimezone(VIETNAM).replace(tzinfo=None) == instant.astimezone(ZoneInfo("Asia/Ho_Chi_Minh")).replace(
        tzinfo=None
    )


# --- C2: where a clock starts


@pytest.mark.parametrize(
    ("start", "moved"),
    [
        ("2026-09-15 00:00", "2026-09-15 07:00"),
        ("2026-09-15 06:59:59", "2026-09-15 07:00"),
        ("2026-09-15 07:00", "2026-09-15 07:00"),
        ("2026-09-15 11:29:59", "2026-09-15 11:29:59"),
        ("2026-09-15 11:30", "2026-09-15 13:30"),
        ("2026-09-15 13:29", "2026-09-15 13:30"),
        ("2026-09-15 16:59:59.999999", "2026-09-15 16:59:59.999999"),
        ("2026-09-15 17:00", "2026-09-16 07:00"),
        ("2026-09-18 17:00", "2026-09-21 07:00"),
        ("2026-09-19 10:00", "2026-09-21 07:00"),
    ],
)
def test_a_start_outside_a_session_is_moved_to_the_next_opening(start: str, moved: str) -> None:
    assert ORDINARY.next_opening(at(start)) == at(moved)


def test_a_time_without_a_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        accept_by(ORDINARY, datetime(2026, 9, 15, 8))


def test_the_clock_reads_any_time_zone_and_answers_in_vietnamese_time() -> None:
    limit = accept_by(ORDINARY, datetime(2026, 9, 15, 1, 31, tzinfo=UTC))
    assert limit.isoformat() == "2026-09-16T08:31:00+07:00"


# --- C4: acceptance


@pytest.mark.parametrize(
    ("submitted", "limit"),
    [
        ("2026-09-15 13:22", "2026-09-16 11:30"),  # a span that exactly fills a session ends at its close
        ("2026-09-15 07:00", "2026-09-15 17:00"),
        ("2026-09-15 11:30", "2026-09-16 11:30"),
        ("2026-09-15 17:00", "2026-09-16 17:00"),
        ("2026-09-15 00:00", "2026-09-15 17:00"),
        ("2026-09-19 14:48", "2026-09-21 17:00"),
        ("2026-02-13 16:00", "2026-02-23 16:00"),  # over Tết 2026
        ("2027-02-03 15:00", "2027-02-11 15:00"),  # over Tết 2027
        ("2026-08-28 16:59", "2026-09-03 16:59"),
        ("2026-11-23 17:00", "2026-11-25 17:00"),
        ("2026-12-31 16:00", "2027-01-04 16:00"),
    ],
)
def test_a_dossier_is_to_be_answered_within_eight_working_hours(submitted: str, limit: str) -> None:
    assert accept_by(ORDINARY, at(submitted)) == at(limit)


# --- C3, C5: due dates


@pytest.mark.parametrize(
    ("accepted", "unit", "amount", "due"),
    [
        ("2026-02-13 16:00", "working_days", 7, "2026-03-03 16:00"),
        ("2026-09-15 11:30", "working_days", 1, "2026-09-16 11:30"),
        ("2026-09-15 13:22", "working_hours", 8, "2026-09-16 11:30"),
        ("2026-09-15 16:00", "working_hours", 3, "2026-09-16 09:00"),
        ("2026-09-15 07:00", "working_hours", 4, "2026-09-15 11:00"),
        ("2026-09-15 14:59:59", "same_day", 0, "2026-09-15 17:00"),
        ("2026-09-15 15:00", "same_day", 0, "2026-09-16 17:00"),
        ("2026-09-15 17:00", "same_day", 0, "2026-09-16 17:00"),
        ("2026-09-15 12:00", "same_day", 0, "2026-09-15 17:00"),
        ("2027-02-03 15:00", "same_day", 0, "2027-02-11 17:00"),
        ("2026-09-18 15:00", "same_day", 0, "2026-09-21 17:00"),
        ("2026-09-15 09:00", "calendar_days", 10, "2026-09-25 17:00"),
        ("2026-09-15 17:00", "calendar_days", 10, "2026-09-28 17:00"),  # counted from the 16th; the 26th is a Saturday
        ("2026-11-16 09:00", "calendar_days", 8, "2026-11-25 17:00"),  # lands on 24 November
        ("2026-08-21 09:00", "calendar_days", 10, "2026-09-03 17:00"),  # lands on 31 August
        ("2026-08-12 09:00", "calendar_days", 10, "2026-08-22 17:00"),  # lands on a worked Saturday
        ("2026-12-22 09:00", "calendar_days", 10, "2027-01-04 17:00"),  # lands on New Year's Day
        ("2026-02-06 18:00", "calendar_days", 10, "2026-02-23 17:00"),  # from Monday the 9th into Tết
    ],
)
def test_the_due_date_runs_from_acceptance(accepted: str, unit: DurationUnit, amount: int, due: str) -> None:
    assert due_at(ORDINARY, at(accepted), Duration(unit, amount)) == at(due)


@pytest.mark.parametrize(("unit", "amount"), [("same_day", 0), ("calendar_days", 1)])
def test_a_saturday_morning_is_no_day_to_be_due_at_five_in_the_afternoon(unit: DurationUnit, amount: int) -> None:
    start = at("2026-09-19 08:00") if unit == "same_day" else at("2026-09-18 08:00")
    assert due_at(WITH_SATURDAYS, start, Duration(unit, amount)) == at("2026-09-21 17:00")


def test_a_saturday_morning_counts_for_working_hours() -> None:
    assert add_working_hours(WITH_SATURDAYS, at("2026-09-18 16:00"), 3) == at("2026-09-19 09:00")


@pytest.mark.parametrize(("unit", "amount"), [("same_day", 1), ("working_days", 0), ("calendar_days", -1)])
def test_a_duration_that_means_nothing_is_refused(unit: DurationUnit, amount: int) -> None:
    with pytest.raises(ValueError, match="no such duration"):
        Duration(unit, amount)


# --- C9


@pytest.mark.parametrize(
    ("ended", "expected"),
    [
        ("2026-09-14 23:59", Verdict.EARLY),
        ("2026-09-15 00:00", Verdict.ON_TIME),
        ("2026-09-15 23:59", Verdict.ON_TIME),  # after the hour, but on the day
        ("2026-09-16 00:00", Verdict.LATE),
    ],
)
def test_a_verdict_goes_by_the_date_and_not_by_the_hour(ended: str, expected: Verdict) -> None:
    assert verdict(at(ended).astimezone(UTC), at("2026-09-15 09:00")) is expected


# --- properties


def minutes_counted(calendar: Calendar, start: datetime, minutes: int) -> datetime:
    """The slow and obvious clock: look at every minute, count those that are open."""
    now = start.astimezone(VIETNAM)
    while minutes:
        hours = calendar.hours(now.date())
        minutes -= any(opens <= now.time() < closes for opens, closes in hours)
        now += timedelta(minutes=1)
    return now


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from([ORDINARY, WITH_SATURDAYS]),
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 3, 1)).map(
        lambda moment: moment.replace(second=0, microsecond=0)
    ),
    st.integers(1, 30 * 60),
)
def test_the_clock_agrees_with_counting_every_minute(calendar: Calendar, moment: datetime, minutes: int) -> None:
    start = moment.replace(tzinfo=UTC)
    assert add_working_time(calendar, start, timedelta(minutes=minutes)) == minutes_counted(calendar, start, minutes)


CALENDARS = st.sampled_from([ORDINARY, WITH_SATURDAYS])
INSTANTS = st.datetimes(datetime(2019, 1, 1), datetime(2035, 12, 31)).map(lambda moment: moment.replace(tzinfo=UTC))
SPANS = st.timedeltas(timedelta(0), timedelta(hours=400))
DURATIONS = st.one_of(
    st.just(Duration("same_day", 0)),
    st.builds(Duration, st.sampled_from(["working_days", "working_hours", "calendar_days"]), st.integers(1, 40)),
)


def is_open(calendar: Calendar, moment: datetime) -> bool:
    return calendar.next_opening(moment) == moment


def is_a_close(calendar: Calendar, moment: datetime) -> bool:
    return any(moment == session.closes for session in calendar.sessions(vietnam_date(moment)))


@settings(deadline=None)
@given(CALENDARS, INSTANTS, SPANS, SPANS)
def test_more_working_time_never_ends_earlier_and_spans_add_up(
    calendar: Calendar, start: datetime, one: timedelta, other: timedelta
) -> None:
    first = add_working_time(calendar, start, one)
    assert first <= add_working_time(calendar, start, one + other)
    assert working_time_between(calendar, start, add_working_time(calendar, first, other)) == one + other


@settings(deadline=None)
@given(CALENDARS, INSTANTS, INSTANTS, DURATIONS)
def test_who_comes_later_is_never_due_earlier(
    calendar: Calendar, one: datetime, other: datetime, duration: Duration
) -> None:
    first, second = sorted((one, other))
    assert due_at(calendar, first, duration) <= due_at(calendar, second, duration)
    assert accept_by(calendar, first) <= accept_by(calendar, second)


@settings(deadline=None)
@given(CALENDARS, INSTANTS, DURATIONS)
def test_a_due_date_is_an_open_instant_or_the_close_of_a_session(
    calendar: Calendar, start: datetime, duration: Duration
) -> None:
    due = due_at(calendar, start, duration)
    assert due > start
    assert is_open(calendar, due) or is_a_close(calendar, due)


@settings(deadline=None)
@given(CALENDARS, INSTANTS, SPANS)
def test_the_working_time_between_a_start_and_its_end_is_what_was_added(
    calendar: Calendar, start: datetime, span: timedelta
) -> None:
    end = add_working_time(calendar, start, span)
    assert working_time_between(calendar, start, end) == span
    assert working_time_between(calendar, end, start) == -span


@settings(deadline=None)
@given(CALENDARS, INSTANTS, st.timedeltas(timedelta(microseconds=1), timedelta(hours=400)))
def test_taking_working_time_is_the_inverse_of_adding_it(calendar: Calendar, end: datetime, span: timedelta) -> None:
    start = take_working_time(calendar, end, span)
    assert start < end
    assert working_time_between(calendar, start, end) == span
    assert is_open(calendar, start), "the last such instant is not outside of a session"
    assert add_working_time(calendar, start, span) <= end


@pytest.mark.parametrize(
    ("end", "start"),
    [
        ("2026-09-25 08:30", "2026-09-24 08:30"),
        ("2026-09-24 11:30", "2026-09-23 13:30"),
        ("2026-11-25 07:30", "2026-11-23 07:30"),  # over Culture Day
        ("2026-02-23 09:00", "2026-02-13 09:00"),  # over Tết
        ("2026-08-22 17:00", "2026-08-22 07:00"),  # a Saturday that is worked
        ("2026-09-27 12:00", "2026-09-25 07:00"),  # a Sunday
    ],
)
def test_one_working_day_before(end: str, start: str) -> None:
    assert take_working_time(ORDINARY, at(end), WORKING_DAY) == at(start)


def test_no_time_at_all_is_not_taken() -> None:
    for span in (timedelta(0), -WORKING_DAY):
        with pytest.raises(ValueError, match="more than none"):
            take_working_time(ORDINARY, at("2026-09-25 08:30"), span)


@given(CALENDARS, INSTANTS)
def test_moving_a_start_twice_is_moving_it_once(calendar: Calendar, start: datetime) -> None:
    moved = calendar.next_opening(start)
    assert moved >= start
    assert calendar.next_opening(moved) == moved
