"""What citizens, importers and officers may ask of the desk; personal data are sealed before a command is made."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Literal
from uuid import UUID

from shared.events import intake as said
from shared.events.base import Actor, Digest, Event, Paper, Sealed, SealedApplicant, WaiverClaim, Word
from shared.runtime.kernel.decider import Command


class SubmitDossier(Command):
    """Take in an application. `submitted_at` is stated by importers only; otherwise it is the time of receipt."""

    procedure: str
    case: str
    agency: str
    channel: Literal["direct", "online", "postal"]
    submitted_at: datetime | None
    copies: int
    pages: int | None
    papers: tuple[Paper, ...]
    applicant: SealedApplicant
    waiver_claim: WaiverClaim | None
    by: Actor


class SupplyDossier(Command):
    """Answer a request for a supplement with everything that it asked for."""

    papers: tuple[Paper, ...]
    applicant: SealedApplicant | None
    by: Actor


class CorrectApplicant(Command):
    """Set the applicant's data right before anybody has asked."""

    applicant: SealedApplicant
    by: Actor


class RequestSupplement(Command):
    """Ask for papers, corrected data or both. That all that is missing is in it is the officer's duty (C7)."""

    papers: tuple[Word, ...]
    correct_applicant: bool
    note: Sealed | None
    by: Actor


class AcceptDossier(Command):
    """Accept: the legal deadline begins."""

    by: Actor


class RefuseDossier(Command):
    """Refuse at the door, with a reason."""

    reason: Word
    note: Sealed | None
    by: Actor


class StartProcessing(Command):
    """The competent unit begins."""

    by: Actor


class IssueResult(Command):
    """The result is signed."""

    result_sha256: Digest
    by: Actor


class ReturnResult(Command):
    """Hand the result over."""

    handover: Literal["counter", "online", "postal"]
    by: Actor


class TellApplicant(Command):
    """The applicant was told otherwise what these notices say; None: all that wait."""

    about: tuple[UUID, ...] | None
    how: Literal["telephone", "post", "counter"]
    by: Actor


FILERS_STEPS: Mapping[str, type[Event]] = MappingProxyType(
    {"supplement": said.SupplementReceived, "correction": said.ApplicantCorrected}
)
"""A step of who has filed the dossier, as its address names it → the event that it comes to."""

OFFICERS_STEPS: Mapping[str, type[Event]] = MappingProxyType(
    {
        "request-supplement": said.SupplementRequested,
        "accept": said.DossierAccepted,
        "refuse": said.DossierRefused,
        "start": said.ProcessingStarted,
        "issue-result": said.ResultIssued,
        "return-result": said.ResultReturned,
    }
)
"""The same for the officers of its unit."""
