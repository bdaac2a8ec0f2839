"""Verification's work on the outside world: one look-up, and the alarm for a silent register."""

from collections.abc import Mapping
from functools import partial
from typing import Literal

from services.verification.gateways import DEPENDENCY, Enquiry, Register
from services.verification.rules import Found, KeyGone, LookUp, NotFound, StillWaiting
from shared.errors import KeyDestroyed
from shared.law.birth import birth_of
from shared.runtime.kernel.decider import Outcome
from shared.runtime.keys.keyring import KeyRing
from shared.runtime.tasks.kinds import Attempt, TaskKind, ring


async def look_up(register: Register, keys: KeyRing, attempt: Attempt) -> Outcome:
    """Open the applicant's data, ask the register, and compare; nothing personal is in the outcome."""
    asked: LookUp = attempt.payload
    sealed = {f"applicant.{name}": getattr(asked, name) for name in ("id_number", "full_name", "date_of_birth")}
    try:
        clear = await keys.open(attempt.dossier_id, sealed)
    except KeyDestroyed:
        return KeyGone(applicant_version=asked.applicant_version)
    name, born = clear["applicant.full_name"], birth_of(clear["applicant.date_of_birth"])
    person = await register.look_up(Enquiry(attempt.id.hex, asked.procedure, clear["applicant.id_number"], name, born))
    if person is None:
        return NotFound(applicant_version=asked.applicant_version, register_request=attempt.id.hex)
    fields: list[Literal["full_name", "date_of_birth"]] = []
    if not person.is_called(name):
        fields.append("full_name")
    if not person.is_born(born):
        fields.append("date_of_birth")
    return Found(applicant_version=asked.applicant_version, fields=tuple(fields), register_request=attempt.id.hex)


async def still_waiting(attempt: Attempt) -> Outcome:
    """The alarm rings."""
    return await ring(attempt.payload)


def kinds(register: Register, keys: KeyRing) -> Mapping[str, TaskKind]:
    """Verification's tasks by name."""
    return {
        "look-up": TaskKind(LookUp, partial(look_up, register, keys), DEPENDENCY, timeout_s=15.0),
        "still-waiting": TaskKind(StillWaiting, still_waiting),
    }
