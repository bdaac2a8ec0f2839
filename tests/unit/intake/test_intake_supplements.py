"""Corrections and supplements: asked for once, answered whole, within 7 working days (C7)."""

from datetime import timedelta

import pytest

from services.intake.commands import RequestBody
from shared.errors import Refused
from shared.events.base import Actor, Event, Model
from shared.lifecycle import Status
from shared.runtime.http.door import Body, parse
from tests.controls import (
    AT,
    applicant,
    applicant_corrected,
    citizen,
    citizen_mismatched,
    citizen_not_found,
    citizen_verified,
    correct_applicant,
    dossier_submitted,
    officer,
    paper,
    request_supplement,
    sealed,
    supplement_received,
    supplement_requested,
    supply_dossier,
    verification_delayed,
)
from tests.deciders import INTAKE
from tests.given import given
from tests.unit.intake.stages import ALARMS, STAGES

LACKING = dossier_submitted(papers=(paper(),), missing_papers=("residence-papers",))
STRANGER = citizen(name="another-app")


def test_a_supplement_is_asked_for_within_seven_working_days() -> None:
    given(INTAKE, [LACKING]).when(request_supplement()).then(supplement_requested(), tasks=ALARMS)


def test_the_seven_days_of_a_request_made_in_the_evening_run_from_the_next_morning() -> None:
    evening = AT + timedelta(hours=12)  # 20:30
    limit = AT.replace(hour=10, minute=0) + timedelta(days=9)  # 17:00 of the seventh working day
    given(INTAKE, [LACKING]).when(request_supplement(), at=evening).then(
        supplement_requested(respond_by=limit), tasks=ALARMS
    )


def test_papers_and_a_correction_of_the_data_are_asked_for_in_one_request() -> None:
    asked = request_supplement(correct_applicant=True)
    given(INTAKE, [LACKING]).when(asked).then(supplement_requested(correct_applicant=True), tasks=ALARMS)


def test_a_correction_alone_may_be_asked_for() -> None:
    asked = request_supplement().model_copy(update={"papers": (), "correct_applicant": True})
    said = supplement_requested().model_copy(update={"papers": (), "correct_applicant": True})
    given(INTAKE, [LACKING]).when(asked).then(said, tasks=ALARMS)


@pytest.mark.parametrize(
    ("found", "fields"),
    [
        (citizen_mismatched("date_of_birth"), ("date_of_birth",)),
        (citizen_mismatched("full_name", "date_of_birth"), ("full_name", "date_of_birth")),
        (citizen_not_found(), ("id_number",)),
        (citizen_verified(), ()),
        (verification_delayed(), ()),
    ],
    ids=["one field", "two fields", "not found", "verified", "delayed"],
)
def test_a_request_says_which_data_the_register_has_otherwise_or_lacks(found: Event, fields: tuple[str, ...]) -> None:
    known = given(INTAKE, [LACKING, found])
    known.when(request_supplement(correct_applicant=True)).then(
        supplement_requested(correct_applicant=True, fields=fields), tasks=ALARMS
    )
    known.when(request_supplement()).then(supplement_requested(), tasks=ALARMS)


def test_what_the_register_said_of_older_data_is_not_repeated_in_a_request() -> None:
    corrected = given(INTAKE, [LACKING, citizen_mismatched(), applicant_corrected()])
    corrected.when(request_supplement(correct_applicant=True)).then(
        supplement_requested(correct_applicant=True), tasks=ALARMS
    )


def test_a_request_that_asks_for_nothing_is_refused() -> None:
    nothing = request_supplement().model_copy(update={"papers": ()})
    given(INTAKE, [LACKING]).when(nothing).then_refused("DOS-INT-013")


def test_a_request_that_names_a_paper_twice_is_refused_at_the_door() -> None:
    assert parse(RequestBody, Body({"papers": ["photo", "other-papers"]})).papers == ("photo", "other-papers")
    with pytest.raises(Refused) as refused:
        parse(RequestBody, Body({"papers": ["photo", "other-papers", "photo"]}))
    assert [(fault.pointer, fault.code) for fault in refused.value.faults] == [("/papers", "duplicate-paper")]


def test_nothing_more_is_asked_for_while_an_answer_is_awaited() -> None:
    asked = given(INTAKE, [LACKING]).when(request_supplement()).then(supplement_requested(), tasks=ALARMS)
    asked.when(request_supplement()).then_refused("DOS-INT-010", "/status")


def test_a_request_may_follow_an_answer() -> None:
    answered = given(INTAKE, [LACKING, supplement_requested(), supplement_received()])
    answered.when(request_supplement("other-papers")).then(supplement_requested("other-papers"), tasks=ALARMS)


