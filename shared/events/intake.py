"""What the one-stop desk says. Only services/intake may publish these."""

from typing import Annotated, Literal

from pydantic import Field

from shared.events.base import (
    Actor,
    ApplicantVersion,
    Digest,
    Event,
    EventId,
    Instant,
    Paper,
    Sealed,
    SealedApplicant,
    UnknownWord,
    WaiverClaim,
    Word,
)

MAX_TOLD = 100
"""So many notices at most are told in one go."""


class DossierSubmitted(Event):
    """An application has come in and has its code for life."""

    TYPE = "vn.gov.dossier.dossier-submitted.v1"
    VERSION = "1.2.0"
    code: str
    procedure: Word
    case: Word
    agency: Word
    channel: Literal["direct", "online", "postal"] | UnknownWord
    submitted_at: Instant
    accept_by: Instant
    copies: int
    pages: int | None
    papers: tuple[Paper, ...]
    missing_papers: tuple[Word, ...]
    applicant: SealedApplicant
    applicant_version: ApplicantVersion
    waiver_claim: WaiverClaim | None
    catalogue: Word
    by: Actor


class ApplicantCorrected(Event):
    """The citizen has set the personal data right; they are looked up again."""

    TYPE = "vn.gov.dossier.applicant-corrected.v1"
    VERSION = "1.2.0"
    applicant: SealedApplicant
    applicant_version: ApplicantVersion
    by: Actor


class SupplementRequested(Event):
    """An officer has asked, in one request, for all that is missing: papers, a correction of the data, or both.

    `fields` names the data to be corrected that the register has otherwise; the number, if the register lacks it.
    """

    TYPE = "vn.gov.dossier.supplement-requested.v1"
    VERSION = "1.2.0"
    papers: tuple[Word, ...]
    correct_applicant: bool
    respond_by: Instant
    note: Sealed | None
    by: Actor
    fields: tuple[Literal["id_number", "full_name", "date_of_birth"] | UnknownWord, ...] = ()


class SupplementReminderDue(Event):
    """One working day is left to answer the request for a supplement (C7), and the citizen is to be reminded. `request`
    is the event that asked, absent where it was said before its id was kept.
    """

    TYPE = "vn.gov.dossier.supplement-reminder-due.v1"
    request: EventId | None
    respond_by: Instant
    by: Actor


class SupplementLapsed(Event):
    """What was asked for has not come by its deadline (C7): the dossier is the officer's again, who may refuse it.
    `late_s`: how many seconds after `respond_by` this was said; `request`: as above.
    """

    TYPE = "vn.gov.dossier.supplement-lapsed.v1"
    request: EventId | None
    respond_by: Instant
    late_s: Annotated[int, Field(ge=0)]
    by: Actor


class SupplementReceived(Event):
    """All that was asked for has come."""

    TYPE = "vn.gov.dossier.supplement-received.v1"
    VERSION = "1.1.0"
    papers: tuple[Paper, ...]
    by: Actor


class DossierAccepted(Event):
    """An officer has accepted the dossier; from now the legal deadline runs (C5)."""

    TYPE = "vn.gov.dossier.dossier-accepted.v1"
    VERSION = "1.1.0"
    accepted_at: Instant
    due_at: Instant
    by: Actor


class DossierRefused(Event):
    """An officer has refused the dossier at the door, with a reason."""

    TYPE = "vn.gov.dossier.dossier-refused.v1"
    VERSION = "1.1.0"
    reason: Word
    note: Sealed | None
    by: Actor


class ProcessingStarted(Event):
    """The competent unit has begun to work on it."""

    TYPE = "vn.gov.dossier.processing-started.v1"
    VERSION = "1.1.0"
    by: Actor


class ResultIssued(Event):
    """The result is signed; processing has ended (C9 compares this date with the due date)."""

    TYPE = "vn.gov.dossier.result-issued.v1"
    VERSION = "1.1.0"
    result_sha256: Digest
    ended_at: Instant
    verdict: Literal["early", "on-time", "late"] | UnknownWord
    by: Actor


class ApplicantTold(Event):
    """An officer has told the applicant by another way what these notices (named by the events that they are about)
    were to say and could not.
    """

    TYPE = "vn.gov.dossier.applicant-told.v1"
    VERSION = "1.1.0"
    about: Annotated[tuple[EventId, ...], Field(min_length=1, max_length=MAX_TOLD)]
    how: Literal["telephone", "post", "counter"] | UnknownWord
    by: Actor


class ResultReturned(Event):
    """The citizen holds the result."""

    TYPE = "vn.gov.dossier.result-returned.v1"
    VERSION = "1.1.0"
    handover: Literal["counter", "online", "postal"] | UnknownWord
    by: Actor
