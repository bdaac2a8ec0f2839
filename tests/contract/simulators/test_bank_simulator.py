"""The bank, met by a raw citizen, a raw merchant and a browser that reads its pages."""

import asyncio
import html
import re
from urllib.parse import parse_qsl, urlsplit

import aiohttp
import pytest

from deploy.simulators.process import Simulators
from tests.contract.simulators.outside import (
    SECRET,
    Merchant,
    pay,
    payment_url,
    signature_holds,
    until,
    vnpay_hash,
)

pytestmark = pytest.mark.asyncio


async def page(url: str, accept: str = "text/html") -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(url, headers={"Accept": accept}) as answer:
        return answer.status, await answer.text()


async def test_the_page_shows_in_vietnamese_what_is_to_be_paid_and_two_buttons(bank: Simulators) -> None:
    status, text = await page(payment_url(bank))
    assert status == 200
    assert '<html lang="vi">' in text
    assert "8.000 đồng" in text
    assert "Lệ phí hồ sơ &lt;b&gt;A &amp; B&lt;/b&gt;" in text
    assert re.findall(r'<button name="action" value="(\w+)">', text) == ["pay", "cancel"]


async def test_the_page_speaks_english_to_who_asks_for_it(bank: Simulators) -> None:
    _, text = await page(payment_url(bank, vnp_Locale="en"))
    assert '<html lang="en">' in text
    assert "8,000 VND" in text


async def test_the_form_of_the_page_pays_and_sends_the_citizen_back_with_signed_facts(
    bank: Simulators, merchant: Merchant
) -> None:
    url = payment_url(bank)
    _, text = await page(url)
    found = re.search(r'action="([^"]+)"', text)
    assert found is not None
    action = bank.bank_url + html.unescape(found[1])
    async with (
        aiohttp.ClientSession() as session,
        session.post(action, data={"action": "pay"}, allow_redirects=False) as answer,
    ):
        assert answer.status == 303
        back = urlsplit(answer.headers["Location"])
    assert f"{back.scheme}://{back.netloc}{back.path}" == "http://127.0.0.1:9/back"
    facts = dict(parse_qsl(back.query))
    assert (facts["vnp_ResponseCode"], facts["vnp_Amount"], signature_holds(facts)) == ("00", "800000", True)
    await until(lambda: merchant.codes() == ["00"])


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"secret": "guessed"}, "97"),
        ({"vnp_Amount": "800050"}, "03"),
        ({"vnp_Amount": "0"}, "03"),
        ({"vnp_Amount": "-800000"}, "03"),
        ({"vnp_CreateDate": "20261302081500"}, "03"),
        ({"vnp_Version": "2.0.0"}, "03"),
        ({"vnp_CurrCode": "USD"}, "03"),
        ({"vnp_OrderInfo": ""}, "03"),
        ({"vnp_TmnCode": "ANOTHER1"}, "02"),
        ({"vnp_ExpireDate": "20200101000000"}, "11"),
    ],
)
async def test_an_address_that_is_not_right_is_refused_with_its_code_and_charges_nobody(
    shared_bank: Simulators, changes: dict[str, str], code: str
) -> None:
    url = payment_url(shared_bank, **changes)
    status, text = await page(url)
    assert (status, f": {code}</p>" in text) == (400, True)
    assert await pay(url) == (400, {"vnp_ResponseCode": code, "message": (await pay(url))[1]["message"]})
    assert (await shared_bank.stats("bank"))["orders"] == 0


async def test_an_address_altered_after_signing_is_refused(bank: Simulators) -> None:
    status, answer = await pay(payment_url(bank).replace("vnp_Amount=800000", "vnp_Amount=100000"))
    assert (status, answer["vnp_ResponseCode"]) == (400, "97")


