"""The look-up compares what the applicant states with what the register holds, and tells names of fields only."""

from datetime import date
from uuid import UUID

import pytest

from services.verification.gateways import Enquiry, Person
from services.verification.rules import LookUp
from services.verification.tasks import look_up, still_waiting
from shared.errors import KeyNotHere, Transient
from shared.runtime.keyring import KeyRing
from shared.runtime.tasks import Job
from tests import controls
from tests.controls import AT, DOSSIER
from tests.unit.keys import DESTROYED, HERE, NOT_YET, sealed_field

TASK = UUID("3f0d5c1e-8a72-5b4d-9c16-e07a2b91d485")
ASKED = LookUp(
    applicant_version=1,
    procedure="1.004194",
    id_number=sealed_field("applicant.id_number", "001190000001"),
    full_name=sealed_field("applicant.full_name", "Nguyễn Thị Mẫu"),
    date_of_birth=sealed_field("applicant.date_of_birth", "1990-02-28"),
)
JOB = Job(TASK, DOSSIER, ASKED, 1, AT)
KNOWN = Person("Nguyễn Thị Mẫu", "19900228")


class Register:
    """A register that holds one answer, and remembers what it was asked."""

    def __init__(self, answer: Person | None | Exception) -> None:
        self.answer = answer
        self.asked: list[Enquiry] = []

    async def look_up(self, enquiry: Enquiry) -> Person | None:
        self.asked.append(enquiry)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    ("person", "fields"),
    [
        (KNOWN, ()),
        (Person("NGUYỄN THỊ  MẪU", "19900228"), ()),
        (Person("Nguyễn Thị Mẫu", "1990"), ()),
        (Person("Nguyễn Thị Mẫu".encode().decode(), "19900228"), ()),
        (Person("Nguyen Thi Mau", "19900228"), ("full_name",)),
        (Person("Nguyễn Thị Mẫu", "19900227"), ("date_of_birth",)),
        (Person("Nguyễn Thị Mẫu", "1991"), ("date_of_birth",)),
        (Person("Trần Văn Thử", "19800101"), ("full_name", "date_of_birth")),
    ],
)
async def test_only_the_names_of_differing_fields_are_told(person: Person, fields: tuple[str, ...]) -> None:
    assert await look_up(Register(person), HERE, JOB) == controls.found(*fields, register_request=TASK.hex)


async def test_an_unknown_number_is_told_as_such() -> None:
    assert await look_up(Register(None), HERE, JOB) == controls.not_found(register_request=TASK.hex)


async def test_the_register_is_asked_under_the_tasks_own_number_for_what_the_applicant_states() -> None:
    register = Register(KNOWN)
    await look_up(register, HERE, JOB)
    await look_up(register, HERE, JOB)
    asked = Enquiry(TASK.hex, "1.004194", "001190000001", "Nguyễn Thị Mẫu", date(1990, 2, 28))
    assert register.asked == [asked, asked]


async def test_a_destroyed_key_is_an_outcome_and_the_register_is_not_asked() -> None:
    register = Register(KNOWN)
    assert await look_up(register, DESTROYED, JOB) == controls.key_gone()
    assert register.asked == []


@pytest.mark.parametrize(
    ("register", "keys", "again"),
    [(Register(KNOWN), NOT_YET, KeyNotHere), (Register(Transient("register", "HTTP 503")), HERE, Transient)],
)
async def test_a_key_not_here_yet_and_a_register_that_does_not_answer_are_tried_again(
    register: Register, keys: KeyRing, again: type[Exception]
) -> None:
    with pytest.raises(again):
        await look_up(register, keys, JOB)


async def test_the_alarm_rings_with_what_it_was_set_for() -> None:
    waiting = controls.still_waiting()
    assert await still_waiting(Job(TASK, DOSSIER, waiting, 1, AT)) == waiting
