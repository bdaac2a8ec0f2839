"""Of all that lies on the keys topic the first key that opens for its dossier stays, and whatever is the same key."""

from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.runtime.kernel.message import WrappedKey
from shared.runtime.keys.judged import REMEMBERED, HeardKey, Judge, why_not
from shared.runtime.keys.sealing import Kek, Keks, new_data_key
from shared.runtime.observe.metrics import Metrics
from tests.unit.conftest import LogLines

ONE, OTHER = UUID(int=1), UUID(int=2)
OLD, NEW, UNKNOWN, FALSE = (
    Kek(bytes([1]) * 32, "kek-1"), Kek(bytes([2]) * 32, "kek-2"), Kek(bytes([3]) * 32, "kek-3"),
    Kek(bytes([4]) * 32, "kek-1"),
)  # fmt: skip
BOTH = Keks([OLD, NEW])
KEY, ANOTHER = new_data_key(), new_data_key()
HELD = OLD.wrap(ONE, KEY)

TABLE: dict[str, tuple[WrappedKey | None, WrappedKey, str | None]] = {
    "the first": (None, OLD.wrap(ONE, KEY), None),
    "the same bytes": (HELD, HELD, None),
    "wrapped anew": (HELD, OLD.wrap(ONE, KEY), None),
    "wrapped anew under the newest": (HELD, NEW.wrap(ONE, KEY), None),
    "an older wrapping, heard again": (NEW.wrap(ONE, KEY), HELD, None),
    "another": (HELD, OLD.wrap(ONE, ANOTHER), "replaced"),
    "another under the newest": (HELD, NEW.wrap(ONE, ANOTHER), "replaced"),
    "another dossier's": (HELD, WrappedKey(ONE, "kek-1", OLD.wrap(OTHER, KEY).wrapped), "unopened"),
    "the same under a false name": (HELD, WrappedKey(ONE, "kek-2", HELD.wrapped), "unopened"),
    "under another key of this name": (HELD, FALSE.wrap(ONE, ANOTHER), "unopened"),
    "shortened": (HELD, WrappedKey(ONE, "kek-1", HELD.wrapped[:-1]), "unopened"),
    "nothing": (HELD, WrappedKey(ONE, "kek-1", b""), "unopened"),
    "nothing, and none is held": (None, WrappedKey(ONE, "kek-1", b"\0"), "unopened"),
    "under one that we have not": (HELD, UNKNOWN.wrap(ONE, KEY), "kek-missing"),
    "under one that we have not, and none is held": (None, UNKNOWN.wrap(ONE, KEY), None),
    "in the place of one that we cannot open": (UNKNOWN.wrap(ONE, ANOTHER), HELD, None),
    "in the place of what is none": (WrappedKey(ONE, "kek-1", b"\0"), HELD, None),
}


@pytest.mark.parametrize(("held", "heard", "reason"), TABLE.values(), ids=TABLE.keys())
def test_what_may_stand_in_the_place_of_a_key(held: WrappedKey | None, heard: WrappedKey, reason: str | None) -> None:
    assert why_not(BOTH, held, heard) == reason


def judge() -> Judge:
    """One that has told nothing yet."""
    return Judge(BOTH, Metrics("payment"))


def told(by: Judge) -> dict[str, float]:
    """How many keys were not kept, by why."""
    of = {why: by.metrics.registry.get_sample_value("dossier_keys_refused_total", {"reason": why}) for why in REASONS}
    return {why: count for why, count in of.items() if count is not None}


REASONS = ("replaced", "unopened", "kek-missing")


def heard(*keys: WrappedKey | None) -> list[HeardKey]:
    """Records of one dossier, one after the other."""
    return [HeardKey(ONE, key, 0, offset) for offset, key in enumerate(keys)]


TRUE = st.sampled_from([HELD, OLD.wrap(ONE, KEY), NEW.wrap(ONE, KEY)])
FORGED = st.sampled_from([key for _, key, reason in TABLE.values() if reason is not None])


@given(st.lists(TRUE | FORGED, max_size=8), st.booleans(), st.integers(0, 8))
def test_whatever_is_mixed_among_a_dossiers_key_that_is_held_the_key_stays(
    keys: list[WrappedKey], destroyed: bool, at: int
) -> None:
    records: list[WrappedKey | None] = list(keys)
    if destroyed:
        records.insert(at, None)
    kept, contested = judge().settle(heard(*records), {ONE: HELD})
    known = kept[ONE].key if ONE in kept else HELD
    assert known is None if destroyed else known is not None and BOTH.unwrap(known) == KEY
    assert contested <= {ONE}


@given(st.lists(TRUE | FORGED, max_size=6), st.lists(TRUE | FORGED, max_size=6))
def test_it_does_not_matter_how_records_are_cut_into_batches(first: list[WrappedKey], second: list[WrappedKey]) -> None:
    whole, _ = judge().settle(heard(*first, *second), {})
    some, _ = judge().settle(heard(*first), {})
    held = {dossier: one.key for dossier, one in some.items() if one.key is not None}
    rest, _ = judge().settle([HeardKey(ONE, key, 0, len(first) + n) for n, key in enumerate(second)], held)
    assert {**some, **rest} == whole


def test_each_is_counted_and_told_once_without_the_key(log_lines: LogLines) -> None:
    by = judge()
    assert told(by) == dict.fromkeys(REASONS, 0), "each is there before the first, whose coming is seen so"
    forged = OLD.wrap(ONE, ANOTHER)
    for _ in range(3):
        by.settle(heard(forged, WrappedKey(ONE, "kek-1", b""), UNKNOWN.wrap(ONE, KEY)), {ONE: HELD})
    assert told(by) == {"replaced": 1, "unopened": 1, "kek-missing": 3}, "that is wrapped anew each time"
    lines = [line for line in log_lines() if line["event"] == "key-not-kept"]
    assert [(line["why"], line["dossier_id"]) for line in lines[:2]] == [("replaced", str(ONE)), ("unopened", str(ONE))]
    assert forged.wrapped.hex() not in str(lines)


def test_no_number_of_them_fills_the_memory() -> None:
    by = judge()
    by.settle([HeardKey(dossier, WrappedKey(dossier, "kek-1", b""), 0, 0) for dossier in some_dossiers()], {})
    assert len(by._told) == REMEMBERED


def some_dossiers() -> list[UUID]:
    """A few more than are remembered."""
    return [uuid4() for _ in range(REMEMBERED + 10)]
