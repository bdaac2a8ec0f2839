"""What a reader of a dossier is told at every stage: status, who holds it, limits, fee, and what happened in order."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid5

import pytest

from services.intake.state import EVOLVES, State
from services.intake.timeline import STEPS, timeline
from shared.events.base import Event
from shared.events.payment import FeeAssessed, FeePaid, PaymentRequested
from shared.lifecycle import Status
from tests.controls import (
    AGENCY,
    AT,
    EVENTS,
    FEE_VND,
    MESSAGE,
    PAY_URL,
    applicant,
    citizen_verified,
    dossier_accepted,
    dossier_refused,
    dossier_submitted,
    favour,
    fee_abandoned,
    fee_assessed,
    fee_paid,
    fee_reduced,
    fee_waived,
    message,
    notice_sent,
    officer,
    payment_failed,
    payment_requested,
    processing_started,
    result_issued,
    result_returned,
    supplement_received,
    supplement_requested,
)
from tests.deciders import INTAKE, LAW
from tests.given import Given, given

HOUR = timedelta(hours=1)
APPLICANT = "applicant"
FREE = fee_assessed(kind="none", lines=(), total_vnd=0)
WAIVED = fee_assessed(kind="waiver", lines=(), total_vnd=0)
VERIFIED = (dossier_submitted(), citizen_verified())
ASKED = (*VERIFIED, fee_assessed(), payment_requested())
PAID = (*ASKED, fee_paid())
ACCEPTED = (*PAID, dossier_accepted())
STARTED = (*ACCEPTED, processing_started())
ISSUED = (*STARTED, result_issued())
DUE = "2026-09-21T08:30:00+07:00"


@dataclass(frozen=True)
class Row:
    """A stage, as the events an hour apart that lead to it, and what is told there."""

    name: str
    events: Sequence[Event]
    status: Status
    held_by: str | None
    accept_by: str | None = None
    due_at: str | None = None
    fee_vnd: int | None = FEE_VND
    settled: bool = True
    pay_url: str | None = None


TABLE = (
    Row("filed", VERIFIED[:1], Status.REGISTERED, AGENCY, "2026-09-17T08:30:00+07:00", fee_vnd=None, settled=False),
    Row("verified", VERIFIED, Status.REGISTERED, AGENCY, "2026-09-17T08:30:00+07:00", fee_vnd=None, settled=False),
    Row("the fee assessed", ASKED[:3], Status.REGISTERED, AGENCY, "2026-09-17T08:30:00+07:00", settled=False),
    Row("the fee abandoned", (*VERIFIED, fee_abandoned()), Status.REGISTERED, AGENCY, "2026-09-17T08:30:00+07:00",
        fee_vnd=None, settled=False),
    Row("nothing to pay", (*VERIFIED, FREE), Status.REGISTERED, AGENCY, "2026-09-17T08:30:00+07:00", fee_vnd=0),
    Row("waived", (*VERIFIED, WAIVED, fee_waived()), Status.REGISTERED, AGENCY, "2026-09-17T11:30:00+07:00",
        fee_vnd=0),
    Row("payment awaited", ASKED, Status.REGISTERED, APPLICANT, settled=False, pay_url=PAY_URL),
    Row("payment of a reduced fee awaited",
        (*VERIFIED, fee_assessed(kind="reduction", total_vnd=3_500), fee_reduced(), payment_requested()),
        Status.REGISTERED, APPLICANT, fee_vnd=3_500, settled=False, pay_url=PAY_URL),
    Row("payment failed", (*ASKED, payment_failed()), Status.REGISTERED, APPLICANT, settled=False, pay_url=PAY_URL),
    Row("paid", PAID, Status.REGISTERED, AGENCY, "2026-09-17T11:30:00+07:00"),
    Row("a supplement awaited", (*PAID, supplement_requested()), Status.SUPPLEMENT_REQUESTED, APPLICANT),
    Row("a supplement and a payment awaited", (*ASKED, supplement_requested()), Status.SUPPLEMENT_REQUESTED, APPLICANT,
        settled=False, pay_url=PAY_URL),
    Row("a supplement come, a payment awaited", (*ASKED, supplement_requested(), supplement_received()),
        Status.REGISTERED, APPLICANT, settled=False, pay_url=PAY_URL),
    Row("a supplement come", (*PAID, supplement_requested(), supplement_received()), Status.REGISTERED, AGENCY,
        "2026-09-17T14:30:00+07:00"),
    Row("refused", (*PAID, dossier_refused()), Status.NOT_ACCEPTED, None),
    Row("refused unpaid", (*ASKED, dossier_refused()), Status.NOT_ACCEPTED, None, settled=False),
    Row("refused while the page was signed", (*ASKED[:3], dossier_refused(), payment_requested()), Status.NOT_ACCEPTED,
        None, settled=False),
    Row("accepted", ACCEPTED, Status.ACCEPTED, AGENCY, due_at=DUE),
    Row("in process", STARTED, Status.IN_PROCESS, AGENCY, due_at=DUE),
    Row("processed", ISSUED, Status.PROCESSED, AGENCY, due_at=DUE),
    Row("returned", (*ISSUED, result_returned()), Status.RETURNED, None, due_at=DUE),
)  # fmt: skip
ROWS = [pytest.param(row, id=row.name) for row in TABLE]


def _hours_apart(events: Sequence[Event]) -> list[Given]:
    return [message(event, at=AT + n * HOUR, message_id=uuid5(MESSAGE, f"{n}")) for n, event in enumerate(events)]


@pytest.mark.parametrize("row", ROWS)
def test_a_reader_is_told_where_a_dossier_stands(row: Row) -> None:
    told = timeline(LAW, given(INTAKE, _hours_apart(row.events)).state)
    stands = (told["status"], told["held_by"], told["accept_by"], told["due_at"])
    assert stands == (row.status, row.held_by, row.accept_by, row.due_at)
    fee = told["fee"]
    assert (fee["total_vnd"], fee["settled"], fee["pay_url"]) == (row.fee_vnd, row.settled, row.pay_url)


@pytest.mark.parametrize("row", ROWS)
def test_before_acceptance_the_unit_holds_a_dossier_exactly_while_its_limit_runs(row: Row) -> None:
    told = timeline(LAW, given(INTAKE, _hours_apart(row.events)).state)
    if told["status"] in (Status.REGISTERED, Status.SUPPLEMENT_REQUESTED):
        assert (told["held_by"] == AGENCY) is (told["accept_by"] is not None)


@pytest.mark.parametrize("row", ROWS)
def test_what_happened_is_told_by_time_whichever_service_said_it(row: Row) -> None:
    told = timeline(LAW, given(INTAKE, _hours_apart(row.events)).state)["events"]
    assert [step["event"] for step in told] == [type(event).__name__ for event in row.events]
    times = [datetime.fromisoformat(step["at"]) for step in told]
    assert times == [AT + n * HOUR for n in range(len(row.events))]
    assert all(step["at"].endswith("+07:00") for step in told)


@pytest.mark.parametrize(("on", "name"), [
    (datetime(2025, 6, 30, 16, 59, tzinfo=UTC), "Đơn vị mẫu 12, Bắc Giang"),
    (datetime(2025, 6, 30, 17, 0, tzinfo=UTC), "Đơn vị mẫu 12, Bắc Ninh"),
])  # fmt: skip
def test_a_unit_bears_the_name_of_the_day_of_what_is_told_of_it(on: datetime, name: str) -> None:
    filed = dossier_submitted(agency="H02.15.12", submitted_at=on)
    later = message(dossier_accepted(by=officer(unit="H02.15.12")), at=datetime(2025, 7, 2, 2, tzinfo=UTC))
    told = timeline(LAW, given(INTAKE, [message(filed, at=on), later]).state)
    assert (told["agency"], told["agency_name"]) == ("H02.15.12", name)
    assert [step["by"]["unit_name"] for step in told["events"]] == [None, "Đơn vị mẫu 12, Bắc Ninh"]


@pytest.mark.parametrize("kept", [True, False], ids=["a state of today", "a state of before ids were kept"])
@pytest.mark.parametrize("minutes", [-5, 5])
def test_a_wrong_clock_of_payment_puts_no_payment_before_the_application_nor_after_the_acceptance(
    minutes: int, kept: bool
) -> None:
    skewed = [
        replace(one, at=one.at + minutes * timedelta(minutes=1)) if isinstance(one.body, MONEY) else one
        for one in (message(event, at=AT + n * SECOND, message_id=uuid5(MESSAGE, f"{n}")) for n, event in LIFE)
    ]
    stored = given(INTAKE, skewed).state.model_dump_json(exclude=None if kept else NO_IDS)
    told = timeline(LAW, State.model_validate_json(stored))["events"]
    assert [step["event"] for step in told if step["event"] != "CitizenVerified"] == [
        type(event).__name__ for _, event in LIFE if type(event).__name__ != "CitizenVerified"
    ]


@pytest.mark.parametrize("minutes", [-5, 5])
def test_a_wrong_clock_of_notification_puts_no_notice_before_what_it_is_about(minutes: int) -> None:
    paid = uuid5(MESSAGE, "paid")
    sent = message(notice_sent(about=paid), at=AT + minutes * timedelta(minutes=1), message_id=uuid5(MESSAGE, "sent"))
    told = timeline(LAW, given(INTAKE, [*ASKED, message(fee_paid(), at=AT, message_id=paid), sent]).state)["events"]
    assert [step["event"] for step in told if step["event"] in ("FeePaid", "NoticeSent")] == ["FeePaid", "NoticeSent"]


def test_a_state_of_before_ids_were_kept_is_the_one_that_its_events_come_to_today() -> None:
    state = given(INTAKE, ISSUED).state
    assert State.model_validate_json(state.model_dump_json(exclude=NO_IDS)) == state
    assert State.model_validate_json(state.model_dump_json()) == state
    assert given(INTAKE, [message(one, message_id=uuid5(MESSAGE, "another")) for one in ISSUED]).state != state


@pytest.mark.parametrize("event", [event for event in EVENTS if type(event) in EVOLVES], ids=lambda one: one.TYPE)
def test_a_step_keeps_its_events_type_and_is_read_and_shown_alike_where_a_state_of_before_has_its_name(
    event: Event,
) -> None:
    state = given(INTAKE, [dossier_submitted(), event]).state
    stored = state.model_dump_json()
    assert stored.count(f'"event":"{event.TYPE}"') == len([one for one in _kept(state) if one == event.TYPE])
    assert type(event).__name__ not in stored
    before = stored
    for one in EVENTS:
        before = before.replace(f'"event":"{one.TYPE}"', f'"event":"{type(one).__name__}"')
    read = State.model_validate_json(before)
    assert (before != stored) and read == state
    assert read.model_dump_json() == stored, "written back, it is as one of today"
    told = timeline(LAW, read)["events"]
    assert told == timeline(LAW, state)["events"]
    assert type(event).__name__ in [step["event"] for step in told]


def _kept(state: State) -> list[str]:
    return [step.event for part in (state.intake, state.verification, state.payment) for step in part.steps]


def test_a_step_of_a_later_version_of_its_event_is_the_same_step_and_bears_the_same_words() -> None:
    state = given(INTAKE, ISSUED).state
    later = State.model_validate_json(state.model_dump_json().replace("result-issued.v1", "result-issued.v2"))
    assert later == state
    assert timeline(LAW, later) == timeline(LAW, state)


def test_a_step_that_a_newer_release_has_kept_is_shown_under_a_neutral_label() -> None:
    stored = given(INTAKE, ISSUED).state.model_dump_json().replace("result-issued.v1", "visit-agreed.v1")
    told = timeline(LAW, State.model_validate_json(stored))["events"]
    assert [(step["event"], step["label"]) for step in told][-1] == ("VisitAgreed", "Bước khác của hồ sơ")


SECOND = timedelta(seconds=1)
MONEY = (FeeAssessed, PaymentRequested, FeePaid)
LIFE = tuple(enumerate(ISSUED))
NO_IDS: Any = {part: {"steps": {"__all__": {"id"}}} for part in ("intake", "verification", "payment")}


def test_what_is_asked_for_is_told_with_its_limit_in_vietnams_time() -> None:
    asked = timeline(LAW, given(INTAKE, [*VERIFIED, supplement_requested()]).state)["wanted"]
    limit = "2026-09-25T08:30:00+07:00"
    assert asked == {"papers": ("residence-papers",), "correct_applicant": False, "respond_by": limit}


@pytest.mark.parametrize(("locale", "labels"), [
    ("vi", ["Nộp hồ sơ", "Thông tin khớp Cơ sở dữ liệu quốc gia về dân cư"]),
    ("en", ["Application filed", "Data match the national population database"]),
])  # fmt: skip
def test_each_step_has_a_name_in_the_applicants_language(locale: str, labels: list[str]) -> None:
    filed = dossier_submitted(applicant=applicant(locale=locale))
    told = timeline(LAW, given(INTAKE, [filed, citizen_verified()]).state)["events"]
    assert [step["label"] for step in told] == labels


def test_every_event_that_can_be_a_step_has_a_name_of_its_own_in_both_languages() -> None:
    assert set(STEPS) == set(EVOLVES)
    assert len({text.vi for text in STEPS.values()}) == len({text.en for text in STEPS.values()}) == len(STEPS)


def test_the_fee_is_told_with_its_lines_and_the_legal_basis_of_each() -> None:
    told = timeline(LAW, given(INTAKE, [*VERIFIED, fee_assessed()]).state)["fee"]
    assert told["lines"] == [{"rule": "1.004194-online-2023", "amount_vnd": FEE_VND, "basis": "TT 75/2022/TT-BTC"}]
    assert told["favour"] is None


def test_a_waiver_is_told_with_its_rule_and_legal_basis() -> None:
    waived = fee_assessed(kind="waiver", lines=(), total_vnd=0, favour=favour())
    told = timeline(LAW, given(INTAKE, [*VERIFIED, waived, fee_waived()]).state)["fee"]
    assert told["favour"] == {"rule": "1.004194-waived-2023", "basis": "TT 75/2022/TT-BTC"}


def test_every_status_of_the_desk_has_a_row() -> None:
    reached = {row.status for row in TABLE}
    later = {Status.FINANCIAL_OBLIGATION, Status.WITHDRAWN, Status.STOPPED}
    assert reached == set(Status) - later
