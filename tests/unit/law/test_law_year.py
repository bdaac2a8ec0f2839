"""Decisions on single days: what they change, what they may not say, and the year that an official checks."""

import csv
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.law.__main__ import main
from shared.law.calendar import VIETNAM, Calendar, national_names
from shared.law.catalogue import CatalogueError
from shared.law.clock import accept_by, add_working_time, working_time_between
from shared.law.loader import load_catalogue, shipped_catalogue
from shared.law.year import remarkable_days, year_table
from tests.lawbook import Edit

LAW = shipped_catalogue()
DAY = timedelta(days=1)
DECISION = "Văn bản 12729/VPCP-KGVX ngày 25/12/2025"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    """Run `python -m shared.law`; returns exit code, what it printed and what it complained."""

    def command(*arguments: str) -> tuple[int, str, str]:
        try:
            code = main([*arguments])
        except SystemExit as ended:
            code = int(str(ended.code))
        return (code, *capfd.readouterr())

    return command


# --- the exchange of January 2026


@pytest.mark.parametrize("agency", LAW.agencies)
def test_friday_2_january_2026_is_off_and_saturday_the_10th_is_worked(agency: str) -> None:
    calendar = LAW.calendar(agency)
    worked = [day for day in range(1, 12) if calendar.is_working_day(date(2026, 1, day))]
    assert worked == [5, 6, 7, 8, 9, 10]
    assert accept_by(calendar, datetime(2025, 12, 31, 16, tzinfo=VIETNAM)).date() == date(2026, 1, 5)
    assert accept_by(calendar, datetime(2026, 1, 9, 16, tzinfo=VIETNAM)) == datetime(2026, 1, 10, 16, tzinfo=VIETNAM)


# --- contradictions

TABLE = "days_off: [{off}]\nworked_days: [{worked}]\n"
WRONG = {
    "off and worked": (["2026-10-02"], ["2026-10-02"], "2026-10-02: both a day off and a worked day"),
    "off twice": (["2026-10-02", "2026-10-02"], [], "2026-10-02: listed 2 times"),
    "worked twice": ([], ["2026-10-03", "2026-10-03"], "2026-10-03: listed 2 times"),
    "a Monday worked": ([], ["2026-10-05"], "2026-10-05: a Monday, which is worked without any decision"),
    "no day": (["2026-02-30"], [], "days_off: 0: date: Input should be a valid date, not 2026-02-30"),
    "a word": ([], ["tomorrow"], "worked_days: 0: date: Input should be a valid date, not tomorrow"),
    "a time": (["2026-10-02 10:00:00"], [], "days_off: 0: date: "),
    "a number": (["20261002"], [], "days_off: 0: date: Input should be a valid date, not 20261002"),
    "too early": (["1999-12-31"], [], "1999-12-31: not in the years of the calendar, 2000 to 2100"),
    "too late": ([], ["2101-01-01"], "2101-01-01: not in the years of the calendar, 2000 to 2100"),
}


def _decided(folder: Path, off: list[str], worked: list[str]) -> None:
    both = (", ".join(f"{{date: {day}, basis: made up, source: test}}" for day in listed) for listed in (off, worked))
    (folder / "calendar.yaml").write_text(TABLE.format(off=next(both), worked=next(both)), encoding="utf-8")


@pytest.mark.parametrize("case", WRONG)
def test_a_contradiction_is_told_by_the_day(folder: Path, case: str) -> None:
    off, worked, told = WRONG[case]
    _decided(folder, off, worked)
    with pytest.raises(CatalogueError) as wrong:
        load_catalogue(folder)
    assert len(wrong.value.faults) == 1
    assert wrong.value.faults[0].startswith(f"calendar.yaml: {told}")


def test_a_holiday_of_the_library_may_be_worked_and_a_free_day_decided_free(folder: Path) -> None:
    _decided(folder, ["2026-09-02", "2026-10-03"], ["2026-11-24", "2026-08-22"])
    calendar = load_catalogue(folder).ordinary
    assert calendar.is_working_day(date(2026, 11, 24))
    assert not calendar.is_working_day(date(2026, 10, 3))


# --- the year


