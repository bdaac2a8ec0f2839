"""Every state of the applicant's data is looked up once; what the register says is told by names of fields only."""

from datetime import timedelta

import pytest

from services.verification.rules import DELAYED_AFTER, LookUp
from shared.events.base import Event, Model
from shared.runtime.kernel.decider import Task
from tests.controls import (
    AT,
    applicant,
    applicant_corrected,
    citizen_mismatched,
    citizen_not_found,
    citizen_verified,
    dossier_submitted,
    found,
    key_gone,
    not_found,
    processing_started,
    sealed,
    still_waiting,
    verification_abandoned,
    verification_delayed,
)
from tests.deciders import VERIFICATION
from tests.given import given

ANSWERS: tuple[tuple[Model, Event], ...] = (
    (found(), citizen_verified()),
    (found("full_name"), citizen_mismatched("full_name")),
    (found("full_name", "date_of_birth"), citizen_mismatched("full_name", "date_of_birth")),
    (not_found(), citizen_not_found()),
    (key_gone(), verification_abandoned()),
)


def _look_up(version: int, procedure: str, full_name: str) -> Task:
    person = applicant(full_name=full_name)
    return Task(
        "look-up",
        LookUp(
            applicant_version=version, procedure=procedure, id_number=person.id_number, full_name=full_name,
            date_of_birth=person.date_of_birth,
        ),
    )  # fmt: skip


def test_the_applicant_is_looked_up_and_an_alarm_is_set_for_a_silent_register() -> None:
    alarm = Task("still-waiting", still_waiting(), AT + timedelta(minutes=15))
    given(VERIFICATION).when(dossier_submitted()).then(tasks=[_look_up(1, "1.004194", sealed("N")), alarm])


def test_corrected_data_are_looked_up_again_for_the_same_procedure_with_an_alarm_of_their_own() -> None:
    later = AT + timedelta(days=1)
    alarm = Task("still-waiting", still_waiting(applicant_version=2, since=later), later + DELAYED_AFTER)
    corrected = given(VERIFICATION, [dossier_submitted()]).when(applicant_corrected(), at=later)
    corrected.then(tasks=[_look_up(2, "1.004194", sealed("M")), alarm])


@pytest.mark.parametrize(("outcome", "event"), ANSWERS)
def test_what_the_register_answers_is_said(outcome: Model, event: Event) -> None:
    given(VERIFICATION, [dossier_submitted()]).when(outcome).then(event)


def test_an_answer_about_data_that_were_replaced_meanwhile_is_still_said_of_the_data_it_is_about() -> None:
    corrected = given(VERIFICATION, [dossier_submitted(), applicant_corrected()])
    after = corrected.when(found("full_name")).then(citizen_mismatched("full_name"))
    after.when(found(applicant_version=2)).then(citizen_verified(applicant_version=2))


def test_a_silent_register_is_told_after_a_quarter_of_an_hour() -> None:
    given(VERIFICATION, [dossier_submitted()]).when(still_waiting()).then(verification_delayed())


@pytest.mark.parametrize(("outcome", "event"), ANSWERS)
def test_the_alarm_is_silent_once_there_is_an_answer(outcome: Model, event: Event) -> None:
    answered = given(VERIFICATION, [dossier_submitted()]).when(outcome).then(event)
    answered.when(still_waiting()).then_nothing()


def test_the_alarm_is_silent_about_data_that_were_replaced() -> None:
    given(VERIFICATION, [dossier_submitted(), applicant_corrected()]).when(still_waiting()).then_nothing()


def test_an_answer_about_the_first_data_does_not_silence_the_alarm_of_the_corrected_ones() -> None:
    waiting = given(VERIFICATION, [dossier_submitted(), applicant_corrected(), citizen_mismatched()])
    waiting.when(still_waiting(applicant_version=2)).then(verification_delayed(applicant_version=2))


def test_an_answer_after_a_delay_is_said_as_any_other() -> None:
    delayed = given(VERIFICATION, [dossier_submitted(), verification_delayed()])
    delayed.when(found()).then(citizen_verified())


def test_what_does_not_change_the_applicants_data_is_not_looked_up() -> None:
    given(VERIFICATION, [dossier_submitted()]).when(processing_started()).then_nothing()