async def test_a_reference_is_charged_once_however_often_and_how_fast_it_is_paid(
    bank: Simulators, merchant: Merchant
) -> None:
    url = payment_url(bank)
    answers = [answer for _, answer in await asyncio.gather(*(pay(url) for _ in range(20)))]
    assert [answer["already_paid"] for answer in answers].count(False) == 1
    assert len({answer["vnp_TransactionNo"] for answer in answers}) == 1
    status, text = await page(url)
    assert (status, "đã được thanh toán" in text, "<form" in text) == (200, True, False)
    await until(lambda: len(merchant.heard) == 1)
    assert (await bank.stats("bank"))["paid"] == 1


async def test_a_bank_that_loses_its_answer_has_charged_all_the_same(bank: Simulators, merchant: Merchant) -> None:
    await bank.control("bank", mode="error", when="after")
    async with aiohttp.ClientSession() as session, session.post(payment_url(bank)) as answer:
        assert answer.status == 500
    await bank.control("bank", mode="up", when="before")
    assert (await pay(payment_url(bank)))[1]["already_paid"] is True
    await until(lambda: merchant.codes() == ["00"])


QUERY = ("RequestId", "Version", "Command", "TmnCode", "TxnRef", "TransactionDate", "CreateDate", "IpAddr", "OrderInfo")
ANSWER = (
    *("ResponseId", "Command", "ResponseCode", "Message", "TmnCode", "TxnRef", "Amount", "BankCode", "PayDate"),
    *("TransactionNo", "TransactionType", "TransactionStatus", "OrderInfo", "PromotionCode", "PromotionAmount"),
)


async def querydr(bank: Simulators, request_id: str, secret: str = SECRET, **changes: str) -> dict[str, str]:
    """Asks as a merchant does. The answer has `signed` added: whether its signature holds."""
    values = (request_id, "2.1.0", "querydr", "DOSSIER1", "A1", "20260302081500", "20260302091500", "127.0.0.1", "Hỏi")
    asked = {f"vnp_{name}": value for name, value in zip(QUERY, values, strict=True)} | changes
    asked["vnp_SecureHash"] = vnpay_hash("|".join(asked[f"vnp_{name}"] for name in QUERY), secret)
    async with aiohttp.ClientSession() as session, session.post(bank.bank_api, json=asked) as response:
        answer: dict[str, str] = await response.json()
    signed = vnpay_hash("|".join(answer.get(f"vnp_{name}", "") for name in ANSWER))
    return {**answer, "signed": str(signed == answer["vnp_SecureHash"])}


async def test_querydr_tells_what_became_of_a_reference(bank: Simulators) -> None:
    url = payment_url(bank)
    await page(url)
    opened = await querydr(bank, "q1")
    assert (opened["vnp_ResponseCode"], opened["vnp_TransactionStatus"], opened["signed"]) == ("00", "01", "True")
    _, paid = await pay(url)
    answer = await querydr(bank, "q2")
    assert (answer["vnp_TransactionStatus"], answer["vnp_Amount"], answer["signed"]) == ("00", "800000", "True")
    assert answer["vnp_TransactionNo"] == paid["vnp_TransactionNo"]


async def test_querydr_refuses_with_the_code_of_the_fault(bank: Simulators) -> None:
    assert (await querydr(bank, "q1"))["vnp_ResponseCode"] == "91"
    assert (await querydr(bank, "q1"))["vnp_ResponseCode"] == "94"
    assert (await querydr(bank, "q2", secret="guessed"))["vnp_ResponseCode"] == "97"
    assert (await querydr(bank, "q3", vnp_Command="refund"))["vnp_ResponseCode"] == "03"
    assert (await querydr(bank, "q4", vnp_TmnCode="ANOTHER1"))["vnp_ResponseCode"] == "02"
    await pay(payment_url(bank))
    assert (await querydr(bank, "q5", vnp_TransactionDate="20260302081501"))["vnp_ResponseCode"] == "91"


async def test_a_wrong_bank_signs_its_answers_with_another_secret(bank: Simulators) -> None:
    await pay(payment_url(bank))
    await bank.control("bank", mode="wrong")
    assert (await querydr(bank, "q1"))["signed"] == "False"
