"""What citizens read: whole notices in both languages, in words and never in codes."""

import re
from datetime import UTC, date, datetime
from pathlib import Path
from typing import get_args

import pytest

from services.notification.state import Facts, Owed
from services.notification.texts import subject, text
from shared.events.catalogue import BY_TYPE
from shared.events.notification import NoticeKind
from shared.law.entries import Locale
from shared.law.loader import load_catalogue
from tests.controls import (
    AGENCY,
    CODE,
    MESSAGE,
    PROCEDURE,
    dossier_refused,
    dossier_submitted,
    fee_paid,
    payment_requested,
    recipient,
    supplement_requested,
)
from tests.deciders import LAW
from tests.lawbook import Edit
from tests.notices import CASES, FOLDER, LOCALES, NAME, file_of, owed, written

EVERYWHERE = pytest.mark.parametrize("locale", LOCALES)
EVERY_CASE = pytest.mark.parametrize("name", CASES)
KEBAB = re.compile(r"\b[a-z]+(-[a-z]+)+\b")
EVENTS = re.compile("|".join(event.__name__ for event in BY_TYPE.values()))


def _body(owes: Owed, locale: Locale, name: str = NAME, note: str = "") -> str:
    return text(LAW, owes, recipient(locale=locale), name, note)


@EVERYWHERE
@EVERY_CASE
def test_a_notice_is_word_for_word_what_its_file_shows(name: str, locale: Locale) -> None:
    assert written(name, locale) == file_of(name, locale).read_text(encoding="utf-8")


def test_every_kind_of_notice_has_a_file_and_every_file_a_case() -> None:
    assert {one.notice for one, _ in CASES.values()} == set(get_args(NoticeKind))
    assert set(FOLDER.iterdir()) == {file_of(name, locale) for name in CASES for locale in LOCALES}


@EVERYWHERE
@EVERY_CASE
def test_a_notice_names_dossier_procedure_and_agency_and_has_no_code_that_only_programs_know(
    name: str, locale: Locale
) -> None:
    said = written(name, locale)
    procedure = {"vi": "Đăng ký tạm trú", "en": "Temporary residence registration"}[locale]
    assert all(word in said for word in (CODE, PROCEDURE, procedure, AGENCY, "Đơn vị mẫu 04, Hà Nội"))
    assert not KEBAB.search(said)
    assert not EVENTS.search(said)
    assert not re.search(r"[{}]|None|\b_|_\b", said)


@EVERYWHERE
def test_every_paper_and_every_reason_is_told_by_its_name(locale: Locale) -> None:
    papers = _body(owed(supplement_requested(*LAW.papers)), locale)
    assert all(f"  - {paper.name(locale)}\n" in papers for paper in LAW.papers.values())
    assert not KEBAB.search(papers)
    for reason in LAW.reasons.values():
        told = _body(owed(dossier_refused(reason=reason.code)), locale)
        assert reason.name(locale) in told
        assert not KEBAB.search(told)


@EVERYWHERE
def test_every_procedure_and_every_agency_is_told_by_its_name(locale: Locale) -> None:
    for code, (procedure, *_) in LAW.procedures.items():
        told = text(LAW, owed(dossier_submitted()), recipient(locale=locale, procedure=code), NAME)
        assert f": {procedure.name(locale)} (" in told
    for code, (*_, agency) in LAW.agencies.items():
        told = text(LAW, owed(dossier_submitted()), recipient(locale=locale, agency=code), NAME)
        assert f": {agency.name_vi}, {agency.province_vi} (" in told


@EVERYWHERE
@pytest.mark.parametrize(("on", "province"), [(date(2025, 6, 30), "Bắc Giang"), (date(2025, 7, 1), "Bắc Ninh")])
def test_a_letter_names_the_agency_as_it_is_called_on_the_letters_day(locale: Locale, on: date, province: str) -> None:
    to = recipient(locale=locale, agency="H02.15.12", submitted_at=datetime(2025, 6, 2, 3, tzinfo=UTC))
    assert f": Đơn vị mẫu 12, {province} (" in text(LAW, owed(dossier_submitted()), to, NAME, on=on)
    assert ": Đơn vị mẫu 12, Bắc Giang (" in text(LAW, owed(dossier_submitted()), to, NAME)


