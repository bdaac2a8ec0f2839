"""The bank's rules (VNPAY 2.1.0), written a second time here: what we sign it accepts, what it signs we accept."""

import hashlib
import hmac
from datetime import UTC, datetime
from urllib.parse import parse_qsl, unquote_plus, urlencode, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.payment.gateways import BadCallback, BadSignature, Vnpay, dossier_of
from services.payment.rules import OpenPayment
from tests.controls import AT, CODE, DOSSIER, FEE_VND, REFERENCE, report_payment

SECRET = b"the secret that both sides know"
PLATFORM = Vnpay(SECRET, "DOSSIER1", "http://127.0.0.1:8090/paymentv2/vpcpay.html", "http://127.0.0.1/back?a=1&b=2")
PAGE = OpenPayment(reference=REFERENCE, amount_vnd=FEE_VND, code=CODE, locale="vi", asked_at=AT)

CALLBACK = {
    "vnp_TmnCode": "DOSSIER1",
    "vnp_Amount": str(FEE_VND * 100),
    "vnp_BankCode": "NCB",
    "vnp_OrderInfo": f"Le phi ho so {CODE}",
    "vnp_TransactionNo": "14226112",
    "vnp_ResponseCode": "00",
    "vnp_TransactionStatus": "00",
    "vnp_TxnRef": REFERENCE,
    "vnp_PayDate": "20260916084000",
}
"""The bank reports the payment of the story: 08:40 in Vietnam."""


def bank_hash(params: dict[str, str]) -> str:
    """HMAC-SHA512 over the parameters that have a value, by name, form-encoded (the bank's documentation)."""
    kept = {name: params[name] for name in sorted(params) if params[name] and not name.startswith("vnp_SecureHash")}
    return hmac.new(SECRET, urlencode(kept).encode(), hashlib.sha512).hexdigest()


def signed(**changed: str) -> dict[str, str]:
    """The callback, changed, under the bank's signature."""
    params = {**CALLBACK, **changed}
    return {**params, "vnp_SecureHash": bank_hash(params)}


def _query(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query, keep_blank_values=True, strict_parsing=True))


pages = st.builds(
    OpenPayment,
    reference=st.from_regex(r"[0-9a-f]{32}r[1-9]", fullmatch=True),
    amount_vnd=st.integers(1, 10_000_000_000),
    code=st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=40),
    locale=st.sampled_from(["vi", "en"]),
    asked_at=st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),
)


@given(page=pages)
def test_the_bank_accepts_the_page_that_we_sign_and_reads_what_we_mean(page: OpenPayment) -> None:
    query = _query(PLATFORM.page(page))
    assert hmac.compare_digest(query["vnp_SecureHash"], bank_hash(query))
    assert int(query["vnp_Amount"]) == page.amount_vnd * 100
    assert query["vnp_TxnRef"] == page.reference
    assert query["vnp_OrderInfo"] == f"Le phi ho so {page.code}"
    assert query["vnp_Locale"] == {"vi": "vn", "en": "en"}[page.locale]


def test_the_page_says_when_it_was_asked_for_in_vietnams_time() -> None:
    assert _query(PLATFORM.page(PAGE))["vnp_CreateDate"] == "20260916083000"


def test_the_same_request_has_the_same_page() -> None:
    assert PLATFORM.page(PAGE) == PLATFORM.page(PAGE)


@given(page=pages, data=st.data())
def test_the_bank_notices_any_parameter_of_a_page_that_was_changed_or_left_out(
    page: OpenPayment, data: st.DataObject
) -> None:
    query = _query(PLATFORM.page(page))
    name = data.draw(st.sampled_from(sorted(set(query) - {"vnp_SecureHash"})))
    changed = data.draw(st.text(max_size=30).filter(lambda text: text != query[name]))
    assert bank_hash({**query, name: changed}) != query["vnp_SecureHash"]


def test_the_banks_report_is_read_as_it_was_meant() -> None:
    assert PLATFORM.report(signed()) == report_payment()


@pytest.mark.parametrize(
    ("code", "status", "success"), [("00", "00", True), ("00", "", True), ("00", "02", False), ("24", "00", False)]
)
def test_a_payment_succeeded_only_if_both_answer_and_transaction_say_so(code: str, status: str, success: bool) -> None:
    assert PLATFORM.report(signed(vnp_ResponseCode=code, vnp_TransactionStatus=status)).success is success


@given(name=st.sampled_from(sorted(CALLBACK)), data=st.data())
def test_any_parameter_of_a_callback_that_was_changed_or_left_out_breaks_its_signature(
    name: str, data: st.DataObject
) -> None:
    changed = data.draw(st.text(max_size=30).filter(lambda text: text != CALLBACK[name]))
    with pytest.raises(BadSignature):
        PLATFORM.report({**signed(), name: changed})
    with pytest.raises(BadSignature):
        PLATFORM.report({key: value for key, value in signed().items() if key != name})


