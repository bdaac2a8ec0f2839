"""The catalogue: what ships, how it is versioned by date, and how a wrong file is told."""

import re
from datetime import date
from pathlib import Path

import pytest

from shared.law.catalogue import Catalogue, CatalogueError
from shared.law.loader import load_catalogue, shipped_catalogue
from shared.law.synthetic import PROCEDURE
from tests.lawbook import Edit


def faults_of(folder: Path) -> tuple[str, ...]:
    with pytest.raises(CatalogueError) as raised:
        load_catalogue(folder)
    return raised.value.faults


def test_the_catalogue_that_ships_is_right_and_complete() -> None:
    catalogue = shipped_catalogue()
    assert len(catalogue.procedures) == 17 + 1, "with the synthetic one"
    assert sum(map(len, catalogue.fee_rules.values())) == 22
    assert len(catalogue.agencies) == 10 + 1, "with the synthetic one"
    assert len(catalogue.groups) == 9
    assert len(catalogue.papers) == 11
    assert len(catalogue.reasons) == 7


LEGAL_TEXT = re.compile(
    r"(Luật .+ \d+/\d{4}/QH\d+(, Điều \d+)?|(Nghị định|Thông tư|Quyết định) \d+/\d{4}/\S+|Nghị quyết của .+)"
)
PUBLISHED = "Quyết định công bố thủ tục hành chính"


def test_a_legal_basis_is_cited_as_the_law_cites_it() -> None:
    catalogue = shipped_catalogue()
    real = [versions for code, versions in catalogue.procedures.items() if code != PROCEDURE]
    dated = [*real, *catalogue.fee_rules.values()]
    bases = {entry.basis for versions in dated for entry in versions} | {
        one.basis for one in catalogue.reasons.values()
    }
    assert [basis for basis in bases - {None, PUBLISHED} if not LEGAL_TEXT.fullmatch(str(basis))] == []


def test_every_entry_names_its_legal_basis() -> None:
    catalogue = shipped_catalogue()
    entries = [*catalogue.procedures.values(), *catalogue.fee_rules.values()]
    assert all(entry.basis for versions in entries for entry in versions)


def test_the_province_of_an_agency_is_the_first_part_of_its_code() -> None:
    assert shipped_catalogue().agency("H49.12.03", date(2026, 10, 1)).province == "H49"


def test_missing_papers_are_named_in_the_order_of_the_procedure() -> None:
    procedure = shipped_catalogue().procedure("1.001456", date(2026, 10, 1))
    assert procedure.missing_papers(frozenset()) == ("application-form", "photo")
    assert procedure.missing_papers(frozenset({"application-form", "diary"})) == ("photo",)


def test_a_later_version_of_a_procedure_moves_nothing_that_was_filed_before(folder: Path, edit: Edit) -> None:
    edit(
        "procedures.yaml",
        'source: F\n  valid_from: 2000-01-01\n  valid_to: null\n\n- code: "1.000656"',
        """source: F
  valid_from: 2000-01-01
  valid_to: 2027-03-01

- code: "1.001193"
  name_vi: Đăng ký khai sinh
  name_en: Birth registration
  level: commune
  duration: 2
  unit: working_hours
  cases: [standard]
  channels: [online]
  papers: [birth-certificate]
  basis: "Luật Hộ tịch 03/2026/QH16"
  source: GK
  valid_from: 2027-03-01
  valid_to: null

- code: "1.000656\"""",
    )
    catalogue = load_catalogue(folder)
    assert catalogue.procedure("1.001193", date(2027, 2, 28)).unit == "same_day"
    assert catalogue.procedure("1.001193", date(2027, 3, 1)).unit == "working_hours"
    assert catalogue.version != shipped_catalogue().version


def test_an_unknown_procedure_and_one_not_yet_in_force_are_not_found() -> None:
    with pytest.raises(KeyError):
        shipped_catalogue().procedure("1.999999", date(2026, 10, 1))
    with pytest.raises(KeyError):
        shipped_catalogue().procedure("1.001193", date(1999, 12, 31))


def test_the_version_follows_the_content_and_not_the_comments(folder: Path, edit: Edit) -> None:
    (folder / "fees.yaml").write_bytes((folder / "fees.yaml").read_bytes() + b"\n# a remark\n")
    assert load_catalogue(folder).version == shipped_catalogue().version
    edit("fees.yaml", "amount_vnd: 200000", "amount_vnd: 200001")
    assert load_catalogue(folder).version != shipped_catalogue().version


def test_a_decision_in_the_override_table_reaches_the_calendar_of_every_agency(folder: Path, edit: Edit) -> None:
    edit("calendar.yaml", "days_off:\n", "days_off:\n- {date: 2026-10-02, basis: a made-up decision, source: test}\n")
    catalogue = load_catalogue(folder)
    assert not any(catalogue.calendar(code).is_working_day(date(2026, 10, 2)) for code in catalogue.agencies)


def test_one_agency_may_sit_on_saturday_mornings_alone(folder: Path, edit: Edit) -> None:
    edit("agencies.yaml", "Hà Nội\n  saturday_mornings: false", "Hà Nội\n  saturday_mornings: true")
    catalogue = load_catalogue(folder)
    open_on_saturday = [c for c in catalogue.agencies if catalogue.calendar(c).is_working_day(date(2026, 9, 19))]
    assert open_on_saturday == ["H26.16"]


