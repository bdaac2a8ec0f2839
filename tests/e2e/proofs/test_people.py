"""People as they are: born abroad, or in a year without a day, with a name that the register spells otherwise, without
an e-mail address or a telephone. Each files once and is found.
"""

import json
import uuid
from typing import Any

import pytest

from deploy.waiting import until
from tests.e2e.proofs.play import SOON_S, Play
from tests.e2e.proofs.test_timeline import APPLICATION, CITIZEN, OFFICER

pytestmark = pytest.mark.asyncio(loop_scope="session")

CONTACT = {"phone": "0900999171", "email": "mau.9171@example.com", "locale": "vi"}
HELD = {"id_number": "022055999171", "full_name": "Trần Quý Hòa", "date_of_birth": "1955-03-17", "gender": "male"}

PEOPLE: dict[str, tuple[dict[str, Any], dict[str, Any], str, list[str]]] = {
    "born abroad": ({"id_number": "108055999171"}, {}, "verified", []),
    "a year against a day": ({"id_number": "022055999172"}, {"date_of_birth": "1955"}, "verified", []),
    "a day against a year": ({"id_number": "022055999173", "date_of_birth": "1955"}, {"date_of_birth": "1955-07-30"},
                             "verified", []),
    "a month against a year": ({"id_number": "022055999174", "date_of_birth": "1955"}, {"date_of_birth": "1955-07"},
                               "verified", []),
    "a month against another": ({"id_number": "022055999175", "date_of_birth": "1955-03"}, {"date_of_birth": "1955-07"},
                                "mismatched", ["date_of_birth"]),
    "the new place of tone marks": ({"id_number": "022055999176"}, {"full_name": "TRẦN QÚY HOÀ"}, "verified", []),
    "another tone": ({"id_number": "022055999177"}, {"full_name": "Trần Quý Hoá"}, "mismatched", ["full_name"]),
    "look-alikes": ({"id_number": "022055999178", "full_name": "Ksor H'Đan Y-Bhin"},
                    {"full_name": "Ksor\u00a0H’Ðan Y‑Bhin\u200b"}, "verified", []),
    "digits in groups": ({"id_number": "022055999179"}, {"id_number": "022 055 999 179", "phone": "+84 900-999-171"},
                         "verified", []),
}  # fmt: skip


async def _identity(play: Play, client: str, dossier: str) -> dict[str, Any]:
    """What the timeline says of the identity, once the register has answered."""
    headers = {"authorization": f"Bearer {play.stack.clients()[client].token}"}
    url = f"{play.stack.of('intake')[0].url}/v1/dossiers/{dossier}"
    told: dict[str, Any] = {}

    async def answered() -> bool:
        nonlocal told
        async with play.http.get(url, headers=headers) as answer:
            told = (await answer.json())["identity"]
        return told["outcome"] is not None

    await until(answered, seconds=SOON_S, what="the register's answer")
    return told


@pytest.mark.parametrize("case", PEOPLE.values(), ids=PEOPLE.keys())
async def test_a_person_is_found_as_the_register_and_they_themselves_have_it(
    case: tuple[dict[str, Any], dict[str, Any], str, list[str]], play: Play
) -> None:
    held, stated, outcome, fields = case
    person = {**HELD, **held}
    await play.stack.outside.enter_person(person)
    del person["gender"]
    application = {**APPLICATION, "applicant": {**person, **CONTACT, **stated}}

    filed = await play.desk().post(CITIZEN, "/v1/dossiers", str(uuid.uuid4()), application)
    told = await _identity(play, CITIZEN, filed["dossier_id"])

    assert (told["outcome"], told["mismatched_fields"]) == (outcome, fields)


@pytest.mark.parametrize("contact", [{}, {"email": None, "phone": None}, {"phone": "0900 999 180"}])
async def test_at_the_counter_somebody_without_an_e_mail_address_is_taken_in_and_found(
    contact: dict[str, Any], play: Play
) -> None:
    person = {**HELD, "id_number": "022055999180"}
    await play.stack.outside.enter_person(person)
    del person["gender"]
    application = {**APPLICATION, "channel": "direct", "applicant": {**person, "locale": "vi", **contact}}

    filed = await play.desk().post(OFFICER, "/v1/dossiers", str(uuid.uuid4()), application)
    told = await _identity(play, OFFICER, filed["dossier_id"])

    assert told["outcome"] == "verified"


async def test_a_body_that_begins_with_a_byte_order_mark_is_read(play: Play) -> None:
    person = {**HELD, "id_number": "022055999181"}
    await play.stack.outside.enter_person(person)
    del person["gender"]
    body = json.dumps({**APPLICATION, "applicant": {**person, **CONTACT}}).encode()
    headers = {
        "authorization": f"Bearer {play.stack.clients()[CITIZEN].token}",
        "content-type": "application/json",
        "idempotency-key": str(uuid.uuid4()),
    }
    url = f"{play.stack.of('intake')[0].url}/v1/dossiers"

    async with play.http.post(url, data=b"\xef\xbb\xbf" + body, headers=headers) as answer:
        assert answer.status == 201
        filed = await answer.json()

    assert (await _identity(play, CITIZEN, filed["dossier_id"]))["outcome"] == "verified"
