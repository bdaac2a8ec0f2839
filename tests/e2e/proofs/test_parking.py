"""A message that cannot be handled parks its dossier: what follows waits in order, all others go on, and redrive ends
it.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from deploy.demo.players import Played
from deploy.demo.watch import class_name
from deploy.local.status import status
from deploy.waiting import until
from shared.events.names import name_of
from tests.e2e.proofs.people import cast
from tests.e2e.proofs.play import SOON_S, Play

pytestmark = pytest.mark.asyncio(loop_scope="session")

MESSAGES = ["CitizenVerified", "FeeAssessed", "PaymentRequested"]
"""What the desk hears of identity and fee until somebody pays. Which topic it hears first, nobody has promised; what it
hears of notices comes besides, whenever a mail has gone.
"""


async def test_a_dossier_is_parked_and_redriven_in_order_while_all_others_go_on(play: Play) -> None:
    async with desk_database(play) as desk:
        async with play.outside("register", mode="refuse"):
            (sick,), (sound,) = await play.begin(charged(70)), await play.begin(charged(71))
            await play.filed([sick, sound])
            play.leave(sick)  # nobody acts or pays: these messages come, and no more
            await cannot_hold_what_is_said_of(desk, sick)

        async with healed_after(play, desk, sick):
            await play.all_well([sound])
            dead, *waiting = await all_kept(desk, sick)
            assert dead in MESSAGES, "a notice does not ail"
            assert sorted([dead, *waiting]) == sorted(MESSAGES)
            assert [one for one in [dead, *waiting] if one != "CitizenVerified"] == ["FeeAssessed", "PaymentRequested"]
            await told_to_everybody(play, sick, dead)

            code, answer = await play.operate("intake", "deadletters", "redrive", sick.dossier_id)
            assert (code, answer["handled"], answer["parked"]) == (1, 0, True), "the trouble is still there"
            await desk.execute(CURE)
            code, answer = await play.operate("intake", "deadletters", "redrive", sick.dossier_id)
            assert (code, answer["parked"]) == (0, False)
            assert answer["handled"] >= len(MESSAGES)
        await asyncio.gather(
            play.metric_is("intake", "dossier_parked_dossiers", 0),
            play.metric_is("intake", "dossier_dead_letters_open", 0),
        )
        play.take_up(sick)
        await play.all_well([sick])
        assert await steps(desk, sick) == [*MESSAGES, "FeePaid"]


def charged(n: int) -> Any:
    """One application of a verified person who has to pay."""
    data = cast(1, first=n)
    fee = {"procedure": "2.000815", "case": "standard", "channel": "direct", "copies": 2, "pages": 8}
    data.applications[0] |= fee
    return data


CURE = "ALTER TABLE states DROP CONSTRAINT IF EXISTS trouble"


async def cannot_hold_what_is_said_of(desk: Any, played: Played) -> None:
    """A fault like a bug in a rule: the desk's database refuses whatever the others say of this one dossier."""
    dossier = uuid.UUID(played.dossier_id)
    await desk.execute(
        f"""ALTER TABLE states ADD CONSTRAINT trouble CHECK (dossier_id <> '{dossier}'
            OR (state #>> '{{verification,outcome}}' IS NULL AND state #>> '{{payment,steps,0}}' IS NULL))"""
    )


@asynccontextmanager
async def healed_after(play: Play, desk: Any, sick: Played) -> AsyncIterator[None]:
    """After the block nothing of the dossier waits, whatever happened: the stack is not ours alone."""
    try:
        yield
    finally:
        await desk.execute(CURE)
        if await kept(desk, sick):
            await play.operate("intake", "deadletters", "redrive", sick.dossier_id)


async def all_kept(desk: Any, played: Played) -> list[str]:
    """What of MESSAGES could not be handled, in the order in which it came, once everything has come."""

    async def so_many() -> bool:
        return set(await kept(desk, played)) >= set(MESSAGES)

    await until(so_many, seconds=SOON_S, what=f"{len(MESSAGES)} messages to be kept")
    return [each for each in await kept(desk, played) if not each.startswith("Notice")]


async def kept(desk: Any, played: Played) -> list[str]:
    """The dead letter, and what waits behind it."""
    rows = await desk.fetch(
        """SELECT convert_from(decode(header ->> 1, 'hex'), 'UTF8') FROM (
               SELECT headers, 0 AS ordinal FROM dead_letters WHERE dossier_id = $1 AND settled_at IS NULL
               UNION ALL SELECT headers, ordinal FROM parked_messages WHERE dossier_id = $1) kept,
               jsonb_array_elements(headers::jsonb) AS header
           WHERE header ->> 0 = 'ce_type' ORDER BY ordinal""",
        uuid.UUID(played.dossier_id),
    )
    return [class_name(row[0]) for row in rows]


async def steps(desk: Any, played: Played) -> list[str]:
    """What the desk has heard of the dossier, in its order."""
    rows = await desk.fetch(
        """SELECT step ->> 'event' FROM states, jsonb_array_elements((state #> '{verification,steps}')
           || (state #> '{payment,steps}')) AS step WHERE dossier_id = $1""",
        uuid.UUID(played.dossier_id),
    )
    return [name_of(row[0]) for row in rows]


async def told_to_everybody(play: Play, sick: Played, dead: str) -> None:
    """Officers, operators, metrics and status tell of the parked dossier."""
    agency = (sick.line.application or {})["agency"]
    assert await play.post(f"officer-{agency}", f"/v1/dossiers/{sick.dossier_id}/accept", {}) == (503, "DOS-INT-504")
    code, letters = await play.operate("intake", "deadletters", "list")
    assert code == 0
    assert [(one["dossier_id"], one["reason"]) for one in letters] == [(sick.dossier_id, "rule-raised")]
    assert letters[0]["waiting"] >= len(MESSAGES) - 1
    code, letter = await play.operate("intake", "deadletters", "show", letters[0]["id"])
    assert code == 0
    assert [class_name(text) for name, text in letter["headers"] if name == "ce_type"] == [dead]
    await asyncio.gather(
        play.metric_is("intake", "dossier_parked_dossiers", 1),
        play.metric_is("intake", "dossier_dead_letters_open", 1),
    )
    told: list[str] = []
    assert await status([play.stack.directory], told.append) == 1
    assert {"intake: 1 dossiers parked", "intake: 1 dead letters open"} <= set("\n".join(told).splitlines())


@asynccontextmanager
async def desk_database(play: Play) -> AsyncIterator[Any]:
    """Intake's database, as its administrator."""
    connection = await asyncpg.connect(play.stack.ground.databases().administrator_url("intake"))
    try:
        yield connection
    finally:
        await connection.execute(CURE)
        await connection.close()
