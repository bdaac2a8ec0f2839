"""The schedule of faults is a pure function of the seed, and leaves nothing out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.chaos.faults import FAULTS
from tests.chaos.schedule import ALL, KINDS, LINKS, POINTS, plan

SEEDS = st.integers(0, 2**32)


@given(SEEDS, st.integers(1, 300), st.integers(1, 3))
def test_the_same_seed_gives_the_same_faults(seed: int, faults: int, replicas: int) -> None:
    made = plan(seed, faults, replicas)
    assert made == plan(seed, faults, replicas)
    assert [fault.number for fault in made] == list(range(1, faults + 1))


@given(SEEDS)
def test_another_seed_gives_other_faults(seed: int) -> None:
    assert plan(seed, 50, 2) != plan(seed + 1, 50, 2)


@given(SEEDS)
def test_every_kind_comes_as_soon_as_there_is_room(seed: int) -> None:
    assert {fault.kind for fault in plan(seed, len(KINDS), 2)} == set(KINDS)


@given(SEEDS)
def test_a_long_run_dies_at_every_crash_point_and_breaks_every_link(seed: int) -> None:
    made = plan(seed, 220, 2)
    crashes = {(fault.service, fault.point) for fault in made if fault.kind == "crash"}
    assert crashes == {(service, point) for service, points in POINTS.items() for point in points}
    assert {fault.point for fault in made if fault.kind.startswith("net-")} == set(LINKS)


@given(SEEDS, st.integers(1, 3))
def test_every_fault_meets_what_is_there(seed: int, replicas: int) -> None:
    for fault in plan(seed, 100, replicas):
        kind = KINDS[fault.kind]
        assert fault.service in (LINKS[fault.point] if kind.links else kind.whom or ("",))
        assert fault.replica in (ALL, *range(replicas))
        assert kind.seconds[0] <= fault.seconds <= kind.seconds[1]


@given(SEEDS, st.sets(st.sampled_from(sorted(KINDS)), min_size=1))
def test_only_what_was_asked_for_comes(seed: int, only: set[str]) -> None:
    assert {fault.kind for fault in plan(seed, 60, 2, only)} <= only


def test_an_unknown_kind_is_named() -> None:
    with pytest.raises(ValueError, match="no fault earthquake"):
        plan(1, 1, 2, ["earthquake"])


def test_every_kind_can_be_done() -> None:
    assert set(FAULTS) == set(KINDS)
