"""Next, repeat, gap, fork, or none of ours: every short story of a shard, and every kind of odd record."""

from dataclasses import dataclass, replace
from itertools import product
from uuid import UUID

import pytest

from shared.errors import Poison
from shared.runtime.kernel.hearing import MAX_RECORD_BYTES, Break, Broken, Heard, Positions, classify, reread
from shared.runtime.kernel.message import Item, Record
from tests.controls import DOSSIER
from tests.unit.runtime.records import SHARD, WRITER, event_id, genuine, record

KEY = (WRITER, SHARD)


@dataclass(frozen=True)
class Said:
    """One record of a story: a position, whose past its id is of, and whose past it says it follows."""

    sequence: int
    past: str
    follows: str

    @property
    def id(self) -> UUID:
        return event_id(self.sequence, self.past)

    @property
    def previous(self) -> UUID | None:
        return event_id(self.sequence - 1, self.follows) if self.sequence > 1 else None


STORIES = [
    story
    for length in range(1, 5)
    for story in product(
        [
            Said(1, "true", "true"),
            Said(2, "true", "true"),
            Said(3, "true", "true"),
            Said(1, "other", "other"),
            Said(2, "other", "true"),
            Said(3, "true", "other"),
        ],
        repeat=length,
    )
]


def _told(story: tuple[Said, ...]) -> tuple[list[str], Positions]:
    """What each record is taken for; a shard stops at the first that does not follow."""
    positions: Positions = {}
    verdicts: list[str] = []
    for offset, said in enumerate(story):
        found = classify(record(said.sequence, said.previous, said.past, offset), positions)
        verdicts.append(_word(found))
        if isinstance(found, Broken):
            break
    return verdicts, positions


def _word(found: Item | Broken) -> str:
    if isinstance(found, Broken):
        return found.kind.value
    return "next" if found.message is not None else "repeat"


def _expected(story: tuple[Said, ...]) -> list[str]:
    """By the promise to subscribers: next = last + 1 and `previous` = the last id."""
    taken: list[Said] = []
    verdicts: list[str] = []
    for said in story:
        last = taken[-1].id if taken else None
        if said.sequence == len(taken) + 1:
            verdicts.append("next" if said.previous == last else "fork")
        elif said.sequence > len(taken):
            verdicts.append("gap")
        else:
            forked = said.sequence == len(taken) and said.id != last
            verdicts.append("fork" if forked else "repeat")
        if verdicts[-1] == "next":
            taken.append(said)
        elif verdicts[-1] != "repeat":
            break
    return verdicts


def test_every_short_story_is_told_as_the_promise_to_subscribers_says() -> None:
    assert len(STORIES) == 6 + 36 + 216 + 1296
    for story in STORIES:
        assert _told(story)[0] == _expected(story), story


def test_what_is_taken_of_any_story_is_one_unbroken_chain_from_the_first() -> None:
    for story in STORIES:
        verdicts, positions = _told(story)
        taken = [said for said, verdict in zip(story, verdicts, strict=False) if verdict == "next"]
        assert [said.sequence for said in taken] == list(range(1, len(taken) + 1))
        assert all(after.previous == before.id for before, after in zip(taken, taken[1:], strict=False))
        heard = positions[KEY]
        assert (heard.position, heard.last_event_id) == (len(taken), taken[-1].id if taken else None)


def test_an_offset_is_passed_with_every_record_but_the_one_that_does_not_follow() -> None:
    for story in STORIES:
        verdicts, positions = _told(story)
        assert positions[KEY].next_offset == sum(verdict in ("next", "repeat") for verdict in verdicts)


def test_a_gap_says_what_was_expected() -> None:
    found = classify(genuine(5), {KEY: Heard(2, event_id(2), 2)})
    assert isinstance(found, Broken)
    assert (found.kind, found.expected, found.envelope.sequence) == (Break.GAP, 3, 5)


@pytest.mark.parametrize("past", ["true", "other"])
def test_after_an_operator_has_skipped_the_chain_begins_anew(past: str) -> None:
    skipped: Positions = {KEY: Heard(2, None, 2)}
    found = classify(record(3, event_id(2, past), past, offset=2), skipped)
    assert _word(found) == "next"
    assert _word(classify(record(2, event_id(1, past), past, offset=3), skipped)) == "repeat"
    assert _word(classify(record(4, event_id(3, "elsewhere"), offset=4), skipped)) == "fork"


def test_a_first_event_that_says_it_follows_another_is_a_fork() -> None:
    assert _word(classify(record(1, event_id(0, "other")), {})) == "fork"


