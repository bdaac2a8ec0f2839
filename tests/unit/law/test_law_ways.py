"""At the counter and by post nobody needs an e-mail address or a telephone, but everybody can be reached somehow."""

from itertools import product
from typing import Any

import pytest

from shared.law.application import Applicant, Application
from shared.law.entries import Channel
from shared.law.faults import act_faults, examine
from shared.law.loader import shipped_catalogue
from shared.law.ways import FIELDS, REQUIRED, WAYS, ways
from tests.unit.law.test_law_application import TODAY, body, found

CATALOGUE = shipped_catalogue()
GIVEN = {"email": "mau@example.com", "phone": "0900012345", "postal_address": "Thôn 3, xã Tân Yên, tỉnh Bắc Ninh"}
ABSENT = object()


def filed(channel: Channel, **contact: Any) -> dict[str, Any]:
    """An application through `channel`; of `contact`, what is ABSENT is left out."""
    person = {name: value for name, value in body()["applicant"].items() if name not in FIELDS}
    person |= {name: value for name, value in contact.items() if value is not ABSENT}
    return body(channel=channel, applicant=person)


def outcome(channel: Channel, **contact: Any) -> list[tuple[str, str]]:
    told = examine(filed(channel, **contact), CATALOGUE, TODAY)
    return [] if isinstance(told, Application) else found(told)


CASES = [dict(zip(FIELDS, given, strict=True)) for given in product((True, False), repeat=len(FIELDS))]


@pytest.mark.parametrize("nothing", [None, ABSENT], ids=["null", "absent"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: "+".join(name for name, there in case.items() if there))
def test_at_the_counter_every_contact_may_be_missing_and_by_post_one_is_enough(
    case: dict[str, bool], nothing: object
) -> None:
    contact = {field: GIVEN[field] if there else nothing for field, there in case.items()}

    assert outcome("direct", **contact) == []
    assert outcome("postal", **contact) == ([] if any(case.values()) else [("/applicant", "no-way-to-reach")])
    lacking = [(f"/applicant/{field}", "missing") for field in ("email", "phone") if not case[field]]
    assert outcome("online", **contact) == lacking


def test_nobody_who_can_be_reached_in_no_way_is_taken_in() -> None:
    for channel, case in product(REQUIRED, CASES):
        given = {field for field, there in case.items() if there}
        told = outcome(channel, **{field: GIVEN[field] for field in given})  # type: ignore[arg-type]
        assert told or ways(channel, given), (channel, case)


def test_the_way_to_try_first_stands_first_and_the_counter_is_a_way_for_who_filed_there() -> None:
    assert ways("direct", FIELDS) == ("email", "phone", "post", "counter") == tuple(WAYS)
    assert ways("direct", ()) == ("counter",)
    assert ways("postal", ("postal_address",)) == ("post",)
    assert ways("online", ("email", "phone")) == ("email", "phone")


def test_a_contact_in_the_wrong_form_has_that_fault_alone() -> None:
    assert outcome("postal", phone="12") == [("/applicant/phone", "malformed")]
    assert outcome("online", phone="12", email="a@example.com") == [("/applicant/phone", "malformed")]


def test_a_way_that_is_missing_is_told_together_with_every_other_fault() -> None:
    said = filed("online", phone="0900012345")
    said["copies"], said["applicant"]["id_number"] = 0, "001299123456"
    assert found(examine(said, CATALOGUE, TODAY)) == [
        ("/applicant/email", "missing"), ("/applicant/id_number", "identity-century"), ("/copies", "out-of-range"),
    ]  # fmt: skip


def test_a_correction_leaves_a_way_of_the_channel_of_its_dossier() -> None:
    said = {"applicant": {**filed("direct")["applicant"]}}
    assert act_faults(CATALOGUE, "direct", TODAY, said, None) == ()
    assert found(act_faults(CATALOGUE, "postal", TODAY, said, None)) == [("/applicant", "no-way-to-reach")]
    assert found(act_faults(CATALOGUE, "online", TODAY, said, None)) == [
        ("/applicant/email", "missing"), ("/applicant/phone", "missing"),
    ]  # fmt: skip


@pytest.mark.parametrize("nonsense", [None, [], "text", {"applicant": None}, {"applicant": ["x"]}])
def test_where_there_is_no_applicant_no_way_is_looked_for(nonsense: Any) -> None:
    assert act_faults(CATALOGUE, "postal", TODAY, nonsense, None) == ()


@pytest.mark.parametrize(
    ("address", "code"),
    [("", "no-address"), ("  ", "no-address"), ("123", "no-address"), ("a" * 301, "too-long"), (7, "wrong-type")],
)
def test_a_postal_address_has_a_letter_and_a_length(address: Any, code: str) -> None:
    assert outcome("direct", postal_address=address) == [("/applicant/postal_address", code)]


def test_a_postal_address_is_kept_on_one_line() -> None:
    person = filed("postal", postal_address="  Số 7,  ngõ 12 \u00a0phố Huế ")["applicant"]
    assert Applicant.model_validate(person).postal_address == "Số 7, ngõ 12 phố Huế"
