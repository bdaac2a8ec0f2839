"""The one table of a dossier's life: status × event → status, in the national portal's codes 1-10.

Only what intake says moves the status: a fee before acceptance leaves it at 1 (or 5) by C4, and a paid or waived fee
is a condition of acceptance, not a status. Empty cells are steps that the desk refuses.
"""

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType

from shared.events import intake as said
from shared.events.base import Event
from shared.wording import Text


class Status(IntEnum):
    """National Public Service Portal codes (TrangThaiHoSo)."""

    REGISTERED = 1
    ACCEPTED = 2
    NOT_ACCEPTED = 3
    IN_PROCESS = 4
    SUPPLEMENT_REQUESTED = 5
    FINANCIAL_OBLIGATION = 6
    WITHDRAWN = 7
    STOPPED = 8
    PROCESSED = 9
    RETURNED = 10

    @classmethod
    def _missing_(cls, value: object) -> "Status | None":
        """A status that a later release has put down: none of these, nothing is legal in it, and it is kept."""
        if type(value) is not int:
            return None
        other = int.__new__(cls, value)
        other._name_, other._value_ = f"STATUS_{value}", value
        return other


LABELS: Mapping[Status, Text] = MappingProxyType(
    {
        Status.REGISTERED: Text("Mới đăng ký", "Registered"),
        Status.ACCEPTED: Text("Được tiếp nhận", "Accepted"),
        Status.NOT_ACCEPTED: Text("Không được tiếp nhận", "Not accepted"),
        Status.IN_PROCESS: Text("Đang xử lý", "In process"),
        Status.SUPPLEMENT_REQUESTED: Text("Yêu cầu bổ sung giấy tờ", "Supplement requested"),
        Status.FINANCIAL_OBLIGATION: Text("Yêu cầu thực hiện nghĩa vụ tài chính", "Financial obligation requested"),
        Status.WITHDRAWN: Text("Công dân yêu cầu rút hồ sơ", "Withdrawn by the citizen"),
        Status.STOPPED: Text("Dừng xử lý", "Stopped"),
        Status.PROCESSED: Text("Đã xử lý xong", "Processed"),
        Status.RETURNED: Text("Đã trả kết quả", "Result returned"),
    }
)
"""Status → its name in both languages."""
OTHER = Text("Trạng thái khác", "Another status")
"""The name of one that this release does not know."""

LAPSED = Text("Quá hạn bổ sung giấy tờ", "Supplement not received in time")
"""What status 1 is called once a supplement has lapsed, until an officer decides: the portal has no code for it."""

LIFECYCLE: Mapping[tuple[Status | None, type[Event]], Status] = MappingProxyType(
    {
        (None, said.DossierSubmitted): Status.REGISTERED,
        (Status.REGISTERED, said.ApplicantCorrected): Status.REGISTERED,
        (Status.REGISTERED, said.SupplementRequested): Status.SUPPLEMENT_REQUESTED,
        (Status.REGISTERED, said.DossierAccepted): Status.ACCEPTED,
        (Status.REGISTERED, said.DossierRefused): Status.NOT_ACCEPTED,
        (Status.SUPPLEMENT_REQUESTED, said.ApplicantCorrected): Status.SUPPLEMENT_REQUESTED,
        (Status.SUPPLEMENT_REQUESTED, said.SupplementReminderDue): Status.SUPPLEMENT_REQUESTED,
        (Status.SUPPLEMENT_REQUESTED, said.SupplementReceived): Status.REGISTERED,
        (Status.SUPPLEMENT_REQUESTED, said.SupplementLapsed): Status.REGISTERED,
        (Status.ACCEPTED, said.ProcessingStarted): Status.IN_PROCESS,
        (Status.IN_PROCESS, said.ResultIssued): Status.PROCESSED,
        (Status.PROCESSED, said.ResultReturned): Status.RETURNED,
    }
)
"""(status, event) → the next status; `None` is a dossier that does not exist yet."""

FINAL = frozenset({Status.NOT_ACCEPTED, Status.WITHDRAWN, Status.RETURNED})


def allowed(status: Status | None, event: type[Event]) -> bool:
    """Whether `event` may be said of a dossier in `status`."""
    return (status, event) in LIFECYCLE


def after(status: Status | None, event: type[Event]) -> Status | None:
    """The status after `event`; unchanged where the table has no cell (evolve cannot fail)."""
    return LIFECYCLE.get((status, event), status)