@pytest.mark.parametrize(("locale", "now"), [("vi", "; nay là: "), ("en", "; now: ")])
def test_a_letter_about_an_ended_agency_names_the_one_that_followed(
    folder: Path, edit: Edit, locale: Locale, now: str
) -> None:
    edit("agencies.yaml", "valid_from: 2025-07-01\n  valid_to: null", _ENDED)
    law, to = load_catalogue(folder), recipient(locale=locale, agency="H02.15")
    last, next_ = "Sở Tư pháp, Bắc Ninh", "Đơn vị mẫu 12, Bắc Ninh"
    told = text(law, owed(dossier_submitted()), to, NAME, on=date(2026, 11, 30))
    assert last in told
    assert now in told.split(last)[1].split(next_)[0]
    assert now not in text(law, owed(dossier_submitted()), to, NAME, on=date(2026, 10, 31))


_ENDED = 'valid_from: 2025-07-01\n  valid_to: 2026-11-01\n  successors: ["H02.15.12"]'


def test_limits_are_told_in_vietnams_time_as_people_of_each_language_write_it() -> None:
    filed, asked = owed(dossier_submitted()), owed(supplement_requested())
    assert "Chậm nhất 08:30 ngày 17/09/2026" in _body(filed, "vi")
    assert "By 08:30 on 17 September 2026" in _body(filed, "en")
    assert "chậm nhất 08:30 ngày 25/09/2026" in _body(asked, "vi")
    assert "by 08:30 on 25 September 2026" in _body(asked, "en")


def test_money_is_told_as_people_of_each_language_write_it() -> None:
    asked = owed(payment_requested(amount_vnd=1_234_567))
    assert "phí, lệ phí: 1.234.567 đồng" in _body(asked, "vi")
    assert "1,234,567 VND" in _body(asked, "en")


@EVERYWHERE
def test_who_pays_while_a_supplement_is_awaited_is_told_that_the_limit_begins_with_the_supplement(
    locale: Locale,
) -> None:
    awaited = {"vi": "Nếu hồ sơ đang chờ ông/bà bổ sung, thời hạn này", "en": "If something is still awaited from you"}
    for event in (payment_requested(), fee_paid()):
        assert awaited[locale] in _body(owed(event), locale)


@EVERYWHERE
@pytest.mark.parametrize("reason", LAW.reasons)
def test_who_is_refused_is_told_to_file_again_only_where_that_helps(reason: str, locale: Locale) -> None:
    again = {"vi": "có thể nộp hồ sơ mới", "en": "can file a new application once this has been put right"}
    helps = reason not in {"duplicate", "not-competent"}
    assert (again[locale] in _body(owed(dossier_refused(reason=reason)), locale)) == helps


def test_somebody_whom_the_register_does_not_know_is_not_told_of_a_difference() -> None:
    unknown = owed(supplement_requested(correct_applicant=True, fields=("id_number",)))
    assert "không tìm thấy" in _body(unknown, "vi")
    assert "khác với" not in _body(unknown, "vi")
    assert "not as in" not in _body(unknown, "en")


def test_only_the_data_that_differ_are_named() -> None:
    born = owed(supplement_requested(correct_applicant=True, fields=("date_of_birth",)))
    assert "(ngày sinh khác với" in _body(born, "vi")
    assert ": date of birth)" in _body(born, "en")


@EVERYWHERE
def test_without_a_note_nothing_is_said_of_one(locale: Locale) -> None:
    assert not re.search("Ghi chú|Note", _body(owed(dossier_refused()), locale, note=" \n"))


@EVERYWHERE
def test_a_word_that_our_catalogue_does_not_know_yet_is_told_as_it_is(locale: Locale) -> None:
    facts = Facts(papers=("newer-paper",), reason="newer-reason")
    stranger = recipient(locale=locale, procedure="9.999999", agency="Z99")
    told = [
        text(LAW, Owed(notice=notice, about=MESSAGE, facts=facts), stranger, NAME)
        for notice in ("supplement", "refusal")
    ]
    assert "  - newer-paper\n" in told[0]
    assert ": newer-reason\n" in told[1]
    assert all(": 9.999999\n" in one and ": Z99\n" in one for one in told)


def test_braces_in_a_name_or_a_note_are_only_braces() -> None:
    body = _body(owed(dossier_refused()), "vi", "{code} {0}", "{name}")
    assert "Kính gửi ông/bà {code} {0}," in body
    assert "  {name}\n" in body


@EVERYWHERE
@EVERY_CASE
def test_a_subject_tells_the_code_and_nothing_of_the_person(name: str, locale: Locale) -> None:
    one, note = CASES[name]
    said = subject(one, recipient(locale=locale))
    assert CODE in said
    assert NAME not in said
    assert not note or note not in said
    assert not KEBAB.search(said)
