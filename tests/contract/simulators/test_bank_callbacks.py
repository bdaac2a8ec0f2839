"""How the bank tells a merchant of payments: once, again, late, out of order and falsely."""

import asyncio

import aiohttp
import pytest

from deploy.simulators.process import Simulators
from tests.contract.simulators.outside import Merchant, pay, payment_url, signature_holds, until, until_true

pytestmark = pytest.mark.asyncio


async def test_paying_owes_one_signed_callback_with_every_field(bank: Simulators, merchant: Merchant) -> None:
    status, paid = await pay(payment_url(bank))
    assert (status, paid["vnp_ResponseCode"], paid["already_paid"]) == (200, "00", False)
    await until(lambda: len(merchant.heard) == 1)
    told = merchant.heard[0]
    assert signature_holds(told)
    assert told["vnp_OrderInfo"] == "Lệ phí hồ sơ <b>A & B</b>"
    assert set(told) == {
        *("vnp_Amount", "vnp_BankCode", "vnp_BankTranNo", "vnp_CardType", "vnp_OrderInfo", "vnp_PayDate"),
        *("vnp_ResponseCode", "vnp_TmnCode", "vnp_TransactionNo", "vnp_TransactionStatus", "vnp_TxnRef"),
        "vnp_SecureHash",
    }


async def test_a_cancelled_or_failed_attempt_is_told_too_and_may_be_followed_by_a_payment(
    bank: Simulators, merchant: Merchant
) -> None:
    url = payment_url(bank)
    assert (await pay(url, action="cancel"))[1]["vnp_ResponseCode"] == "24"
    await until(lambda: merchant.codes() == ["24"])
    assert (await pay(url, vnp_ResponseCode="51"))[1]["vnp_TransactionStatus"] == "02"
    await until(lambda: merchant.codes() == ["24", "51"])
    assert (await pay(url))[1]["already_paid"] is False
    await until(lambda: merchant.codes() == ["24", "51", "00"])
    assert len({told["vnp_TransactionNo"] for told in merchant.heard}) == 3


async def test_a_callback_is_repeated_until_it_is_confirmed(bank: Simulators, merchant: Merchant) -> None:
    merchant.answers = [None, "99", "01", "02"]
    await pay(payment_url(bank))
    await until(lambda: len(bank.history("bank", "ipn")) == 4)
    assert [line["code"] for line in bank.history("bank", "ipn")] == ["", "99", "01", "02"]
    assert (await bank.stats("bank"))["callbacks_owed"] == 0


async def test_a_callback_that_is_refused_ten_times_is_given_up(bank: Simulators, merchant: Merchant) -> None:
    merchant.answers = ["97"] * 20
    await pay(payment_url(bank))

    async def none_owed() -> bool:
        return bool((await bank.stats("bank"))["callbacks_owed"] == 0)

    await until_true(none_owed)
    assert len(merchant.heard) == 10


async def test_a_killed_bank_still_knows_who_paid_and_sends_the_callback_it_owes(
    bank: Simulators, merchant: Merchant
) -> None:
    await bank.control("bank", ipn_hold=True)
    url = payment_url(bank)
    _, paid = await pay(url)
    assert await bank.kill("bank") == -9
    assert merchant.heard == []
    await bank.start("bank")
    await until(lambda: merchant.codes() == ["00"])
    _, again = await pay(url)
    assert (again["already_paid"], again["vnp_TransactionNo"]) == (True, paid["vnp_TransactionNo"])
    _, other = await pay(payment_url(bank, "A2"))
    assert int(other["vnp_TransactionNo"]) == int(paid["vnp_TransactionNo"]) + 1


async def test_a_confirmed_callback_is_not_sent_again_after_a_restart(bank: Simulators, merchant: Merchant) -> None:
    await pay(payment_url(bank))
    await until(lambda: len(bank.history("bank", "ipn")) == 1)
    await bank.restart("bank")
    await pay(payment_url(bank, "A2"))
    await until(lambda: len(bank.history("bank", "ipn")) == 2)
    assert [told["vnp_TxnRef"] for told in merchant.heard] == ["A1", "A2"]


async def test_a_bank_that_is_down_charges_nobody_and_calls_nobody(bank: Simulators, merchant: Merchant) -> None:
    await bank.control("bank", ipn_hold=True)
    await pay(payment_url(bank))
    await bank.control("bank", ipn_hold=False, mode="refuse")
    with pytest.raises(aiohttp.ClientConnectorError):
        await pay(payment_url(bank, "A2"))
    assert merchant.heard == []
    await bank.control("bank", mode="up")
    await until(lambda: [told["vnp_TxnRef"] for told in merchant.heard] == ["A1"])


@pytest.mark.parametrize(
    ("extra", "codes"), [("fail_after_success", ["00", "24"]), ("fail_before_success", ["24", "00"])]
)
async def test_callbacks_come_out_of_order_on_command(
    bank: Simulators, merchant: Merchant, extra: str, codes: list[str]
) -> None:
    await bank.control("bank", ipn_extras=[extra])
    await pay(payment_url(bank))
    await until(lambda: merchant.codes() == codes)
    assert all(signature_holds(told) for told in merchant.heard)


async def test_false_callbacks_come_beside_the_true_one_on_command(bank: Simulators, merchant: Merchant) -> None:
    merchant.answers = ["00", "97", "04", "01"]
    await bank.control("bank", ipn_extras=["wrong_signature", "wrong_amount", "unknown_reference"])
    await pay(payment_url(bank))
    await until(lambda: len(merchant.heard) == 4)
    assert [signature_holds(told) for told in merchant.heard] == [True, False, True, True]
    assert [told["vnp_Amount"] for told in merchant.heard] == ["800000", "800000", "900000", "800000"]
    assert [told["vnp_TxnRef"] for told in merchant.heard] == ["A1", "A1", "A1", "unknown-A1"]


async def test_a_callback_comes_twice_on_command(bank: Simulators, merchant: Merchant) -> None:
    await bank.control("bank", ipn_copies=2)
    await pay(payment_url(bank))
    await until(lambda: len(merchant.heard) == 2)
    assert merchant.heard[0] == merchant.heard[1]


async def test_a_callback_comes_late_on_command(bank: Simulators, merchant: Merchant) -> None:
    await bank.control("bank", ipn_delay_ms=300)
    loop = asyncio.get_running_loop()
    before = loop.time()
    await pay(payment_url(bank))
    await until(lambda: len(merchant.heard) == 1)
    assert loop.time() - before >= 0.3


async def test_any_callback_can_be_sent_by_hand(bank: Simulators, merchant: Merchant) -> None:
    merchant.answers = ["00", "02", "04", "97"]
    await pay(payment_url(bank))
    await until(lambda: len(merchant.heard) == 1)
    assert await bank.send_callback(txn_ref="A1") == ["02"]
    assert await bank.send_callback(txn_ref="A1", params={"vnp_Amount": "1"}) == ["04"]
    assert await bank.send_callback(txn_ref="A1", signature="wrong") == ["97"]
    assert await bank.send_callback(params={"vnp_TxnRef": "B", "vnp_ResponseCode": "00"}, times=2) == ["00", "00"]
    assert [signature_holds(told) for told in merchant.heard] == [True, True, True, False, True, True]
