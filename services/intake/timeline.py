"""What a client is told about a dossier: the summary after each act, and the whole timeline. Pure, no personal data."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from services.intake.acts import ACTS
from services.intake.limits import acceptance_limit, awaits_payment
from services.intake.reaching import told_of
from services.intake.state import State, Step, Wanted
from shared.causal import in_causal_order
from shared.events import intake as said
from shared.events import notification as noticed
from shared.events import payment as paid
from shared.events import verification as verified
from shared.events.base import Actor, Event
from shared.events.names import name_of
from shared.law.calendar import VIETNAM, vietnam_date
from shared.law.catalogue import Catalogue
from shared.lifecycle import FINAL, LABELS, Status
from shared.wording import Language, Text

STEPS: Mapping[type[Event], Text] = MappingProxyType(
    {
        said.DossierSubmitted: Text("Nộp hồ sơ", "Application filed"),
        **{act.event: act.done for act in ACTS},
        said.SupplementReminderDue: Text("Nhắc nộp hồ sơ bổ sung", "Supplement due in one working day"),
        said.SupplementLapsed: Text("Quá hạn bổ sung hồ sơ", "Supplement not received in time"),
        noticed.NoticeSent: Text("Đã gửi thông báo", "Notice sent"),
        noticed.NoticeUndeliverable: Text("Không gửi được thông báo", "Notice undeliverable"),
        noticed.NoticeDelayed: Text("Thông báo chưa gửi được, đang gửi lại", "Notice delayed, tried again"),
        noticed.NoticeCancelled: Text("Thông báo không cần gửi nữa", "Notice not needed any more"),
        verified.CitizenVerified: Text(
            "Thông tin khớp Cơ sở dữ liệu quốc gia về dân cư", "Data match the national population database"
        ),
        verified.CitizenMismatched: Text(
            "Thông tin không khớp Cơ sở dữ liệu quốc gia về dân cư",
            "Data do not match the national population database",
        ),
        verified.CitizenNotFound: Text(
            "Không tìm thấy số định danh trong Cơ sở dữ liệu quốc gia về dân cư",
            "Identification number not found in the national population database",
        ),
        verified.VerificationDelayed: Text(
            "Cơ sở dữ liệu quốc gia về dân cư chưa trả lời", "No answer yet of the national population database"
        ),
        verified.VerificationAbandoned: Text("Không thể đối chiếu thông tin", "Data can no longer be checked"),
        paid.FeeAssessed: Text("Xác định phí, lệ phí", "Fee assessed"),
        paid.FeeReduced: Text("Giảm phí, lệ phí", "Fee reduced"),
        paid.FeeWaived: Text("Miễn phí, lệ phí", "Fee waived"),
        paid.PaymentRequested: Text("Yêu cầu nộp phí, lệ phí", "Payment requested"),
        paid.PaymentFailed: Text("Thanh toán không thành công", "Payment attempt failed"),
        paid.FeePaid: Text("Đã nộp phí, lệ phí", "Fee paid"),
        paid.DuplicatePaymentFound: Text("Ghi nhận khoản nộp trùng", "Second payment recorded"),
        paid.FeeAbandoned: Text("Không thể xác định phí, lệ phí", "Fee can no longer be assessed"),
    }
)
"""What the steps of a timeline are called."""
_LABELS: Mapping[str, Text] = {name_of(event.TYPE): text for event, text in STEPS.items()}
_OTHER = Text("Bước khác của hồ sơ", "Another step")
"""A step that a later release has put down, and this one has no name for."""


def _local(at: datetime | None) -> str | None:
    """People read Vietnamese time; the offset stays, so machines lose nothing."""
    return None if at is None else at.astimezone(VIETNAM).isoformat()


def summary(law: Catalogue, state: State) -> dict[str, Any]:
    """Id, code, status and limits, as answered to every command."""
    filed = state.intake
    status = Status(filed.status) if filed.status is not None else None
    return {
        "dossier_id": str(state.dossier_id),
        "code": filed.code,
        "status": status,
        "status_label": filed.called.say(filed.language) if filed.called else None,
        "supplement_lapsed_at": _local(filed.lapsed_at),
        "accept_by": _local(acceptance_limit(law, state)),
        "due_at": _local(filed.due_at),
    }


def queue_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of the queue, as an officer is told it."""
    plain = ("code", "status", "procedure", "channel", "awaited", "fee_settled", "identity")
    told = {"submitted_at": "filed_at", "accept_by": "accept_by", "due_at": "due_at", "act_by": "urgent_at"}
    times = {name: _local(row[column]) for name, column in told.items()}
    return {"dossier_id": str(row["dossier_id"]), **{name: row[name] for name in plain}, **times}


