"""The form of an application, as a client sends it: strict, frozen, every text clean.

What only the catalogue and the calendar can judge is in `shared.law.faults`.
"""

import re
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic.types import AwareDatetime, Strict
from pydantic_core import PydanticCustomError

from shared.cleaning import inside, is_space, is_unseen, one_line, placed, seen, unprinted
from shared.forms import IDEMPOTENCY_KEY
from shared.law.birth import birth_of, is_written
from shared.law.calendar import LAST_YEAR
from shared.law.entries import AgencyCode, Channel, ProcedureCode, Word
from shared.law.ways import FIELDS
from shared.wording import FAULTS

EARLIEST_BIRTH = 1900
MAX_COPIES = 1_000
MAX_PAGES = 100_000
MAX_PAPERS = 50
MAX_PAPER_BYTES = 100 * 1024 * 1024
MAX_NAME = 100
MAX_ADDRESS = 300
MAX_DIGITS = 64
"""So long may a number or a date be with all that people put between digits."""

_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?(Z|[+-][0-9]{2}:[0-9]{2})"
)
_PHONE = re.compile(r"0[0-9]{9,10}|\+[1-9][0-9]{7,14}")
_VIETNAM = re.compile(r"^(?:\+|00)?84(?:0(?=[0-9]{9})|(?=[1-9][0-9]{8,9}$))")
_BETWEEN_DIGITS = frozenset(".-()\u2010\u2011\u2012\u2013\u2014\u2212")
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_EMAIL = re.compile(rf"{_ATOM}(\.{_ATOM})*@({_LABEL}\.)+[A-Za-z][A-Za-z0-9-]{{0,61}}[A-Za-z0-9]")
_IN_EMAIL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.@-]")


def _wrong(kind: str, *told: str) -> PydanticCustomError:
    """What a validator raises; `kind` is one of `shared/wording.py`, `told` what its sentence names of the text: places
    and names of characters.
    """
    return PydanticCustomError(kind, FAULTS[kind].en, {"told": told})


def _line(value: str) -> str:
    stranger = unprinted(value)
    if stranger is not None:
        raise _wrong("control-character.name", *stranger)
    return one_line(value)


def _person_name(value: str) -> str:
    name = _line(value)
    if not any(character.isalpha() for character in name):
        raise _wrong("no-name")
    if len(name) > MAX_NAME:
        raise _wrong("too-long.name")
    return name


def _postal_address(value: str) -> str:
    address = _line(value)
    if not any(character.isalpha() for character in address):
        raise _wrong("no-address")
    if len(address) > MAX_ADDRESS:
        raise _wrong("too-long.address")
    return address


def digits_of(value: str) -> str:
    """The digits of an identity number as people group them: without spaces, dots, hyphens and marks that nobody sees;
    anything else stays and makes it malformed.
    """
    return "".join(one for one in value if not _sets_digits_apart(one))


def _sets_digits_apart(character: str) -> bool:
    return is_space(character) or is_unseen(character) or character in _BETWEEN_DIGITS


def _identity_number(value: str) -> str:
    _only_digits(value, plus=False)
    number = digits_of(value)
    if len(number) != 12:
        raise _wrong("malformed.identity")
    return number


def _only_digits(value: str, *, plus: bool) -> None:
    """Raise at the first character that is neither a digit nor stands between digits; `plus`: one may stand first."""
    begun = not plus
    for n, one in enumerate(value):
        if _sets_digits_apart(one):
            continue
        if not (one in "0123456789" or (one == "+" and not begun)):
            raise _wrong("malformed.character", *placed(n, one))
        begun = True


def _phone(value: str) -> str:
    """The number without grouping: 0… within Vietnam, whatever was put for that, else + and the country code."""
    _only_digits(value, plus=True)
    number = _VIETNAM.sub("0", digits_of(value))
    number = f"+{number[2:]}" if number.startswith("00") else number
    if _PHONE.fullmatch(number) is None:
        raise _wrong("malformed.phone")
    return number


def _email(value: str) -> str:
    """The address without spaces around it, its domain in small letters (RFC 5321, 2.4)."""
    address = seen(value)
    for n, one in inside(value):
        if _IN_EMAIL.match(one) is None:
            raise _wrong("malformed.character", *placed(n, one))
    if _EMAIL.fullmatch(address) is None:
        raise _wrong("malformed")
    local, _, domain = address.partition("@")
    return f"{local}@{domain.lower()}"


def _local_part(email: str) -> str:
    if len(email.partition("@")[0]) > 64:  # RFC 5321, 4.5.3.1.1
        raise _wrong("malformed.email")
    if "=?" in email:  # an encoded word (RFC 2047), which mail programs decode to another address or stumble over
        raise _wrong("malformed.encoded")
    return email


def _birth(value: str) -> str:
    # One spelling only: the library would also read numbers, "20050904" and week dates.
    text = seen(value)
    if not is_written(text):
        raise _wrong("malformed.date")
    try:
        born = birth_of(text)
    except ValueError as wrong:
        raise _wrong("no-such-day") from wrong
    if born.year < EARLIEST_BIRTH:
        raise _wrong("out-of-range.birth")
    return text


