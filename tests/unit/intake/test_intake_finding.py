"""Finding by a number that nobody may read: however it was typed, and by nothing else."""

from itertools import combinations
from uuid import UUID

import pytest

from services.intake.acts import APPLICANT
from services.intake.commands import FindBody
from services.intake.finding import ID_NUMBER, PHONE, digest, digests, stating
from services.intake.state import State
from shared.errors import Refused
from shared.law.application import Applicant
from shared.runtime.http.door import Body, parse
from tests import controls
from tests.controls import CODE, applicant_corrected, dossier_submitted, message
from tests.deciders import INTAKE
from tests.given import given

KEY, OTHER_KEY = bytes(range(32)), bytes(32)
DOSSIER = UUID(int=7)
TYPED = {
    ID_NUMBER: (
        "022095999123", "022 095 999 123", " 022.095.999.123 ", "022-095\u2013999123", "022\u00a0095\u200b999123",
    ),
    PHONE: (
        "0900999123", "0900 999 123", "0900.999.123", "(0900) 999-123", "+84900999123", "+84 900 999 123",
        "0084900999123", "84900999123", "+84 0900 999 123", "0900\u2009999\u2060123",
    ),
}  # fmt: skip


def _stated(**changes: object) -> dict[str, bytes]:
    person = Applicant.model_validate({**APPLICANT, **changes})
    return {one.kind: one.digest for one in digests(KEY, DOSSIER, person)}


def _asked(**body: object) -> FindBody:
    return parse(FindBody, Body(body))


def _refused(**body: object) -> list[tuple[str, str]]:
    with pytest.raises(Refused) as refused:
        _asked(**body)
    return [(fault.pointer, fault.code) for fault in refused.value.faults]


@pytest.mark.parametrize(("kind", "typed"), [(kind, text) for kind, texts in TYPED.items() for text in texts])
def test_however_a_number_is_typed_it_is_found(kind: str, typed: str) -> None:
    stated = _stated()[kind]
    assert stated == _stated(**{kind: typed})[kind], "as it is filed"
    assert stated == digest(KEY, kind, getattr(_asked(**{kind: typed}), kind)), "as it is looked for"


def test_another_number_kind_or_secret_has_another_digest() -> None:
    kinds = (ID_NUMBER, PHONE)
    made = {digest(key, kind, n) for key in (KEY, OTHER_KEY) for kind in kinds for n in ("0900999123", "0900999124")}
    assert len(made) == 8
    assert all(len(one) == 32 for one in made)


def test_who_has_stated_no_telephone_has_no_digest_of_one() -> None:
    assert _stated(phone=None).keys() == {ID_NUMBER}


def test_one_thing_is_looked_for() -> None:
    everything = {"code": CODE, "id_number": "022095999123", "phone": "0900999123"}
    for number in (0, 2, 3):
        for names in combinations(everything, number):
            assert _refused(**{name: everything[name] for name in names}) == [("", "not-one")]
    for name, text in everything.items():
        assert getattr(_asked(**{name: text}), name) == text
    assert _asked(code=f" {CODE.lower()}\u200b").code == CODE


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({"code": "H26"}, ("/code", "malformed")),
        ({"code": f"{CODE}%"}, ("/code", "malformed")),
        ({"code": "H26.33.04-269916-0001"}, ("/code", "malformed")),
        ({"id_number": "12345"}, ("/id_number", "malformed")),
        ({"id_number": "o22095999123"}, ("/id_number", "malformed")),
        ({"phone": "12"}, ("/phone", "malformed")),
        ({"phone": 900999123}, ("/phone", "wrong-type")),
        ({"code": "x" * 65}, ("/code", "too-long")),
        ({"phone": "0900999123", "name": "a"}, ("/name", "unknown-field")),
    ],
)
def test_what_is_no_number_or_code_is_refused_and_named(body: dict[str, object], fault: tuple[str, str]) -> None:
    assert _refused(**body) == [fault]


def test_no_number_stands_in_what_is_refused() -> None:
    with pytest.raises(Refused) as refused:
        _asked(id_number="0220959991234")
    assert "022" not in repr(refused.value.faults)


def test_the_newest_data_are_those_of_the_last_event_that_states_some() -> None:
    filed, corrected = message(dossier_submitted()), message(applicant_corrected())
    assert stating(State()) is None
    assert stating(given(INTAKE, [filed, controls.citizen_verified()]).state) == filed.id
    both = given(INTAKE, [filed, corrected, controls.supplement_requested()]).state
    assert stating(both) == corrected.id