def test_the_papers_asked_for_are_taken_in_and_missing_no_more() -> None:
    asked = given(INTAKE, [LACKING, supplement_requested()])
    answered = asked.when(supply_dossier()).then(supplement_received())
    assert answered.state.intake.missing_papers == ()
    assert answered.state.intake.papers == ("application-form", "residence-papers")
    assert answered.state.intake.status is Status.REGISTERED


def test_the_data_asked_for_are_corrected_before_the_answer_is_noted() -> None:
    asked = given(INTAKE, [LACKING, supplement_requested(correct_applicant=True)])
    answer = supply_dossier(applicant=applicant(full_name=sealed("M")))
    asked.when(answer).then(applicant_corrected(), supplement_received())


def test_data_sent_without_being_asked_for_are_taken_with_the_answer() -> None:
    asked = given(INTAKE, [LACKING, supplement_requested()])
    answer = supply_dossier(applicant=applicant(full_name=sealed("M")))
    asked.when(answer).then(applicant_corrected(), supplement_received())


def test_a_paper_that_was_not_asked_for_is_taken_with_the_answer() -> None:
    asked = given(INTAKE, [LACKING, supplement_requested()])
    answer = supply_dossier("residence-papers", "letter")
    asked.when(answer).then(supplement_received("residence-papers", "letter"))


def test_an_incomplete_answer_is_refused_and_names_everything_that_still_lacks() -> None:
    asked = given(INTAKE, [LACKING, supplement_requested("residence-papers", "photo", correct_applicant=True)])
    asked.when(supply_dossier("letter")).then_refused("DOS-INT-012", "/papers", "/papers", "/applicant")


def test_an_answer_to_nothing_is_refused() -> None:
    given(INTAKE, [LACKING]).when(supply_dossier()).then_refused("DOS-INT-010", "/status")


def test_a_citizen_corrects_the_data_before_anybody_has_asked() -> None:
    given(INTAKE, [LACKING]).when(correct_applicant()).then(applicant_corrected())


def test_every_correction_counts_one_version_more() -> None:
    once = given(INTAKE, [LACKING]).when(correct_applicant()).then(applicant_corrected())
    once.when(correct_applicant()).then(applicant_corrected(applicant_version=3))


@pytest.mark.parametrize("status", sorted(set(STAGES) - {Status.REGISTERED}))
def test_data_are_not_corrected_by_themselves_in_any_later_status(status: Status) -> None:
    given(INTAKE, STAGES[status]).when(correct_applicant()).then_refused("DOS-INT-010", "/status")


@pytest.mark.parametrize("asked", [correct_applicant(by=STRANGER), supply_dossier(by=STRANGER)])
@pytest.mark.parametrize("events", [(), (LACKING,), (LACKING, supplement_requested())])
def test_who_has_not_filed_a_dossier_does_not_learn_that_it_exists(asked: Model, events: tuple[Event, ...]) -> None:
    given(INTAKE, events).when(asked).then_refused("DOS-SEC-002")


def test_a_colleague_takes_in_what_is_brought_to_the_counter_where_the_dossier_was_filed() -> None:
    colleague = officer(name="officer-b")
    filed = given(INTAKE, [dossier_submitted(papers=(paper(),), missing_papers=("residence-papers",), by=officer())])
    filed.when(correct_applicant(by=colleague)).then(applicant_corrected(by=colleague))
    asked = filed.when(request_supplement()).then(supplement_requested(), tasks=ALARMS)
    asked.when(supply_dossier(by=colleague)).then(supplement_received(by=colleague))


@pytest.mark.parametrize("by", [officer(name="officer-b", unit="H26.33.05"), citizen()])
def test_nobody_else_takes_in_what_belongs_to_a_dossier_of_the_counter(by: Actor) -> None:
    asked = given(INTAKE, [dossier_submitted(by=officer()), supplement_requested()])
    asked.when(supply_dossier(by=by)).then_refused("DOS-SEC-002")
    asked.when(correct_applicant(by=by)).then_refused("DOS-SEC-002")


def test_an_officer_does_not_act_for_the_citizen_who_filed_online() -> None:
    asked = given(INTAKE, [LACKING, supplement_requested()])
    asked.when(supply_dossier(by=officer())).then_refused("DOS-SEC-002")


@pytest.mark.parametrize("by", [officer(unit="H26.33.05"), officer(unit=None), citizen()])
def test_only_the_unit_that_holds_a_dossier_asks_for_a_supplement(by: object) -> None:
    given(INTAKE, [LACKING]).when(request_supplement(by=by)).then_refused("DOS-SEC-002")
