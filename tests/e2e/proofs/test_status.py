"""`python -m deploy.local status` tells an operator what runs and what is behind."""

import os
import re
from pathlib import Path

import pytest

from deploy.local.machine import ROOT
from deploy.local.status import record_of
from deploy.waiting import until
from shared.services import SERVICES
from tests.e2e.proofs.people import cast
from tests.e2e.proofs.play import SOON_S, Play

pytestmark = pytest.mark.asyncio(loop_scope="session")

ENVIRONMENT = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}


async def test_status_shows_every_service_ready_and_level(play: Play) -> None:
    played = await play.begin(cast(1, first=80))
    await play.filed(played)
    await play.all_well(played)
    told = ""

    async def level() -> bool:
        nonlocal told
        code, told, _ = await play.run("deploy.local", "status", str(play.stack.directory), environment=ENVIRONMENT)
        return code == 0

    await until(level, seconds=SOON_S, what="everything to be level")
    assert "all ready and level" in told
    for service in SERVICES:
        (process,) = play.stack.of(service)
        line = re.search(
            rf"^{service} +1/1 +(\d+)/(\d+) +(\d+)/(\d+) +\d+ +\d+ +0 +0 +(\S+) (\S+)$", told, re.MULTILINE
        )
        assert line is not None, told
        assert line[1] == line[2] and line[3] == line[4]
        assert (line[5], line[6]) == (str(process.pid), process.probes)


async def test_status_says_so_if_nothing_runs(play: Play, tmp_path: Path) -> None:
    code, told, _ = await play.run("deploy.local", "status", str(tmp_path), environment=ENVIRONMENT)
    assert (code, told) == (1, "nothing runs here; `make run` starts it\n")


async def test_what_a_stack_writes_of_itself_holds_no_secret(play: Play) -> None:
    own = [play.stack.directory / "stack.json", *map(play.stack.environment_file, SERVICES)]
    written = "".join(path.read_text() for path in own)
    files = [path for path in play.stack.ground.secrets.directory.iterdir() if path.is_file()]
    secrets = [path.read_text() for path in files if path.name != "clients.json"]
    assert record_of(play.stack.directory) is not None
    assert not [secret for secret in secrets if secret in written]
