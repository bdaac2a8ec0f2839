"""A half-open breaker lets one call through, and no second while that one has not answered."""

from shared.runtime.tasks.breaker import Breaker, Circuit


def opened_and_cooled() -> Breaker:
    """Opened by two failures at 0 s, looked at after its 2 s are over."""
    times = iter([0.0, 0.0])
    breaker = Breaker(lambda: next(times, 3.0), threshold=2, cool_s=2.0)
    breaker.failed()
    breaker.failed()
    assert breaker.state is Circuit.HALF_OPEN
    return breaker


def test_a_half_open_breaker_lets_one_call_through() -> None:
    assert opened_and_cooled().room(64, busy=0) == 1


def test_a_half_open_breaker_lets_no_second_call_through_while_one_is_not_answered() -> None:
    assert opened_and_cooled().room(63, busy=1) == 0


def test_a_breaker_closes_at_the_first_answer() -> None:
    breaker = opened_and_cooled()
    breaker.succeeded()
    assert breaker.state is Circuit.CLOSED
    assert breaker.room(63, busy=1) == 63
