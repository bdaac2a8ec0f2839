"""The deadline of a supplement (C7): reminded one working day before it, lapsed once it has passed, never before."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from services.intake.acts import possible
from services.intake.limits import acceptance_limit
from services.intake.state import State
from services.intake.supplements import LAPSE, REMIND, WITHIN, Alarm, DeadlineRang, ReminderRang, alarms, owed
from services.intake.tasks import LOOK_AGAIN_S, ring_in_time
from services.intake.timeline import holder, summary, timeline
from shared.errors import Refused, Transient
from shared.events.base import Event, Model
from shared.events.intake import SupplementLapsed, SupplementReceived, SupplementReminderDue, SupplementRequested
from shared.law.clock import WORKING_DAY, add_working_time, working_time_between
from shared.lifecycle import Status
from shared.runtime.kernel.decider import Message, Task
from shared.runtime.tasks.kinds import Attempt
from tests.controls import (
    AGENCY,
    AT,
    DOSSIER,
    MESSAGE,
    REQUESTED,
    applicant_corrected,
    dossier_refused,
    dossier_submitted,
    fee_paid,
    message,
    officer,
    payment_requested,
    refuse_dossier,
    request_supplement,
    supplement_lapsed,
    supplement_received,
    supplement_reminder_due,
    supplement_requested,
    supply_dossier,
)
from tests.deciders import INTAKE, LAW
from tests.given import Given, Situation, given
from tests.unit.intake.stages import ALARMS

DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
RESPOND_BY = supplement_requested().respond_by
REMIND_AT = RESPOND_BY - DAY  # Thursday 24 September, 08:30
CALENDAR = LAW.calendar(AGENCY)
REMINDER = ReminderRang(at=REMIND_AT, respond_by=RESPOND_BY)
DEADLINE = DeadlineRang(at=RESPOND_BY, respond_by=RESPOND_BY)
ASKED: Sequence[Given] = (dossier_submitted(), message(supplement_requested(), message_id=REQUESTED))


def asked(*after: Given) -> Situation[State]:
    """A dossier of which a supplement was asked for, and this was said since."""
    return given(INTAKE, [*ASKED, *after])


def test_a_request_sets_both_alarms() -> None:
    told = given(INTAKE, [dossier_submitted()]).when(request_supplement())
    remind = Task(REMIND, REMINDER, after=REMIND_AT)
    told.then(supplement_requested(), tasks=[remind, Task(LAPSE, DEADLINE, after=RESPOND_BY)])


@for_all(st.datetimes(datetime(2019, 1, 1), datetime(2035, 12, 31)).map(lambda at: at.replace(tzinfo=UTC)))
def test_the_reminder_comes_one_working_day_before_the_deadline(requested: datetime) -> None:
    respond_by = add_working_time(CALENDAR, requested, WITHIN)
    remind, lapse = alarms(LAW, AGENCY, respond_by)
    assert remind.after is not None
    assert requested < remind.after < respond_by == lapse.after
    assert working_time_between(CALENDAR, remind.after, respond_by) == WORKING_DAY
    for task in (remind, lapse):
        assert isinstance(task.payload, Alarm)
        assert (task.payload.at, task.payload.respond_by) == (task.after, respond_by)


def test_the_citizen_is_reminded_once() -> None:
    reminded = asked().when(REMINDER, at=REMIND_AT).then(supplement_reminder_due())
    reminded.when(REMINDER, at=REMIND_AT + SECOND).then_nothing()
    assert reminded.state.intake.status is Status.SUPPLEMENT_REQUESTED


def test_the_dossier_lapses_at_its_deadline_once_and_is_the_officers_again() -> None:
    lapsed = asked().when(DEADLINE, at=RESPOND_BY).then(supplement_lapsed())
    lapsed.when(DEADLINE, at=RESPOND_BY + DAY).then_nothing()
    state = lapsed.state
    assert (state.intake.status, state.intake.wanted, holder(state)) == (Status.REGISTERED, None, AGENCY)
    assert acceptance_limit(LAW, state) == add_working_time(CALENDAR, RESPOND_BY, WORKING_DAY)
    assert {act.name for act in possible(state, officer())} == {"request-supplement", "accept", "refuse"}
    lapsed.when(refuse_dossier()).then(dossier_refused())
    lapsed.when(supply_dossier()).then_refused("DOS-INT-010", "/status")


@pytest.mark.parametrize("late", [SECOND, timedelta(hours=5), 40 * DAY])
def test_how_late_the_lapse_is_said_stands_with_it(late: timedelta) -> None:
    lapsed = asked().when(DEADLINE, at=RESPOND_BY + late).then(supplement_lapsed(late_s=int(late.total_seconds())))
    assert lapsed.state.intake.lapsed_at == RESPOND_BY + late


@pytest.mark.parametrize("early", [timedelta(microseconds=1), SECOND, 8 * DAY], ids=["1 µs", "1 s", "8 days"])
@pytest.mark.parametrize(("alarm", "kind"), [(REMINDER, REMIND), (DEADLINE, LAPSE)], ids=["reminder", "deadline"])
def test_an_alarm_that_rings_too_early_says_nothing_and_is_set_again(alarm: Alarm, kind: str, early: timedelta) -> None:
    asked().when(alarm, at=alarm.at - early).then(tasks=[Task(kind, alarm, after=alarm.at)])


@pytest.mark.parametrize(
    "since",
    [
        (supplement_received(),),
        (supplement_lapsed(),),
        (supplement_lapsed(), dossier_refused()),
        (supplement_received(), supplement_requested(respond_by=RESPOND_BY + DAY)),
    ],
    ids=["answered", "lapsed", "refused", "asked anew"],
)
def test_what_is_over_when_an_alarm_rings_is_left_alone(since: Sequence[Event]) -> None:
    asked(*since).when(REMINDER, at=REMIND_AT).then_nothing()
    asked(*since).when(DEADLINE, at=RESPOND_BY).then_nothing()


def test_of_a_dossier_that_is_not_there_nothing_is_said() -> None:
    for alarm in (REMINDER, DEADLINE):
        given(INTAKE).when(alarm, at=RESPOND_BY).then_nothing()


def test_after_an_outage_over_both_the_lapse_alone_is_told() -> None:
    back = RESPOND_BY + DAY
    asked().when(REMINDER, at=back).then_nothing().when(DEADLINE, at=back).then(SupplementLapsed)
    asked().when(DEADLINE, at=back).then(SupplementLapsed).when(REMINDER, at=back).then_nothing()


def test_an_answer_that_commits_before_the_lapse_counts_even_where_the_process_was_late() -> None:
    answered = asked().when(supply_dossier(), at=RESPOND_BY + SECOND).then(supplement_received())
    answered.when(DEADLINE, at=RESPOND_BY + 2 * SECOND).then_nothing()


def test_a_request_may_follow_a_lapse_and_has_alarms_of_its_own() -> None:
    again = asked(supplement_lapsed()).when(request_supplement(), at=RESPOND_BY).then(SupplementRequested, tasks=ALARMS)
    assert again.state.intake.lapsed_at is None
    assert [task.kind for task in owed(LAW, again.state)] == [*ALARMS]


@pytest.mark.parametrize(
    ("since", "kinds"),
    [
        ((), [REMIND, LAPSE]),
        ((supplement_reminder_due(),), [LAPSE]),
        ((applicant_corrected(),), [REMIND, LAPSE]),
        ((supplement_received(),), []),
        ((supplement_lapsed(),), []),
    ],
)
def test_what_a_dossier_owes_after_a_restore_is_what_it_still_waits_for(
    since: Sequence[Event], kinds: Sequence[str]
) -> None:
    state = asked(*since).state
    assert [task.kind for task in INTAKE.owed(state, message(supplement_requested()))] == kinds


def test_a_request_of_before_ids_were_kept_lapses_too() -> None:
    state = asked().state
    steps = tuple(step.model_copy(update={"id": None}) for step in state.intake.steps)
    old = state.model_copy(update={"intake": state.intake.model_copy(update={"steps": steps})})
    Situation(INTAKE, old).when(DEADLINE, at=RESPOND_BY).then(supplement_lapsed(request=None))


@pytest.mark.parametrize(("locale", "label"), [
    ("vi", "Quá hạn bổ sung giấy tờ"), ("en", "Supplement not received in time"),
])  # fmt: skip
def test_the_status_says_so(locale: str, label: str) -> None:
    filed = dossier_submitted(applicant=dossier_submitted().applicant.model_copy(update={"locale": locale}))
    late = message(supplement_lapsed(), at=RESPOND_BY)
    told = timeline(LAW, given(INTAKE, [filed, supplement_requested(), late]).state)
    assert (told["status"], told["status_label"]) == (1, label)
    assert told["supplement_lapsed_at"] == "2026-09-25T08:30:00+07:00"
    assert (told["wanted"], told["held_by"]) == (None, AGENCY)
    step = told["events"][-1]
    assert (step["event"], step["by"]["name"], step["by"]["unit"]) == ("SupplementLapsed", "C7", None)
    accepted = summary(LAW, asked(supplement_lapsed(), dossier_refused()).state)
    assert accepted["status_label"] == "Không được tiếp nhận"


def test_while_a_fee_is_asked_for_the_officers_hours_do_not_run() -> None:
    waiting = asked(payment_requested(), supplement_lapsed())
    assert acceptance_limit(LAW, waiting.state) is None
    assert holder(waiting.state) == "applicant"
    paid = asked(payment_requested(), supplement_lapsed(), message(fee_paid(), at=RESPOND_BY))
    assert acceptance_limit(LAW, paid.state) == add_working_time(CALENDAR, RESPOND_BY, WORKING_DAY)


MOMENTS = st.integers(0, 12).map(lambda n: RESPOND_BY + (n - 6) * DAY / 2)
MESSAGES = st.sampled_from([REMINDER, DEADLINE, supply_dossier(), request_supplement()])


@for_all(st.lists(st.tuples(MOMENTS, MESSAGES), max_size=12))
def test_whatever_comes_in_whatever_order_each_request_ends_once_and_none_before_its_time(
    story: Sequence[tuple[datetime, Model]],
) -> None:
    """Clocks go forward and back; alarms ring early, late and twice; citizens answer, officers ask again."""
    state = asked().state
    said: list[Event] = []
    for at, body in story:
        wanted = state.intake.wanted
        try:
            decision = INTAKE.decide(state, message(body, at=at))
        except Refused:
            continue
        for event in decision.events:
            assert isinstance(event, Event)
            said.append(event)
            if isinstance(event, SupplementLapsed | SupplementReminderDue | SupplementReceived):
                assert wanted is not None, "nothing was asked for"
            if isinstance(event, SupplementLapsed):
                assert at >= event.respond_by == wanted.respond_by  # type: ignore[union-attr]
                assert event.late_s == int((at - event.respond_by).total_seconds())
            if isinstance(event, SupplementReminderDue):
                assert at < event.respond_by
                assert not wanted.reminded  # type: ignore[union-attr]
            state = INTAKE.evolve(state, Message(MESSAGE, DOSSIER, at, event))


@pytest.mark.parametrize(("early", "again"), [(SECOND, 1.0), (DAY, LOOK_AGAIN_S)], ids=["1 s", "1 day"])
async def test_a_machine_whose_clock_is_behind_the_databases_waits_for_its_own(early: timedelta, again: float) -> None:
    def attempt(alarm: Alarm) -> Attempt:
        return Attempt(MESSAGE, DOSSIER, alarm, 1, AT)

    with pytest.raises(Transient) as waits:
        await ring_in_time(lambda: RESPOND_BY - early, attempt(DEADLINE))
    assert waits.value.retry_after_s == again
    assert await ring_in_time(lambda: RESPOND_BY, attempt(DEADLINE)) == DEADLINE
