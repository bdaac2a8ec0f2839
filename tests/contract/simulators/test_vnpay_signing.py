"""The signatures of the payment protocol against values computed with OpenSSL, and by the definition of HMAC."""

import hmac
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.simulators import vnpay
from tests.contract.simulators.outside import vnpay_hash

SECRET = b"a secret of the test"
PARAMS = {
    "vnp_Version": "2.1.0",
    "vnp_TxnRef": "a-1_B",
    "vnp_TmnCode": "DOSSIER1",
    "vnp_ReturnUrl": "http://127.0.0.1/back?a=1",
    "vnp_OrderInfo": "Lệ phí hồ sơ H49: bản sao & trích lục",
    "vnp_Locale": "vn",
    "vnp_IpAddr": "127.0.0.1",
    "vnp_CurrCode": "VND",
    "vnp_CreateDate": "20260302081500",
    "vnp_Command": "pay",
    "vnp_Amount": "1000000",
    "vnp_BankCode": "",
    "vnp_SecureHashType": "HmacSHA512",
    "vnp_SecureHash": "not signed",
}
BY_OPENSSL = (
    "b158c11a4994721c276671e69627273ab9850e60bbf3e570707156e1f676ad48"
    "68c1365c2f16b35b442617d36333de4086a60b5afbe2876c158b1a4382da2722"
)
QUERY_BY_OPENSSL = (
    "5606ade5fcde066e7344febbf63586e79fef35094f465f023bf5bb46962fcd2a"
    "12b30abc2f1c536395d6dbf139503dd93586f9546b3f5258c17ba7cddf84ef3a"
)


def test_a_query_is_signed_sorted_encoded_and_without_empty_values() -> None:
    assert vnpay.sign(vnpay.signed_text(PARAMS), SECRET) == BY_OPENSSL
    assert vnpay.signed_query(PARAMS, SECRET).endswith(f"&vnp_SecureHash={BY_OPENSSL}")


def test_a_request_of_the_merchant_api_is_signed_in_its_own_order() -> None:
    values = ("r1", "2.1.0", "querydr", "DOSSIER1", "a-1_B", "20260302081500", "20260302091500", "127.0.0.1", "Hỏi")
    asked = dict(zip(vnpay.QUERY_FIELDS, values, strict=True))
    assert vnpay.sign(vnpay.piped(vnpay.QUERY_FIELDS, asked), SECRET) == QUERY_BY_OPENSSL


@given(st.text(alphabet=st.characters(codec="utf-8")), st.text("abc123 ", min_size=1, max_size=128))
def test_any_text_is_signed_as_the_definition_of_hmac_says(text: str, secret: str) -> None:
    assert vnpay.sign(text, secret.encode()) == vnpay_hash(text, secret)


def test_a_signature_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []
    real = hmac.compare_digest

    def spy(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return real(one, other)

    monkeypatch.setattr(hmac, "compare_digest", spy)
    assert vnpay.is_signed("a", vnpay_hash("a", "k").upper(), b"k")
    assert not vnpay.is_signed("a", "", b"k")
    assert not vnpay.is_signed("a", "không phải", b"k")
    assert len(compared) == 3


def test_dates_are_written_in_the_time_of_the_bank() -> None:
    moment = datetime(2026, 3, 1, 17, 30, 5, tzinfo=UTC)
    assert vnpay.bank_time(moment) == "20260302003005"
    assert vnpay.read_bank_time("20260302003005") == moment
    for bad in ("2026030200300", "20261302003005", "2026030200300x", "2026-03-02T00:"):
        with pytest.raises(ValueError):
            vnpay.read_bank_time(bad)
