"""What a task sees of its dossier: the state as it was committed last, by whomever, asked for by many in one query."""

import asyncio

import pytest

from shared.runtime.kernel.kept import KeptStates
from shared.runtime.tasks.remembered import Remembered
from tests.integration.runtime.stage import Stage, command
from tests.integration.runtime.toy import Tally, name

A, B, NOBODY = (name("dossier", n) for n in range(3))


async def test_a_state_that_somebody_else_has_written_since_is_read_and_not_taken_from_what_is_kept(
    stage: Stage,
) -> None:
    ours, theirs = stage.engine(), stage.engine()
    await ours.handle([command(A, "one"), command(B, "two")])
    await theirs.handle([command(A, "three")])
    remembered = Remembered(stage.pool, Tally(), ours.kept)
    found = await asyncio.gather(*(remembered.of(one) for one in (A, B, NOBODY)))
    assert found == [await stage.state(A), await stage.state(B), Tally()]
    assert found[0].notification.texts == ("0|one", "1|three")


@pytest.mark.parametrize("kept", [True, False])
async def test_a_kept_state_spares_the_reading_and_is_the_same(stage: Stage, kept: bool) -> None:
    engine = stage.engine()
    await engine.handle([command(A, "one")])
    # Only what is read shows this, for the version is the same.
    await stage.admin.execute("UPDATE states SET state = '{}' WHERE dossier_id = $1", A)
    remembered = Remembered(stage.pool, Tally(), engine.kept if kept else KeptStates())
    assert (await remembered.of(A)).notification.texts == (("0|one",) if kept else ())


async def test_after_a_lost_connection_nothing_is_taken_from_what_is_kept(stage: Stage) -> None:
    engine = stage.engine()
    await engine.handle([command(A, "one")])
    await stage.admin.execute("UPDATE states SET state = '{}' WHERE dossier_id = $1", A)
    engine._lose()
    await engine.handle([command(A, "two")])
    assert (await stage.state(A)).notification.texts == ("0|two",)
