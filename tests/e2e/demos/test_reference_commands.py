"""An operator types what the reference says, in an empty environment, beside the `make run` that they typed before."""

import asyncio
import json
import os
import re
import shutil
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import aiohttp
import pytest
import pytest_asyncio

from deploy.local.__main__ import down, wipe
from deploy.local.machine import ROOT
from deploy.local.ports import free_port
from deploy.waiting import until
from shared.services import SERVICES
from tests.reference import REFERENCE

pytestmark = pytest.mark.asyncio(loop_scope="session")

TEXT = REFERENCE.read_text(encoding="utf-8")
START_S, SOON_S = 300.0, 90.0
NAME = "payment"
"""Stands for `<name>`: the service with the most settings of its own."""

WORDS = {"<name>": NAME, "ID": str(uuid4()), "DOSSIER": str(uuid4()), "R": "bug", "SOURCE": "nobody", "SHARD": "0",
         "SEQUENCE": "1", "PARTITION": "0", "OFFSET": "999999999"}  # fmt: skip
NOTHING = ("deadletters show", "deadletters discard", f"deadletters redrive {WORDS['DOSSIER']}", "heard skip",
           "discrepancies settle", "topic disown")  # fmt: skip
"""Commands that come to nothing (exit 1) where the words name nothing."""


@dataclass
class Run:
    """A `make run` that is up: its process, its folder below a `.local`, and what it printed."""

    process: Process
    folder: Path
    printed: list[str] = field(default_factory=list)

    def shown(self, what: str) -> str:
        """What it printed under this name."""
        (line,) = [line for line in self.printed if line.startswith(f"{what} ")]
        return line.removeprefix(what).strip()

    def command(self, service: str, words: str, before: str = "") -> str:
        """A command of one service as the line that was printed shows it; `before` is set before it."""
        shown = self.shown("a command")
        assert shown.endswith("python -m services.intake deadletters list)")
        return shown.replace("intake.env", f"{service}.env").replace(
            "python -m services.intake deadletters list", f"{before} exec python -m {words}"
        )


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def run(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Run]:
    """What `make run` starts, in a folder of its own; ended by the last test, or here."""
    folder = tmp_path_factory.mktemp("local") / "run"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "deploy.demo", "--stay", "--count", "3", "--folder", str(folder),
        cwd=ROOT, env={"PATH": os.environ["PATH"]}, stdin=asyncio.subprocess.DEVNULL, stdout=PIPE, stderr=STDOUT,
    )  # fmt: skip
    run = Run(process, folder)
    try:
        await asyncio.wait_for(_until_up(run), START_S)
        yield run
    finally:
        if process.returncode is None:
            process.terminate()
        await asyncio.wait_for(process.communicate(), START_S)


async def _until_up(run: Run) -> None:
    assert run.process.stdout is not None
    while not run.printed or not run.printed[-1].startswith("up "):
        line = await run.process.stdout.readline()
        assert line, "\n".join(run.printed)
        run.printed.append(line.decode().rstrip())


def texts(folder: Path, suffix: str) -> list[str]:
    """What the files of a folder hold that are named so."""
    return [path.read_text() for path in sorted(folder.iterdir()) if path.is_file() and path.suffix == suffix]


