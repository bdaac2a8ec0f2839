"""What people type or paste is cleaned into one form; what is refused names one character and its place."""

import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.cleaning import named
from shared.errors import Fault
from shared.law.application import Application
from shared.law.faults import examine
from shared.law.loader import shipped_catalogue
from tests.unit.law.test_law_application import TODAY, changed

CATALOGUE = shipped_catalogue()
APPLICATIONS = Path(__file__).parents[2] / "data" / "applications.jsonl"


def kept(field: str, value: Any) -> Any:
    """What is kept of a field of the applicant."""
    told = examine(changed(f"/applicant/{field}", value), CATALOGUE, TODAY)
    assert isinstance(told, Application), told
    return getattr(told.applicant, field)


def fault(field: str, value: Any) -> Fault:
    """The one thing that is wrong with a field of the applicant."""
    told = examine(changed(f"/applicant/{field}", value), CATALOGUE, TODAY)
    assert isinstance(told, tuple), "no fault was found"
    assert [one.pointer for one in told] == [f"/applicant/{field}"]
    return told[0]


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("0912345678", "0912345678"),
        ("0912 345 678", "0912345678"),
        ("0912.345.678", "0912345678"),
        ("+84 912-345-678", "0912345678"),
        ("(+84) 912 345 678", "0912345678"),
        ("+84 (0)912 345 678", "0912345678"),
        ("0084 912 345 678", "0912345678"),
        ("84 912 345 678", "0912345678"),
        ("0912\u00a0345\u2011678", "0912345678"),
        ("\u202a0912345678\u202c", "0912345678"),
        ("\ufeff+84912345678 ", "0912345678"),
        ("0841234567", "0841234567"),
        ("(024) 3825 1234", "02438251234"),
        ("0204.385.4123", "02043854123"),
        ("+84 24 3825 1234", "02438251234"),
        ("+84 204 3854 123", "02043854123"),
        ("+1 (555) 123-4567", "+15551234567"),
        ("00 49 30 1234567", "+49301234567"),
    ],
)
def test_a_telephone_number_is_kept_in_one_form_however_it_is_grouped(written: str, number: str) -> None:
    assert kept("phone", written) == number
    assert kept("phone", number) == number


BETWEEN = ("", " ", ".", "-", "\u00a0", "\u2009", "\u2013", " - ", "\u200b", "(", ")")


@given(
    st.from_regex(r"0[1-9][0-9]{8,9}", fullmatch=True),
    st.sampled_from(["0", "+84", "0084", "84", "+84(0)"]),
    st.lists(st.sampled_from(BETWEEN), min_size=12, max_size=12),
)
def test_every_way_of_writing_a_vietnamese_number_is_kept_as_the_same(
    number: str, prefix: str, between: list[str]
) -> None:
    grouped = "".join(one + space for one, space in zip(number[1:], between, strict=False))
    assert kept("phone", prefix + grouped) == number


@pytest.mark.parametrize(
    ("field", "written", "clean"),
    [
        ("id_number", "001 099 123 456", "001099123456"),
        ("id_number", "\u00a0001.099.123456\u200b", "001099123456"),
        ("email", " mau@example.com ", "mau@example.com"),
        ("email", "\u00a0mau@EXAMPLE.com\t", "mau@example.com"),
        ("email", "\u200bmau@exam\u00adple.com\ufeff", "mau@example.com"),
        ("email", "Mau+1@example.com", "Mau+1@example.com"),
        ("full_name", "\tNguyễn\u00a0 Văn\u3000Mẫu ", "Nguyễn Văn Mẫu"),
        ("full_name", "Nguyễn\u200b Văn M\u2060ẫu\ufeff", "Nguyễn Văn Mẫu"),
        ("postal_address", " Số\u00a07,\tphố  Huế ", "Số 7, phố Huế"),
    ],
)
def test_spaces_and_marks_that_nobody_sees_are_cleaned(field: str, written: str, clean: str) -> None:
    assert kept(field, written) == clean


