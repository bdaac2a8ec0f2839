"""What citizens, importers and officers may ask of the desk. Of each act: the body of its request, and the command that
this becomes once whatever is personal in it is sealed. The body of an application: `shared/law/application.py`.
"""

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from shared.cleaning import seen
from shared.events.base import Actor, Digest, Model, Paper, Sealed, SealedApplicant, WaiverClaim, Word
from shared.events.intake import MAX_TOLD
from shared.law.application import MAX_DIGITS, Applicant, IdentityNumber, Papers, Part, Phone, named_once
from shared.law.codes import parse_code
from shared.runtime.kernel.decider import Command
from shared.wording import FAULTS

PERSONAL = "personal"
"""Marks a text of a body that is sealed, under its own name, before a command is made of it."""
Note = Annotated[
    str | None, Field(max_length=2000, description="For the applicant. Kept sealed, told by mail only."), PERSONAL
]


def _clean_code(text: str) -> str:
    try:
        return str(parse_code(seen(text)))
    except ValueError as wrong:
        raise PydanticCustomError("malformed", FAULTS["malformed"].en) from wrong


class FindBody(Part):
    """What a dossier is looked for by: one of these."""

    code: Annotated[str, Field(max_length=MAX_DIGITS), AfterValidator(_clean_code)] | None = None
    id_number: IdentityNumber | None = None
    phone: Phone | None = None

    @model_validator(mode="after")
    def _by_one(self) -> Self:
        if len(self.model_dump(exclude_none=True)) != 1:
            raise PydanticCustomError("not-one", FAULTS["not-one"].en)
        return self


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


class ActCommand(Command):
    """Do something with a dossier that was filed."""

    by: Actor


class SupplementBody(Part):
    """The citizen's answer to a request: papers, and the data again if their correction was asked for."""

    papers: Papers = Field((), description="All that was asked for.")
    applicant: Applicant | None = Field(None, description="Needed if a correction was asked for.")


class SupplyDossier(ActCommand):
    """Answer a request for a supplement with everything that it asked for."""

    papers: tuple[Paper, ...]
    applicant: SealedApplicant | None


class CorrectionBody(Part):
    """The applicant's data, set right."""

    applicant: Applicant


class CorrectApplicant(ActCommand):
    """Set the applicant's data right before anybody has asked."""

    applicant: SealedApplicant


class RequestBody(Model):
    """What an officer asks for."""

    papers: Annotated[
        tuple[Word, ...],
        Field(max_length=50, description="By the words of the catalogue."),
        AfterValidator(named_once),
    ] = ()
    correct_applicant: bool = Field(False, description="Whether the applicant's data must be sent again, set right.")
    note: Note = None


class RequestSupplement(RequestBody, ActCommand):
    """Ask for papers, corrected data or both. That all that is missing is in it is the officer's duty (C7)."""

    note: Sealed | None


class NoBody(Model):
    """An act that needs no further words."""


class AcceptDossier(ActCommand):
    """Accept: the legal deadline begins."""


class RefusalBody(Model):
    """Why an officer refuses."""

    reason: Word = Field(description="By a word of the catalogue.")
    note: Note = None


class RefuseDossier(RefusalBody, ActCommand):
    """Refuse at the door, with a reason."""

    note: Sealed | None


class StartProcessing(ActCommand):
    """The competent unit begins."""


class ResultBody(Model):
    """The signed result, by digest."""

    result_sha256: Digest = Field(description="SHA-256 of the signed document, in hex.")


class IssueResult(ResultBody, ActCommand):
    """The result is signed."""


class HandoverBody(Model):
    """How the result was returned."""

    handover: Literal["counter", "online", "postal"] = Field(description="Where or how the applicant got it.")


class ReturnResult(HandoverBody, ActCommand):
    """Hand the result over."""


class ToldBody(Model):
    """How the applicant was told, and of what (`about` of the notices that wait; left out: all of them)."""

    how: Literal["telephone", "post", "counter"] = Field(description="By which way.")
    about: Annotated[tuple[UUID, ...], Field(min_length=1, max_length=MAX_TOLD)] | None = None


class TellApplicant(ToldBody, ActCommand):
    """The applicant was told otherwise what these notices say; None: all that wait."""
