"""The registry of error codes `DOS-<AREA>-<nnn>`: class of failure, HTTP status, both texts, and what to do.

A client meets those with a status, as RFC 9457 problems (`shared/runtime/http/door.py`). An operator meets the others:
in the column `error_code` of dead letters, in what a waiting task failed with, in log lines.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from shared.services import SERVICES, ServiceRow
from shared.wording import Text


class Failure(StrEnum):
    """What kind of failure a code is, and so what follows from it."""

    REFUSED = "refused"
    """The caller asked for something that cannot be; nothing is stored."""
    UNAVAILABLE = "unavailable"
    """Not now: the same request may be repeated."""
    POISON = "poison"
    """A record that nobody can read: a dead letter."""
    BUG = "bug"
    """A rule or task failed: a dead letter, and its dossier is parked."""
    TRANSIENT = "transient"
    """An outside system did not answer properly: its task runs again."""
    DIFFERENCE = "difference"
    """The trail is not what its writer has stored."""


@dataclass(frozen=True, slots=True)
class Code:
    """One entry. `status` is that of HTTP, None where no client meets it; `action` says what to do."""

    failure: Failure
    status: int | None
    title: Text
    action: Text


def _refused(status: int, vi: str, en: str, do_vi: str, do_en: str) -> Code:
    return Code(Failure.REFUSED, status, Text(vi, en), Text(do_vi, do_en))


def _unavailable(vi: str, en: str, do_vi: str, do_en: str) -> Code:
    return Code(Failure.UNAVAILABLE, 503, Text(vi, en), Text(do_vi, do_en))


def _poison(vi: str, en: str) -> Code:
    do = Text(
        "Xem bản ghi, báo cho bên ghi; sau đó `deadletters redrive` hoặc `discard`.",
        "Look at the record, tell its writer; then `deadletters redrive` or `discard`.",
    )
    return Code(Failure.POISON, None, Text(vi, en), do)


def _bug(service: ServiceRow) -> Code:
    title = Text(f"Lỗi hệ thống ở {service.title.vi}", f"Internal error of {service.title.en}")
    do = Text(
        "Xem log theo mã sự kiện, sửa lỗi, rồi `deadletters redrive`.",
        "See the log by the event's id, mend the bug, then `deadletters redrive`.",
    )
    return Code(Failure.BUG, None, title, do)


def _transient(vi: str, en: str) -> Code:
    do = Text("Việc tự chạy lại; xem `dossier_circuit_state`.", "Its tasks run again; see `dossier_circuit_state`.")
    return Code(Failure.TRANSIENT, None, Text(vi, en), do)


BUGS: Mapping[str, str] = MappingProxyType({name: f"DOS-{row.area}-500" for name, row in SERVICES.items()})
"""Service → the code of a rule or task of it that failed."""

CODES: Mapping[str, Code] = MappingProxyType(
    {
        **{BUGS[name]: _bug(row) for name, row in SERVICES.items()},
        "DOS-INT-001": _refused(
            422, "Dữ liệu không hợp lệ", "The application has faults",
            "Sửa mọi lỗi được kê.", "Mend every fault listed.",
        ),
        "DOS-INT-002": _refused(
            400, "Thiếu Idempotency-Key", "Idempotency-Key is missing",
            "Gửi một khóa, mỗi yêu cầu một khóa mới.", "Send one, new per request.",
        ),
        "DOS-INT-003": _refused(
            422, "Idempotency-Key đã dùng với nội dung khác", "Key used with another body",
            "Dùng khóa mới.", "Take a new key.",
        ),
        "DOS-INT-005": _refused(
            400, "Không phải JSON", "The body is not JSON",
            "Gửi JSON bằng UTF-8, lồng nhau nhiều nhất 32 tầng.", "Send UTF-8 JSON, nested 32 deep at most.",
        ),
        "DOS-INT-006": _refused(
            413, "Nội dung quá lớn", "The body is too large", "Không quá 256 KiB.", "Stay below 256 KiB."
        ),
        "DOS-INT-007": _refused(
            413, "Hồ sơ quá lớn", "The event would be too large",
            "Rút ngắn các đoạn chữ, kê ít giấy tờ hơn.", "Shorten the texts, list fewer papers.",
        ),
        "DOS-INT-008": _refused(
            415, "Sai kiểu nội dung", "Wrong content type", "Gửi application/json.", "Send application/json."
        ),
        "DOS-INT-010": _refused(
            409, "Không hợp lệ ở trạng thái này", "This step is illegal in the current status",
            "Chọn một bước trong `possible`.", "Take one of the steps in `possible`.",
        ),
        "DOS-INT-011": _refused(
            409, "Chưa đủ điều kiện tiếp nhận", "The dossier cannot be accepted yet",
            "Xem từng điều kiện được kê.", "See every condition listed.",
        ),
        "DOS-INT-012": _refused(
            422, "Chưa bổ sung đủ", "The answer to the request is not complete",
            "Gửi tất cả những gì đã được yêu cầu.", "Send all that was asked for.",
        ),
        "DOS-INT-013": _refused(
            422, "Không có gì để bổ sung", "A request for a supplement must ask for something",
            "Nêu những gì còn thiếu.", "Name what is missing.",
        ),
        "DOS-INT-014": _refused(
            409, "Đã sửa dữ liệu quá nhiều lần", "The data were corrected too often",
            "Nộp hồ sơ mới.", "File a new application.",
        ),
        "DOS-INT-015": _refused(
            400, "Tham số truy vấn không hợp lệ", "A query parameter has faults",
            "Sửa mọi tham số được kê; `cursor` là `next` của trang trước.",
            "Mend every parameter listed; `cursor` is the `next` of the page before.",
        ),
        "DOS-INT-016": _refused(
            409, "Không có thông báo nào chờ báo lại", "No such notice waits to be told otherwise",
            "Xem `notices` của hồ sơ.", "See the dossier's `notices`.",
        ),
        "DOS-INT-400": _refused(
            400, "Phần đầu yêu cầu không đúng quy tắc", "The head of the request is malformed",
            "Gửi mỗi trường một lần, Host đúng một lần (RFC 9112).",
            "Send each field once, and Host exactly once (RFC 9112).",
        ),
        "DOS-INT-404": _refused(
            404, "Không tìm thấy", "Not found", "Kiểm tra địa chỉ và token.", "Check the address and the token."
        ),
        "DOS-INT-405": _refused(
            405, "Phương thức không hỗ trợ", "Method not allowed", "Xem /docs.", "See /docs."
        ),
        "DOS-INT-408": _refused(
            408, "Nội dung đến quá chậm", "The body came too slowly",
            "Gửi lại với cùng khóa.", "Repeat with the same key.",
        ),
        "DOS-INT-414": _refused(
            414, "Địa chỉ quá dài", "The address is too long", "Không quá 8 KiB.", "Stay below 8 KiB."
        ),
        "DOS-INT-429": _refused(
            429, "Quá nhiều yêu cầu", "Too many requests",
            "Chờ đủ số giây trong `Retry-After`, rồi gửi lại với cùng khóa.",
            "Wait for the seconds in `Retry-After`, then repeat with the same key.",
        ),
        "DOS-INT-431": _refused(
            431, "Phần đầu yêu cầu quá lớn", "The head of the request is too large",
            "Không quá 64 KiB và 100 trường.", "Stay below 64 KiB and 100 fields.",
        ),
        # A client meets this one, at every door.
        "DOS-INT-500": Code(
            Failure.BUG, 500, Text("Lỗi hệ thống", "Internal error"),
            Text("Báo `trace_id`; chưa lưu gì.", "Report the trace id; nothing was stored."),
        ),
        "DOS-INT-503": _unavailable(
            "Tạm thời không phục vụ", "Unavailable for the moment",
            "Gửi lại với cùng khóa.", "Repeat with the same key.",
        ),
        "DOS-INT-504": _unavailable(
            "Hồ sơ đang chờ kiểm tra", "The dossier is parked until an operator has looked",
            "Gửi lại sau.", "Repeat later.",
        ),
        "DOS-SEC-001": _refused(
            401, "Chưa xác thực", "No or wrong token",
            "Gửi Authorization: Bearer.", "Send Authorization: Bearer.",
        ),
        "DOS-SEC-002": _refused(
            404, "Không tìm thấy hồ sơ", "No such dossier for you",
            "Kiểm tra mã và token.", "Check the id and the token.",
        ),
        "DOS-SEC-003": _refused(
            403, "Không có quyền", "Your role may not do this",
            "Dùng token của vai trò phù hợp.", "Use the token of the right role.",
        ),
        "DOS-PAY-002": _refused(
            404, "Không có tham chiếu này", "Unknown payment reference",
            "Kiểm tra vnp_TxnRef.", "Check vnp_TxnRef.",
        ),
        "DOS-PAY-003": _refused(
            409, "Sai số tiền", "The amount is not the one asked for",
            "Kiểm tra vnp_Amount.", "Check vnp_Amount.",
        ),
        "DOS-PAY-004": _refused(409, "Đã ghi nhận", "Already recorded", "Không cần làm gì.", "Nothing to do."),
        "DOS-PAY-005": _refused(
            409, "Sai loại tiền", "The currency is not the one asked for",
            "Kiểm tra vnp_CurrCode.", "Check vnp_CurrCode.",
        ),
        "DOS-VER-020": _transient("Cơ sở dữ liệu dân cư không trả lời", "The population register does not answer"),
        "DOS-VER-021": Code(
            Failure.BUG, None,
            Text("Cơ sở dữ liệu dân cư từ chối câu hỏi của ta", "The population register refuses our enquiry"),
            Text("So câu hỏi với quy định của cơ sở dữ liệu, sửa, rồi `deadletters redrive`.",
                 "Compare the enquiry with the register's contract, mend it, then `deadletters redrive`."),
        ),
        "DOS-NOT-020": _transient("Máy chủ thư không trả lời", "The mail server does not answer"),
        "DOS-AUD-001": Code(
            Failure.DIFFERENCE, None,
            Text("Dấu vết không khớp", "The trail differs"),
            Text("Chạy `python -m services.audit verify`.", "Run `python -m services.audit verify`."),
        ),
        "DOS-KAF-001": _poison("Tiêu đề không đọc được", "Headers that are null or not UTF-8"),
        "DOS-KAF-002": _poison("Sự kiện dạng cấu trúc không đọc được", "A structured event that is none"),
        "DOS-KAF-003": _poison("Phong bì thiếu hoặc sai", "An envelope header is missing or malformed"),
        "DOS-KAF-004": _poison("Bên ghi không phải chủ của chủ đề", "A writer that does not own the topic"),
        "DOS-KAF-005": _poison("Bản ghi ở sai phân vùng", "A record on a foreign partition"),
        "DOS-KAF-006": _poison("Bản ghi quá lớn", "A record that is too large"),
        "DOS-KAF-007": _poison("Loại sự kiện không thuộc bên ghi", "A type that is not for this writer to say"),
        "DOS-KAF-008": _poison("Nội dung không theo lược đồ", "A body that does not fit its schema"),
        "DOS-KAF-009": Code(
            Failure.POISON, None,
            Text("Phiên bản cũ không đọc được như bản mới", "An old version that cannot be read as the newest"),
            Text("Sửa bước chuyển phiên bản (`upcasters.py`), rồi `deadletters redrive`.",
                 "Mend the step between the versions (`upcasters.py`), then `deadletters redrive`."),
        ),
    }
)  # fmt: skip
"""Every code. A new failure is a new entry; what a code means is never changed."""

POISONS: Mapping[str, str] = MappingProxyType(
    {
        "headers-not-utf8": "DOS-KAF-001",
        "structured-unreadable": "DOS-KAF-002",
        "envelope": "DOS-KAF-003",
        "foreign-writer": "DOS-KAF-004",
        "foreign-partition": "DOS-KAF-005",
        "too-large": "DOS-KAF-006",
        "foreign-type": "DOS-KAF-007",
        "schema": "DOS-KAF-008",
        "upcast": "DOS-KAF-009",
    }
)
"""Reason of a record that nobody can read → its code."""

OUTAGES: Mapping[str, str] = MappingProxyType({"register": "DOS-VER-020", "mail": "DOS-NOT-020"})
"""Outside system → the code of its failing to answer."""
