"""Positions in, verdicts out: one shard of one writer."""

from datetime import UTC, datetime
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from services.audit.ordering import Earlier, Shelf, Verdict, looked_back
from services.audit.reading import Read
from shared.events.envelope import Envelope
from shared.runtime.kernel.hearing import Heard

AT = datetime(2026, 3, 2, tzinfo=UTC)


def record(sequence: int, previous: int | None = None, content: int = 0) -> Read:
    """The record at a position, following `previous` (the position before it if not named)."""
    before = sequence - 1 if previous is None else previous
    event = Envelope(
        UUID(int=sequence), "t", AT, UUID(int=0), "intake", 3, sequence, UUID(int=before) if before else None
    )
    return Read("gov.dossier.intake.v1", 3, 0, AT, b"", "[]", b"", bytes([sequence % 256, content]), event, None)


def placed(*reads: Read) -> list[Verdict]:
    """Verdicts on records that come to an empty trail in one batch."""
    nothing = {sequence: Earlier(None, 0, None) for sequence in looked_back(reads, 0)}
    shelf = Shelf(Heard(), nothing)
    return [shelf.place(read) for read in reads]


def kinds(*reads: Read) -> list[str | None]:
    """The discrepancies among them."""
    return [verdict.kind for verdict in placed(*reads)]


@given(st.lists(st.integers(1, 12), min_size=1, max_size=40))
def test_the_trail_holds_each_sequence_once_whatever_the_order(sequences: list[int]) -> None:
    verdicts = placed(*map(record, sequences))
    joined = [verdict.read.event.sequence for verdict in verdicts if verdict.joins and verdict.read.event]
    assert sorted(joined) == sorted(set(sequences))
    assert {verdict.kind for verdict in verdicts} <= {None, "gap"}


@given(st.integers(1, 20), st.lists(st.integers(1, 20), max_size=20))
def test_repeats_within_an_unbroken_chain_are_no_discrepancy(length: int, again: list[int]) -> None:
    chain = list(range(1, length + 1))
    for sequence in again:
        if sequence < length:
            chain.insert(chain.index(sequence) + 1 + (sequence % (length - sequence)), sequence)
    assert set(kinds(*map(record, chain))) == {None}


def test_a_first_event_that_names_one_before_it_is_a_fork() -> None:
    assert kinds(record(1, previous=9)) == ["fork"]


def test_a_gap_is_told_with_the_first_missing_sequence() -> None:
    first, after = placed(record(1), record(4))
    assert (first.kind, after.kind, after.expected, after.joins) == (None, "gap", 2, True)


def test_after_a_discrepancy_the_shard_goes_on_from_the_record_that_showed_it() -> None:
    assert kinds(record(1), record(4), record(5), record(6, previous=2), record(7)) == [None, "gap", None, "fork", None]


def test_another_content_under_a_sequence_that_is_taken_does_not_join() -> None:
    verdicts = placed(record(1), record(2), record(2, content=1), record(1, content=1), record(2))
    assert [(one.kind, one.joins) for one in verdicts] == [
        (None, True),
        (None, True),
        ("second-content", False),
        ("second-content", False),
        (None, False),
    ]


def test_what_the_trail_holds_already_is_compared_by_digest() -> None:
    earlier = {2: Earlier(record(2).digest, 1, UUID(int=1)), 3: Earlier(b"other", 2, UUID(int=2))}
    shelf = Shelf(Heard(5, UUID(int=5)), earlier)
    assert [shelf.place(record(n)).kind for n in (2, 3)] == [None, "second-content"]


def test_a_forged_giant_sequence_does_not_hide_what_follows() -> None:
    found = kinds(record(1), record(10**18), record(2), record(3), record(5), record(6, previous=2))
    assert found == [None, "gap", None, None, "gap", "fork"]
