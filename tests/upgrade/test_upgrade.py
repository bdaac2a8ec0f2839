"""A release comes, is taken back, and comes again, under load: nothing is lost, doubled, parked or dead."""

from pathlib import Path

from deploy.local.machine import ROOT
from deploy.waiting import until
from shared.services import SERVICES
from tests.upgrade.releases import AFTER, NEXT, release
from tests.upgrade.upgrading import RESHAPED, Upgrading, upgrading

SPEAKS = "verification"
"""Says what is new, so that it comes last and goes first."""
_OTHERS = tuple(name for name in SERVICES if name not in (RESHAPED, SPEAKS))
FORWARD = (RESHAPED, *reversed(_OTHERS), SPEAKS)
"""Whoever hears before whoever says something new; first what stands still in its old shape."""
BACK = (SPEAKS, RESHAPED, *_OTHERS)

VERIFIED = "SELECT count(*) FROM states WHERE (state #>> '{verification,verified}')::boolean"
HAVING = f"{VERIFIED} AND state #>> '{{verification,verified_at}}' IS NOT NULL"
WAITING = "SELECT count(*) FROM tasks WHERE kind = 'note-look-up'"
SAID = "SELECT count(*) FROM events WHERE type LIKE '%.{}.%' AND {}"


async def said(it: Upgrading, service: str, name: str, so: str = "true") -> int:
    """How many events of this name, of which `so` holds, a service has said."""
    found: int = await it.asked(service, SAID.format(name, so.replace("data", "convert_from(data, 'UTF8')::jsonb")))
    return found


async def test_a_release_comes_goes_back_and_comes_again_under_load(tmp_path: Path) -> None:
    following, after = release(tmp_path / "next", NEXT), release(tmp_path / "after", AFTER)
    async with upgrading(tmp_path / "stack") as it:
        async with it.load():
            await it.more(10)
            await it.move(following, FORWARD)
            await it.more(10)
        assert await it.rebuilt() == {}
        assert await it.asked(RESHAPED, HAVING) == await it.asked(RESHAPED, VERIFIED) > 20
        async with it.load():
            await it.more(10)
            await it.move(ROOT, BACK)
            await it.more(10)
        assert await it.rebuilt() == {}
        assert await it.asked(RESHAPED, HAVING) == 0
        assert await it.asked("verification", WAITING) > 0
        async with it.load():
            await it.more(10)
            await it.move(following, FORWARD)
            await it.more(10)
            for tree in (after, following):
                it.stack.tree = tree
                await it.replace("verification")
                await it.more(10)
        await _all_is_well(it)


async def _all_is_well(it: Upgrading) -> None:
    async def rung() -> bool:
        return bool(await it.asked("verification", WAITING) == 0)

    await until(rung, seconds=60, what="the last look-ups to be noted")
    verdict = await it.verdict()
    assert not verdict.faults, verdict
    assert verdict.dossiers == it.ended
    assert await it.asked(RESHAPED, HAVING) == await it.asked(RESHAPED, VERIFIED) > 50
    for service in SERVICES:
        assert await it.asked(service, "SELECT count(*) FROM dead_letters") == 0, service
        assert await it.asked(service, "SELECT count(*) FROM states WHERE parked") == 0, service
    for service, name, so in (
        ("verification", "look-up-begun", "true"),
        ("verification", "citizen-mismatched", "data -> 'fields' ? 'gender'"),
        ("verification", "citizen-verified", "type LIKE '%.v1'"),
        ("verification", "citizen-verified", "type LIKE '%.v2'"),
        ("intake", "dossier-submitted", "data ->> 'origin' = 'desk'"),
        ("intake", "dossier-submitted", "data ->> 'origin' IS NULL"),
    ):
        assert await said(it, service, name, so) > 0, (name, so)
    print(verdict)
