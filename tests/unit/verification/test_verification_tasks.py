"""The look-up compares what the applicant states with what the register holds, and tells names of fields only."""

from uuid import UUID

import pytest

from services.verification.gateways import Enquiry
from services.verification.reading import Person
from services.verification.rules import LookUp
from services.verification.tasks import look_up, still_waiting
from shared.errors import KeyNotHere, Transient
from shared.law.birth import Birth, birth_in_digits
from shared.runtime.keys.keyring import KeyRing
from shared.runtime.tasks.kinds import Attempt
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
ATTEMPT = Attempt(TASK, DOSSIER, ASKED, 1, AT)
KNOWN = Person("Nguyễn Thị Mẫu", birth_in_digits("19900228"))


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
        (Person("NGUYỄN THỊ  MẪU", birth_in_digits("19900228")), ()),
        (Person("Nguyễn Thị Mẫu", birth_in_digits("1990")), ()),
        (Person("Nguyễn Thị Mẫu".encode().decode(), birth_in_digits("19900228")), ()),
        (Person("Nguyen Thi Mau", birth_in_digits("19900228")), ("full_name",)),
        (Person("Nguyễn Thị Mẫu", birth_in_digits("19900227")), ("date_of_birth",)),
        (Person("Nguyễn Thị Mẫu", birth_in_digits("1991")), ("date_of_birth",)),
        (Person("Trần Văn Thử", birth_in_digits("19800101")), ("full_name", "date_of_birth")),
    ],
)
async def test_only_the_names_of_differing_fields_are_told(person: Person, fields: tuple[str, ...]) -> None:
    assert await look_up(Register(person), HERE, ATTEMPT) == controls.found(*fields, register_request=TASK.hex)


@pytest.mark.parametrize("stated", ["1990", "1990-02", "1990-02-28"])
@pytest.mark.parametrize("held", ["1990", "199002", "19900000", "19900200", "19900228"])
async def test_births_compare_as_far_as_both_are_known_and_none_is_made_a_day(stated: str, held: str) -> None:
    asked = ASKED.model_copy(update={"date_of_birth": sealed_field("applicant.date_of_birth", stated)})
    register = Register(Person("Nguyễn Thị Mẫu", birth_in_digits(held)))

    assert await look_up(register, HERE, Attempt(TASK, DOSSIER, asked, 1, AT)) == controls.found(
        register_request=TASK.hex
    )
    assert str(register.asked[0].date_of_birth) == stated


@pytest.mark.parametrize(
    ("stated", "held"), [("1990", "1991"), ("1990-02", "199003"), ("1990-02", "19900328"), ("1990-02-28", "19900300")]
)
async def test_a_birth_that_differs_in_what_both_know_is_a_mismatch(stated: str, held: str) -> None:
    asked = ASKED.model_copy(update={"date_of_birth": sealed_field("applicant.date_of_birth", stated)})
    register = Register(Person("Nguyễn Thị Mẫu", birth_in_digits(held)))

    outcome = await look_up(register, HERE, Attempt(TASK, DOSSIER, asked, 1, AT))

    assert outcome == controls.found("date_of_birth", register_request=TASK.hex)


async def test_an_unknown_number_is_told_as_such() -> None:
    assert await look_up(Register(None), HERE, ATTEMPT) == controls.not_found(register_request=TASK.hex)


async def test_the_register_is_asked_under_the_tasks_own_number_for_what_the_applicant_states() -> None:
    register = Register(KNOWN)
    await look_up(register, HERE, ATTEMPT)
    await look_up(register, HERE, ATTEMPT)
    asked = Enquiry(TASK.hex, "1.004194", "001190000001", "Nguyễn Thị Mẫu", Birth(1990, 2, 28))
    assert register.asked == [asked, asked]


async def test_a_destroyed_key_is_an_outcome_and_the_register_is_not_asked() -> None:
    register = Register(KNOWN)
    assert await look_up(register, DESTROYED, ATTEMPT) == controls.key_gone()
    assert register.asked == []


@pytest.mark.parametrize(
    ("register", "keys", "again"),
    [(Register(KNOWN), NOT_YET, KeyNotHere), (Register(Transient("register", "HTTP 503")), HERE, Transient)],
)
async def test_a_key_not_here_yet_and_a_register_that_does_not_answer_are_tried_again(
    register: Register, keys: KeyRing, again: type[Exception]
) -> None:
    with pytest.raises(again):
        await look_up(register, keys, ATTEMPT)


async def test_the_alarm_rings_with_what_it_was_set_for() -> None:
    waiting = controls.still_waiting()
    assert await still_waiting(Attempt(TASK, DOSSIER, waiting, 1, AT)) == waiting