def test_the_year_names_each_day_with_its_reason_and_source(run: Run) -> None:
    code, printed, complained = run("calendar", "2026")
    assert (code, complained) == (0, "")
    lines = printed.splitlines()
    assert "January 2026: 21 working days" in lines
    assert any(
        line.split() == ["Fri", "02/01/2026", "off", *DECISION.split(), "calendar.yaml", "(F)"] for line in lines
    )
    assert any(line.startswith(f"  Sat 10/01/2026  worked  {DECISION}") for line in lines)
    assert any(line.startswith("  Sat 22/08/2026  worked  Làm bù cho ngày 31/08/2026") for line in lines)
    assert any("Tue 24/11/2026  off" in line and "holidays " in line for line in lines)
    assert max(map(len, lines)) <= 120


@pytest.mark.parametrize("year", [2000, 2023, 2024, 2026, 2100])
def test_the_year_counts_as_the_clock_does_and_names_every_day_that_is_not_as_its_weekday(year: int) -> None:
    named = {one.day: one.state for one in remarkable_days(LAW, year)}
    days = [date(year, 1, 1) + n * DAY for n in range(366) if (date(year, 1, 1) + n * DAY).year == year]
    worked = [day for day in days if LAW.ordinary.is_working_day(day)]
    assert f"{year}: {len(worked)} working days" in year_table(LAW, year).splitlines()
    for day in days:
        assert (day in worked) == (named.get(day, "worked" if day.weekday() < 5 else "off") == "worked"), day


def test_csv_says_the_same_days(run: Run) -> None:
    _, printed, _ = run("calendar", "2026", "--csv")
    rows = list(csv.DictReader(StringIO(printed)))
    told = [(date.fromisoformat(row["date"]), row["state"], row["reason"], row["source"]) for row in rows]
    assert told == [(one.day, one.state, one.reason, one.source) for one in remarkable_days(LAW, 2026)]
    assert rows[1]["weekday"] == "Friday"


def test_the_year_of_an_agency_has_its_own_hours(folder: Path, edit: Edit) -> None:
    edit("agencies.yaml", "Hà Nội\n  saturday_mornings: false", "Hà Nội\n  saturday_mornings: true")
    law = load_catalogue(folder)
    assert "October 2026: 22 working days and 5 Saturday mornings" in year_table(law, 2026, "H26.16").splitlines()
    assert "H26.16: Saturday mornings besides" in year_table(law, 2026)
    assert "Saturday mornings besides" not in year_table(LAW, 2026)


@pytest.mark.parametrize("arguments", [["1999"], ["2101"], ["next"], ["-1"], ["2026", "--agency", "H99"], []])
def test_what_cannot_be_printed_is_told_in_a_sentence(run: Run, arguments: list[str]) -> None:
    code, printed, complained = run("calendar", *arguments)
    assert (code, printed) == (2, "")
    assert complained
    assert "Traceback" not in complained


# --- properties of the clock, whatever has been decided

DAYS = st.dates(date(2026, 1, 1), date(2026, 3, 31))
INSTANTS = st.datetimes(datetime(2025, 12, 20), datetime(2026, 4, 10)).map(lambda moment: moment.replace(tzinfo=UTC))
SPANS = st.timedeltas(timedelta(0), timedelta(hours=200))


@st.composite
def decided(draw: st.DrawFn) -> Calendar:
    """A calendar with decisions that do not contradict each other."""
    off = draw(st.frozensets(DAYS, max_size=12))
    return Calendar(days_off=off, worked_days=draw(st.frozensets(DAYS, max_size=12)) - off)


@settings(deadline=None)
@given(decided(), INSTANTS, SPANS, SPANS)
def test_working_time_adds_up_over_decided_days(
    calendar: Calendar, start: datetime, one: timedelta, other: timedelta
) -> None:
    first = add_working_time(calendar, start, one)
    end = add_working_time(calendar, first, other)
    assert first <= end
    assert working_time_between(calendar, start, end) == one + other
    assert end.date() not in calendar.days_off or end == start


@settings(deadline=None)
@given(decided(), DAYS, INSTANTS, SPANS)
def test_one_more_day_off_never_ends_a_span_earlier_and_one_more_worked_day_never_later(
    calendar: Calendar, day: date, start: datetime, span: timedelta
) -> None:
    less = Calendar(calendar.days_off | {day}, calendar.worked_days - {day})
    more = Calendar(calendar.days_off - {day}, calendar.worked_days | {day})
    ends = [add_working_time(each, start, span) for each in (more, calendar, less)]
    assert ends == sorted(ends)


@given(st.integers(2000, 2100))
def test_every_day_of_the_library_has_a_reason_in_vietnamese(year: int) -> None:
    off, worked = national_names(year)
    assert all(off.values())
    assert all(name.startswith("Làm bù") for name in worked.values())
    assert "New Year's Day" not in off.values()
