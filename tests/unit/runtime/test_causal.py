"""The order of events by three writers' clocks: no effect before its cause, whatever the clocks say, whoever is heard
first.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import causal
from shared.causal import in_causal_order
from shared.runtime.kernel.decider import event_id, task_id

START = datetime(2026, 9, 16, 1, 30, tzinfo=UTC)
WRITERS = ("intake", "verification", "payment")
Skews = dict[str, timedelta]


@dataclass(frozen=True)
class Said:
    """One event of a story. `causes`: the events that were known to have come before it."""

    writer: str
    name: str
    id: UUID
    at: datetime
    causes: frozenset[UUID] = frozenset()


@dataclass
class Story:
    """What really happened, second by second, and what each writer's clock said."""

    skews: Skews
    told: list[Said] = field(default_factory=list)

    def say(self, writer: str, name: str, message: UUID, n: int = 1, *causes: Said) -> Said:
        """The writer says an event because of a message; `causes` are events of others that it follows from."""
        at = START + timedelta(seconds=len(self.told)) + self.skews.get(writer, timedelta(0))
        own = [one.id for one in self.told if one.writer == writer][-1:]
        said = Said(writer, name, event_id(message, writer, n), at, frozenset([*own, *(one.id for one in causes)]))
        self.told.append(said)
        return said

    def by_writer(self, heard: Sequence[str] = WRITERS) -> dict[str, list[Said]]:
        """As the desk keeps them: by writer, in the order of positions, the writers in the order heard first."""
        return {writer: [one for one in self.told if one.writer == writer] for writer in heard}


def life(skews: Skews) -> Story:
    """A whole life: filed, verified, assessed, paid, accepted, processed. Each event follows from the one before."""
    story, outside = Story(skews), iter(uuid5(UUID(int=7), f"{n}") for n in range(99))
    filed = story.say("intake", "DossierSubmitted", next(outside))
    known = story.say("verification", "CitizenVerified", task_id(filed.id, 1), 1, filed)
    found = task_id(known.id, 1)
    story.say("payment", "FeeAssessed", found, 1, known)
    story.say("payment", "PaymentRequested", task_id(found, 1))
    paid = story.say("payment", "FeePaid", next(outside))
    story.say("intake", "DossierAccepted", next(outside), 1, paid)
    for event in ("ProcessingStarted", "ResultIssued", "ResultReturned"):
        story.say("intake", event, next(outside))
    return story


def corrected(skews: Skews) -> Story:
    """Somebody whose data differ corrects them, and is known then."""
    story, outside = Story(skews), iter(uuid5(UUID(int=8), f"{n}") for n in range(99))
    filed = story.say("intake", "DossierSubmitted", next(outside))
    wrong = story.say("verification", "CitizenMismatched", task_id(filed.id, 1), 1, filed)
    story.say("payment", "FeeAssessed", task_id(wrong.id, 1), 1, wrong)
    asked = story.say("intake", "SupplementRequested", next(outside))
    new = story.say("intake", "ApplicantCorrected", next(outside), 1, asked)
    known = story.say("verification", "CitizenVerified", task_id(new.id, 1), 1, new)
    story.say("payment", "PaymentRequested", task_id(known.id, 1), 1, known)
    return story


STORIES = {"life": life, "corrected": corrected}
SKEWS = st.fixed_dictionaries({writer: st.timedeltas(-timedelta(days=2), timedelta(days=2)) for writer in WRITERS})


def early_effects(ordered: Sequence[Said]) -> Iterator[str]:
    seen: set[UUID] = set()
    for one in ordered:
        if not one.causes <= seen:
            yield one.name
        seen.add(one.id)


def test_a_payment_clock_five_minutes_slow_puts_no_payment_before_the_application() -> None:
    told = in_causal_order(life({"payment": -timedelta(minutes=5)}).by_writer())
    assert [one.name for one in told] == [one.name for one in life({}).told]


@pytest.mark.parametrize("minutes", [-5, 5])
@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("story", STORIES)
def test_one_wrong_clock_puts_no_effect_before_its_cause(story: str, writer: str, minutes: int) -> None:
    told = STORIES[story]({writer: timedelta(minutes=minutes)})
    assert list(early_effects(in_causal_order(told.by_writer()))) == []


@given(st.sampled_from(sorted(STORIES)), SKEWS, st.permutations(WRITERS))
def test_whatever_the_clocks_say_and_whoever_is_heard_first_no_effect_is_told_before_its_cause(
    story: str, skews: Skews, heard: list[str]
) -> None:
    told = STORIES[story](skews)
    ordered = in_causal_order(told.by_writer(heard))
    assert sorted(one.id for one in ordered) == sorted(one.id for one in told.told)
    assert list(early_effects(ordered)) == []
    assert ordered == in_causal_order(told.by_writer())


