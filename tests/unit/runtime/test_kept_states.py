"""What is kept of states: so many of the last ones, and nothing from before everything was forgotten."""

from uuid import UUID

from shared.runtime.kernel.kept import KeptStates

A, B, C = (UUID(int=n) for n in range(3))


def test_the_states_written_last_are_kept_each_in_its_version() -> None:
    kept = KeptStates(limit=2)
    kept.keep([(A, 1, "a"), (B, 1, "b")], kept.lost)
    kept.keep([(A, 2, "aa"), (C, 7, "c")], kept.lost)
    assert kept.of([A, B, C]) == {A: (2, "aa"), C: (7, "c")}


def test_what_began_before_everything_was_forgotten_is_not_kept_after() -> None:
    kept = KeptStates()
    began = kept.lost
    kept.keep([(A, 1, "a")], began)
    kept.forget()
    kept.keep([(B, 1, "b")], began)
    assert kept.of([A, B]) == {}
    kept.keep([(B, 1, "b")], kept.lost)
    assert kept.of([B]) == {B: (1, "b")}