async def typed(line: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of what is typed into a shell that knows nothing."""
    shell = await asyncio.create_subprocess_exec("/bin/bash", "-c", line, cwd=ROOT, env={}, stdout=PIPE, stderr=PIPE)
    output, errors = await asyncio.wait_for(shell.communicate(), SOON_S)
    return shell.returncode or 0, output.decode(), errors.decode()


def commands() -> Iterator[str]:
    """Every command of a service in the reference's table, each alternative by itself, with words for its capitals."""
    for row in re.findall(r"^\| `python -m (services\.[^`]+)` \|", TEXT, re.MULTILINE):
        first, *others = row.replace("[", "").replace("]", "").split(r" \| ")
        prefix = " ".join(first.split()[:2])
        for command in [first, *(f"{prefix} {other}" for other in others)]:
            yield " ".join(WORDS.get(word, word.replace("<name>", NAME)) for word in command.split())


TYPED = [command for command in commands() if not command.endswith(" run")]


async def test_the_reference_shows_the_line_that_make_run_prints(run: Run) -> None:
    shown = run.shown("a command").replace(str(run.folder), ".local/run")
    assert f"\n{shown}\n" in TEXT


async def test_make_run_tells_where_everything_is_and_no_secret(run: Run) -> None:
    assert re.fullmatch(r"127\.0\.0\.1:\d+", run.shown("Kafka"))
    assert re.fullmatch(
        r"127\.0\.0\.1:\d+  \(database and role dossier_<service>.*auditor.*\)", run.shown("PostgreSQL")
    )
    secrets = Path(run.shown("secrets").split("  ")[0])
    assert secrets == run.folder / "secrets"
    told = "\n".join(run.printed) + "".join(texts(run.folder / "env", ".env"))
    values = [text.strip() for text in texts(secrets, "")]
    assert len(values) > 8
    assert not [value for value in values if value in told]


async def test_the_references_table_has_every_command() -> None:
    acts = {" ".join(command.split()[1:3]) for command in TYPED}
    assert acts == {
        "deadletters list", "deadletters show", "deadletters redrive", "deadletters discard", "heard list",
        "heard skip", "keys rewrap", "keys status", "rebuild --apply", "rebuild --check", "verify",
        "discrepancies list", "discrepancies settle", "topic disown",
    }  # fmt: skip


@pytest.mark.parametrize("words", TYPED)
async def test_a_command_of_the_reference_does_what_it_says_in_an_empty_environment(words: str, run: Run) -> None:
    service = words.partition(" ")[0].removeprefix("services.")
    code, output, errors = await typed(run.command(service, words))
    assert code == any(part in words for part in NOTHING), output + errors
    if "deadletters" in words or "heard" in words:
        json.loads(output)


@pytest.mark.parametrize("service", SERVICES)
async def test_dead_letters_of_every_service_can_be_listed(service: str, run: Run) -> None:
    code, output, errors = await typed(run.command(service, f"services.{service} deadletters list"))
    assert (code, json.loads(output)) == (0, []), errors


NEEDED = {
    "deadletters list": ["DATABASE_URL"],
    "heard list": ["DATABASE_URL"],
    "rebuild --check": ["DATABASE_URL"],
    "deadletters redrive --all": ["KAFKA_BOOTSTRAP_SERVERS", "DATABASE_URL"],
}


@pytest.mark.parametrize("words", NEEDED)
async def test_a_command_asks_for_no_more_settings_than_it_needs(words: str, run: Run) -> None:
    file = (run.folder / "env" / f"{NAME}.env").read_text()
    python = " ".join(line for line in file.splitlines() if line.startswith(("PATH=", "PYTHONPATH=")))
    code, _, errors = await typed(f"{python} python -m services.{NAME} {words}")
    assert (code, errors) == (
        2, "cannot start: " + "; ".join(f"{name}: Field required" for name in NEEDED[words]) + "\n"
    )  # fmt: skip


async def test_another_process_of_a_service_needs_only_a_port_besides(run: Run) -> None:
    port = free_port()
    line = run.command("notification", "services.notification run", before=f"export PROBE_PORT={port};")
    shell = await asyncio.create_subprocess_exec("/bin/bash", "-c", line[1:-1], cwd=ROOT, env={}, stdout=PIPE)
    try:
        async with aiohttp.ClientSession() as http:

            async def is_ready() -> bool:
                assert shell.returncode is None
                try:
                    async with http.get(f"http://127.0.0.1:{port}/readyz") as answer:
                        return answer.status == 200
                except aiohttp.ClientError:
                    return False

            await until(is_ready, seconds=SOON_S, what="the process to be ready")
    finally:
        shell.send_signal(signal.SIGTERM)
        await asyncio.wait_for(shell.communicate(), SOON_S)
    assert shell.returncode == 0


async def test_a_service_that_is_killed_is_named_and_started_again(run: Run) -> None:
    (line,) = [line for line in run.printed if line.startswith("audit ")]
    os.kill(int(re.findall(r"pid (\d+)", line)[0]), signal.SIGKILL)
    assert run.process.stdout is not None
    told = (await asyncio.wait_for(run.process.stdout.readline(), SOON_S)).decode()
    assert re.fullmatch(r"audit 0 was ended by SIGKILL \(log .*/audit-0\.log\); it is started again\n", told)

    async def is_level() -> bool:
        code, output, _ = await typed(run.command("audit", "deploy.local status " + str(run.folder)))
        return code == 0 and "audit" in output

    await until(is_level, seconds=SOON_S, what="the platform to be level")


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_the_references_curl_files_a_dossier_and_gets_the_first_answer_again(run: Run) -> None:
    (block,) = re.findall(r"^```sh\n(\(set -a;.*?curl.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    line = block.replace(".local/run", str(run.folder))
    assert block.count(".local/run") == 1
    told = [await typed(line) for _ in range(2)]
    assert told[0] == told[1]
    code, output, errors = told[0]
    assert (code, errors, json.loads(output)["status"]) == (0, "", 1)


async def test_down_ends_make_run_and_then_all_of_it_can_be_wiped(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    local = run.folder.parent
    ended = asyncio.create_task(run.process.communicate())
    assert await asyncio.to_thread(down, local) == 0
    await asyncio.wait_for(ended, SOON_S)
    assert run.process.returncode == 0
    assert f"process {run.process.pid}, which used {run.folder}, has ended" in capsys.readouterr().out
    assert not (run.folder / "env").exists() and not (run.folder / "stack.json").exists()
    assert wipe(local) == 0
    assert [path.name for path in local.iterdir()] == ["ground.lock"]
