"""The demonstration as an operator runs it: from nothing to a report, with made-up data and with a file's."""

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import psutil
import pytest
import pytest_asyncio

from deploy.demo.__main__ import warnings
from deploy.demo.data import generate, write_lines
from deploy.local.ground import External
from deploy.local.machine import ROOT
from shared.law.calendar import vietnam_date
from shared.law.clock import due_at
from shared.law.loader import shipped_catalogue
from tests.ground import separate_ground
from tests.reference import README

pytestmark = pytest.mark.asyncio(loop_scope="session")

COUNT = 40
DATA = ROOT / "tests" / "data"
FALSE = {"identity": "not_found", "mismatched_fields": ["id_number"], "missing_papers": ["all"], "fee_vnd": 1,
         "fee_kind": "waiver", "accept_by": "2001-01-01", "due_if_accepted_at_submission": "2001-01-01"}  # fmt: skip
LIMIT_S = 300


@dataclass(frozen=True)
class Shown:
    """What a demonstration printed and left behind."""

    code: int
    output: str
    totals: Mapping[str, Any]
    dossiers: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Servers:
    """Kafka and PostgreSQL that remember every demonstration on them, and the folder that keeps their secrets."""

    folder: Path
    where: Mapping[str, str]

    async def demonstration(self, *arguments: str) -> Shown:
        """One run on them."""
        return await demonstration(self.folder, *arguments, **self.where)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def servers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Servers]:
    """External servers, for demonstrations that need none of their own."""
    folder = tmp_path_factory.mktemp("remembered")
    async with separate_ground(folder / "servers") as ground:
        where = {"KAFKA_BOOTSTRAP_SERVERS": ground.bootstrap_servers, "DATABASE_URL": ground.admin_url}
        yield Servers(folder, where)


async def demonstration(folder: Path, *arguments: str, **environment: str) -> Shown:
    """One run in a folder of its own."""
    build = folder / "build"
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "deploy.demo", "--folder", str(folder / "run"), "--build", str(build), *arguments,
        cwd=ROOT, env={"PATH": os.environ["PATH"], **environment},
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        output, _ = await asyncio.wait_for(child.communicate(), LIMIT_S)
    except TimeoutError:
        child.terminate()
        await child.wait()
        raise
    lines = (build / "dossiers.jsonl").read_text().splitlines()
    totals = json.loads((build / "demo.json").read_text())
    return Shown(child.returncode or 0, output.decode(), totals, [json.loads(line) for line in lines])


def applications(count: int, first: int = 0) -> list[dict[str, Any]]:
    """So many applications of the test data."""
    with (DATA / "applications.jsonl").open() as file:
        return [json.loads(line) for line in islice(file, first, first + count)]


async def test_forty_made_up_dossiers_show_every_outcome_and_end_well(tmp_path: Path) -> None:
    leave_people_entered_by_an_earlier_demonstration(tmp_path / "run")
    shown = await demonstration(tmp_path, "--count", str(COUNT))
    assert shown.code == 0, shown.output
    assert (shown.totals["applications"], shown.totals["ended_well"]) == (COUNT, COUNT)
    assert (shown.totals["gaps_on_topics"], shown.totals["audit_exit_code"]) == (0, 0)
    assert {one["identity"] for one in shown.dossiers} == {"verified", "mismatched", "not_found"}
    assert {one["fee_kind"] for one in shown.dossiers} == {"none", "charged", "reduction", "waiver"}
    assert any(one["missing_papers"] for one in shown.dossiers)
    made = [json.loads(line) for line in (tmp_path / "run" / "applications.jsonl").read_text().splitlines()]
    assert {one["channel"] for one in made} == {"direct", "online", "postal"}
    assert [one["status"] for one in shown.dossiers].count(3) == 1, "one unknown person stays unknown and is refused"
    assert [one["status"] for one in shown.dossiers].count(10) == COUNT - 1
    assert_ends_as_the_readme_shows(shown.output, tmp_path)


def assert_ends_as_the_readme_shows(output: str, folder: Path) -> None:
    """Line by line, whatever the figures are; where it leaves lines out (…), whatever they are too."""
    _, _, block = README.read_text(encoding="utf-8").partition("```\nDossiers by status")
    promised = [shape(line) for line in f"Dossiers by status{block.partition('```')[0]}".splitlines()]
    places = {f"{folder}/run": ".local/demo", f"{folder}/build": "build"}
    for found, written in places.items():
        output = output.replace(found, written)
    printed = iter([shape(line) for line in output.splitlines()])
    assert [line for line in promised if line != "…" and line not in printed] == []


def shape(line: str) -> str:
    """A line without its figures and without the width of its columns."""
    return re.sub(r"\s+", " ", re.sub(r"\d+(\.\d+)?", "#", line)).strip()


def leave_people_entered_by_an_earlier_demonstration(folder: Path) -> None:
    """Without the same beginning, nobody would be unknown the second time."""
    entered = folder / "outside" / "register" / "entered.jsonl"
    people = [one["applicant"] for one in generate(COUNT, datetime.now(UTC)).applications]
    names = ("id_number", "full_name", "date_of_birth")
    write_lines(entered, [{**{name: one[name] for name in names}, "gender": "male"} for one in people])


