"""A year of one agency's working calendar, for an official to check: each day off, each worked day, and why (C1)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from shared.law.calendar import LIBRARY, Calendar, national_names
from shared.law.catalogue import Catalogue
from shared.law.decisions import Decision

_DAY = timedelta(days=1)
_MONTHS = range(1, 13)


@dataclass(frozen=True, slots=True)
class Remarkable:
    """A day that is not as its weekday would have it, or would be if nobody had decided."""

    day: date
    state: Literal["off", "worked"]
    reason: str
    source: str

    @property
    def cells(self) -> tuple[str, ...]:
        """The day as people read it."""
        return f"{self.day:%a %d/%m/%Y}", self.state, self.reason, self.source


def remarkable_days(catalogue: Catalogue, year: int) -> tuple[Remarkable, ...]:
    """The days of a year that the library or a decision names, in order; ValueError outside the known years."""
    off, worked = national_names(year)
    days = {day: Remarkable(day, "off", name, LIBRARY) for day, name in off.items()}
    days |= {day: Remarkable(day, "worked", name, LIBRARY) for day, name in worked.items()}
    days |= _decided(catalogue.decisions.worked_days, year, "worked")
    days |= _decided(catalogue.decisions.days_off, year, "off")
    return tuple(days[day] for day in sorted(days))


def _decided(decisions: Iterable[Decision], year: int, state: Literal["off", "worked"]) -> dict[date, Remarkable]:
    return {
        one.date: Remarkable(one.date, state, one.basis, f"calendar.yaml ({one.source})")
        for one in decisions
        if one.date.year == year
    }


def year_table(catalogue: Catalogue, year: int, agency: str | None = None) -> str:
    """The year month by month, of the ordinary calendar or of one agency; ends with a newline. ValueError outside the
    known years, KeyError for an unknown agency.
    """
    calendar = catalogue.calendar(agency) if agency else catalogue.ordinary
    days = remarkable_days(catalogue, year)
    whose = f"of {agency}" if agency else "of agencies without Saturday mornings"
    months = (line for month in _MONTHS for line in _month(calendar, days, date(year, month, 1)))
    total = _counted(calendar, date(year, 1, 1), date(year + 1, 1, 1))
    own = [] if agency else [*_with_own_hours(catalogue, year)]
    head = f"Working calendar {year} {whose}, catalogue {catalogue.version}"
    return "\n".join((head, "", *months, f"{year}: {total}", *own, "", ""))


def _month(calendar: Calendar, days: tuple[Remarkable, ...], first: date) -> Iterator[str]:
    following = (first + 31 * _DAY).replace(day=1)
    yield f"{first:%B %Y}: {_counted(calendar, first, following)}"
    named = [one.cells for one in days if first <= one.day < following]
    for day, state, reason, source in named:
        yield f"  {day}  {state:<6}  {reason:<52}  {source}"
    yield ""


def _counted(calendar: Calendar, first: date, end: date) -> str:
    kinds = [len(calendar.hours(first + n * _DAY)) for n in range((end - first).days)]
    mornings = kinds.count(1)
    return f"{kinds.count(2)} working days" + (f" and {mornings} Saturday mornings" if mornings else "")


def _with_own_hours(catalogue: Catalogue, year: int) -> Iterator[str]:
    """The agencies that sit on a Saturday morning of the year."""
    whole = [date(year, 1, 1) + n * _DAY for n in range(366)]
    for code in catalogue.agencies:
        calendar = catalogue.calendar(code)
        if any(len(calendar.hours(day)) == 1 for day in whole if day.year == year):
            yield f"{code}: Saturday mornings besides (--agency {code})"
