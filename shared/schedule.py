"""When work is due that no message asks for: at times of the day in Vietnam, every day or on an agency's working days.
Pure; with what becomes of times that were missed.
"""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import Enum

from shared.law.calendar import VIETNAM, Calendar, vietnam_date, vietnam_time

DAY = timedelta(days=1)
GRACE = timedelta(minutes=1)
"""A time is not missed yet while no more than this has passed."""
_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Every:
    """Every so many minutes, counted from midnight in Vietnam; they divide the day."""

    minutes: int

    def __post_init__(self) -> None:
        if self.minutes < 1 or DAY % timedelta(minutes=self.minutes):
            raise ValueError(f"{self.minutes} minutes do not divide the day")

    def after(self, instant: datetime) -> datetime:
        """The first due time after an aware instant, in Vietnamese time."""
        there, span = vietnam_time(instant), timedelta(minutes=self.minutes)
        midnight = there.replace(hour=0, minute=0, second=0, microsecond=0)
        return midnight + ((there - midnight) // span + 1) * span


@dataclass(frozen=True, slots=True)
class Daily:
    """Once a day at a time in Vietnam; of an agency's `calendar`, where one is given, on working days only."""

    at: time
    calendar: Calendar | None = None

    def __post_init__(self) -> None:
        if self.at.tzinfo is not None:
            raise ValueError("the time of a day in Vietnam has no time zone of its own")

    def after(self, instant: datetime) -> datetime:
        """The first due time after an aware instant, in Vietnamese time; ValueError beyond the calendar's years."""
        day = vietnam_date(instant)
        while not (self._is_due_on(day) and datetime.combine(day, self.at, VIETNAM) > instant):
            day += DAY
        return datetime.combine(day, self.at, VIETNAM)

    def _is_due_on(self, day: date) -> bool:
        return self.calendar is None or self.calendar.is_working_day(day)


When = Every | Daily


class Missed(Enum):
    """What becomes of due times at which nothing ran, for the service or its database was away: `EACH` is caught up,
    in order; they are caught up `ONCE`, for all of them; or left out (`SKIP`).
    """

    EACH = "each"
    ONCE = "once"
    SKIP = "skip"


def is_left_out(missed: Missed, due: datetime, began: datetime) -> bool:
    """Whether what was due then is not begun any more."""
    return missed is Missed.SKIP and began - due > GRACE


def handled_by(missed: Missed, due: datetime, began: datetime) -> datetime:
    """Up to when due times are settled once the one at `due` is, which was begun (or left out) at `began`."""
    match missed:
        case Missed.EACH:
            return due
        case Missed.ONCE:
            return max(due, began)
        case Missed.SKIP:
            return max(due, began - GRACE - _INSTANT)
