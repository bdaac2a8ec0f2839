"""When an agency is open (C1, C2)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from functools import cache
from typing import NamedTuple

import holidays
from holidays.version import __version__ as holidays_version

# Vietnam has kept +07:00 without summer time since 1975: a fixed offset says what the zone says, without zone files.
VIETNAM = timezone(timedelta(hours=7), "Asia/Ho_Chi_Minh")

MORNING = (time(7, 0), time(11, 30))  # C1
AFTERNOON = (time(13, 30), time(17, 0))  # C1
CLOSING = AFTERNOON[1]

# The lunar tables behind the public holidays end with 2100; beyond it Tết would silently vanish.
FIRST_YEAR, LAST_YEAR = 2000, 2100

LIBRARY = f"holidays {holidays_version} (VN)"
"""Where the public holidays come from."""

_DAY = timedelta(days=1)

Hours = tuple[tuple[time, time], ...]
Days = tuple[tuple[date, date], ...]
"""Spans of days, each [from, to)."""

ALWAYS: Days = ((date.min, date.max),)


class Session(NamedTuple):
    """One sitting of an agency, [opens, closes), both in Vietnamese time."""

    opens: datetime
    closes: datetime


def vietnam_time(at: datetime) -> datetime:
    """The same instant in Vietnamese time; ValueError if `at` has no time zone."""
    if at.tzinfo is None:
        raise ValueError("a time without a time zone names no instant")
    return at.astimezone(VIETNAM)


def vietnam_date(at: datetime) -> date:
    """The date in Vietnam at an aware instant: the date of filing for fees (F1) and codes, not moved by C2."""
    return vietnam_time(at).date()


@cache
def _national(year: int) -> holidays.HolidayBase:
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise ValueError(f"the working calendar is known from {FIRST_YEAR} to {LAST_YEAR}, not for {year}")
    return holidays.country_holidays("VN", years=year, language="vi")


@cache
def _national_days(year: int) -> tuple[frozenset[date], frozenset[date]]:
    known = _national(year)
    return frozenset(known), frozenset(known.weekend_workdays)


def national_names(year: int) -> tuple[Mapping[date, str], Mapping[date, str]]:
    """The holiday library's days off and worked weekend days of a year, with what it calls them in Vietnamese;
    ValueError outside the known years.
    """
    known = _national(year)
    worked = sorted(day for day in known.weekend_workdays if day.year == year)
    return dict(known), {day: _exchanged(known, day) for day in worked}


def _exchanged(known: Mapping[date, str], worked: date) -> str:
    """The library names a day off after the one that is worked instead, but not the other way round."""
    off = [day for day, name in known.items() if f"{worked:%d/%m/%Y}" in name]
    return f"Làm bù cho ngày {off[0]:%d/%m/%Y}" if off else "Làm bù"


def is_working_weekday(day: date) -> bool:
    """Whether `day` is a Monday to Friday and no public holiday of the library; ValueError outside the known years."""
    off, _ = _national_days(day.year)
    return day.weekday() < 5 and day not in off


@dataclass(frozen=True, slots=True)
class Calendar:
    """The working calendar of one agency.

    `days_off` and `worked_days` are decisions that the holiday library lacks; they win over it.
    `saturday_mornings`: when the agency also sits on Saturdays from 07:00 to 11:30 (C1).
    """

    days_off: frozenset[date] = frozenset()
    worked_days: frozenset[date] = frozenset()
    saturday_mornings: Days = ()

    def hours(self, day: date) -> Hours:
        """The hours in which the agency sits on `day`, none on a day off; ValueError outside the known years."""
        off, worked = _national_days(day.year)
        if day in self.days_off:
            return ()
        if day in self.worked_days or day in worked:
            return MORNING, AFTERNOON
        if day in off:
            return ()
        return self._ordinary_hours(day)

    def _ordinary_hours(self, day: date) -> Hours:
        if day.weekday() < 5:
            return MORNING, AFTERNOON
        sits = day.weekday() == 5 and any(first <= day < end for first, end in self.saturday_mornings)
        return (MORNING,) if sits else ()

    def is_working_day(self, day: date) -> bool:
        """Whether the agency sits at all on `day`."""
        return bool(self.hours(day))

    def sessions(self, day: date) -> tuple[Session, ...]:
        """The sittings of `day` in order, in Vietnamese time."""
        return tuple(
            Session(datetime.combine(day, opens, VIETNAM), datetime.combine(day, closes, VIETNAM))
            for opens, closes in self.hours(day)
        )

    def sessions_from(self, at: datetime) -> Iterator[Session]:
        """The sittings that are not over at the aware instant `at`, in order, without end but for the known years."""
        day = vietnam_date(at)
        while True:
            yield from (session for session in self.sessions(day) if session.closes > at)
            day += _DAY

    def sessions_before(self, at: datetime) -> Iterator[Session]:
        """The sittings that have begun before the aware instant `at`, the last one first, as far as the known years."""
        day = vietnam_date(at)
        while True:
            yield from (session for session in reversed(self.sessions(day)) if session.opens < at)
            day -= _DAY

    def next_opening(self, at: datetime) -> datetime:
        """`at` itself while the agency is open, otherwise the next instant at which it opens (C2)."""
        session = next(self.sessions_from(at))
        return max(vietnam_time(at), session.opens)

    def closing_on_or_after(self, day: date) -> datetime:
        """17:00 of `day`, or of the next day that the agency works until 17:00: a Saturday morning is no working day of
        C3, which has eight hours.
        """
        while AFTERNOON not in self.hours(day):
            day += _DAY
        return datetime.combine(day, CLOSING, VIETNAM)
