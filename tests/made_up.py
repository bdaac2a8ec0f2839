"""An act that there is not: its event, its command with its body, its rule, and its row."""

from collections.abc import Mapping
from typing import Any, Literal

from services.intake.acts import ACTS, UNIT, Act
from services.intake.commands import ActCommand, Note
from services.intake.rules import HEARS, IntakeRule, rules
from services.intake.state import EVOLVES, State, _acted
from shared.errors import Refused
from shared.events.base import Actor, Event, Instant, Model, Sealed
from shared.law.catalogue import Catalogue
from shared.lifecycle import Status
from shared.runtime.kernel.decider import Decider, Decision, Message
from shared.wording import Text
from tests.controls import officer
from tests.deciders import LAW


class VisitAgreed(Event):
    """The applicant and the unit have agreed on a visit."""

    TYPE = "vn.gov.dossier.visit-agreed.v1"
    at: Instant
    where: Literal["counter", "home"]
    note: Sealed | None
    by: Actor


class VisitBody(Model):
    """Where, and what else there is to say."""

    where: Literal["counter", "home"]
    note: Note = None


class AgreeVisit(VisitBody, ActCommand):
    """Agree on a visit."""

    note: Sealed | None


def on_visit(law: Catalogue, state: State, asked: Message[AgreeVisit]) -> Decision:
    """The visit is at once; nobody visits the synthetic unit at home."""
    if asked.body.where == "home" and state.intake.code == "":
        raise Refused("DOS-INT-013")
    return Decision((VisitAgreed(at=asked.at, **dict(asked.body)),))


VISIT = Act(
    "visit", UNIT, AgreeVisit, VisitBody, VisitAgreed,
    Text("Hẹn gặp", "Agree on a visit"),
    Text("Hẹn gặp người nộp.", "Agrees with the applicant on a visit."),
    Text("Đã hẹn gặp", "Visit agreed"),
    {"where": "counter"}, ("DOS-INT-013",), statuses=frozenset({Status.ACCEPTED, Status.IN_PROCESS}),
)  # fmt: skip
WITH = (*ACTS, VISIT)
OWN: Mapping[type[Model], IntakeRule] = {**HEARS, AgreeVisit: on_visit}
DESK = Decider("intake", State(), rules(LAW, WITH, OWN), {**EVOLVES, VisitAgreed: _acted})


def visit(**changes: Any) -> AgreeVisit:
    """Agree on one at the counter."""
    return AgreeVisit(**{"where": "counter", "note": None, "by": officer(), **changes})
