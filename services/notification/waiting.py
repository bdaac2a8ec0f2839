"""Which notices wait, in which order, whether one is still to be said, and how it stands by now. Pure."""

from typing import Literal
from uuid import UUID

from services.notification.state import Owed, State
from shared.events import notification as said

Overtaken = Literal["settled", "refused", "replaced", "told"]
"""Why something is not to be said any more."""

_PAY: frozenset[said.NoticeKind] = frozenset({"payment-due", "payment-failed"})
_FEE: frozenset[said.NoticeKind] = _PAY | {"waiver", "no-fee"}
"""What asks for a payment, and all that tells what is to be paid."""
_SUPPLY: frozenset[said.NoticeKind] = frozenset({"supplement", "supplement-reminder"})
"""What asks for a supplement."""


def waiting(state: State, applicant_version: int) -> tuple[Owed, ...]:
    """What is owed and not out, in the order in which it is told: as it happened, the confirmation first. What was
    undeliverable waits again once the applicant's data are newer (`applicant_version`) than those that it failed by.
    """
    told = state.notification
    # Of the same moment: as its source said it, for sorting keeps that order.
    left = [
        (one.notice != "submission", one.at, one)
        for one in (*state.intake.owed, *state.payment.owed)
        if one.at is not None and one.about not in told.done
        and told.undeliverable.get(one.about, -1) < applicant_version
    ]  # fmt: skip
    return tuple(one for *_, one in sorted(left, key=lambda each: each[:2]))


def overtaken(state: State, owed: Owed) -> Overtaken | None:
    """Why a notice is not to be said any more: nothing is asked for that is settled or replaced, and once a dossier is
    refused (the desk refuses while payment, which has not heard it yet, signs a page) nothing that led to acceptance.
    What tells of something that has happened is said whatever has happened since, unless an officer has said it.
    """
    if owed.about in state.intake.told:
        return "told"
    if owed.at is None:
        return None
    if state.intake.refused and (owed.notice in _FEE or owed.notice in _SUPPLY):
        return "refused"
    if owed.notice in _SUPPLY:
        return _asked(state.intake.asked, _request(state, owed))
    if owed.notice in _PAY and state.payment.settled:
        return "settled"
    return _asked(state.payment.asked, owed.about) if owed.notice == "payment-due" else None


def _request(state: State, owed: Owed) -> UUID | None:
    """The request that a notice is about; a reminder of one of before ids were kept is of the one that stands."""
    return owed.about if owed.notice == "supplement" else owed.facts.request or state.intake.asked


def _asked(stands: UUID | None, about: UUID | None) -> Overtaken | None:
    if stands is None:
        return "settled"
    return None if stands == about else "replaced"


def as_known(state: State, owed: Owed) -> Owed:
    """A notice with what is known by now: who pays for a refused dossier learns so, and a confirmation lists no papers
    as missing that an officer has asked for since.
    """
    now: dict[str, object] = {}
    if owed.notice == "payment-received":
        now["refused"] = state.intake.refused
    elif owed.notice == "submission" and any(one.notice == "supplement" for one in state.intake.owed):
        now["papers"] = ()
    return owed.model_copy(update={"facts": owed.facts.model_copy(update=now)}) if now else owed
