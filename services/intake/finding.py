"""Finding a dossier by what nobody may read in it: keyed digests of the applicant's numbers.

A digest (HMAC-SHA256 under a secret of its own) tells whether two numbers are the same, and nothing else to whoever
lacks the secret. It is made of the number as the form has cleaned it, so that however it was typed it is found.
"""

import hmac
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog

from services.intake.state import State
from shared.errors import KekNotHere, KeyDestroyed, KeyNotHere
from shared.events.base import SealedApplicant
from shared.events.envelope import read_body
from shared.events.intake import ApplicantCorrected, DossierSubmitted
from shared.events.names import name_of
from shared.law.application import Applicant
from shared.runtime.kernel.message import Digest
from shared.runtime.keys.keyring import KeyRing
from shared.runtime.store.digests import Digests, Undigested

log = structlog.get_logger(__name__)

FIND_KEY = "find_hmac_key"
"""The secret."""
ID_NUMBER, PHONE = "id_number", "phone"
STATING = frozenset({name_of(DossierSubmitted.TYPE), name_of(ApplicantCorrected.TYPE)})
"""The events that state an applicant's data."""


def digest(key: bytes, kind: str, number: str) -> bytes:
    """The digest of one cleaned number; the same digits as a number of another kind have another one."""
    return hmac.digest(key, f"{kind}:{number}".encode(), "sha256")


def digests(key: bytes, dossier: UUID, applicant: Applicant) -> tuple[Digest, ...]:
    """By what a dossier may be found."""
    return tuple(_digests(key, dossier, {ID_NUMBER: applicant.id_number, PHONE: applicant.phone}))


def _digests(key: bytes, dossier: UUID, stated: Mapping[str, str | None]) -> Iterator[Digest]:
    for kind, number in stated.items():
        if number:
            yield Digest(dossier, kind, digest(key, kind, number))


def stating(state: State) -> UUID | None:
    """The event that states the newest data of the applicant."""
    return next((step.id for step in reversed(state.intake.steps) if step.name in STATING), None)


@dataclass(frozen=True)
class Refill:
    """Makes the digests that are not there: of dossiers of before there were any, and of those that were taken back
    from the topic, where everything is sealed. What cannot be opened here has none.
    """

    store: Digests[State]
    keys: KeyRing
    key: bytes

    async def run(self, due: datetime) -> None:
        """Look through all dossiers that have a data key and no digest: a job's function, which may be run again."""
        made, left = 0, 0
        after: UUID | None = UUID(int=0)
        while after is not None:
            after, lacking = await self.store.lacking(after)
            said = await self.store.said([event for one in lacking if (event := stating(one.state)) is not None])
            found = [await self._opened(one, said) for one in lacking]
            await self.store.fill([each for some in found for each in some])
            made, left = made + sum(map(bool, found)), left + sum(not some for some in found)
        if made or left:
            log.info("digests-made", dossiers=made, left=left)

    async def _opened(self, one: Undigested[State], said: Mapping[UUID, tuple[str, bytes]]) -> tuple[Digest, ...]:
        event = stating(one.state)
        if event is None or event not in said:
            return ()
        sealed = _applicant(*said[event])
        fields = {f"applicant.{kind}": text for kind in (ID_NUMBER, PHONE) if (text := getattr(sealed, kind, None))}
        try:
            clear = await self.keys.open(one.dossier_id, fields)
        except (KeyDestroyed, KeyNotHere, KekNotHere):
            return ()
        except ValueError:
            log.error("digest-not-made", dossier_id=str(one.dossier_id), why="what is sealed was altered")
            return ()
        stated = {field.removeprefix("applicant."): text for field, text in clear.items()}
        return tuple(_digests(self.key, one.dossier_id, stated))


def _applicant(type_: str, data: bytes) -> SealedApplicant | None:
    body: Any = read_body(type_, "intake", data)
    return body.applicant if isinstance(body, (DossierSubmitted, ApplicantCorrected)) else None
