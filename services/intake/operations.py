"""The desk's reference: what each of its routes takes and answers, for `shared/runtime/http/openapi.py`."""

from services.intake.acts import APPLICANT, FILER, UNIT, Act
from services.intake.answers import Overdue, Queue, Summary, Timeline, Unreached
from services.intake.commands import FindBody
from shared.law.application import Application
from shared.runtime.http.routes import Operation

EXAMPLE = {
    "procedure": "1.002755",
    "case": "standard",
    "agency": "H02.15.12",
    "channel": "online",
    "copies": 1,
    "applicant": APPLICANT,
    "papers": [
        {"code": "application-form", "sha256": "3f" * 32, "size": 192975, "media_type": "application/pdf"},
    ],
    "waiver_claim": None,
}
"""An application that the desk takes, of nobody."""

SUBMIT = Operation(
    "Files an application. An officer files for the own unit; only an importer may state `submitted_at`.",
    Summary, 201, Application, FILER.roles, hidden=frozenset({"idempotency_key"}), example=EXAMPLE,
    about="Tiếng Việt: nộp hồ sơ. Cán bộ nhận hồ sơ của đơn vị mình; chỉ hệ thống chuyển hồ sơ nêu `submitted_at`.",
)  # fmt: skip
READ = Operation(
    "The dossier's timeline, for its filer and its unit's officers.", Timeline, roles=FILER.roles,
    about="Tiếng Việt: quá trình giải quyết hồ sơ, cho người nộp và cán bộ của đơn vị.",
)  # fmt: skip
_PAGE = (
    {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 200}},
    {"name": "cursor", "in": "query", "description": "`next` of the page before", "schema": {"type": "string"}},
)
QUEUE = Operation(
    "What the officer's unit must act upon, the most urgent first; what waits for somebody else is not among it.",
    Queue, roles=UNIT.roles, refused=("DOS-INT-015",),
    query=({"name": "order", "in": "query", "schema": {"type": "string", "enum": ["urgency"]}}, *_PAGE),
    about="Tiếng Việt: hồ sơ mà đơn vị phải xử lý, gấp nhất trước.",
)  # fmt: skip
FIND = Operation(
    "Finds dossiers of the officer's unit by code, or by the applicant's identity number or telephone as stated last.",
    Queue, body=FindBody, roles=UNIT.roles, refused=("DOS-INT-015",), query=_PAGE, reads=True,
    example={"phone": "0900 999 123"},
    about="Tiếng Việt: tìm hồ sơ của đơn vị theo mã hồ sơ, số định danh hoặc số điện thoại.",
)  # fmt: skip
OVERDUE = Operation(
    "Dossiers of the officer's unit whose acceptance limit passed unanswered, the oldest first.",
    Overdue, roles=UNIT.roles, refused=("DOS-INT-015",), query=_PAGE,
    about="Tiếng Việt: hồ sơ của đơn vị đã quá hạn tiếp nhận, cũ nhất trước.",
)  # fmt: skip
UNREACHED = Operation(
    "Dossiers of the officer's unit whose applicant must be told otherwise than by mail, the longest waiting first.",
    Unreached, roles=UNIT.roles, refused=("DOS-INT-015",), query=_PAGE,
    about="Tiếng Việt: hồ sơ của đơn vị mà người nộp phải được báo bằng cách khác, chờ lâu nhất trước.",
)  # fmt: skip


def operation(act: Act) -> Operation:
    """An act's."""
    return Operation(
        act.does.en, Summary, body=act.body, roles=act.who.roles, refused=("DOS-INT-010", *act.refused),
        example=dict(act.example), about=f"“{act.label.en}”. Tiếng Việt: “{act.label.vi}”. {act.does.vi}",
    )  # fmt: skip
