"""The bank's rules (VNPAY 2.1.0), written a second time here: what we sign it accepts, what it signs we accept."""

import hashlib
import hmac
from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote, quote_plus, unquote_plus, urlencode, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.payment.gateways import BadCallback, BadSignature, Vnpay, dossier_of
from services.payment.rules import OpenPayment, ReportPayment
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


def read(params: dict[str, str]) -> ReportPayment:
    """What the platform makes of these parameters, as a form sends them."""
    return PLATFORM.report(urlencode(params))


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
    assert read(signed()) == report_payment()


@pytest.mark.parametrize(
    ("code", "status", "success"), [("00", "00", True), ("00", "", True), ("00", "02", False), ("24", "00", False)]
)
def test_a_payment_succeeded_only_if_both_answer_and_transaction_say_so(code: str, status: str, success: bool) -> None:
    assert read(signed(vnp_ResponseCode=code, vnp_TransactionStatus=status)).success is success


@given(name=st.sampled_from(sorted(CALLBACK)), data=st.data())
def test_any_parameter_of_a_callback_that_was_changed_or_left_out_breaks_its_signature(
    name: str, data: st.DataObject
) -> None:
    changed = data.draw(st.text(max_size=30).filter(lambda text: text != CALLBACK[name]))
    with pytest.raises(BadSignature):
        read({**signed(), name: changed})
    with pytest.raises(BadSignature):
        read({key: value for key, value in signed().items() if key != name})


def test_a_transaction_status_without_a_value_is_not_signed_and_so_says_nothing() -> None:
    params = {name: value for name, value in CALLBACK.items() if name != "vnp_TransactionStatus"}
    added = {**params, "vnp_SecureHash": bank_hash(params), "vnp_TransactionStatus": ""}
    assert read(added).success


texts = st.text(st.characters(codec="utf-8"), max_size=20)


@given(name=texts, value=texts.filter(bool))
def test_a_parameter_of_the_protocol_that_the_bank_did_not_sign_breaks_the_signature(name: str, value: str) -> None:
    if f"vnp_{name}" in signed() or name.startswith("SecureHash"):
        return
    with pytest.raises(BadSignature):
        read({**signed(), f"vnp_{name}": value})


@given(name=texts.filter(lambda name: not name.startswith("vnp_")), value=texts, first=st.booleans())
def test_what_is_no_parameter_of_the_protocol_is_nobodys_business(name: str, value: str, first: bool) -> None:
    strange, true = urlencode({name: value}), urlencode(signed())
    assert PLATFORM.report(f"{strange}&{true}" if first else f"{true}&{strange}") == report_payment()


@pytest.mark.parametrize(
    "strange",
    ["unit=h02", "unit=h02&unit=h03", "unit", "=", "", "&", "VNP_TxnRef=x", "Vnp_Amount=1", "vnp=1", "%ff=%ff",
     "unit=%C4%90%E1%BB%93ng", "vnp%2DAmount=1", "utm_source=vnp_Amount"],
)  # fmt: skip
def test_an_address_of_ours_may_carry_words_of_its_own(strange: str) -> None:
    assert PLATFORM.report(f"{strange}&{urlencode(signed())}") == report_payment()


@given(name=st.sampled_from(sorted(signed())), data=st.data())
def test_a_parameter_of_the_protocol_that_stands_there_twice_breaks_the_signature(
    name: str, data: st.DataObject
) -> None:
    again = data.draw(st.one_of(st.just(signed()[name]), st.just(""), texts))
    spelled = data.draw(st.sampled_from([name, name.replace("v", "%76"), name.replace("_", "%5F")]))
    more, true = f"{spelled}={quote_plus(again)}", urlencode(signed())
    for query in (f"{more}&{true}", f"{true}&{more}"):
        with pytest.raises(BadSignature):
            PLATFORM.report(query)


@pytest.mark.parametrize("name", ["vnp_txnref", "vnp_TXNREF", "vnp_Securehash", "vnp_TransactionStatus "])
def test_a_parameter_of_the_protocol_in_other_letters_is_another_one_and_not_signed(name: str) -> None:
    with pytest.raises(BadSignature):
        read({**signed(), name: "02"})


