"""Codes that people read: the dossier code and the identity number.

A dossier code is `unit-YYMMDD-NNNN` (Circular 01/2018/TT-VPCP, art. 19): unit, date of submission in Vietnam, running
number of that unit and day. The identity number has 12 digits (Decree 137/2015/NĐ-CP, art. 13; Circular
07/2016/TT-BCA, art. 7).
"""

import re
from dataclasses import dataclass
from datetime import date, datetime

from shared.law.birth import Birth
from shared.law.calendar import vietnam_date

UNIT = r"[A-Z][0-9]{2}(?:\.[0-9]{2,3}){0,4}"  # Decision 20/2020/QĐ-TTg: the province's letter code first
_OLD_UNIT = r"[0-9]{3}\.[0-9]{2}\.[0-9]{2}\.[A-Z][0-9]{2}"  # QCVN 102:2016: the province's letter code last
_DOSSIER = re.compile(rf"(?P<unit>{_OLD_UNIT}|{UNIT})-(?P<day>[0-9]{{6}})-(?P<digits>[0-9]{{4,10}})")
_IDENTITY = re.compile(r"[0-9]{12}")


@dataclass(frozen=True, slots=True)
class DossierCode:
    """A dossier code in its parts. `digits` is the running number as written: a foreign `00012` stays what it is."""

    unit: str
    day: date
    digits: str

    @property
    def number(self) -> int:
        """The running number of the unit and day."""
        return int(self.digits)

    @property
    def series(self) -> str:
        """The running-number series that the code was drawn from, as `series_of` writes it."""
        return f"{self.unit}-{self.day:%y%m%d}"

    def __str__(self) -> str:
        return f"{self.series}-{self.digits}"


def province_of(unit: str) -> str:
    """The province's letter code of a unit's code (F1), whatever else is known of the unit."""
    return unit.partition(".")[0]


def series_of(unit: str, submitted_at: datetime) -> str:
    """The running-number series of a unit and an aware instant, e.g. `H02.15.12-261124` (date in Vietnam).

    ValueError if the year does not fit two digits, for then two centuries would share a series.
    """
    day = vietnam_date(submitted_at)
    if not 2000 <= day.year <= 2099:
        raise ValueError(f"a dossier code cannot say the year {day.year}")
    return f"{unit}-{day:%y%m%d}"


def code_of(series: str, number: int) -> str:
    """The dossier code of the `number`-th dossier (from 1) of a series: four digits or more."""
    if number < 1:
        raise ValueError("running numbers begin at 1")
    return f"{series}-{number:04d}"


def parse_code(text: str) -> DossierCode:
    """Read a dossier code of the new or the old unit form; spaces around it and small letters are forgiven.

    ValueError says what is wrong: the form, or a day that does not exist.
    """
    found = _DOSSIER.fullmatch(text.strip().upper())
    if found is None:
        raise ValueError("a dossier code has the form unit-YYMMDD-NNNN")
    digits = found["day"]
    try:
        day = date(2000 + int(digits[:2]), int(digits[2:4]), int(digits[4:]))
    except ValueError as wrong:
        raise ValueError(f"a dossier code names a day that does not exist: {digits}") from wrong
    return DossierCode(found["unit"], day, found["digits"])


def identity_faults(number: str, born: Birth | None = None) -> tuple[str, ...]:
    """What is wrong with an identity number, as codes; none if it is possible (it need not exist).

    Digits 1-3 name the province of birth registration, or the country where that was abroad, by lists that change
    (Circular 07/2016/TT-BCA, annexes 1 and 2): whether there is such a place, the register decides. Digit 4 tells
    century and sex, digits 5-6 the year of birth; both are compared only if the birth is given.
    """
    if _IDENTITY.fullmatch(number) is None:
        return ("identity-form",)
    faults = []
    if born is not None and int(number[3]) // 2 != born.year // 100 - 19:
        faults.append("identity-century")
    if born is not None and int(number[4:6]) != born.year % 100:
        faults.append("identity-year")
    return tuple(faults)
