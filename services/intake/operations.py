"""The desk's reference: what each of its routes takes and answers, for `shared/runtime/http/openapi.py`."""

from pydantic import BaseModel

from services.intake.answers import Overdue, Summary, Timeline, Unreached
from shared.law.application import Application
from shared.runtime.http.routes import Operation

FILERS = ("citizen", "importer", "officer")
OFFICERS = ("officer",)
EXAMPLE = {
    "procedure": "1.002755",
    "case": "standard",
    "agency": "H02.15.12",
    "channel": "online",
    "copies": 1,
    "applicant": {
        "id_number": "022095999123",
        "full_name": "Trần Thị Mẫu Đơn",
        "date_of_birth": "1995-10-10",
        "phone": "0900999123",
        "email": "mau-don.9123@example.com",
        "locale": "vi",
    },
    "papers": [
        {"code": "application-form", "sha256": "3f" * 32, "size": 192975, "media_type": "application/pdf"},
    ],
    "waiver_claim": None,
}
"""An application that the desk takes, of nobody."""

SUBMIT = Operation(
    "Files an application. An officer files for the own unit; only an importer may state `submitted_at`.",
    Summary, 201, Application, FILERS, hidden=frozenset({"idempotency_key"}), example=EXAMPLE,
)  # fmt: skip
READ = Operation("The dossier's timeline, for its filer and its unit's officers.", Timeline, roles=FILERS)
_PAGE = (
    {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 200}},
    {"name": "cursor", "in": "query", "description": "`next` of the page before", "schema": {"type": "string"}},
)
OVERDUE = Operation(
    "Dossiers of the officer's unit whose acceptance limit passed unanswered, the oldest first.",
    Overdue, roles=OFFICERS, refused=("DOS-INT-015",), query=_PAGE,
)  # fmt: skip
UNREACHED = Operation(
    "Dossiers of the officer's unit whose applicant must be told otherwise than by mail, the longest waiting first.",
    Unreached, roles=OFFICERS, refused=("DOS-INT-015",), query=_PAGE,
)  # fmt: skip

STEP = ("DOS-INT-010",)


def supply(body: type[BaseModel]) -> Operation:
    """Answering a request for a supplement."""
    return Operation(
        "Answers a request for a supplement, whole.", Summary, body=body, roles=FILERS, refused=(*STEP, "DOS-INT-012")
    )


def correct(body: type[BaseModel]) -> Operation:
    """Correcting the applicant's data."""
    summary = "Sets the applicant's data right that nobody has asked about yet."
    return Operation(summary, Summary, body=body, roles=FILERS, refused=(*STEP, "DOS-INT-014"))


def act(name: str, body: type[BaseModel]) -> Operation:
    """An officer's act."""
    own = {"accept": ("DOS-INT-011",), "request-supplement": ("DOS-INT-013",), "tell": ("DOS-INT-016",)}
    more = own.get(name, ())
    return Operation(f"An officer's act: {name}.", Summary, body=body, roles=OFFICERS, refused=(*STEP, *more))