@pytest.mark.parametrize(
    ("file", "old", "new", "told"),
    [
        ("fees.yaml", 'procedure: "2.000488"', 'procedure: "2.000489"', "unknown procedure 2.000489"),
        ("fees.yaml", "groups: [student,", "groups: [pupil,", "2.000488-reduced-2017: unknown group pupil"),
        ("fees.yaml", "case: late", "case: later", "1.001193-late-direct-h49-2020: unknown case later"),
        ("fees.yaml", "2.000488-reduced-2017", "2.000488-standard-2017", "2.000488-standard-2017: listed 2 times"),
        ("fees.yaml", "channel: online", "channel: direct", "1.004222-online-2023: contradicts 1.004222-direct-2023"),
        ("fees.yaml", "amount_vnd: 200000", 'amount_vnd: "200000"', "2.000488-standard-2017: amount_vnd"),
        ("fees.yaml", "amount_vnd: 200000", "amount_vnd: 0.5", "2.000488-standard-2017: amount_vnd"),
        ("fees.yaml", "amount_vnd: 200000", "amount_vnd: -1", "2.000488-standard-2017: amount_vnd"),
        ("fees.yaml", "line: main", "lines: main", "2.000488-standard-2017: lines"),
        ("fees.yaml", "kind: waiver", "kind: charge", "2.000488-waived-2017: Value error"),
        ("fees.yaml", "valid_to: null", "valid_to: 2016-01-01", "valid_to is not after valid_from"),
        ("fees.yaml", "cap_per_copy_vnd: 200000", "cap_per_copy_vnd: 100000", "another cap_per_copy_vnd"),
        ("fees.yaml", 'procedure: "2.000635"\n  kind: charge\n  line: main\n  amount_vnd: 8000\n  per: copy',
         'procedure: "2.000635"\n  kind: charge\n  line: main\n  amount_vnd: 8000\n  per: page', "counts pages"),
        ("procedures.yaml", 'code: "1.001193"', "code: 1.001193", "procedures.yaml: 1.001193: code"),
        ("procedures.yaml", 'code: "1.001193"', 'code: "1.000656"', "procedures.yaml: 1.000656: the versions from"),
        ("procedures.yaml", "duration: 0", "duration: 1", "procedures.yaml: 1.001193: Value error"),
        ("procedures.yaml", "[direct, online, postal]", "[direct, fax]", "procedures.yaml: 1.001193: channels: 1"),
        ("agencies.yaml", 'code: "H02.15"', 'code: "Bắc Giang"', "agencies.yaml: Bắc Giang: code"),
        ("agencies.yaml", 'code: "H02.15"', 'code: "H26.16"', "agencies.yaml: H26.16: the versions from"),
        ("groups.yaml", "code: elderly", "code: child", "groups.yaml: child: listed 2 times"),
        ("calendar.yaml", "days_off:\n", "days_off:\n- {date: tomorrow}\n", "calendar.yaml: days_off: 0: date"),
        ("calendar.yaml", "days_off:\n", "days_of:\n", "calendar.yaml: days_of"),
        ("groups.yaml", "- {code: child", "- {code: {child", "groups.yaml: not YAML"),
        ("papers.yaml", "code: photo", "code: old-photo", "procedures.yaml: 1.001456: unknown paper photo"),
        ("papers.yaml", "code: photo", "code: original", "papers.yaml: original: listed 2 times"),
        ("papers.yaml", "name_vi: Ảnh chân dung, ", "", "papers.yaml: photo: name_vi"),
        ("reasons.yaml", "code: duplicate", "code: incomplete", "reasons.yaml: incomplete: listed 2 times"),
        ("reasons.yaml", "  basis:", "  base:", "reasons.yaml: not-competent: base"),
        ("reasons.yaml", "  then_vi:", "  # then_vi:", "reasons.yaml: not-competent: Value error, then_vi and then_en"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_told_by_file_and_entry(
    folder: Path, edit: Edit, file: str, old: str, new: str, told: str
) -> None:
    edit(file, old, new)
    faults = faults_of(folder)
    assert any(told in fault and fault.startswith((file, told)) for fault in faults), faults


def test_all_faults_of_all_files_are_told_at_once(folder: Path, edit: Edit) -> None:
    edit("fees.yaml", "per: dossier", "per: dozen")
    edit("agencies.yaml", "level: province", "level: planet")
    assert [fault.split(":")[0] for fault in faults_of(folder)] == ["fees.yaml", "agencies.yaml"]


def test_a_missing_file_stops_the_start(folder: Path) -> None:
    (folder / "groups.yaml").unlink()
    with pytest.raises(FileNotFoundError):
        load_catalogue(folder)


def test_rules_of_different_dates_do_not_contradict_each_other(folder: Path, edit: Edit) -> None:
    edit("fees.yaml", "valid_to: null", "valid_to: 2027-01-01")
    text = (folder / "fees.yaml").read_text(encoding="utf-8")
    later = (
        '\n- {id: 2.000488-standard-2027, procedure: "2.000488", kind: charge, line: main, amount_vnd: 150000,'
        " per: dossier, basis: made up, source: test, valid_from: 2027-01-01, valid_to: null}\n"
    )
    (folder / "fees.yaml").write_text(text + later, encoding="utf-8")
    assert isinstance(load_catalogue(folder), Catalogue)