@given(SKEWS, st.permutations(WRITERS))
def test_where_each_event_follows_from_the_one_before_the_order_is_the_same_by_any_clocks(
    skews: Skews, heard: list[str]
) -> None:
    assert [one.name for one in in_causal_order(life(skews).by_writer(heard))] == [one.name for one in life({}).told]


@given(st.randoms(use_true_random=False), st.integers(1, 25), SKEWS, st.permutations(WRITERS))
def test_a_history_of_any_shape_keeps_its_causes(chance: Random, length: int, skews: Skews, heard: list[str]) -> None:
    story = Story(skews)
    story.say("intake", "DossierSubmitted", UUID(int=1))
    for n in range(length):
        cause, writer = chance.choice(story.told), chance.choice(WRITERS)
        message = chance.choice([cause.id, task_id(cause.id, chance.randint(1, 4)), UUID(int=1000 + n)])
        if all(one.id != event_id(message, writer, 1) for one in story.told):
            story.say(writer, f"Something{n}", message, 1, *([] if message.int < 2000 else [cause]), story.told[0])
    ordered = in_causal_order(story.by_writer(heard))
    assert list(early_effects(ordered)) == []
    assert ordered == in_causal_order(story.by_writer())


NOTIFIED = ("intake", "payment", "notification")


@given(st.fixed_dictionaries({writer: st.timedeltas(-timedelta(days=2), timedelta(days=2)) for writer in NOTIFIED}))
def test_a_notice_is_told_after_what_it_is_about_though_another_notice_has_ordered_it(skews: Skews) -> None:
    story = Story(skews)
    filed = story.say("intake", "DossierSubmitted", UUID(int=1))
    paid = story.say("payment", "FeePaid", UUID(int=2))
    confirming = task_id(filed.id, 1)
    confirmed = story.say("notification", "NoticeSent", confirming, 1, filed)
    received = story.say("notification", "NoticeUndeliverable", task_id(confirming, 1), 1, paid)
    told = story.say("intake", "ApplicantTold", UUID(int=3), 1, received)
    about = {confirmed.id: filed.id, received.id: paid.id}
    ordered = in_causal_order(story.by_writer(NOTIFIED), about)
    assert list(early_effects(ordered)) == []
    assert ordered[-1] == told


def test_what_follows_from_nothing_is_told_by_the_clock() -> None:
    story = Story({"payment": -timedelta(seconds=1.5)})
    filed = story.say("intake", "DossierSubmitted", UUID(int=1))
    late = story.say("intake", "SupplementRequested", UUID(int=2))
    early = story.say("payment", "FeeAssessed", UUID(int=3), 1, filed)
    assert in_causal_order(story.by_writer()) == [filed, early, late]


def test_events_whose_ids_were_not_kept_come_after_the_filing_and_in_their_writers_order() -> None:
    @dataclass(frozen=True)
    class Old:
        name: str
        at: datetime
        id: None = None

    slow = START - timedelta(minutes=5)
    told = {
        "payment": [Old("FeeAssessed", slow), Old("FeePaid", slow + timedelta(seconds=9))],
        "intake": [Old("DossierSubmitted", START), Old("DossierAccepted", slow)],
    }
    assert [one.name for one in in_causal_order(told)] == [
        "DossierSubmitted", "FeeAssessed", "FeePaid", "DossierAccepted",
    ]  # fmt: skip


def test_events_that_wait_for_each_other_are_still_told() -> None:
    filed = Said("intake", "DossierSubmitted", UUID(int=1), START)
    told = {
        "intake": [Said("intake", "DossierAccepted", UUID(int=2), START), filed],
        "payment": [Said("payment", "FeePaid", UUID(int=3), START)],
    }
    assert sorted(one.name for one in in_causal_order(told)) == ["DossierAccepted", "DossierSubmitted", "FeePaid"]


def test_a_long_story_that_is_told_again_derives_no_id_again() -> None:
    story = Story({})
    for n in range(300):
        story.say("intake", "ApplicantCorrected", uuid5(UUID(int=8), f"{n}"))
        story.say("verification", "CitizenVerified", task_id(story.told[-1].id, 1))
    first = in_causal_order(story.by_writer())
    derived = causal._answers.cache_info().misses
    assert derived >= 600
    assert in_causal_order(story.by_writer()) == first
    assert causal._answers.cache_info().misses == derived
