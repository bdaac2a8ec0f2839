"""Taking an application in: code, acceptance limit (C4), and which papers are missing."""

import re
from datetime import UTC, datetime, timedelta, timezone

from shared.runtime.kernel.decider import Numbered
from tests.controls import (
    AT,
    accept_dossier,
    dossier_submitted,
    message,
    paper,
    request_supplement,
    submit_dossier,
    waiver_claim,
)
from tests.deciders import INTAKE, LAW
from tests.given import given
from tests.unit.intake.stages import ACCEPTABLE

FILED = dossier_submitted(catalogue=LAW.version)


def test_an_application_gets_its_code_and_is_answered_within_eight_working_hours() -> None:
    given(INTAKE).when(submit_dossier()).then(FILED)


def test_the_code_is_drawn_from_the_series_of_the_unit_and_the_day() -> None:
    (event,) = INTAKE.decide(INTAKE.empty, message(submit_dossier())).events
    assert isinstance(event, Numbered)
    assert event.series == "H26.33.04-260916"
    assert event.build(10_000) == FILED.model_copy(update={"code": "H26.33.04-260916-10000"})


def test_the_series_and_the_number_are_read_back_from_the_code_that_was_drawn() -> None:
    (event,) = INTAKE.decide(INTAKE.empty, message(submit_dossier())).events
    assert isinstance(event, Numbered)
    assert INTAKE.drawn(event.build(10_000)) == (event.series, 10_000)


def test_half_past_midnight_in_vietnam_belongs_to_the_new_day_of_the_code() -> None:
    night = datetime(2026, 9, 16, 17, 30, tzinfo=UTC)
    opening = datetime(2026, 9, 17, 0, 0, tzinfo=UTC)
    filed = {"code": "H26.33.04-260917-0001", "submitted_at": night, "accept_by": opening + timedelta(hours=10)}
    given(INTAKE).when(submit_dossier(), at=night).then(FILED.model_copy(update=filed))


def test_an_application_says_which_papers_of_the_procedure_it_lacks() -> None:
    papers = (paper("application-form"),)
    lacking = {"papers": papers, "missing_papers": ("residence-papers",)}
    given(INTAKE).when(submit_dossier(papers=papers)).then(FILED.model_copy(update=lacking))


def test_the_time_that_an_importer_states_counts_and_not_the_time_of_receipt() -> None:
    given(INTAKE).when(submit_dossier(submitted_at=AT), at=AT + timedelta(days=40)).then(FILED)


def test_limits_and_times_are_said_in_utc_whatever_offset_they_were_computed_or_stated_in() -> None:
    stated = submit_dossier(submitted_at=datetime(2026, 9, 16, 8, 30, tzinfo=timezone(timedelta(hours=7))))
    asked = (given(INTAKE).when(stated), given(INTAKE, ACCEPTABLE).when(request_supplement()),
             given(INTAKE, ACCEPTABLE).when(accept_dossier()))  # fmt: skip
    for events in (one.decision.events for one in asked):
        body = events[0].model_dump_json()  # type: ignore[union-attr]
        times = re.findall(r'"(2026-[^"]*)"', body)
        assert times
        assert all(time.endswith("Z") for time in times), times


def test_a_claim_to_pay_less_is_passed_on_as_it_came() -> None:
    claim = waiver_claim()
    given(INTAKE).when(submit_dossier(waiver_claim=claim)).then(FILED.model_copy(update={"waiver_claim": claim}))


def test_a_dossier_that_was_never_filed_is_hidden_from_an_officer() -> None:
    given(INTAKE).when(accept_dossier()).then_refused("DOS-SEC-002")
