"""A breaker opens after so many failures in a row, cools, lets one through, and closes at the first answer."""

from hypothesis import given
from hypothesis import strategies as st

from shared.runtime.tasks.breaker import Breaker, Circuit


class Clock:
    """A monotonic clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_it_is_closed_until_the_last_failure_that_it_bears() -> None:
    breaker = Breaker(Clock(), threshold=3)
    for _ in range(2):
        breaker.failed()
    assert (breaker.state, breaker.room(64)) == (Circuit.CLOSED, 64)
    breaker.failed()
    assert (breaker.state, breaker.room(64)) == (Circuit.OPEN, 0)


def test_an_answer_in_between_begins_the_count_anew() -> None:
    breaker = Breaker(Clock(), threshold=2)
    breaker.failed()
    breaker.succeeded()
    breaker.failed()
    assert breaker.state is Circuit.CLOSED


def test_it_cools_for_exactly_its_time() -> None:
    clock = Clock()
    breaker = Breaker(clock, threshold=1, cool_s=2.0)
    breaker.failed()
    states: list[Circuit] = []
    for step in (1.999, 0.001):
        clock.now += step
        states.append(breaker.state)
    assert states == [Circuit.OPEN, Circuit.HALF_OPEN]


def test_a_probe_that_fails_opens_it_for_the_whole_time_again() -> None:
    clock = Clock()
    breaker = Breaker(clock, threshold=1, cool_s=2.0)
    breaker.failed()
    clock.now += 5
    breaker.failed()
    clock.now += 1
    assert breaker.state is Circuit.OPEN


def test_it_gives_no_room_that_was_not_wanted() -> None:
    clock = Clock()
    breaker = Breaker(clock, threshold=1, cool_s=2.0)
    breaker.failed()
    clock.now += 2
    assert breaker.room(0) == 0


@given(st.lists(st.sampled_from(["fails", "answers", "waits"])), st.integers(1, 4))
def test_it_is_closed_exactly_while_fewer_failures_than_its_threshold_came_in_a_row(
    story: list[str], threshold: int
) -> None:
    clock = Clock()
    breaker = Breaker(clock, threshold)
    in_a_row = 0
    for step in story:
        if step == "fails":
            breaker.failed()
            in_a_row += 1
        elif step == "answers":
            breaker.succeeded()
            in_a_row = 0
        else:
            clock.now += 1.5
        assert (breaker.state is Circuit.CLOSED) == (in_a_row < threshold)
