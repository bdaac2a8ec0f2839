"""What officers and gauges may ask across dossiers: the queue, and who must be told otherwise. Pure."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from services.intake.limits import acceptance_limit
from services.intake.state import State
from services.intake.timeline import holder
from shared.law.catalogue import Catalogue
from shared.law.synthetic import is_synthetic
from shared.lifecycle import Status
from shared.runtime.kernel.view import Figure, Query, View

Row = Mapping[str, Any] | None

UNIT, APPLICANT = "unit", "applicant"
"""Of whom something is awaited."""


def queued(law: Catalogue, state: State) -> Row:
    """A dossier as it stands in its unit's queue: `accept_by` and `due_at` where these limits run now, `urgent_at`:
    until when the unit must act, if it must. A synthetic dossier has no row.
    """
    filed, awaited = state.intake, _awaited(state)
    if filed.status is None or filed.submitted_at is None or is_synthetic(filed.agency):
        return None
    accept_by = acceptance_limit(law, state)
    return {
        "unit": filed.agency,
        "status": int(filed.status),
        "procedure": filed.procedure,
        "channel": filed.channel,
        "filed_at": filed.submitted_at,
        "accept_by": accept_by,
        "due_at": filed.due_at if filed.status in (Status.ACCEPTED, Status.IN_PROCESS) else None,
        "urgent_at": (accept_by or filed.due_at) if awaited == UNIT else None,
        "awaited": awaited,
        "fee_settled": state.fee_settled,
        "identity": state.identity.outcome,
        "code": filed.code,
    }


def _awaited(state: State) -> str | None:
    held_by = holder(state)
    return held_by if held_by in (None, APPLICANT) else UNIT


def unreached(state: State) -> Row:
    """Since when somebody waits to be told otherwise what no mail could tell, and of how much."""
    waiting, unit = state.unreached, state.intake.agency
    if not waiting or not unit or is_synthetic(unit):
        return None
    return {"unit": unit, "since": min(notice.at for notice in waiting), "notices": len(waiting)}


def views(law: Catalogue) -> Sequence[View]:
    """The desk's views, under that law."""
    return View("queue", partial(queued, law)), View("unreached", unreached)


QUEUE = Query("queue", "queue", ("unit",), "urgent_at")
BY_CODE = Query("by code", "queue", ("unit", "code"), "filed_at")
BY_NUMBER = Query("by number", "queue", ("unit",), "filed_at", by_digest=True)
OVERDUE = Query("overdue", "queue", ("unit",), "accept_by", passed=True)
UNREACHED = Query("unreached", "unreached", ("unit",), "since")

FIGURES = (
    Figure("dossiers", "queue", by="status", always=tuple(int(status) for status in Status)),
    Figure("acceptance_overdue", "queue", passed="accept_by"),
    Figure("results_overdue", "queue", passed="due_at", by="unit"),
    Figure("unreached", "unreached"),
)
