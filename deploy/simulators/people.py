"""The people whom the population register knows."""

import json
import re
import unicodedata
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from deploy.simulators import soap
from deploy.simulators.journal import Journal, read_lines

_BIRTH = re.compile(r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2}))?)?")
GENDERS = {"male": "1", "female": "2"}


def _name(name: str) -> str:
    if not _squeezed(name).isprintable():
        raise ValueError("not a printable name")
    return _squeezed(name)


def _squeezed(name: str) -> str:
    return " ".join(unicodedata.normalize("NFC", name).split())


def _birth(text: str) -> str:
    found = _BIRTH.fullmatch(text)
    if found is None:
        raise ValueError("not a birth date, nor the year or month of one")
    date(*(int(part or 1) for part in found.groups()))
    return text


class Person(BaseModel):
    """One line of a register file; other members of the line are passed over. Of some births only the year is known
    (`1955`), or the year and the month (`1955-03`).
    """

    model_config = ConfigDict(frozen=True)

    id_number: str = Field(pattern=r"^[0-9]{12}$")
    full_name: Annotated[str, AfterValidator(_name), Field(min_length=1, max_length=200)]
    date_of_birth: Annotated[str, AfterValidator(_birth)]
    gender: Literal["male", "female"]

    def record(self) -> str:
        """The person as a `CongDan` element: the fields of the real record that are known here."""
        *before, given = self.full_name.split(" ")
        family, middle = "".join(before[:1]), " ".join(before[1:])
        name = soap.text("Ho", family) + soap.text("ChuDem", middle) + soap.text("Ten", given)
        born = soap.text("Nam", self.date_of_birth[:4]) + soap.text("NgayThangNam", self._digits().ljust(8, "0"))
        return soap.element(
            "CongDan",
            soap.text("SoDinhDanh", self.id_number)
            + soap.element("HoVaTen", name)
            + soap.text("GioiTinh", GENDERS[self.gender])
            + soap.element("NgayThangNamSinh", born)
            + soap.text("QuocTich", "VN"),
        )

    def is_called(self, name: str) -> bool:
        """Whether `name` is this person's, whatever the case of its letters and the space between them."""
        return _squeezed(name).casefold() == self.full_name.casefold()

    def is_born(self, born: str) -> bool:
        """Whether `born` (yyyyMMdd or yyyy) can be this person's birth, as far as it is known here."""
        known = self._digits()
        return all(one == other for one, other in zip(known, born, strict=False))

    def _digits(self) -> str:
        """Year, month and day as far as they are known, without dashes."""
        return self.date_of_birth.replace("-", "")


class People:
    """The register's content: the lines of its file, then what the police entered since, kept in a journal."""

    def __init__(self, file: Path, journal: Journal) -> None:
        self._journal = journal
        self._people = {person.id_number: person for person in _from_file(file)}
        self.entered = 0
        for line in read_lines(journal.path):
            self._put(Person.model_validate(line))

    def __len__(self) -> int:
        return len(self._people)

    def find(self, id_number: str) -> Person | None:
        return self._people.get(id_number)

    def other_than(self, id_number: str) -> Person | None:
        """Somebody else, for a register that answers wrongly."""
        return next((person for number, person in self._people.items() if number != id_number), None)

    def enter(self, person: Person) -> Literal["entered", "changed", "unchanged"]:
        """Enters a person, or new data of a known one; a repetition changes nothing. Kept over a restart."""
        known = self.find(person.id_number)
        if known == person:
            return "unchanged"
        self._journal.append(person.model_dump(mode="json"))
        self._put(person)
        return "changed" if known else "entered"

    def _put(self, person: Person) -> None:
        self._people[person.id_number] = person
        self.entered += 1


def _from_file(file: Path) -> Iterator[Person]:
    with file.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                if line.strip():
                    yield Person.model_validate(json.loads(line))
            except ValueError as error:
                raise ValueError(f"{file}: line {number} is not a person") from error