@pytest.mark.parametrize("spelled", ["vnp_TransactionStatus", "%76np_TransactionStatus", "vnp%5FTransactionStatus"])
def test_nothing_is_read_that_the_signature_does_not_cover_however_it_is_spelled(spelled: str) -> None:
    params = {name: value for name, value in CALLBACK.items() if name != "vnp_TransactionStatus"}
    query = urlencode({**params, "vnp_SecureHash": bank_hash(params)})
    assert PLATFORM.report(query).success
    with pytest.raises(BadSignature):
        PLATFORM.report(f"{query}&{spelled}=02")


ODD = {**CALLBACK, "vnp_OrderInfo": "Lệ phí (hồ sơ) *1* ~ it's 100%! A+B/C", "vnp_CardType": "ATM"}
JAVASCRIPT, JAVA = "!~*'()", "*"
"""What encodeURIComponent and URLEncoder leave as it is, beside letters, digits and -_."""


@pytest.mark.parametrize("safe", ["", "~", JAVA, JAVASCRIPT])
@pytest.mark.parametrize("space", ["+", "%20"])
def test_a_bank_that_spells_marks_and_spaces_otherwise_signs_what_it_sends(safe: str, space: str) -> None:
    text = "&".join(f"{name}={quote(ODD[name], safe=safe).replace('%20', space)}" for name in sorted(ODD))
    digest = hmac.new(SECRET, text.encode(), hashlib.sha512).hexdigest()
    assert PLATFORM.report(f"unit=h02&{text}&vnp_SecureHash={digest}") == report_payment()


def test_a_proxy_that_spells_spaces_otherwise_changes_nothing() -> None:
    assert PLATFORM.report(urlencode(signed()).replace("+", "%20")) == report_payment()
    assert PLATFORM.report(urlencode(signed()).replace("%20", "+")) == report_payment()


@pytest.mark.parametrize("no", ["", "0"])
def test_an_attempt_that_came_to_no_transaction_has_the_number_0_or_none(no: str) -> None:
    assert read(signed(vnp_TransactionNo=no, vnp_ResponseCode="24")).transaction_no == "0"


def test_a_success_has_a_number() -> None:
    with pytest.raises(BadCallback):
        read(signed(vnp_TransactionNo=""))


@given(at=st.integers(0, 127), letter=st.sampled_from("0123456789abcdef"))
def test_a_signature_with_another_digit_is_none(at: int, letter: str) -> None:
    right = signed()["vnp_SecureHash"]
    wrong = right[:at] + letter + right[at + 1 :]
    if wrong != right:
        with pytest.raises(BadSignature):
            read({**signed(), "vnp_SecureHash": wrong})


@pytest.mark.parametrize("forged", ["", "0" * 128, "không phải chữ ký", "\ud800".encode("utf-8", "replace").decode()])
def test_no_signature_is_no_signature(forged: str) -> None:
    with pytest.raises(BadSignature):
        read({**signed(), "vnp_SecureHash": forged})
    with pytest.raises(BadSignature):
        read(CALLBACK)


def test_a_signature_under_another_secret_is_none() -> None:
    other = Vnpay(b"another secret", PLATFORM.terminal, PLATFORM.pay_url, PLATFORM.return_url)
    with pytest.raises(BadSignature):
        other.report(urlencode(signed()))


def test_a_signature_in_capitals_and_the_name_of_its_kind_change_nothing() -> None:
    query = signed()
    query |= {"vnp_SecureHash": query["vnp_SecureHash"].upper(), "vnp_SecureHashType": "HmacSHA512", "vnp_Empty": ""}
    assert read(query) == report_payment()


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
        read(signed(**changed))


@given(amount=st.integers(0, 10**13))
def test_an_amount_is_read_in_whole_dong_and_a_part_of_a_dong_fits_no_request(amount: int) -> None:
    amount_vnd = read(signed(vnp_Amount=str(amount))).amount_vnd
    assert amount_vnd * 100 == amount
    assert isinstance(amount_vnd, int) == (amount % 100 == 0)


@given(dossier=st.uuids(), number=st.integers(1, 999_999))
def test_a_reference_names_its_dossier(dossier: object, number: int) -> None:
    assert str(dossier_of(f"{str(dossier).replace('-', '')}r{number}")) == str(dossier)


def test_the_page_is_readable_as_the_bank_shows_it() -> None:
    assert f"vnp_OrderInfo=Le phi ho so {CODE}" in unquote_plus(PLATFORM.page(PAGE))
