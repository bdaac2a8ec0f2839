"""What one entry of a catalogue file may say: frozen models, checked when read."""

from datetime import date
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic.types import Strict

from shared.law.clock import Duration, DurationUnit
from shared.law.codes import UNIT, province_of

Channel = Literal["direct", "online", "postal"]
Tariff = Literal["direct", "online"]
Locale = Literal["vi", "en"]
Word = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=64)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=200)]
ProcedureCode = Annotated[str, StringConstraints(pattern=r"^[1-9]\.[0-9]{6}$")]
AgencyCode = Annotated[str, StringConstraints(pattern=rf"^{UNIT}$", max_length=35)]
ProvinceCode = Annotated[str, StringConstraints(pattern=r"^[A-Z][0-9]{2}$")]
Dong = Annotated[int, Field(ge=0, le=1_000_000_000)]
Words = Annotated[tuple[Word, ...], Strict(False)]
Channels = Annotated[tuple[Channel, ...], Strict(False), Field(min_length=1)]


class Entry(BaseModel):
    """An entry of a catalogue file: nothing unknown, nothing converted, nothing changed later."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class Dated(Entry):
    """An entry with its legal basis, the source of its figures, and the days on which it holds."""

    basis: Text
    source: Text
    valid_from: date
    valid_to: date | None

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Self:
        if self.valid_to is not None and self.valid_to <= self.valid_from:
            raise ValueError("valid_to is not after valid_from")
        return self

    def in_force(self, on: date) -> bool:
        """Whether the entry holds on a day in Vietnam: `valid_from` <= day < `valid_to` (F1)."""
        return self.valid_from <= on and (self.valid_to is None or on < self.valid_to)

    def meets(self, other: "Dated") -> bool:
        """Whether there is a day on which both hold."""
        return self.in_force(other.valid_from) or other.in_force(self.valid_from)


class Named(Entry):
    """Something that people know by a name: a group of applicants that a fee rule may favour (F2), a paper."""

    code: Word
    name_vi: Text
    name_en: Text

    def name(self, locale: Locale) -> str:
        """The name in the reader's language."""
        return self.name_vi if locale == "vi" else self.name_en


class Reason(Named):
    """A reason for a refusal at the door; its names are whole sentences.

    `then_vi`, `then_en`: what the applicant can do, where it is not to put something right and file again.
    """

    basis: Text | None = None
    then_vi: Text | None = None
    then_en: Text | None = None

    @model_validator(mode="after")
    def _says_the_same_in_both_languages(self) -> Self:
        if (self.then_vi is None) != (self.then_en is None):
            raise ValueError("then_vi and then_en go together")
        return self

    def then(self, locale: Locale) -> str | None:
        """What the applicant can do, in the reader's language."""
        return self.then_vi if locale == "vi" else self.then_en


class Agency(Dated):
    """A unit that receives dossiers, as it is between two dates.

    `parent`: the unit above it, e.g. the district up to 1 July 2025. `successors`: of the last version of one that has
    ended, the units to which its work has gone.
    """

    code: AgencyCode
    name_vi: Text
    level: Literal["province", "district", "commune"]
    province_vi: Text
    parent: AgencyCode | None = None
    saturday_mornings: bool = False
    successors: Annotated[tuple[AgencyCode, ...], Strict(False)] = ()

    @property
    def province(self) -> str:
        """The province's letter code, the first part of the unit code (F1)."""
        return province_of(self.code)


class Procedure(Named, Dated):
    """An administrative procedure as it stands between two dates."""

    code: ProcedureCode
    level: Literal["province", "commune"]
    duration: int
    unit: DurationUnit
    cases: Annotated[Words, Field(min_length=1)]
    channels: Channels
    papers: Words
    needs_pages: bool = False

    @model_validator(mode="after")
    def _takes_a_possible_time(self) -> Self:
        Duration(self.unit, self.duration)
        return self

    @property
    def time_allowed(self) -> Duration:
        """How long the procedure may take from acceptance (C3, C5)."""
        return Duration(self.unit, self.duration)

    def missing_papers(self, submitted: frozenset[str]) -> tuple[str, ...]:
        """The required papers that are not among the submitted codes, in the procedure's order."""
        return tuple(paper for paper in self.papers if paper not in submitted)


class FeeRule(Dated):
    """One rule of a tariff (F1). `case`, `channel`, `province` left out: any."""

    id: Annotated[str, StringConstraints(pattern=r"^[a-z0-9.]+(-[a-z0-9]+)*$", max_length=64)]
    procedure: ProcedureCode
    kind: Literal["charge", "reduction", "waiver"]
    line: Word | None = None
    case: Word | None = None
    channel: Tariff | None = None
    groups: Words = ()
    province: ProvinceCode | None = None
    amount_vnd: Dong = 0
    per: Literal["dossier", "copy", "page"] = "dossier"
    first: Annotated[int, Field(ge=1)] = 1
    last: Annotated[int, Field(ge=1)] | None = None
    cap_per_copy_vnd: Dong | None = None

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if (self.kind == "charge") == bool(self.groups):
            raise ValueError("a charge is for everyone, a reduction or waiver for groups")
        if (self.kind == "waiver") != (self.line is None):
            raise ValueError("a waiver is of the whole fee, every other rule of one line")
        if (self.kind == "waiver") != (self.amount_vnd == 0):
            raise ValueError("a waiver leaves nothing, every other rule has an amount")
        if self.last is not None and self.last < self.first:
            raise ValueError("last is before first")
        if self.cap_per_copy_vnd is not None and self.per != "page":
            raise ValueError("only pages are capped by the copy")
        return self

    @property
    def specificity(self) -> tuple[bool, bool, bool]:
        """What the rule names; of two, the greater goes first: a channel (F1), then a province, then a case."""
        return self.channel is not None, self.province is not None, self.case is not None

    def rivals(self, other: "FeeRule") -> bool:
        """Whether both could be the answer for the same filing, so that neither is."""
        same = (self.procedure, self.kind, self.line) == (other.procedure, other.kind, other.line)
        scope = (self.channel, self.province, self.case) == (other.channel, other.province, other.case)
        shared = not self.groups or bool(set(self.groups) & set(other.groups))
        return same and scope and shared and self.meets(other)
