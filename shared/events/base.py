"""What every event has in common: frozen, closed when written, open when read; and the value types they share."""

from datetime import UTC, datetime
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints


def _utc(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("a time needs its offset")
    try:
        return value.astimezone(UTC)
    except OverflowError as wrong:
        raise ValueError("there is no such instant in UTC") from wrong


Instant = Annotated[datetime, AfterValidator(_utc)]
"""An instant, stated with any offset and kept in UTC; RFC 3339 with `Z` on the wire."""

Dong = Annotated[int, Field(ge=0, le=10_000_000_000)]
"""Whole đồng (F3)."""

Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""SHA-256 in lower-case hex."""

Sealed = Annotated[str, StringConstraints(pattern=r"^sealed\.v1\.[A-Za-z0-9_-]{38,16384}$")]
"""Personal data under the dossier's own key: `sealed.v1.` + base64url(nonce ‖ AES-256-GCM ciphertext ‖ tag)."""

Word = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$")]
"""An identifier out of a catalogue: procedure, agency, paper, rule."""


class Model(BaseModel):
    """Frozen, and closed to fields it does not know: what we write carries nothing by accident."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Event(Model):
    """A fact, in the past tense. `TYPE` is its CloudEvents type, `VERSION` the full version of its schema."""

    TYPE: ClassVar[str]
    VERSION: ClassVar[str] = "1.0.0"


class Actor(Model):
    """Who did it, from where, and as what: every officer's act names all three; the system's own acts name the rule."""

    role: Literal["citizen", "importer", "officer", "system"]
    name: Word
    unit: Word | None = None
    duty: Word


class Paper(Model):
    """A paper of the file, by reference: the content stays in the document store."""

    code: Word
    sha256: Digest
    size: Annotated[int, Field(ge=1, le=1_000_000_000)]
    media_type: Word


class SealedApplicant(Model):
    """The applicant; everything that names a person is sealed. Associated data: `applicant.<field>`.

    `ways`: how the person can be reached, the best first (`shared/law/ways.py`; more words may come). A telephone or an
    e-mail address that is not among them was not given: what is sealed there is the empty text.
    """

    id_number: Sealed
    full_name: Sealed
    date_of_birth: Sealed
    phone: Sealed
    email: Sealed
    locale: Literal["vi", "en"]
    postal_address: Sealed | None = None
    ways: tuple[Word, ...] = ("email", "phone")


class WaiverClaim(Model):
    """A claim to pay less (F2): the group is personal data and sealed (`waiver_claim.group`), its evidence a digest."""

    group: Sealed
    evidence_sha256: Digest


class FeeLine(Model):
    """One line of a fee with the rule that set it (F1)."""

    rule: Word
    amount_vnd: Dong
    basis: Annotated[str, StringConstraints(max_length=200)]


EventId = UUID
MAX_APPLICANT_VERSION = 1000
ApplicantVersion = Annotated[int, Field(ge=1, le=MAX_APPLICANT_VERSION)]
"""Counts the states of the applicant's data: 1 as submitted, one more with each correction."""
