"""The checker of histories is not blind: of a sound one it says nothing, and it objects to each that is bad."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.chaos.history import Findings, Observed, Operation, check

History = tuple[list[Operation], list[Observed]]


def _operation(n: int, says: str, outcome: str = "ok") -> Operation:
    return Operation("importer", says, f"m{n}", float(n), "d1", outcome, n + 0.5)  # type: ignore[arg-type]


def _observed(n: int, name: str, cause: str | None = None) -> Observed:
    return Observed("intake:3", n, f"e{n}", name, f"m{n}" if cause is None else cause, "d1")


NAMES = ("DossierSubmitted", "DossierAccepted", "ResultIssued")
ASKED = [_operation(n, name) for n, name in enumerate(NAMES, 1)]
SEEN = [_observed(n, name) for n, name in enumerate(NAMES, 1)]

OTHER = replace(SEEN[1], name="ApologyDue", cause="an alarm")

BAD: list[tuple[str, Callable[[], History]]] = [
    ("lost: DossierAccepted by importer", lambda: (ASKED, [SEEN[0], OTHER, SEEN[2]])),
    ("lost: ResultIssued by importer", lambda: (ASKED, SEEN[:2])),
    ("lost: 1 sequences of intake:3", lambda: (ASKED, [SEEN[0], SEEN[2]])),
    ("doubled: DossierAccepted intake:3 #4", lambda: (ASKED, [*SEEN, replace(SEEN[1], sequence=4, id="e4")])),
    ("doubled: ApologyDue intake:3 #4", lambda: (ASKED, [*SEEN, replace(SEEN[1], sequence=4, name="ApologyDue")])),
    ("doubled: ApologyDue intake:3 #2", lambda: (ASKED, [*SEEN, replace(OTHER, id="x")])),
    ("reordered: DossierAccepted intake:3 #3", lambda: _swapped()),
    ("reordered: DossierAccepted intake:3 #2", lambda: (ASKED, [SEEN[0], SEEN[2], SEEN[1]])),
    ("phantom: DossierSubmitted intake:3 #4", lambda: (ASKED, [*SEEN, _observed(4, "DossierSubmitted", "nobody")])),
    ("phantom: ResultIssued intake:3 #3", lambda: ([*ASKED[:2], replace(ASKED[2], outcome="fail")], SEEN)),
]  # fmt: skip


def _swapped() -> History:
    second, third = replace(SEEN[1], sequence=3), replace(SEEN[2], sequence=2)
    return ASKED, [SEEN[0], third, second]


@pytest.mark.parametrize(("fault", "bad"), BAD, ids=[fault for fault, _ in BAD])
def test_each_bad_history_is_objected_to(fault: str, bad: Callable[[], History]) -> None:
    found = check(*bad()).faults
    assert any(one.startswith(fault) for one in found), found


def test_a_sound_history_passes() -> None:
    assert check(ASKED, SEEN).faults == []


def test_a_repeat_is_counted_and_no_fault() -> None:
    assert check(ASKED, [*SEEN, SEEN[1], SEEN[2]]) == replace(_clean(), repeats=2)


def _clean() -> Findings:
    return check(ASKED, SEEN)


@pytest.mark.parametrize("seen", [SEEN, SEEN[:2]], ids=["happened", "did not happen"])
def test_what_nobody_knows_may_have_happened_or_not(seen: Sequence[Observed]) -> None:
    assert check([*ASKED[:2], replace(ASKED[2], outcome="unknown")], seen).faults == []


def test_acts_that_overlap_may_stand_in_any_order() -> None:
    overlapping = [ASKED[0], replace(ASKED[1], ended=3.2), ASKED[2]]
    second, third = replace(SEEN[1], sequence=3), replace(SEEN[2], sequence=2)
    assert check(overlapping, [SEEN[0], third, second]).faults == []


@given(st.integers(0, 2), st.data())
def test_whatever_is_left_out_is_missed(left_out: int, data: st.DataObject) -> None:
    seen = [event for event in SEEN if event != SEEN[left_out]]
    repeated = [*seen, *data.draw(st.lists(st.sampled_from(seen), max_size=5))]
    assert check(ASKED, repeated).lost
