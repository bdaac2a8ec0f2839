"""What every event has in common: frozen, closed when written, open when read; and the value types they share."""

from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    StringConstraints,
)
from pydantic_core import CoreSchema, core_schema


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

_WORD = r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$"
Word = Annotated[str, StringConstraints(pattern=_WORD)]
"""An identifier out of a catalogue: procedure, agency, paper, rule."""


class UnknownWord(str):
    """A word that stands in an open enum and that this release does not know, kept as it was written.

    `Literal["a", "b"] | UnknownWord` is open where it is read (JSON: events heard, states, payloads) and closed where
    it is made (Python: only the literals, or a word that was read). To whoever compares it, it is none of the known
    ones; what a rule does about it then is written where the rule is.
    """

    __slots__ = ()

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        read = core_schema.no_info_after_validator_function(cls, core_schema.str_schema(pattern=_WORD))
        made = core_schema.is_instance_schema(cls)
        return core_schema.json_or_python_schema(read, made, serialization=core_schema.simple_ser_schema("str"))

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        told = "a word that a later release has added: to a reader that does not know it, none of the others"
        return {"description": told, "pattern": _WORD, "type": "string"}


DOSSIER = "dossier"
"""The first kind of subject, and the only one that citizens see. Others are a word too: `partition`, `seal`."""


class Model(BaseModel):
    """Frozen, and closed to fields it does not know: what we write carries nothing by accident."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Event(Model):
    """A fact, in the past tense. `TYPE` is its CloudEvents type, `VERSION` the full version of its schema."""

    TYPE: ClassVar[str]
    SUBJECTS: ClassVar[tuple[str, ...]] = (DOSSIER,)
    """What it may be about: kinds of subject, any if empty. All of one type's share the model of their state."""
    VERSION: ClassVar[str] = "1.0.0"


class Actor(Model):
    """Who did it, from where, and as what: every officer's act names all three; the system's own acts name the rule."""

    role: Literal["citizen", "importer", "officer", "system"] | UnknownWord
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
    locale: Literal["vi", "en"] | UnknownWord
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
