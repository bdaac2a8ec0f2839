"""What the demonstration is asked and given: never a show of nothing, never an end at one bad line."""

import argparse
import json
from pathlib import Path

import pytest

from deploy.demo import __main__ as demo
from deploy.demo.asked import arguments, given
from deploy.demo.data import write_lines
from deploy.local.ground import External
from deploy.simulators.process import NotStarted

PERSON = {"id_number": "001090000001", "full_name": "Lê Thị An", "date_of_birth": "1990-01-01", "gender": "female"}


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    applications, register = tmp_path / "applications.jsonl", tmp_path / "register.jsonl"
    applications.write_text('{"procedure": "1.000656"}\n')
    register.write_text(json.dumps(PERSON, ensure_ascii=False) + "\n")
    return applications, register


def asked(files: tuple[Path, Path], *more: str) -> argparse.Namespace:
    return arguments(["--input", str(files[0]), "--register", str(files[1]), *more])


@pytest.mark.parametrize("wrong", [["--count", "0"], ["--count", "-1"], ["--count", "x"], ["--replicas", "0"]])
def test_less_than_one_is_no_number_of_applications_or_replicas(
    wrong: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        arguments(wrong)
    assert ended.value.code == 2
    assert f"argument {wrong[0]}: {wrong[1]}: a whole number, at least 1, is wanted" in capsys.readouterr().err


@pytest.mark.parametrize("content", ["", "\n", "  \n\n"])
def test_a_file_without_an_application_is_refused_in_a_sentence(
    files: tuple[Path, Path], content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    files[0].write_text(content)
    with pytest.raises(SystemExit) as ended:
        asked(files)
    assert ended.value.code == 2
    assert f"{files[0]}: not one application in it" in capsys.readouterr().err


def test_a_count_takes_the_first_of_a_file(files: tuple[Path, Path], tmp_path: Path) -> None:
    files[0].write_text('{"n": 1}\n{"n": 2}\n{"n": 3}\n')
    lines = given(asked(files, "--count", "2"), tmp_path).lines
    assert [line.number for line in lines] == [1, 2]


def test_a_good_register_is_handed_on_whole_and_nothing_is_said(files: tuple[Path, Path], tmp_path: Path) -> None:
    found = given(asked(files), tmp_path / "run")
    assert (found.people, found.fault) == ({PERSON["id_number"]: PERSON}, "")
    assert [json.loads(line) for line in found.register.read_text().splitlines()] == [PERSON]


def test_people_who_were_given_are_for_their_owner_only_and_gone_when_a_demonstration_begins_anew(
    files: tuple[Path, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    register = given(asked(files), folder).register
    assert [f"{path.stat().st_mode & 0o777:o}" for path in (register, register.parent)] == ["600", "700"]
    demo._begin_anew(folder, External())
    kept = [path for path in folder.rglob("*") if path.is_file() and PERSON["full_name"] in path.read_text()]
    assert kept == []


def test_a_file_of_people_that_others_could_read_is_theirs_no_more(tmp_path: Path) -> None:
    path = tmp_path / "register.jsonl"
    path.write_text("before")
    path.chmod(0o644)
    write_lines(path, [PERSON])
    assert f"{path.stat().st_mode & 0o777:o}" == "600"
    assert json.loads(path.read_text()) == PERSON


def test_bad_lines_of_a_register_are_named_without_their_values_and_the_good_ones_handed_on(
    files: tuple[Path, Path], tmp_path: Path
) -> None:
    good = json.dumps(PERSON, ensure_ascii=False).encode()
    bad = json.dumps({**PERSON, "id_number": "secret", "gender": "secret"}).encode()
    before = b"\n".join([b"{", good, b"[1]", bad, b'{"\xff"}', b"", good])
    files[1].write_bytes(before)
    found = given(asked(files), tmp_path)
    assert [json.loads(line) for line in found.register.read_text().splitlines()] == [PERSON]
    assert found.fault == (
        f"{files[1]}: no person in line 1 (not JSON: JSONDecodeError), 3 (not a JSON object), "
        "4 (wrong: gender, id_number), 5 (not JSON: UnicodeDecodeError); the register has the others"
    )
    assert files[1].read_bytes() == before, "what was given stays as it is"


def test_of_many_bad_lines_the_first_twenty_are_named(files: tuple[Path, Path], tmp_path: Path) -> None:
    files[1].write_text("x\n" * 25)
    fault = given(asked(files), tmp_path).fault
    assert "20 (not JSON: JSONDecodeError) and 5 more; the register has the others" in fault


def test_made_up_people_are_the_registers(tmp_path: Path) -> None:
    found = given(arguments(["--count", "10"]), tmp_path)
    assert len(found.lines) == 10
    assert [json.loads(line) for line in found.register.read_text().splitlines()] == list(found.people.values())
    assert len(found.people) == 9, "one of ten is unknown"
    assert found.fault == ""


def test_an_outside_system_that_does_not_start_is_told_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def ends(_: object) -> int:
        raise NotStarted("register: ended with 1")

    monkeypatch.setattr(demo, "_demo", ends)
    monkeypatch.setattr("sys.argv", ["deploy.demo", "--count", "1"])
    assert demo.main() == 2
    assert capsys.readouterr().err == "register: ended with 1\n"