@pytest.mark.parametrize(
    ("field", "written", "place", "name"),
    [
        ("phone", "0912345678x", 11, "U+0078 LATIN SMALL LETTER X"),
        ("phone", "0912/345678", 5, "U+002F SOLIDUS"),
        ("phone", "0912+345678", 5, "U+002B PLUS SIGN"),
        ("phone", "０912345678", 1, "U+FF10 FULLWIDTH DIGIT ZERO"),
        ("phone", "0912345678\n", 11, "U+000A LINE FEED"),
        ("phone", "0912 345 67O", 12, "U+004F LATIN CAPITAL LETTER O"),
        ("id_number", "00109912345O", 12, "U+004F LATIN CAPITAL LETTER O"),
        ("id_number", "+001099123456", 1, "U+002B PLUS SIGN"),
        ("email", "ma u@example.com", 3, "U+0020 SPACE"),
        ("email", " mẫu@example.com", 3, "U+1EAB LATIN SMALL LETTER A WITH CIRCUMFLEX AND TILDE"),
        ("email", "mau＠example.com", 4, "U+FF20 FULLWIDTH COMMERCIAL AT"),
        ("email", "a@example.com\r\nBcc: b@example.com", 14, "U+000D CARRIAGE RETURN"),
        ("full_name", "An\u202eBình", 3, "U+202E RIGHT-TO-LEFT OVERRIDE"),
        ("full_name", "An\x00Bình", 3, "U+0000 NULL"),
        ("full_name", "An\ue000", 3, "U+E000 PRIVATE USE"),
        ("postal_address", "Số 7\x1b[2J", 5, "U+001B ESCAPE"),
        ("locale", "vi\u200b", 3, "U+200B ZERO WIDTH SPACE"),
    ],
)
def test_what_is_refused_names_the_character_and_its_place_in_both_languages(
    field: str, written: str, place: int, name: str
) -> None:
    found = fault(field, written)
    assert f"character {place} is" in found.said("en")
    assert found.said("en").endswith(name)
    assert f"ký tự thứ {place}" in found.said("vi")
    assert found.said("vi").endswith(name)


@pytest.mark.parametrize("written", ["1", "091234567", "091234567890", "+123", "+0912345678", "", " "])
def test_a_number_of_too_few_or_too_many_digits_is_told_what_a_number_has(written: str) -> None:
    assert (fault("phone", written).code, fault("phone", written).kind) == ("malformed", "malformed.phone")


@given(st.text(max_size=60))
def test_no_fault_repeats_more_than_one_character_of_what_was_written(text: str) -> None:
    for field in ("phone", "email", "full_name", "id_number", "postal_address"):
        told = examine(changed(f"/applicant/{field}", f"Mật{text}khẩu"), CATALOGUE, TODAY)
        said = "".join(one.said("vi") + one.said("en") for one in told) if isinstance(told, tuple) else ""
        assert "Mật" not in said
        assert "khẩu" not in said


@given(st.characters())
def test_every_character_has_a_name(character: str) -> None:
    assert named(character).startswith(f"U+{ord(character):04X} ")
    assert len(named(character)) > 8


@given(st.text(max_size=60))
def test_what_is_kept_of_a_name_is_kept_again_as_it_is(text: str) -> None:
    told = examine(changed("/applicant/full_name", text), CATALOGUE, TODAY)
    if isinstance(told, Application):
        name = told.applicant.full_name
        assert name == unicodedata.normalize("NFC", name) == kept("full_name", name)


def test_of_the_400_applications_everything_is_kept_as_it_was_sent() -> None:
    lines = [json.loads(line) for line in APPLICATIONS.read_text(encoding="utf-8").splitlines()]
    assert len(lines) == 400
    for line in lines:
        del line["expect"]
        told = examine(line, CATALOGUE)
        assert isinstance(told, Application), told
        assert told.applicant.model_dump(exclude={"postal_address"}) == line["applicant"]
