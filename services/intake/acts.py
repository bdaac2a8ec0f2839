"""The acts at the one-stop desk: one row is all that there is to say of one, and the rest is drawn from it. Pure.

Drawn are: the routes and their reference (`api.py`), who may and when (`check`, before the act's own rule), the steps
that are possible now, the words of the timeline. An act whose event says no more than its command needs no rule.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pydantic import BaseModel

from services.intake import commands as asked
from services.intake.state import State
from shared.errors import Fault, Refused
from shared.events import intake as said
from shared.events.base import Actor, Event
from shared.lifecycle import Status, allowed
from shared.wording import Text


class Party(NamedTuple):
    """Who may do an act: a client of one of these roles who stands for this party in the dossier."""

    roles: tuple[str, ...]
    has: Callable[[State, Actor], bool]


FILER = Party(("citizen", "importer", "officer"), lambda state, by: state.intake.is_filed_by(by.name, by.unit))
UNIT = Party(("officer",), lambda state, by: by.unit is not None and by.unit == state.intake.agency)


@dataclass(frozen=True)
class Act:
    """`name`: its address and its word in `possible`. `label`: what a button says; `does`: what it is for; `done`: what
    the timeline calls it afterwards. `example`: of a body; `refused`: codes of its own rule.

    `statuses`: in which it is legal; None: where the lifecycle has a cell for its event. `offered`: whether there is
    anything to do it about; if not, it is not among the steps that are possible, and its rule refuses it.
    `duty`: what who does it is called in the event, if not as the act.
    """

    name: str
    who: Party
    command: type[asked.ActCommand]
    body: type[BaseModel]
    event: type[Event]
    label: Text
    does: Text
    done: Text
    example: Mapping[str, Any] = field(default_factory=dict)
    refused: tuple[str, ...] = ()
    statuses: frozenset[Status] | None = None
    offered: Callable[[State], bool] = lambda state: True
    duty: str = ""

    def legal(self, status: Status | None) -> bool:
        """Whether it may be done with a dossier in this status."""
        return allowed(status, self.event) if self.statuses is None else status in self.statuses


_PAPER = {"code": "residence-papers", "sha256": "5c" * 32, "size": 85839, "media_type": "application/pdf"}
APPLICANT = {
    "id_number": "022095999123", "full_name": "Trần Thị Mẫu Đơn", "date_of_birth": "1995-10-10",
    "phone": "0900999123", "email": "mau-don.9123@example.com", "locale": "vi",
}  # fmt: skip
"""Nobody."""

ACTS: Sequence[Act] = (
    Act(
        "supplement", FILER, asked.SupplyDossier, asked.SupplementBody, said.SupplementReceived,
        Text("Nộp bổ sung", "Send the supplement"),
        Text("Nộp tất cả những gì cơ quan đã yêu cầu bổ sung.", "Answers a request for a supplement, whole."),
        Text("Nhận hồ sơ bổ sung", "Supplement received"),
        {"papers": [_PAPER], "applicant": APPLICANT}, ("DOS-INT-012", "DOS-INT-014"), duty="supply",
    ),
    Act(
        "correction", FILER, asked.CorrectApplicant, asked.CorrectionBody, said.ApplicantCorrected,
        Text("Sửa thông tin", "Correct the data"),
        Text("Sửa thông tin người nộp khi chưa ai yêu cầu.",
             "Sets the applicant's data right that nobody has asked about yet."),
        Text("Sửa thông tin người nộp", "Applicant's data corrected"),
        {"applicant": APPLICANT}, ("DOS-INT-014",), duty="correct",
        # While a supplement is awaited, corrected data are a part of it: the request is answered whole.
        statuses=frozenset({Status.REGISTERED}),
    ),
    Act(
        "request-supplement", UNIT, asked.RequestSupplement, asked.RequestBody, said.SupplementRequested,
        Text("Yêu cầu bổ sung", "Ask for a supplement"),
        Text("Yêu cầu bổ sung giấy tờ, sửa thông tin hoặc cả hai, một lần cho tất cả; hạn trả lời là 7 ngày làm việc.",
             "Asks for papers, corrected data or both, all at once; the applicant has 7 working days to answer."),
        Text("Yêu cầu bổ sung hồ sơ", "Supplement requested"),
        {"papers": ["residence-papers"], "correct_applicant": False, "note": "Bản chụp bị mờ, đề nghị nộp lại."},
        ("DOS-INT-013",),
    ),
    Act(
        "accept", UNIT, asked.AcceptDossier, asked.NoBody, said.DossierAccepted,
        Text("Tiếp nhận", "Accept"),
        Text("Tiếp nhận hồ sơ khi danh tính, giấy tờ và phí, lệ phí đã đủ; thời hạn giải quyết bắt đầu.",
             "Accepts an application whose identity, papers and fee are in order; the legal deadline begins."),
        Text("Tiếp nhận hồ sơ", "Application accepted"),
        refused=("DOS-INT-011",),
    ),
    Act(
        "refuse", UNIT, asked.RefuseDossier, asked.RefusalBody, said.DossierRefused,
        Text("Từ chối tiếp nhận", "Refuse"),
        Text("Từ chối tiếp nhận hồ sơ và nêu lý do.", "Refuses an application at the door, with a reason."),
        Text("Từ chối tiếp nhận hồ sơ", "Application refused"),
        {"reason": "not-competent", "note": "Đề nghị nộp tại cơ quan nơi cư trú."},
    ),
    Act(
        "start", UNIT, asked.StartProcessing, asked.NoBody, said.ProcessingStarted,
        Text("Bắt đầu xử lý", "Start"),
        Text("Ghi nhận cơ quan bắt đầu giải quyết hồ sơ đã tiếp nhận.", "The unit begins to work on what it accepted."),
        Text("Bắt đầu xử lý", "Processing started"),
    ),
    Act(
        "issue-result", UNIT, asked.IssueResult, asked.ResultBody, said.ResultIssued,
        Text("Ban hành kết quả", "Issue the result"),
        Text("Ghi nhận kết quả đã ký; việc giải quyết kết thúc, sớm, đúng hoặc trễ hạn.",
             "The result is signed: processing ends, early, on time or late."),
        Text("Ban hành kết quả", "Result issued"),
        {"result_sha256": "9f" * 32},
    ),
    Act(
        "return-result", UNIT, asked.ReturnResult, asked.HandoverBody, said.ResultReturned,
        Text("Trả kết quả", "Return the result"),
        Text("Ghi nhận đã trả kết quả cho người nộp.", "The result is handed over to the applicant."),
        Text("Trả kết quả", "Result returned"),
        {"handover": "counter"},
    ),
    Act(
        "tell", UNIT, asked.TellApplicant, asked.ToldBody, said.ApplicantTold,
        Text("Đã báo cho người nộp", "Applicant told"),
        Text("Ghi nhận đã báo cho người nộp bằng cách khác những gì thư không gửi được.",
             "Records that the applicant was told in another way what no mail could tell."),
        Text("Báo cho người nộp bằng cách khác", "Applicant told otherwise"),
        {"how": "telephone"}, ("DOS-INT-016",),
        statuses=frozenset(Status), offered=lambda state: bool(state.unreached),
    ),
)  # fmt: skip
"""Every act with a dossier that was filed. Filing itself is none: before it there is no dossier."""


def possible(state: State, by: Actor, acts: Sequence[Act] = ACTS) -> tuple[Act, ...]:
    """What this person may do with the dossier now."""
    status = state.intake.status
    return tuple(act for act in acts if act.who.has(state, by) and act.legal(status) and act.offered(state))


def check(act: Act, state: State, by: Actor, acts: Sequence[Act] = ACTS) -> None:
    """Raises Refused: DOS-SEC-002 to whoever has no part in the dossier, and so does not learn that it exists;
    DOS-INT-010 where the act is not legal now, with the acts that are.
    """
    status, called = state.intake.status, state.intake.called
    if status is None or called is None or not act.who.has(state, by):
        raise Refused("DOS-SEC-002")
    if not act.legal(status):
        fault = Fault("/status", "illegal-step", (called,))
        raise Refused("DOS-INT-010", [fault], {"possible": tuple(one.name for one in possible(state, by, acts))})
