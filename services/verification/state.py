"""What verification remembers of a dossier: the applicant's newest data (sealed) and what it has said of them."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

from pydantic import Field

from shared.events import intake as heard
from shared.events import verification as said
from shared.events.base import Event, Model
from shared.runtime.kernel.decider import Evolve, Message


class Filed(Model):
    """What the desk has said: the procedure, and which state of the applicant's data is the newest."""

    procedure: str = ""
    applicant_version: int = 0


class Answered(Model):
    """What we have said: the newest data that have an answer of the register, or never will have one."""

    applicant_version: int = 0
    delayed_since: datetime | None = None


class State(Model):
    """A dossier as verification sees it."""

    intake: Filed = Field(default_factory=Filed)
    verification: Answered = Field(default_factory=Answered)


def _filed(state: State, event: Message[heard.DossierSubmitted | heard.ApplicantCorrected]) -> State:
    version = max(state.intake.applicant_version, event.body.applicant_version)
    procedure = event.body.procedure if isinstance(event.body, heard.DossierSubmitted) else state.intake.procedure
    filed = state.intake.model_copy(update={"procedure": procedure, "applicant_version": version})
    return state.model_copy(update={"intake": filed})


_Answer = said.CitizenVerified | said.CitizenMismatched | said.CitizenNotFound | said.VerificationAbandoned


def _answered(state: State, event: Message[_Answer]) -> State:
    version = max(state.verification.applicant_version, event.body.applicant_version)
    answered = state.verification.model_copy(update={"applicant_version": version, "delayed_since": None})
    return state.model_copy(update={"verification": answered})


def _delayed(state: State, event: Message[said.VerificationDelayed]) -> State:
    part = state.verification.model_copy(update={"delayed_since": event.body.waiting_since})
    return state.model_copy(update={"verification": part})


EVOLVES: Mapping[type[Event], Evolve] = MappingProxyType(
    {
        heard.DossierSubmitted: _filed,
        heard.ApplicantCorrected: _filed,
        said.CitizenVerified: _answered,
        said.CitizenMismatched: _answered,
        said.CitizenNotFound: _answered,
        said.VerificationAbandoned: _answered,
        said.VerificationDelayed: _delayed,
    }
)
