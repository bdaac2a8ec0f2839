"""Until when something must be done about a dossier (C4, C5). Pure."""

from collections.abc import Sequence
from datetime import datetime

from services.intake.state import State
from shared.law.catalogue import Catalogue
from shared.law.clock import accept_by
from shared.lifecycle import Status


def awaits_payment(state: State) -> bool:
    """Whether the applicant was asked for a fee and has not paid it yet (C4)."""
    return state.payment.requested and state.payment.settled_at is None


def acceptance_limit(law: Catalogue, state: State) -> datetime | None:
    """Until when an officer must act (C4); None where nothing is for the officer to do now.

    The 8 working hours start at submission, and again when a fee is paid or waived and when a supplement has come or
    lapsed; while a requested fee is unpaid they do not run.
    """
    filed, money = state.intake, state.payment
    if filed.status is not Status.REGISTERED or filed.submitted_at is None:
        return None
    if awaits_payment(state):
        return None
    starts: Sequence[datetime | None] = (filed.submitted_at, filed.answered_at, filed.lapsed_at, money.settled_at)
    return accept_by(law.calendar(filed.agency), max(start for start in starts if start is not None))


def limit(law: Catalogue, state: State) -> datetime | None:
    """Until when what is to be done now must have been done: an application answered (C4), a result given (C5)."""
    filed = state.intake
    return filed.due_at if filed.status in (Status.ACCEPTED, Status.IN_PROCESS) else acceptance_limit(law, state)