def _instant(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if _INSTANT.fullmatch(value) is None:
        raise _wrong("malformed.time")
    try:
        return datetime.fromisoformat(value)
    except ValueError as wrong:
        raise _wrong("no-such-time") from wrong


def _within_the_calendar(at: datetime) -> datetime:
    # A margin before the calendar's end, so that due dates can still be computed.
    if not 2000 <= at.year <= LAST_YEAR - 2:
        raise _wrong("out-of-range.year")
    return at


def _each_once(papers: tuple["Paper", ...]) -> tuple["Paper", ...]:
    named_once(tuple(paper.code for paper in papers))
    return papers


def named_once(papers: tuple[str, ...]) -> tuple[str, ...]:
    """A validator of names of papers: none may stand there twice."""
    if len(set(papers)) < len(papers):
        raise _wrong("duplicate-paper")
    return papers


Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
IdentityNumber = Annotated[str, StringConstraints(max_length=MAX_DIGITS), AfterValidator(_identity_number)]
PersonName = Annotated[str, StringConstraints(min_length=1, max_length=4 * MAX_NAME), AfterValidator(_person_name)]
BirthDate = Annotated[str, StringConstraints(max_length=MAX_DIGITS), AfterValidator(_birth)]
"""A birth date as exactly as it is known, `1955`, `1955-03` or `1955-03-17` (`shared/law/birth.py`)."""
Phone = Annotated[str, StringConstraints(max_length=MAX_DIGITS), AfterValidator(_phone)]
Email = Annotated[str, StringConstraints(max_length=254), AfterValidator(_email), AfterValidator(_local_part)]
PostalAddress = Annotated[str, StringConstraints(max_length=4 * MAX_ADDRESS), AfterValidator(_postal_address)]
Locale = Annotated[str, StringConstraints(pattern=r"^(vi|en)$")]
MediaType = Literal[
    "application/pdf",
    "application/msword",
    "application/rtf",
    "application/vnd.ms-excel",
    "application/vnd.oasis.opendocument.spreadsheet",
    "application/vnd.oasis.opendocument.text",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "application/xml",
    "application/zip",
    "image/bmp",
    "image/gif",
    "image/heic",
    "image/jpeg",
    "image/png",
    "image/tiff",
    "image/webp",
    "text/plain",
    "text/xml",
]
"""What papers are scanned or written as (IANA media types). A closed list, for it stands in clear in what is said."""
IdempotencyKey = Annotated[str, StringConstraints(pattern=f"^{IDEMPOTENCY_KEY}$")]
SubmittedAt = Annotated[AwareDatetime, BeforeValidator(_instant), AfterValidator(_within_the_calendar)]
Copies = Annotated[int, Field(ge=1, le=MAX_COPIES)]
Pages = Annotated[int, Field(ge=1, le=MAX_PAGES)]


class Part(BaseModel):
    """A part of an application: nothing unknown, nothing converted, nothing changed later."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class Applicant(Part):
    """The person who applies. `full_name` is kept as it was written, in NFC and without spaces around it; names compare
    in a folded form (`shared/law/names.py`).

    How the person can be reached depends on the channel too (`shared/law/ways.py`).
    """

    id_number: IdentityNumber
    full_name: PersonName
    date_of_birth: BirthDate
    phone: Phone | None = None
    email: Email | None = None
    postal_address: PostalAddress | None = None
    locale: Locale

    @property
    def given(self) -> frozenset[str]:
        """The fields, of those by which a person can be reached, that this one has given."""
        return frozenset(field for field in FIELDS if getattr(self, field) is not None)


class Paper(Part):
    """A paper handed in: its kind, the digest and size (bytes) of the file, and its media type."""

    code: Word
    sha256: Sha256
    size: Annotated[int, Field(ge=1, le=MAX_PAPER_BYTES)]
    media_type: MediaType


class WaiverClaim(Part):
    """A claim to a waiver or reduction; a well-formed digest of the evidence is the proof for now (F2)."""

    group: Word
    evidence_sha256: Sha256


Papers = Annotated[tuple[Paper, ...], Strict(False), Field(max_length=MAX_PAPERS), AfterValidator(_each_once)]


class Application(Part):
    """An application as a client sends it.

    `submitted_at`: when an importer received it, any time zone; a citizen's application is submitted when it arrives.
    `pages`: required by procedures that cost by the page (F3a).
    """

    idempotency_key: IdempotencyKey | None = None
    procedure: ProcedureCode
    case: Word
    agency: AgencyCode
    channel: Channel
    submitted_at: SubmittedAt | None = None
    copies: Copies
    pages: Pages | None = None
    applicant: Applicant
    papers: Papers
    waiver_claim: WaiverClaim | None = None

    @property
    def group(self) -> str | None:
        """The applicant's group, as proven (F2), None without a claim."""
        return self.waiver_claim.group if self.waiver_claim else None
