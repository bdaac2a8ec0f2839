"""The key-encryption key is exchanged while dossiers are on their way, and the old one is thrown away."""

import asyncio
import base64
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from deploy.local.machine import ROOT
from deploy.waiting import until
from shared.services import Keys, holders
from tests.e2e.proofs.people import cast
from tests.e2e.proofs.play import SOON_S, Play

pytestmark = pytest.mark.asyncio(loop_scope="session")

HOLD_KEYS = (*holders(Keys.READS), *holders(Keys.MAKES))
"""In the order in which they are restarted: who wraps is the last."""


def write(file: Path, lines: Sequence[str]) -> None:
    """The secret anew, as an operator's editor leaves it: never half of it."""
    new = file.with_suffix(".new")
    new.write_text("\n".join(lines) + "\n")
    new.replace(file)


async def restart(play: Play, services: Sequence[str]) -> None:
    """Each process of these services in turn, drained and started again."""
    async with play.all_standing_after():
        for service in services:
            for process in play.stack.of(service):
                process.signal(signal.SIGTERM)
                assert await process.ended() == 0, process.last_words()
                process.start()
                await play.stack.ready(process)


async def kill_a_rewrap(play: Play) -> None:
    """Begin to rewrap and kill the command once it has told how much there is."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.intake", "keys", "rewrap", cwd=ROOT, env=play.stack.environment("intake"),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert child.stderr is not None
    told = await child.stderr.readline()
    child.kill()
    await child.communicate()
    assert b"data keys" in told, told


async def all_have_heard(play: Play) -> None:
    """Return once no service holds a key that does not lie under the newest."""

    async def level() -> bool:
        found = [await play.operate(service, "keys", "status") for service in HOLD_KEYS]
        return all((code, status["remaining"], status["wraps"]) == (0, 0, "kek-2") for code, status in found)

    await until(level, seconds=SOON_S, what="every service to hold keys under the newest only", every=1.0)


async def test_a_new_one_takes_over_under_load_and_nothing_needs_the_old_one_any_more(play: Play) -> None:
    file = play.stack.ground.secrets.path("kek")
    old, new = file.read_text().strip(), f"kek-2 {base64.b64encode(os.urandom(32)).decode()}"
    first = await play.begin(cast(8, first=60))
    await play.filed(first[:2])

    write(file, [old, new])
    await restart(play, HOLD_KEYS)
    code, before = await play.operate("intake", "keys", "status")
    assert code == 1, "the old ones are still needed"
    assert before["remaining"] == before["keys"]["kek-1"] > 0
    second = await play.begin(cast(8, first=70))
    await kill_a_rewrap(play)
    code, done = await play.operate("intake", "keys", "rewrap")
    assert (code, done["remaining"]) == (0, 0)
    code, again = await play.operate("intake", "keys", "rewrap")
    assert (code, again["rewrapped"]) == (0, 0), "nothing is left to be done"
    await all_have_heard(play)

    write(file, [new])
    await restart(play, HOLD_KEYS)
    await play.all_well([*first, *second])
    code, told, errors = await play.run("services.audit", "verify", environment=play.stack.environment("audit"))
    assert code == 0, told + errors


async def test_keys_are_rewrapped_by_their_one_writer_only(play: Play) -> None:
    environment = play.stack.environment("verification")
    code, _, errors = await play.run("services.verification", "keys", "rewrap", environment=environment)
    assert code == 2
    assert "intake" in errors
