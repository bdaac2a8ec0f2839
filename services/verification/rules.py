"""What verification decides: look every state of the applicant's data up in the population register, once.

"Citizens give information only once": what the register holds is not asked for again, and only the names of differing
fields leave this service. Pure.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Literal

from services.verification.state import State
from shared.events import intake as heard
from shared.events import verification as said
from shared.events.base import Model, Sealed, UnknownWord, Word
from shared.runtime.kernel.decider import NOTHING, Decision, Message, Outcome, Rule, Task

DELAYED_AFTER = timedelta(minutes=15)
"""After this long without an answer the delay is said, and the officer and the citizen read it in the timeline; no mail
is sent of it. Configurable nowhere yet, general practice.
"""


class LookUp(Model):
    """The task: ask the register about these data."""

    applicant_version: int
    procedure: str
    id_number: Sealed
    full_name: Sealed
    date_of_birth: Sealed


class Found(Outcome):
    """The register has answered; `fields` name what differs, empty when nothing does."""

    applicant_version: int
    fields: tuple[Literal["full_name", "date_of_birth"] | UnknownWord, ...]
    register_request: Word


class NotFound(Outcome):
    """The register does not know the number."""

    applicant_version: int
    register_request: Word


class KeyGone(Outcome):
    """The data cannot be opened any more."""

    applicant_version: int


class StillWaiting(Outcome):
    """The alarm for these data has rung."""

    applicant_version: int
    since: datetime


def on_applicant(state: State, event: Message[heard.DossierSubmitted | heard.ApplicantCorrected]) -> Decision:
    """Look the data up, and set an alarm in case the register stays silent."""
    body = event.body
    look_up = LookUp(
        applicant_version=body.applicant_version,
        procedure=state.intake.procedure,
        id_number=body.applicant.id_number,
        full_name=body.applicant.full_name,
        date_of_birth=body.applicant.date_of_birth,
    )
    alarm = StillWaiting(applicant_version=body.applicant_version, since=event.at)
    return Decision(tasks=(Task("look-up", look_up), Task("still-waiting", alarm, event.at + DELAYED_AFTER)))


def on_found(state: State, outcome: Message[Found]) -> Decision:
    """The register knows the number: verified, or mismatched in these fields."""
    body = outcome.body
    if body.fields:
        return Decision(
            (
                said.CitizenMismatched(
                    applicant_version=body.applicant_version,
                    fields=body.fields,
                    register_request=body.register_request,
                ),
            )
        )
    return Decision(
        (said.CitizenVerified(applicant_version=body.applicant_version, register_request=body.register_request),)
    )


def on_not_found(state: State, outcome: Message[NotFound]) -> Decision:
    """The register does not know the number."""
    body = outcome.body
    return Decision(
        (said.CitizenNotFound(applicant_version=body.applicant_version, register_request=body.register_request),)
    )


def on_key_gone(state: State, outcome: Message[KeyGone]) -> Decision:
    """Nobody can look these data up any more."""
    version = outcome.body.applicant_version
    return Decision((said.VerificationAbandoned(applicant_version=version, reason="key-destroyed"),))


def on_still_waiting(state: State, alarm: Message[StillWaiting]) -> Decision:
    """Tell of the delay, unless the answer has come or newer data are being looked up."""
    body = alarm.body
    if state.verification.applicant_version >= body.applicant_version:
        return NOTHING
    if state.intake.applicant_version > body.applicant_version:
        return NOTHING
    return Decision((said.VerificationDelayed(applicant_version=body.applicant_version, waiting_since=body.since),))


HEARS: Mapping[type[Model], Rule] = MappingProxyType(
    {
        heard.DossierSubmitted: on_applicant,
        heard.ApplicantCorrected: on_applicant,
        Found: on_found,
        NotFound: on_not_found,
        KeyGone: on_key_gone,
        StillWaiting: on_still_waiting,
    }
)
