"""Dossier codes and identity numbers."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.law.birth import Birth
from shared.law.codes import code_of, identity_faults, parse_code, series_of


def test_a_code_names_the_unit_the_day_of_submission_in_vietnam_and_a_running_number() -> None:
    late_in_the_evening_in_london = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
    assert series_of("H02.15.12", late_in_the_evening_in_london) == "H02.15.12-261124"
    assert code_of("H02.15.12-261124", 1) == "H02.15.12-261124-0001"


def test_the_ten_thousandth_dossier_of_a_day_has_five_digits() -> None:
    assert code_of("H56.14-240823", 9_999) == "H56.14-240823-9999"
    assert code_of("H56.14-240823", 10_000) == "H56.14-240823-10000"


def test_running_numbers_begin_at_one() -> None:
    with pytest.raises(ValueError, match="begin at 1"):
        code_of("H56.14-240823", 0)


def test_a_year_that_two_digits_cannot_tell_has_no_series() -> None:
    with pytest.raises(ValueError, match="2100"):
        series_of("H56.14", datetime(2100, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("text", "unit", "day", "number"),
    [
        ("H56.14-240823-0001", "H56.14", date(2024, 8, 23), 1),
        ("000.17.22.H56-210531-0001", "000.17.22.H56", date(2021, 5, 31), 1),
        ("H02.15.12-231016-00012", "H02.15.12", date(2023, 10, 16), 12),
        (" h26.16-240229-10000\n", "H26.16", date(2024, 2, 29), 10_000),
    ],
)
def test_codes_of_the_new_and_the_old_form_are_read(text: str, unit: str, day: date, number: int) -> None:
    code = parse_code(text)
    assert (code.unit, code.day, code.number) == (unit, day, number)
    assert str(code) == text.strip().upper()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "H56.14",
        "H56.14-240823-001",
        "H56.14-250229-0001",
        "H56.14-241301-0001",
        "H56.14-240823-0001-0001",
        "56.14-240823-0001",
        "H56.14-240823-\u0660\u0660\u0660\u0661",
        "H56.14-240823-0001\n0002",
        "H5614240823-0001",
    ],
)
def test_what_is_no_code_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="dossier code"):
        parse_code(text)


@given(
    st.from_regex(r"[A-Z][0-9]{2}(\.[0-9]{2,3}){0,4}", fullmatch=True, alphabet=st.characters(codec="ascii")),
    st.datetimes(datetime(2000, 1, 2), datetime(2099, 12, 30)),
    st.integers(1, 10**9),
)
def test_every_code_that_is_given_can_be_read_again(unit: str, moment: datetime, number: int) -> None:
    series = series_of(unit, moment.replace(tzinfo=UTC))
    code = parse_code(code_of(series, number))
    assert (code.unit, code.series, code.number) == (unit, series, number)


# --- identity numbers


@pytest.mark.parametrize(
    ("number", "born", "expected"),
    [
        ("001099123456", Birth(1999, 5, 1), ()),
        ("001199123456", Birth(1999, 5, 1), ()),
        ("079200123456", Birth(2000, 1, 1), ()),
        ("079300123456", Birth(2000, 1, 1), ()),
        ("096226123456", Birth(2026, 1, 1), ()),
        ("001000123456", Birth(1900, 1, 1), ()),
        ("001055123456", Birth(1955), ()),
        ("001055123456", Birth(1955, 3), ()),
        ("001299123456", Birth(1999, 5, 1), ("identity-century",)),
        ("001299123456", Birth(1999), ("identity-century",)),
        ("001099123456", Birth(1998, 5, 1), ("identity-year",)),
        ("001056123456", Birth(1955, 3), ("identity-year",)),
        ("001400123456", Birth(2000, 5, 1), ("identity-century",)),
        ("000999123456", Birth(2005, 5, 1), ("identity-century", "identity-year")),
        ("003999123456", None, ()),
        ("001099", Birth(1999, 5, 1), ("identity-form",)),
        ("00109912345\u0663", Birth(1999, 5, 1), ("identity-form",)),
    ],
)
def test_an_impossible_identity_number_is_told_with_every_fault(
    number: str, born: Birth | None, expected: tuple[str, ...]
) -> None:
    assert identity_faults(number, born) == expected


@given(st.integers(0, 999), st.dates(date(1900, 1, 1), date(2399, 12, 31)), st.booleans(), st.integers(0, 999_999))
def test_whatever_place_the_first_three_digits_name_the_register_decides(
    place: int, born: date, female: bool, number: int
) -> None:
    century = (born.year // 100 - 19) * 2 + female
    text = f"{place:03d}{century}{born.year % 100:02d}{number:06d}"
    assert identity_faults(text, Birth(born.year, born.month, born.day)) == ()
    assert identity_faults(text, Birth(born.year + 1)) != ()