async def test_a_file_is_played_by_its_data_whatever_it_expects_and_a_bad_line_is_named(
    servers: Servers, tmp_path: Path
) -> None:
    given = applications(COUNT)
    lines = [json.dumps({**one, "expect": FALSE}, ensure_ascii=False) for one in given]
    bad = 17
    lines.insert(bad - 1, '{"idempotency_key": "cut off')
    path = tmp_path / "applications.jsonl"
    path.write_text("\n".join(lines) + "\n")

    shown = await servers.demonstration("--input", str(path), "--register", str(DATA / "register.jsonl"))

    assert shown.code == 1
    assert f"line {bad}: not JSON" in shown.output
    assert (shown.totals["applications"], shown.totals["ended_well"]) == (COUNT + 1, COUNT)
    played = {one["idempotency_key"]: one for one in shown.dossiers if one["idempotency_key"]}
    assert {key: agreed(one) for key, one in played.items()} == {
        one["idempotency_key"]: agreed(one["expect"]) for one in given
    }
    for one in given:
        assert_due_by_the_clock(one, played[one["idempotency_key"]])


async def test_a_bad_line_of_the_register_is_named_and_all_others_are_used(servers: Servers, tmp_path: Path) -> None:
    given = applications(3, first=COUNT)  # the servers may know the keys of those before
    path = write_lines(tmp_path / "applications.jsonl", given)
    register = tmp_path / "register.jsonl"
    good = (DATA / "register.jsonl").read_text().splitlines()
    register.write_text("\n".join([good[0], '{"id_number": "1"}', *good[1:]]) + "\n")

    shown = await servers.demonstration("--input", str(path), "--register", str(register))

    assert shown.code == 1
    told = f"{register}: no person in line 2 (wrong: date_of_birth, full_name, gender, id_number)"
    assert shown.output.count(told) == 2, "at the beginning, and at the end where the exit code is looked at"
    assert shown.totals["ended_well"] == len(given)
    assert [one["identity"] for one in shown.dossiers] == [one["expect"]["identity"] for one in given]


async def test_a_second_demonstration_on_servers_that_remember_the_first_ends_well_too(servers: Servers) -> None:
    first, second = [await servers.demonstration("--count", "3") for _ in range(2)]
    assert (first.code, second.code) == (0, 0), first.output + second.output
    assert not {one["dossier_id"] for one in first.dossiers} & {one["dossier_id"] for one in second.dossiers}
    assert not {one["code"] for one in first.dossiers} & {one["code"] for one in second.dossiers}


@pytest.mark.parametrize(
    ("given", "external", "told"),
    [
        (None, External(), []),
        (Path("a.jsonl"), External(), []),
        (None, External("kafka:9092", "postgresql://db"), []),
        (Path("a.jsonl"), External("kafka:9092", "postgresql://db"), ["a.jsonl: its idempotency keys"]),
        (None, External("kafka:9092", None), ["Of Kafka and PostgreSQL one is external"]),
        (None, External(None, "postgresql://db"), ["Of Kafka and PostgreSQL one is external"]),
    ],
)
async def test_what_servers_may_remember_of_an_earlier_demonstration_is_told_at_the_start(
    given: Path | None, external: External, told: list[str]
) -> None:
    warned = list(warnings(given, external))
    assert [start for start, text in zip(told, warned, strict=True) if text.startswith(start)] == told


def agreed(found: Mapping[str, Any]) -> Mapping[str, Any]:
    """What must be the same in a dossier's line and in what its application expects."""
    names = ("identity", "mismatched_fields", "missing_papers", "fee_vnd", "fee_kind")
    return {name: sorted(found[name]) if isinstance(found[name], list) else found[name] for name in names}


def assert_due_by_the_clock(application: Mapping[str, Any], dossier: Mapping[str, Any]) -> None:
    """The due date is the clock's, from the time of acceptance; a refused dossier has none."""
    if dossier["status"] == 3:
        assert dossier["due_at"] is None
        return
    law = shipped_catalogue()
    procedure = law.procedure(
        application["procedure"], vietnam_date(datetime.fromisoformat(application["submitted_at"]))
    )
    calendar = law.calendar(application["agency"])
    due = due_at(calendar, datetime.fromisoformat(dossier["accepted_at"]), procedure.time_allowed)
    assert datetime.fromisoformat(dossier["due_at"]) == due


@pytest.mark.parametrize(
    ("ending", "code", "word"),
    [
        ("Ctrl-C", 130, "ending what was started"),
        ("closed", 141, "nobody reads this any more: everything that was started has been ended"),
    ],
)
async def test_a_demonstration_that_is_left_ends_all_that_it_started(
    ending: str, code: int, word: str, tmp_path: Path
) -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "deploy.demo", "--count", "3", "--folder", str(tmp_path / "run"), cwd=ROOT,
        env={"PATH": os.environ["PATH"]}, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert child.stdout is not None
    assert child.stderr is not None
    while b"PostgreSQL: ready" not in await asyncio.wait_for(child.stdout.readline(), LIMIT_S):
        pass
    servers = psutil.Process(child.pid).children(recursive=True)
    assert servers
    if ending == "closed":
        child._transport.get_pipe_transport(1).close()  # type: ignore[attr-defined]
        said = await asyncio.wait_for(child.stderr.read(), LIMIT_S)
    else:
        child.send_signal(signal.SIGINT)
        _, said = await asyncio.wait_for(child.communicate(), LIMIT_S)
    assert said.decode().strip() == word
    assert await asyncio.wait_for(child.wait(), LIMIT_S) == code
    assert not [one for one in servers if one.is_running()]
