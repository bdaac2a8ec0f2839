"""The legal clock: limits and due dates (C2-C5) and whether they were kept (C9).

Every function takes the agency's calendar and aware instants, and returns instants in Vietnamese time.
"""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Literal

from shared.law.calendar import Calendar, vietnam_date, vietnam_time

WORKING_DAY = timedelta(hours=8)  # C3: a working day is eight working hours, counted hour for hour
ACCEPTANCE = timedelta(hours=8)  # C4
SAME_DAY_UNTIL = time(15, 0)  # C3
_HOUR = timedelta(hours=1)

DurationUnit = Literal["working_days", "working_hours", "calendar_days", "same_day"]


@dataclass(frozen=True, slots=True)
class Duration:
    """How long a procedure may take: `amount` of `unit`; 0 exactly for `same_day` (C3)."""

    unit: DurationUnit
    amount: int

    def __post_init__(self) -> None:
        if (self.amount == 0) != (self.unit == "same_day") or not 0 <= self.amount <= 365:
            raise ValueError(f"no such duration: {self.amount} {self.unit}")


class Verdict(StrEnum):
    """How the end of processing stands to the due date (C9)."""

    EARLY = "early"
    ON_TIME = "on-time"
    LATE = "late"


def add_working_time(calendar: Calendar, start: datetime, span: timedelta) -> datetime:
    """The instant at which `span` (not negative) of open time has passed since `start`.

    A start outside a session is moved to the next opening; a span that exactly fills a session ends at its close (C2).
    """
    if span < timedelta(0):
        raise ValueError("a span of working time is not negative")
    for session in calendar.sessions_from(start):
        begin = max(vietnam_time(start), session.opens)
        if span <= session.closes - begin:
            return begin + span
        span -= session.closes - begin
    raise AssertionError("sessions never end")


def take_working_time(calendar: Calendar, end: datetime, span: timedelta) -> datetime:
    """The last instant from which `span` (more than none) of open time is left until `end`: where it is added
    (`add_working_time`), the same sitting time ends.
    """
    if span <= timedelta(0):
        raise ValueError("a span of working time that is taken is more than none")
    for session in calendar.sessions_before(end):
        stop = min(vietnam_time(end), session.closes)
        if span <= stop - session.opens:
            return stop - span
        span -= stop - session.opens
    raise AssertionError("sessions never end")


def working_time_between(calendar: Calendar, start: datetime, end: datetime) -> timedelta:
    """The open time from `start` to `end`, negative if `end` comes first; the inverse of `add_working_time`."""
    if end < start:
        return -working_time_between(calendar, end, start)
    total = timedelta(0)
    for session in calendar.sessions_from(start):
        if session.opens >= end:
            break
        total += min(session.closes, end) - max(session.opens, start)
    return total


def add_working_hours(calendar: Calendar, start: datetime, hours: int) -> datetime:
    """`hours` working hours after `start` (C2, C3)."""
    return add_working_time(calendar, start, hours * _HOUR)


@lru_cache(maxsize=4096)
def accept_by(calendar: Calendar, start: datetime) -> datetime:
    """Until when an officer must accept, refuse or ask for a supplement: 8 working hours (C4). Asked for whenever a
    dossier changes.

    `start` is the submission, or the payment or waiver of a fee that is due before acceptance.
    """
    return add_working_time(calendar, start, ACCEPTANCE)


def due_at(calendar: Calendar, accepted_at: datetime, duration: Duration) -> datetime:
    """When the result is due, counted from acceptance (C3, C5)."""
    match duration.unit:
        case "working_days":
            return add_working_time(calendar, accepted_at, duration.amount * WORKING_DAY)
        case "working_hours":
            return add_working_hours(calendar, accepted_at, duration.amount)
        case "calendar_days":
            return _after_calendar_days(calendar, accepted_at, duration.amount)
        case "same_day":
            return _same_day(calendar, accepted_at)


def _after_calendar_days(calendar: Calendar, start: datetime, days: int) -> datetime:
    opened = calendar.next_opening(start)
    return calendar.closing_on_or_after(opened.date() + timedelta(days=days))


def _same_day(calendar: Calendar, start: datetime) -> datetime:
    opened = calendar.next_opening(start)
    wait = timedelta(days=0 if opened.time() < SAME_DAY_UNTIL else 1)
    return calendar.closing_on_or_after(opened.date() + wait)


def verdict(ended: datetime, due: datetime) -> Verdict:
    """Early, on time or late, by the dates in Vietnam and not by the hour (C9)."""
    ended_on, due_on = vietnam_date(ended), vietnam_date(due)
    if ended_on == due_on:
        return Verdict.ON_TIME
    return Verdict.EARLY if ended_on < due_on else Verdict.LATE
