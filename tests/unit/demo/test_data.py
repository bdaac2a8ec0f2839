"""Made-up applications show people as they are, and what identity they come to is what the plan says."""

from datetime import UTC, date, datetime
from pathlib import Path

from deploy.demo.data import generate, read_lines
from deploy.simulators.people import Person
from shared.law.application import Application
from shared.law.birth import birth_in_digits, birth_of
from shared.law.faults import examine
from shared.law.loader import shipped_catalogue
from shared.law.names import same_name

NOW = datetime(2026, 9, 16, 1, 30, tzinfo=UTC)
DATA = generate(400, NOW)
HELD = {line["id_number"]: line for line in DATA.register}


def test_every_made_up_application_is_taken_in_and_mismatches_only_where_it_is_meant_to() -> None:
    wrong = {"names": 0, "births": 0, "unknown": 0}
    for line in DATA.applications:
        application = examine(dict(line), shipped_catalogue(), date(2026, 9, 16))
        assert isinstance(application, Application), application
        stated, held = application.applicant, HELD.get(application.applicant.id_number)
        wrong["unknown"] += held is None
        if held is not None:
            wrong["names"] += not same_name(stated.full_name, held["full_name"])
            wrong["births"] += not birth_of(stated.date_of_birth).agrees(birth_of(held["date_of_birth"]))
    assert wrong == {"names": 40, "births": 40, "unknown": 40}


def test_births_known_in_part_and_names_in_several_spellings_are_among_them() -> None:
    assert {len(line["date_of_birth"]) for line in DATA.register} == {4, 7, 10}
    assert {line["id_number"][:3] for line in DATA.register} >= {"024", "108"}
    differing = [line for line in DATA.applications if line["applicant"]["full_name"] != HELD.get(
        line["applicant"]["id_number"], line["applicant"])["full_name"]]  # fmt: skip
    assert len(differing) > 100


def test_the_register_keeps_what_is_known_of_a_birth_on_the_wire() -> None:
    for line in DATA.register:
        wire = Person.model_validate(line).record().partition("<dan:NgayThangNam>")[2].partition("<")[0]
        assert len(wire) == 8
        assert str(birth_in_digits(wire)) == line["date_of_birth"]


def test_a_byte_order_mark_before_a_file_or_a_line_is_passed_over(tmp_path: Path) -> None:
    file = tmp_path / "with marks.jsonl"
    file.write_bytes(b'\xef\xbb\xbf{"a": 1}\r\n\xef\xbb\xbf{"b": 2}\n\xef\xbb\xbf\n{"c": 3}\n')
    assert [line.application for line in read_lines(file)] == [{"a": 1}, {"b": 2}, {"c": 3}]
