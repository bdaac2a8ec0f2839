"""What requests at the desk say, but for an application itself (`shared/law/application.py`)."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, Field

from shared.events.base import Digest, Model, Word
from shared.events.intake import MAX_TOLD
from shared.law.application import Applicant, Papers, Part, named_once


class SupplementBody(Part):
    """The citizen's answer to a request: papers, and the data again if their correction was asked for."""

    papers: Papers = ()
    applicant: Applicant | None = None


class CorrectionBody(Part):
    """The applicant's data, set right."""

    applicant: Applicant


class RequestBody(Model):
    """What an officer asks for."""

    papers: Annotated[tuple[Word, ...], Field(max_length=50), AfterValidator(named_once)] = ()
    correct_applicant: bool = False
    note: str | None = Field(None, max_length=2000)


class RefusalBody(Model):
    """Why an officer refuses."""

    reason: Word
    note: str | None = Field(None, max_length=2000)


class ResultBody(Model):
    """The signed result, by digest."""

    result_sha256: Digest


class HandoverBody(Model):
    """How the result was returned."""

    handover: Literal["counter", "online", "postal"]


class ToldBody(Model):
    """How the applicant was told, and of what (`about` of the notices that wait; left out: all of them)."""

    how: Literal["telephone", "post", "counter"]
    about: Annotated[tuple[UUID, ...], Field(min_length=1, max_length=MAX_TOLD)] | None = None


class NoBody(Model):
    """An act that needs no further words."""
