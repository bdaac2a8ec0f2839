"""The deadline of a supplement (C7): a reminder one working day before it, and the lapse once it has passed. Pure.

Both are alarms, set with the request. What has been answered, or asked for anew, by the time that one rings is none of
its business any more: of an answer and a lapse at once, whichever commits first counts.
"""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any
from uuid import UUID

from services.intake.state import State, Wanted
from shared.events import intake as said
from shared.events.base import Actor, Model
from shared.events.names import name_of
from shared.law.catalogue import Catalogue
from shared.law.clock import WORKING_DAY, take_working_time
from shared.runtime.kernel.decider import NOTHING, Decision, Message, Outcome, Task

REMIND, LAPSE = "supplement-reminder", "supplement-lapse"
"""Kinds of task, each an alarm."""
WITHIN = 7 * WORKING_DAY  # C7


class Alarm(Outcome):
    """Rings not before `at` (UTC), about the request that must be answered by `respond_by`."""

    at: datetime
    respond_by: datetime


class ReminderRang(Alarm):
    """One working day is left."""


class DeadlineRang(Alarm):
    """The deadline has passed."""


def alarms(law: Catalogue, agency: str, respond_by: datetime) -> tuple[Task, Task]:
    """What a request for a supplement sets."""
    remind_at = take_working_time(law.calendar(agency), respond_by, WORKING_DAY)
    return (
        Task(REMIND, ReminderRang(at=remind_at, respond_by=respond_by), after=remind_at),
        Task(LAPSE, DeadlineRang(at=respond_by, respond_by=respond_by), after=respond_by),
    )


def owed(law: Catalogue, state: State) -> tuple[Task, ...]:
    """The alarms that a dossier needs as it stands."""
    filed = state.intake
    if filed.wanted is None:
        return ()
    remind, lapse = alarms(law, filed.agency, filed.wanted.respond_by)
    return (lapse,) if filed.wanted.reminded else (remind, lapse)


def on_reminder_rang(law: Catalogue, state: State, alarm: Message[ReminderRang]) -> Decision:
    """The citizen is to be reminded, once; after an outage over the deadline the lapse alone is told."""
    wanted = _awaited(state, alarm.body)
    if wanted is None or wanted.reminded or alarm.at >= wanted.respond_by:
        return NOTHING
    if alarm.at < alarm.body.at:
        return _again(REMIND, alarm.body)
    due = said.SupplementReminderDue(request=_request(state), respond_by=wanted.respond_by, by=_by("reminder"))
    return Decision((due,))


def on_deadline_rang(law: Catalogue, state: State, alarm: Message[DeadlineRang]) -> Decision:
    """The dossier lapses (C7), never before its deadline; how late that is said stands with it."""
    wanted = _awaited(state, alarm.body)
    if wanted is None:
        return NOTHING
    if alarm.at < wanted.respond_by:
        return _again(LAPSE, alarm.body)
    late_s = int((alarm.at - wanted.respond_by).total_seconds())
    lapsed = said.SupplementLapsed(
        request=_request(state), respond_by=wanted.respond_by, late_s=late_s, by=_by("deadline")
    )
    return Decision((lapsed,))


def _awaited(state: State, alarm: Alarm) -> Wanted | None:
    """What is still wanted by the deadline that the alarm is about."""
    wanted = state.intake.wanted
    return wanted if wanted is not None and wanted.respond_by == alarm.respond_by else None


def _again(kind: str, alarm: Alarm) -> Decision:
    """It rang too early: a clock was wrong."""
    return Decision(tasks=(Task(kind, alarm, after=alarm.at),))


def _request(state: State) -> UUID | None:
    """The event that asked; None if it was said before ids were kept."""
    asked = (step.id for step in reversed(state.intake.steps) if step.name == _ASKED)
    return next(asked, None)


_ASKED = name_of(said.SupplementRequested.TYPE)


def _by(duty: str) -> Actor:
    """Who acts by himself is the rule."""
    return Actor(role="system", name="C7", duty=f"supplement-{duty}")


HEARS: Mapping[type[Model], Any] = MappingProxyType({ReminderRang: on_reminder_rang, DeadlineRang: on_deadline_rang})
