"""Decisions on single days that the holiday library lacks (C1), and what they may not say."""

from collections import Counter
from collections.abc import Iterator
from datetime import date
from typing import Annotated

from pydantic.types import Strict

from shared.law.calendar import FIRST_YEAR, LAST_YEAR, is_working_weekday
from shared.law.entries import Entry, Text


class Decision(Entry):
    """A decision on one day."""

    date: date
    basis: Text
    source: Text


class Decisions(Entry):
    """The override table of the calendar (C1)."""

    days_off: Annotated[tuple[Decision, ...], Strict(False)]
    worked_days: Annotated[tuple[Decision, ...], Strict(False)]


def decision_faults(decisions: Decisions) -> Iterator[str]:
    """What the table contradicts: itself, the week, or the years of the calendar; each fault begins with the day."""
    off, worked = ([one.date for one in listed] for listed in (decisions.days_off, decisions.worked_days))
    for listed in (off, worked):
        yield from (f"{day}: listed {times} times" for day, times in Counter(listed).items() if times > 1)
    yield from (f"{day}: both a day off and a worked day" for day in sorted(set(off) & set(worked)))
    for day in sorted({*off, *worked}):
        if not FIRST_YEAR <= day.year <= LAST_YEAR:
            yield f"{day}: not in the years of the calendar, {FIRST_YEAR} to {LAST_YEAR}"
        elif day in worked and day not in off and is_working_weekday(day):
            yield f"{day}: a {day:%A}, which is worked without any decision"