def timeline(law: Catalogue, state: State) -> dict[str, Any]:
    """Everything the desk knows of a dossier."""
    filed, money, identity = state.intake, state.payment, state.identity
    return {
        **summary(law, state),
        "procedure": filed.procedure,
        "agency": filed.agency,
        "agency_name": _called(law, filed.agency, filed.submitted_at),
        "held_by": holder(state),
        "submitted_at": _local(filed.submitted_at),
        "accepted_at": _local(filed.accepted_at),
        "identity": {
            "outcome": identity.outcome,
            "applicant_version": state.verification.applicant_version,
            "current_version": filed.applicant_version,
            "mismatched_fields": identity.fields,
        },
        "missing_papers": filed.missing_papers,
        "refusal": _refusal(law, filed.refused_for, filed.language),
        "wanted": _wanted(filed.wanted),
        "fee": {
            "kind": money.kind,
            "total_vnd": money.total_vnd if money.kind else None,
            "lines": [line.model_dump() for line in money.lines],
            "favour": money.favour and money.favour.model_dump(),
            "settled": state.fee_settled,
            "pay_url": None if filed.status in FINAL else money.pay_url,
        },
        "notices": told_of(state),
        "events": [_step(law, step, filed.language) for step in _steps(state)],
    }


def _wanted(wanted: Wanted | None) -> dict[str, Any] | None:
    if wanted is None:
        return None
    return {**wanted.model_dump(exclude={"reminded"}), "respond_by": _local(wanted.respond_by)}


def _refusal(law: Catalogue, reason: str | None, locale: Language) -> dict[str, Any] | None:
    """Why it was refused, in the applicant's language; an officer's note stays sealed and is told by mail only."""
    if reason is None:
        return None
    known = law.reasons.get(reason)
    return {"reason": reason, "text": known and known.name(locale), "basis": known and known.basis}


def holder(state: State) -> str | None:
    """Who has to act: the unit's code, the applicant while a supplement or payment is awaited, nobody once it is over,
    or in a status that this release does not know.

    So before acceptance it is the unit exactly as long as `accept_by` runs (C4).
    """
    filed = state.intake
    if filed.status not in LABELS or filed.status in FINAL:
        return None
    if filed.status is Status.SUPPLEMENT_REQUESTED or filed.status is Status.REGISTERED and awaits_payment(state):
        return "applicant"
    return filed.agency


def _steps(state: State) -> list[Step]:
    """In the order in which they can have happened: every writer has a clock of its own."""
    steps = {
        "intake": state.intake.steps,
        "verification": state.verification.steps,
        "payment": state.payment.steps,
        "notification": state.notification.steps,
    }
    return in_causal_order(steps, {one.id: one.about for one in state.notification.notices if one.id is not None})


def _step(law: Catalogue, step: Step, locale: Language) -> dict[str, Any]:
    return {
        "event": step.name,
        "label": _LABELS.get(step.name, _OTHER).say(locale),
        "at": _local(step.at),
        "by": None if step.by is None else _actor(law, step.by, step.at),
    }


def _actor(law: Catalogue, by: Actor, at: datetime) -> dict[str, Any]:
    name = None if by.unit is None else _called(law, by.unit, at)
    return {"name": by.name, "unit": by.unit, "unit_name": name, "duty": by.duty}


def _called(law: Catalogue, unit: str, at: datetime | None) -> str | None:
    """The unit's name on the day of what is told of it, whatever it is called today."""
    return None if at is None else law.agency_name(unit, vietnam_date(at))
