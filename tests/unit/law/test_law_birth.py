"""A birth is kept as exactly as it is known, and compares as far as both sides know."""

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.law.application import Applicant, Application
from shared.law.birth import Birth, birth_in_digits, birth_of
from shared.law.faults import examine
from shared.law.loader import shipped_catalogue
from tests.unit.law.test_law_application import TODAY, body, changed, found

CATALOGUE = shipped_catalogue()
DAYS = st.dates(date(1, 1, 1), date(9999, 12, 31))


def as_known(day: date) -> tuple[Birth, Birth, Birth]:
    """A day, and what is left of it where only month or year are known."""
    return Birth(day.year), Birth(day.year, day.month), Birth(day.year, day.month, day.day)


@given(DAYS)
def test_a_birth_is_written_and_read_in_every_exactness(day: date) -> None:
    year, month, whole = as_known(day)
    for birth in (year, month, whole):
        assert birth_of(str(birth)) == birth
    assert str(whole) == day.isoformat()
    digits = f"{day:%Y%m%d}".rjust(8, "0")
    assert [birth_in_digits(one) for one in (digits, digits[:6], digits[:6] + "00")] == [whole, month, month]
    assert [birth_in_digits(one) for one in (digits[:4], digits[:4] + "0000", digits[:4] + "00")] == [year] * 3


@given(DAYS, DAYS)
def test_births_agree_as_far_as_both_are_known(one: date, other: date) -> None:
    for n, left in enumerate(as_known(one)):
        for m, right in enumerate(as_known(other)):
            known = min(n, m) + 1
            alike = (one.year, one.month, one.day)[:known] == (other.year, other.month, other.day)[:known]
            assert left.agrees(right) == right.agrees(left) == alike
        assert left.agrees(left)


@pytest.mark.parametrize(
    "wrong", ["0000", "1955-00", "1955-13", "1955-03-00", "1955-02-30", "1955-3", "195503", "", "x"]
)
def test_no_birth_is_read_from_what_is_none(wrong: str) -> None:
    with pytest.raises(ValueError, match="."):
        birth_of(wrong)


@pytest.mark.parametrize(
    "wrong", ["0000", "00000000", "19551300", "195513", "19550017", "19550230", "1955-03", "195", "19550", "٣٣٣٣", ""]
)
def test_no_birth_is_read_from_digits_that_are_none(wrong: str) -> None:
    with pytest.raises(ValueError, match="."):
        birth_in_digits(wrong)


def test_a_day_is_known_only_with_its_month() -> None:
    with pytest.raises(ValueError, match="month"):
        Birth(1955, None, 17)


def stated(born: Any, number: str = "001055123456") -> dict[str, Any]:
    return body(applicant={**body()["applicant"], "id_number": number, "date_of_birth": born})


@pytest.mark.parametrize("born", ["1955", "1955-03", "1955-03-17"])
def test_an_application_states_what_is_known_and_it_is_kept_so(born: str) -> None:
    application = examine(stated(born), CATALOGUE, TODAY)
    assert isinstance(application, Application)
    assert application.applicant.date_of_birth == born
    assert Applicant.model_validate_json(application.applicant.model_dump_json()).date_of_birth == born
    assert examine(application.model_dump(mode="json"), CATALOGUE, TODAY) == application


@pytest.mark.parametrize("born", [" 1955 ", "\u00a01955-03", "1955-03-17\u200b"])
def test_spaces_around_a_birth_are_cleaned(born: str) -> None:
    application = examine(stated(born), CATALOGUE, TODAY)
    assert isinstance(application, Application)
    assert application.applicant.date_of_birth == born.strip(" \u00a0\u200b")


@pytest.mark.parametrize(
    ("born", "number", "faults"),
    [
        ("1956", "001055123456", ["identity-year"]),
        ("1956-01", "001055123456", ["identity-year"]),
        ("2055", "001055123456", ["in-the-future", "identity-century"]),
        ("1899", "001055123456", ["out-of-range"]),
        ("1955-13", "001055123456", ["no-such-day"]),
    ],
)
def test_a_birth_known_in_part_is_checked_as_far_as_it_is_known(born: str, number: str, faults: list[str]) -> None:
    assert [code for _, code in found(examine(stated(born, number), CATALOGUE, TODAY))] == faults


@pytest.mark.parametrize(
    ("born", "future"),
    [
        ("2026", False),
        ("2026-10", False),
        ("2026-11", True),
        ("2026-10-01", False),
        ("2026-10-02", True),
        ("2027", True),
    ],
)
def test_a_birth_is_in_the_future_only_if_no_day_of_it_can_have_been(born: str, future: bool) -> None:
    told = examine(stated(born, f"0012{born[2:4]}123456") | {"submitted_at": None}, CATALOGUE, TODAY)
    assert ([] if isinstance(told, Application) else [code for _, code in found(told)]) == ["in-the-future"] * future


def test_a_year_alone_is_never_made_the_first_of_january() -> None:
    assert found(examine(changed("/applicant/date_of_birth", 1955), CATALOGUE, TODAY)) == [
        ("/applicant/date_of_birth", "wrong-type")
    ]
    assert str(birth_in_digits("19550000")) == "1955"
    assert Birth(1955).agrees(Birth(1955, 12, 31))