UNPLACED = {
    "no headers": (replace(genuine(1), headers=()), "envelope"),
    "not UTF-8": (replace(genuine(1), headers=(("ce_id", b"\xff"),)), "headers-not-utf8"),
    "a null header": (replace(genuine(1), headers=(("ce_id", None),)), "headers-not-utf8"),
    "no sequence": (genuine(1, ce_sequence=""), "envelope"),
    "sequence 0": (genuine(1, ce_sequence="0" * 20), "envelope"),
    "a short sequence": (genuine(1, ce_sequence="1"), "envelope"),
    "a negative sequence": (genuine(1, ce_sequence=f"-{1:019d}"), "envelope"),
    "a source of another platform": (genuine(1, ce_source="urn:other:intake:7"), "envelope"),
    "a source without a shard": (genuine(1, ce_source="urn:dossier:intake:"), "envelope"),
    "another writer's source": (genuine(1, ce_source=f"urn:dossier:payment:{SHARD}"), "foreign-writer"),
    "a foreign partition": (replace(genuine(1), partition=SHARD + 1), "foreign-partition"),
    "no time zone": (genuine(1, ce_time="2026-09-16T01:30:00"), "envelope"),
    "an id that is none": (genuine(1, ce_id="1"), "envelope"),
    "no dossier": (genuine(1, ce_partitionkey=""), "envelope"),
}


@pytest.mark.parametrize(("odd", "reason"), UNPLACED.values(), ids=UNPLACED.keys())
def test_a_record_without_a_readable_place_is_a_dead_letter_and_moves_no_position(odd: Record, reason: str) -> None:
    positions: Positions = {}
    found = classify(odd, positions)
    assert isinstance(found, Item)
    assert isinstance(found.failure, Poison)
    assert found.failure.reason == reason
    assert found.dossier_id is None
    assert found.place is not None
    assert found.place.sequence is None
    assert positions[WRITER, odd.partition] == Heard(0, None, 1)


PLACED = {
    "not JSON": (replace(genuine(1), value=b"not JSON"), "schema"),
    "no value": (replace(genuine(1), value=None), "schema"),
    "not UTF-8": (replace(genuine(1), value=b'{"code": "\xff"}'), "schema"),
    "half a surrogate pair": (replace(genuine(1), value=b'{"code": "\\ud800"}'), "schema"),
    "a field is missing": (replace(genuine(1), value=b"{}"), "schema"),
    "a type of another writer": (genuine(1, ce_type="vn.gov.dossier.fee-paid.v1"), "foreign-type"),
    "too large": (replace(genuine(1), value=b"x" * (MAX_RECORD_BYTES + 1)), "too-large"),
}


@pytest.mark.parametrize(("odd", "reason"), PLACED.values(), ids=PLACED.keys())
def test_a_body_that_nobody_can_read_moves_the_position_and_parks_its_dossier(odd: Record, reason: str) -> None:
    positions: Positions = {}
    found = classify(odd, positions)
    assert isinstance(found, Item)
    assert isinstance(found.failure, Poison)
    assert found.failure.reason == reason
    assert found.dossier_id == DOSSIER
    assert found.record is odd
    assert positions[KEY] == Heard(1, event_id(1), 1)


def test_an_unknown_type_is_skipped_and_the_chain_goes_on_behind_it() -> None:
    positions: Positions = {}
    unknown = classify(genuine(1, ce_type="vn.gov.dossier.something-new.v1"), positions)
    assert isinstance(unknown, Item)
    assert (unknown.message, unknown.failure) == (None, None)
    assert _word(classify(genuine(2, offset=1), positions)) == "next"


def test_a_field_that_we_do_not_know_is_ignored() -> None:
    body = (genuine(1).value or b"").replace(b"{", b'{"unknown": [1], ', 1)
    found = classify(replace(genuine(1), value=body), {})
    assert isinstance(found, Item)
    assert found.message == reread(genuine(1)).message


def test_what_an_unreadable_body_says_is_not_repeated_in_its_reason() -> None:
    found = classify(replace(genuine(1), value=b'{"code": 31415926535}'), {})
    assert isinstance(found, Item)
    assert "31415926535" not in str(found.failure)


def test_a_dead_letter_is_read_again_outside_the_order_of_its_shard() -> None:
    again = reread(genuine(9))
    assert again.redriven
    assert again.place is None
    assert again.message is not None
    assert again.message.id == event_id(9)
    assert isinstance(reread(replace(genuine(9), value=b"")).failure, Poison)
    assert isinstance(reread(replace(genuine(9), headers=())).failure, Poison)
