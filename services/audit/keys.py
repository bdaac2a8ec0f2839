"""The data keys that services hold against those of their one writer: what somebody else has put on the keys topic.

Audit never reads that topic, and need not: what a hearer has made of it lies in its store, and who wrote it knows what
it wrote. Order of looking: the writer's keys, how far a hearer is and its keys, then once more the writer's of those
that differ: what changed meanwhile, as in a rewrapping, is no finding.
"""

from collections.abc import AsyncIterator, Mapping
from typing import Any
from uuid import UUID

from services.audit import trail_store
from services.audit.comparison import MOST_FINDINGS
from services.audit.differences import KEYS_TOPIC, Finding
from shared.runtime.kernel.sharding import shard_of
from shared.runtime.keys.heard import SOURCE
from shared.topics import KEYS


async def compare_keys(writer: Any, hearers: Mapping[str, Any]) -> list[Finding]:
    """What differs, by service; each connection reads its own database. Raises as a lost database does."""
    found: list[Finding] = []
    for name, hearer in hearers.items():
        suspects = await _suspects(writer, hearer)
        now = await trail_store.keys_of(writer, list(suspects))
        found += [
            _finding(name, dossier, what) for dossier, (ours, what) in suspects.items() if now.get(dossier) == ours
        ]
    return found


async def _suspects(writer: Any, hearer: Any) -> dict[UUID, tuple[Any, str]]:
    """Dossier → the writer's key and how the hearer's differs from it."""
    suspects: dict[UUID, tuple[Any, str]] = {}
    snapshot = {"isolation": "repeatable_read", "readonly": True}
    async with writer.transaction(**snapshot), hearer.transaction(**snapshot):
        await trail_store.take_snapshot(writer)
        heard = {shard: offset for shard, (_, offset) in (await trail_store.heard_of(hearer, SOURCE)).items()}
        async for dossier, ours, theirs in _paired(trail_store.keys_side(writer), trail_store.keys_side(hearer)):
            what = differs(ours, theirs, heard)
            if what is not None and len(suspects) < MOST_FINDINGS:
                suspects[dossier] = ours, what
    return suspects


def differs(ours: Any | None, theirs: Any | None, heard: Mapping[int, int]) -> str | None:
    """What is wrong with a hearer's key (`theirs`), if anything, when it has `heard` so far (partition → next offset).
    None too while it may not have heard yet what the writer has published, or the writer has yet to publish.
    """
    if ours is None:
        return "data key added: its writer does not know it"
    if theirs is not None and (ours["kek_id"], ours["wrapped"]) == (theirs["kek_id"], theirs["wrapped"]):
        return None
    if theirs is not None and theirs["wrapped"] is None:
        return "data key destroyed, not by its writer"
    place, offset = ours["published_partition"], ours["published_offset"]
    if not ours["published"] or place is None or heard.get(place, 0) <= offset:
        return None
    if theirs is None:
        return "data key missing"
    return "data key replaced" if ours["wrapped"] is not None else "data key kept, though it was destroyed"


async def _paired(ours: AsyncIterator[Any], theirs: AsyncIterator[Any]) -> AsyncIterator[tuple[UUID, Any, Any]]:
    """Both sides merged: each dossier once, with the row of either side or None."""
    left, right = await anext(ours, None), await anext(theirs, None)
    while left is not None or right is not None:
        dossier = min(row["dossier_id"] for row in (left, right) if row is not None)
        mine = left if left is not None and left["dossier_id"] == dossier else None
        other = right if right is not None and right["dossier_id"] == dossier else None
        yield dossier, mine, other
        left = await anext(ours, None) if mine is not None else left
        right = await anext(theirs, None) if other is not None else right


def _finding(hearer: str, dossier: UUID, what: str) -> Finding:
    return Finding(
        KEYS_TOPIC, shard_of(dossier), 0, 0, what, f"dossier {dossier}, as {hearer} holds it from {KEYS.name}"
    )
