"""The signatures of the VNPAY 2.1.0 payment protocol, as its bank computes and checks them.

Two forms, both HMAC-SHA512 in hexadecimal: over the sorted, form-encoded query of a payment page or callback, and
over a fixed list of fields joined with `|` for the merchant API.
"""

import hmac
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from urllib.parse import quote_plus

VERSION = "2.1.0"
HASH = "vnp_SecureHash"
NOT_SIGNED = (HASH, "vnp_SecureHashType")
BANK_TIME = timezone(timedelta(hours=7))
"""All dates of the protocol are GMT+7, written yyyyMMddHHmmss."""

QUERY_FIELDS = (
    "vnp_RequestId",
    "vnp_Version",
    "vnp_Command",
    "vnp_TmnCode",
    "vnp_TxnRef",
    "vnp_TransactionDate",
    "vnp_CreateDate",
    "vnp_IpAddr",
    "vnp_OrderInfo",
)
"""What a `querydr` request signs, in this order."""

QUERY_ANSWER_FIELDS = (
    "vnp_ResponseId",
    "vnp_Command",
    "vnp_ResponseCode",
    "vnp_Message",
    "vnp_TmnCode",
    "vnp_TxnRef",
    "vnp_Amount",
    "vnp_BankCode",
    "vnp_PayDate",
    "vnp_TransactionNo",
    "vnp_TransactionType",
    "vnp_TransactionStatus",
    "vnp_OrderInfo",
    "vnp_PromotionCode",
    "vnp_PromotionAmount",
)
"""What the answer to `querydr` signs, in this order."""


def signed_text(params: Mapping[str, str]) -> str:
    """The text that a query's signature covers: no hash, no empty value, sorted by name, spaces as `+`."""
    kept = sorted((name, value) for name, value in params.items() if value and name not in NOT_SIGNED)
    return "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in kept)


def sign(text: str, secret: bytes) -> str:
    """HMAC-SHA512 of `text` in UTF-8, 128 lower-case hexadecimal digits."""
    return hmac.digest(secret, text.encode(), "sha512").hex()


def signed_query(params: Mapping[str, str], secret: bytes) -> str:
    """The query string of `params` with its signature appended, ready to stand behind `?`."""
    text = signed_text(params)
    return f"{text}&{HASH}={sign(text, secret)}"


def piped(fields: Iterable[str], params: Mapping[str, str]) -> str:
    """The text that the merchant API signs: the values of `fields` joined with `|`, an absent one empty."""
    return "|".join(params.get(name, "") for name in fields)


def is_signed(text: str, given: str, secret: bytes) -> bool:
    """Whether `given` is the signature of `text`; compared in constant time, upper or lower case."""
    return hmac.compare_digest(sign(text, secret).encode(), given.lower().encode())


def bank_time(moment: datetime) -> str:
    """`moment` (aware) as yyyyMMddHHmmss in GMT+7."""
    return moment.astimezone(BANK_TIME).strftime("%Y%m%d%H%M%S")


def read_bank_time(text: str) -> datetime:
    """The moment, in UTC, of a yyyyMMddHHmmss text of GMT+7. Raises ValueError for any other text."""
    if len(text) != 14 or not text.isascii() or not text.isdigit():
        raise ValueError("not yyyyMMddHHmmss")
    return datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=BANK_TIME).astimezone(UTC)
