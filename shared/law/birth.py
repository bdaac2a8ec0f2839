"""A birth date as exactly as it is known: the year, the year and month, or the day. Pure.

Many elderly people's papers name a year only (Decree 123/2015/NĐ-CP and the registers before it). What is not known is
left open, never made the first of January; two dates compare as far as both are known. Written by ISO 8601-1:2019,
5.2.2 (calendar dates, reduced precision too): `1955`, `1955-03`, `1955-03-17`.
"""

import re
from dataclasses import dataclass
from datetime import date

_WRITTEN = re.compile(r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2}))?)?")
_IN_DIGITS = re.compile(r"([0-9]{4})(?:([0-9]{2})([0-9]{2})?)?")


@dataclass(frozen=True, slots=True)
class Birth:
    """A birth date; `day` is known only where `month` is. ValueError if there is no such day, month or year."""

    year: int
    month: int | None = None
    day: int | None = None

    def __post_init__(self) -> None:
        if self.month is None and self.day is not None:
            raise ValueError("a day without its month")
        date(self.year, 1 if self.month is None else self.month, 1 if self.day is None else self.day)

    def __str__(self) -> str:
        known = (f"{self.year:04d}", *(f"{part:02d}" for part in (self.month, self.day) if part is not None))
        return "-".join(known)

    @property
    def earliest(self) -> date:
        """The first day on which it can have been; for bounds only, it stands for nobody's birth."""
        return date(self.year, self.month or 1, self.day or 1)

    def agrees(self, other: "Birth") -> bool:
        """Whether it can be the same birth: alike as far as both are known."""
        pairs = ((self.year, other.year), (self.month, other.month), (self.day, other.day))
        return all(one == another for one, another in pairs if one is not None and another is not None)


def is_written(text: str) -> bool:
    """Whether the text has the form of a birth date, be there such a day or not."""
    return _WRITTEN.fullmatch(text) is not None


def birth_of(text: str) -> Birth:
    """A birth date as written: `1955`, `1955-03` or `1955-03-17`. ValueError for another form or no such day."""
    found = _WRITTEN.fullmatch(text)
    if found is None:
        raise ValueError("a birth date has the form YYYY-MM-DD, YYYY-MM or YYYY")
    return Birth(*(int(part) for part in found.groups() if part is not None))


def birth_in_digits(text: str) -> Birth:
    """A birth date as the population register writes it: `1955`, `195503` or `19550317`, where 00 is a month or a day
    that is not known. ValueError for another form or no such day.
    """
    found = _IN_DIGITS.fullmatch(text)
    if found is None:
        raise ValueError("the register writes four, six or eight digits")
    year, *parts = (int(part or 0) for part in found.groups())
    return Birth(year, *(part or None for part in parts))