def test_a_transaction_status_without_a_value_is_not_signed_and_so_says_nothing() -> None:
    params = {name: value for name, value in CALLBACK.items() if name != "vnp_TransactionStatus"}
    added = {**params, "vnp_SecureHash": bank_hash(params), "vnp_TransactionStatus": ""}
    assert PLATFORM.report(added).success


@given(name=st.text(min_size=1, max_size=20), value=st.text(min_size=1, max_size=20))
def test_a_parameter_that_the_bank_did_not_sign_breaks_the_signature(name: str, value: str) -> None:
    if name in signed() or name.startswith("vnp_SecureHash"):
        return
    with pytest.raises(BadSignature):
        PLATFORM.report({**signed(), name: value})


@given(at=st.integers(0, 127), letter=st.sampled_from("0123456789abcdef"))
def test_a_signature_with_another_digit_is_none(at: int, letter: str) -> None:
    right = signed()["vnp_SecureHash"]
    wrong = right[:at] + letter + right[at + 1 :]
    if wrong != right:
        with pytest.raises(BadSignature):
            PLATFORM.report({**signed(), "vnp_SecureHash": wrong})


@pytest.mark.parametrize("forged", ["", "0" * 128, "không phải chữ ký", "\ud800".encode("utf-8", "replace").decode()])
def test_no_signature_is_no_signature(forged: str) -> None:
    with pytest.raises(BadSignature):
        PLATFORM.report({**signed(), "vnp_SecureHash": forged})
    with pytest.raises(BadSignature):
        PLATFORM.report(CALLBACK)


def test_a_signature_under_another_secret_is_none() -> None:
    other = Vnpay(b"another secret", PLATFORM.terminal, PLATFORM.pay_url, PLATFORM.return_url)
    with pytest.raises(BadSignature):
        other.report(signed())


def test_a_signature_in_capitals_and_the_name_of_its_kind_change_nothing() -> None:
    query = signed()
    query |= {"vnp_SecureHash": query["vnp_SecureHash"].upper(), "vnp_SecureHashType": "HmacSHA512", "vnp_Empty": ""}
    assert PLATFORM.report(query) == report_payment()


@pytest.mark.parametrize(
    "changed",
    [
        {"vnp_TxnRef": ""},
        {"vnp_TxnRef": "r1"},
        {"vnp_TxnRef": f"{DOSSIER}r1"},
        {"vnp_TxnRef": f"{DOSSIER.hex}r0"},
        {"vnp_TxnRef": f"{DOSSIER.hex.upper()}r1"},
        {"vnp_Amount": ""},
        {"vnp_Amount": "-700000"},
        {"vnp_Amount": "700000.0"},
        {"vnp_Amount": "7e5"},
        {"vnp_Amount": "٧٠٠٠٠٠"},
        {"vnp_Amount": "9" * 15},
        {"vnp_TmnCode": "OTHER"},
        {"vnp_TransactionNo": ""},
        {"vnp_TransactionNo": "1 2"},
        {"vnp_BankCode": "x" * 65},
        {"vnp_ResponseCode": ""},
        {"vnp_CurrCode": "VN\n"},
        {"vnp_CurrCode": "đồng"},
        {"vnp_PayDate": "2026091608400"},
        {"vnp_PayDate": "20260931084000"},
        {"vnp_PayDate": "00010101000000"},
        {"vnp_PayDate": "20260916246000"},
    ],
    ids=lambda changed: "&".join(f"{name}={value[:20]}" for name, value in changed.items()),
)
def test_a_signed_callback_that_cannot_be_about_our_payment_is_refused(changed: dict[str, str]) -> None:
    with pytest.raises(BadCallback):
        PLATFORM.report(signed(**changed))


@given(amount=st.integers(0, 10**13))
def test_an_amount_is_read_in_whole_dong_and_a_part_of_a_dong_fits_no_request(amount: int) -> None:
    read = PLATFORM.report(signed(vnp_Amount=str(amount))).amount_vnd
    assert read * 100 == amount
    assert isinstance(read, int) == (amount % 100 == 0)


@given(dossier=st.uuids(), number=st.integers(1, 999_999))
def test_a_reference_names_its_dossier(dossier: object, number: int) -> None:
    assert str(dossier_of(f"{str(dossier).replace('-', '')}r{number}")) == str(dossier)


def test_the_page_is_readable_as_the_bank_shows_it() -> None:
    assert f"vnp_OrderInfo=Le phi ho so {CODE}" in unquote_plus(PLATFORM.page(PAGE))
