"""Whatever is heard, corrected, refused, deferred or taken in whatever order: each notice ends once, none waits for
ever, and a second of a dossier does not go before the first.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID, uuid5

from hypothesis import given
from hypothesis import strategies as st

from services.notification.rules import (
    SEND,
    MailDeferred,
    MailLeft,
    MailNeedless,
    MailRefused,
    MailTaken,
    SendMail,
    now,
)
from services.notification.state import Facts, Owed, State
from services.notification.waiting import waiting
from shared.events import intake as filed
from shared.events import notification as said
from shared.events.base import Event, Model
from shared.runtime.kernel.decider import Message, Task
from tests import controls
from tests.controls import AT, DOSSIER
from tests.deciders import NOTIFICATION

DESK = (
    controls.supplement_requested(),
    controls.supplement_received(),
    controls.supplement_requested(),
    controls.supplement_received(),
    controls.dossier_accepted(),
    controls.result_issued(),
)
MONEY = (controls.payment_requested(), controls.payment_requested(), controls.fee_paid())
ENDINGS = (said.NoticeSent, said.NoticeCancelled, said.NoticeUndeliverable)


@dataclass
class Post:
    """A dossier in notification, its queue of tasks, and what was said. Ids count up."""

    state: State = field(default_factory=State)
    tasks: dict[UUID, Task] = field(default_factory=dict)
    told: list[Event] = field(default_factory=list)
    count: int = 0

    def take(self, body: Model, message_id: UUID | None = None) -> None:
        """What the engine does with a message."""
        self.count += 1
        message_id = message_id or UUID(int=self.count)
        message = Message(message_id, DOSSIER, AT + timedelta(minutes=self.count), body)
        if isinstance(body, Event):
            self.state = NOTIFICATION.evolve(self.state, message)  # type: ignore[arg-type]
        decision = NOTIFICATION.decide(self.state, message)
        for event in decision.events:
            assert isinstance(event, Event)
            self.told.append(event)
            self.state = NOTIFICATION.evolve(self.state, Message(uuid5(message_id, "e"), DOSSIER, AT, event))
        self.tasks |= {uuid5(message_id, f"task/{n}"): task for n, task in enumerate(decision.tasks, 1)}

    def run(self, which: int, answer: str) -> None:
        """One of the tasks meets a server that answers so."""
        task_id = list(self.tasks)[which % len(self.tasks)]
        asked = self.tasks.pop(task_id).payload
        assert isinstance(asked, SendMail)
        self.take(self._outcome(asked, answer), task_id)

    def _outcome(self, asked: SendMail, answer: str) -> Model:
        found = now(self.state, asked)
        if isinstance(found, MailLeft | MailNeedless):
            return found
        owed, to = found
        about = {"notice": owed.notice, "about": owed.about}
        tried = {
            **about, "applicant_version": to.applicant_version, "told": asked.told,
            "owed": asked.owed, "recipient": asked.recipient,
        }  # fmt: skip
        if answer == "taken":
            return MailTaken(**about, locale=to.locale, message_id=f"<{owed.about}@e.vn>")
        if answer == "refused":
            return MailRefused(**tried, reason="smtp-550")
        if answer == "given up":
            return MailRefused(**tried, reason="expired", since=AT)
        return MailDeferred(**tried, reason="smtp-452", since=AT, again_at=AT, quiet=answer == "aside")


@st.composite
def stories(draw: st.DrawFn) -> list[object]:
    """What is heard of a dossier, each topic in its order, and between it attempts of tasks with their answers."""
    corrections = [controls.applicant_corrected() for _ in range(draw(st.integers(0, 2)))]
    said_by_the_desk: list[Event] = [*DESK[: draw(st.integers(0, len(DESK)))], *corrections]
    desk = [controls.dossier_submitted(), *_in_order(draw(st.permutations(said_by_the_desk)))]
    money: list[Event] = list(MONEY[: draw(st.integers(0, len(MONEY)))])
    story: list[object] = []
    while desk or money:
        source = desk if not money or (desk and draw(st.booleans())) else money
        story.append(source.pop(0))
        story += draw(st.lists(ATTEMPTS, max_size=2))
    return story


ATTEMPTS = st.tuples(st.integers(0, 3), st.sampled_from(["taken", "refused", "given up", "deferred", "aside"]))


def _in_order(events: Sequence[Event]) -> list[Event]:
    """Corrections count up, wherever they stand."""
    version = 1
    counted = []
    for event in events:
        if hasattr(event, "applicant_version"):
            version += 1
            event = event.model_copy(update={"applicant_version": version})
        counted.append(event)
    return counted


@given(stories())
def test_each_notice_ends_once_and_none_waits_for_ever(story: list[object]) -> None:
    post = Post()
    _play(post, story)
    _each_has_ended(post)


OLD = tuple(
    Owed(notice=notice, about=UUID(int=1000 + n), facts=Facts())
    for n, notice in enumerate(("submission", "payment-due"))
)


@given(stories())
def test_so_does_what_an_earlier_release_has_ordered(story: list[object]) -> None:
    """It holds up nobody, and nobody it."""
    kept = {"intake": {"recipient": controls.recipient()}, "payment": {"owed": OLD[1:]}}
    post = Post(State.model_validate(kept))
    own = [SendMail(owed=one, recipient=controls.recipient()) for one in OLD]
    post.tasks = {UUID(int=2000 + n): Task(SEND, asked) for n, asked in enumerate(own)}
    _play(post, [step for step in story if not isinstance(step, filed.DossierSubmitted)])
    _each_has_ended(post, OLD)


def _play(post: Post, story: Sequence[object]) -> None:
    for step in story:
        if isinstance(step, Event):
            post.take(step)
        elif post.tasks and isinstance(step, tuple):
            post.run(*step)
    while post.tasks:
        post.run(0, "taken")


def _each_has_ended(post: Post, besides: Sequence[Owed] = ()) -> None:
    assert waiting(post.state, post.state.applicant_version) == (), "nothing waits without a task"
    owed = {one.about for one in (*post.state.intake.owed, *post.state.payment.owed, *besides)}
    over = [event.about for event in post.told if isinstance(event, ENDINGS[:2])]
    assert len(over) == len(set(over)), "none is sent twice"
    lost = {event.about for event in post.told if isinstance(event, said.NoticeUndeliverable)}
    assert owed == set(over) | lost, "each has ended"


@given(stories())
def test_while_no_address_is_corrected_there_is_one_task_at_a_time_and_notices_go_in_order(story: list[object]) -> None:
    post = Post()
    for step in story:
        if isinstance(step, Event) and not isinstance(step, filed.ApplicantCorrected):
            post.take(step)
        elif post.tasks and isinstance(step, tuple):
            post.run(*step)
        assert len(post.tasks) <= 1
    while post.tasks:
        post.run(0, "taken")
        assert len(post.tasks) <= 1
    ended = [event.about for event in post.told if isinstance(event, ENDINGS)]
    for owed in (post.state.intake.owed, post.state.payment.owed):
        assert [about for about in ended if about in {one.about for one in owed}] == [one.about for one in owed]
