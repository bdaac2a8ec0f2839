"""What the desk answers is what its reference says."""

import inspect
import re
from collections.abc import Sequence

import pytest

from services.intake import acts, operations, rules
from services.intake.acts import ACTS
from services.intake.answers import Overdue, Summary, Timeline, Unreached
from services.intake.reaching import to_be_told
from services.intake.timeline import summary, timeline
from shared.events.base import Event
from tests import controls
from tests.deciders import INTAKE, LAW
from tests.given import given
from tests.unit.intake.test_intake_timeline import TABLE, Row, _hours_apart


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_every_answer_is_as_the_reference_says(row: Row) -> None:
    events: Sequence[Event] = row.events
    state = given(INTAKE, _hours_apart(events)).state
    Summary.model_validate(summary(LAW, state))
    Timeline.model_validate(timeline(LAW, state))
    unreached = {**summary(LAW, state), **to_be_told(state)}
    Unreached.model_validate({"dossiers": [unreached], "next": "cursor", "total": 1})
    Overdue.model_validate({"dossiers": [summary(LAW, state)], "next": None, "total": 1})


@pytest.mark.parametrize(
    "notice",
    [
        controls.notice_sent(), controls.notice_undeliverable(), controls.notice_undeliverable(text=None),
        controls.notice_delayed(), controls.notice_cancelled(),
    ],
    ids=lambda notice: type(notice).__name__,
)  # fmt: skip
def test_whatever_became_of_a_notice_is_as_the_reference_says(notice: Event) -> None:
    state = given(INTAKE, [controls.dossier_submitted(), notice]).state
    Timeline.model_validate(timeline(LAW, state))
    unreached = {**summary(LAW, state), **to_be_told(state)}
    Unreached.model_validate({"dossiers": [unreached], "next": None, "total": 1})


def test_every_refusal_of_a_rule_stands_in_the_reference() -> None:
    told = {code for act in ACTS for code in operations.operation(act).refused}
    assert set(re.findall(r'"(DOS-INT-[0-9]{3})"', inspect.getsource(rules) + inspect.getsource(acts))) == told
