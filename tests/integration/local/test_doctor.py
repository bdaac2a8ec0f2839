"""`python -m deploy.local doctor`: what is missing, what to do about it, and an exit code to go by."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from deploy.local import doctor
from deploy.local.doctor import Finding
from deploy.local.machine import KAFKA_VERSION, LIBS, ROOT


def typed(environment: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    """The doctor as it is called before `make setup`: by any Python, without the packages."""
    command = [sys.executable, "-S", "-m", "deploy.local", "doctor"]
    return subprocess.run(
        command, env=dict(environment), cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )


def lines_of(text: str) -> dict[str, tuple[bool, str]]:
    """Name → whether it is fine, and its line with the remedy."""
    found: dict[str, tuple[bool, str]] = {}
    last = ""
    for line in text.splitlines()[:-1]:
        if line.startswith("        "):
            found[last] = found[last][0], found[last][1] + line
            continue
        verdict, last, *_ = line.split()
        found[last] = verdict == "ok", line
    return found


def test_where_everything_is_there_it_says_so_and_ends_with_0() -> None:
    ended = typed({"PATH": os.environ["PATH"]})
    assert ended.stderr == ""
    said = lines_of(ended.stdout)
    # Memory and disk are the machine's affair: others may have taken them just now.
    missing = {name for name, (fine, _) in said.items() if not fine}
    assert missing <= {"memory", "disk"}, ended.stdout
    assert ended.returncode == (1 if missing else 0)
    assert ended.stdout.splitlines()[-1] == (f"{len(missing)} to mend" if missing else "nothing is missing")
    assert set(said) == {
        "python", "venv", "make", "promtool", "packages", "java", "kafka", "postgresql", "user", "disk",
        "memory", "ports",
    }  # fmt: skip
    assert KAFKA_VERSION in said["kafka"][1]


def test_with_an_empty_path_it_names_what_to_install_and_ends_with_1() -> None:
    ended = typed({"PATH": ""})
    assert (ended.returncode, ended.stderr) == (1, "")
    said = lines_of(ended.stdout)
    assert ended.stdout.splitlines()[-1].endswith(" to mend")
    assert not said["make"][0] and "-> apt-get install make" in said["make"][1]
    if os.geteuid() == 0:
        assert not said["user"][0]
        assert "apt-get install util-linux (setpriv)" in said["user"][1]
    assert said["promtool"][0] and "leaves the floor `alerts` out" in said["promtool"][1], "nobody must have it"
    assert all(said[name][0] for name in ("python", "java", "postgresql")), "what lies in the checkout needs no path"


def test_a_java_of_ones_own_is_named_by_a_setting_and_must_be_one(tmp_path: Path) -> None:
    own = tmp_path / "java"
    for answer, found in (("8.0.1", "Java 8"), ("17.0.2", "Java 17"), (None, f"none at {own}")):
        own.unlink(missing_ok=True)
        if answer:
            own.write_text(f"#!/bin/sh\necho 'openjdk version \"{answer}\"' >&2\n")
            own.chmod(0o755)
        fine, line = lines_of(typed({"PATH": os.environ["PATH"], "DOSSIER_JAVA": str(own)}).stdout)["java"]
        assert found in line
        assert fine == (answer == "17.0.2")
        assert fine or "-> unset DOSSIER_JAVA, or name a Java 17 or newer with it" in line


@pytest.mark.parametrize("module", ["venv", "ensurepip"])
def test_a_python_that_cannot_make_a_venv_is_named_as_long_as_there_is_none(
    module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "ROOT", tmp_path)
    assert {one.what: one.fine for one in doctor.examine()}["venv"]
    monkeypatch.setitem(sys.modules, module, None)  # as on a Debian without python3-venv
    (found,) = [one for one in doctor.examine() if one.what == "venv"]
    assert (found.fine, found.found, found.mend) == (False, f"no module {module}", "apt-get install python3-venv")
    for name in (".venv", "requirements"):
        (tmp_path / name).mkdir()
    (tmp_path / "requirements" / "dev.txt").touch()
    (tmp_path / ".venv" / ".installed").touch()
    (found,) = [one for one in doctor.examine() if one.what == "venv"]
    assert found.fine and "not needed" in found.found


def test_a_checkout_without_set_up_is_told_to_make_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "ROOT", tmp_path)
    monkeypatch.setattr(doctor, "LOCAL", tmp_path / ".local")
    monkeypatch.setattr(doctor, "LIBS", tmp_path / ".local" / LIBS.name)
    monkeypatch.setenv("PATH", "")
    said: list[str] = []
    assert doctor.report(doctor.examine(), said.append) == 1
    found = lines_of("\n".join(said))
    for name in ("packages", "kafka", "postgresql"):
        assert not found[name][0] and "-> run `make setup`" in found[name][1], found[name]


def test_every_finding_that_is_not_fine_is_counted_and_has_its_remedy() -> None:
    said: list[str] = []
    findings = [
        Finding("one", True, "there", "-"),
        Finding("two", False, "no", "do this"),
        Finding("three", False, "no", "do that"),
    ]
    assert doctor.report(findings, said.append) == 1
    assert [line.split("-> ")[1] for line in said if "->" in line] == ["do this", "do that"]
    assert said[-1] == "2 to mend"
    assert doctor.report(findings[:1], said.append) == 0
    assert said[-1] == "nothing is missing"
