"""The payment platform: signing a payment page and checking a callback, by VNPAY 2.1.0's HMAC-SHA512 rules.

Of the parameters whose name begins with `vnp_`, and of no others: drop the hash and empty values, sort by name,
form-encode (space as +), HMAC-SHA512 over that text. Amounts on the wire are đồng × 100, dates GMT+7 yyyyMMddHHmmss.
"""

import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Protocol
from urllib.parse import quote_plus, unquote_plus
from uuid import UUID

from services.payment.rules import OpenPayment, ReportPayment
from shared.law.calendar import VIETNAM

OURS = "vnp_"
"""How the names of the protocol's parameters begin, in these letters; all else in a query is somebody else's."""
HASH = "vnp_SecureHash"
_UNSIGNED = (HASH, "vnp_SecureHashType")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_FORMS: Mapping[str, tuple[str, re.Pattern[str]]] = MappingProxyType(
    {
        "vnp_TxnRef": ("", re.compile(r"[0-9a-f]{32}r[1-9][0-9]{0,5}")),
        "vnp_Amount": ("", re.compile(r"[0-9]{1,14}")),
        "vnp_CurrCode": ("VND", re.compile(r"[A-Za-z]{3}")),
        "vnp_ResponseCode": ("", _WORD),
        "vnp_TransactionNo": ("", _WORD),
        "vnp_BankCode": ("", _WORD),
        "vnp_PayDate": ("", re.compile(r"([0-9]{14})?")),
    }
)
"""What a callback says: what stands for it where the bank leaves it out, and its form."""
NO_NUMBER = "0"
"""What stands for the transaction number of an attempt that came to no transaction, such as a cancelled one."""


class BadSignature(Exception):
    """The callback is not signed by the bank."""


class BadCallback(Exception):
    """Signed, but not a callback that can be about one of our payments: which parameter is not in its form, and the
    reference, if that is.
    """

    def __init__(self, parameter: str, reference: str | None) -> None:
        super().__init__(parameter)
        self.parameter = parameter
        self.reference = reference


class PaymentPlatform(Protocol):
    """The port."""

    def page(self, payment: OpenPayment) -> str: ...

    def report(self, query: str) -> ReportPayment: ...


@dataclass(frozen=True, slots=True)
class Vnpay:
    """VNPAY's side of the contract: `secret` is shared, `terminal` is our vnp_TmnCode, `return_url` only for
    display.
    """

    secret: bytes
    terminal: str
    pay_url: str
    return_url: str

    def page(self, payment: OpenPayment) -> str:
        """The signed address of the page on which this amount is paid; the same for the same request."""
        params = {
            "vnp_Version": "2.1.0",
            "vnp_Command": "pay",
            "vnp_TmnCode": self.terminal,
            "vnp_Amount": str(payment.amount_vnd * 100),
            "vnp_CurrCode": "VND",
            "vnp_TxnRef": payment.reference,
            "vnp_OrderInfo": f"Le phi ho so {payment.code}",
            "vnp_OrderType": "other",
            "vnp_Locale": "en" if payment.locale == "en" else "vn",
            "vnp_ReturnUrl": self.return_url,
            "vnp_IpAddr": "127.0.0.1",
            "vnp_CreateDate": payment.asked_at.astimezone(VIETNAM).strftime("%Y%m%d%H%M%S"),
        }
        text = _signed_text(params)
        return f"{self.pay_url}?{text}&{HASH}={self._hash(text)}"

    def report(self, query: str) -> ReportPayment:
        """What a callback says; `query` is what stands behind the `?`, as it came. Raises BadSignature, and BadCallback
        if it cannot be about a payment of ours.
        """
        told = self._signed(query)
        said = {name: told.get(name) or default for name, (default, _) in _FORMS.items()}
        success = said["vnp_ResponseCode"] == "00" and (told.get("vnp_TransactionStatus") or "00") == "00"
        if not success:
            said["vnp_TransactionNo"] = said["vnp_TransactionNo"] or NO_NUMBER
        if wrong := self._wrong(told, said):
            raise BadCallback(wrong[0], None if "vnp_TxnRef" in wrong else said["vnp_TxnRef"])
        hundredths = int(said["vnp_Amount"])
        return ReportPayment(
            reference=said["vnp_TxnRef"],
            amount_vnd=Decimal(hundredths) / 100 if hundredths % 100 else hundredths // 100,
            currency=said["vnp_CurrCode"],
            success=success,
            response_code=said["vnp_ResponseCode"],
            transaction_no=said["vnp_TransactionNo"],
            bank=said["vnp_BankCode"],
            paid_at=_paid_at(said["vnp_PayDate"]),
        )

    def _signed(self, query: str) -> Mapping[str, str]:
        """The bank's parameters. One that stands there twice says nothing certain, whichever of them was signed."""
        sent = _pairs(query)
        told = {unquote_plus(name): unquote_plus(value) for name, value in sent}
        given = told.get(HASH, "").lower().encode()
        texts = (_signed_text(told), _text_as_it_came(sent))
        same = [hmac.compare_digest(self._hash(text).encode(), given) for text in texts]
        if len(told) != len(sent) or not any(same):
            raise BadSignature
        return told

    def _wrong(self, told: Mapping[str, str], said: Mapping[str, str]) -> Sequence[str]:
        """Names of the parameters that are not in their form."""
        wrong = [name for name, (_, form) in _FORMS.items() if not form.fullmatch(said[name])]
        wrong += ["vnp_PayDate"] if said["vnp_PayDate"] and _paid_at(said["vnp_PayDate"]) is None else []
        return wrong + (["vnp_TmnCode"] if told.get("vnp_TmnCode") != self.terminal else [])

    def _hash(self, text: str) -> str:
        return hmac.digest(self.secret, text.encode(), "sha512").hex()


def dossier_of(reference: str) -> UUID:
    """The dossier that a reference names."""
    return UUID(reference.partition("r")[0])


def _pairs(query: str) -> Sequence[tuple[str, str]]:
    """The protocol's own parameters, encoded as they came; whose they are is told by what their names decode to."""
    parts = [part.partition("=") for part in query.split("&")]
    return [(name, value) for name, _, value in parts if unquote_plus(name).startswith(OURS)]


def _signed_text(params: Mapping[str, str]) -> str:
    kept = sorted((name, value) for name, value in params.items() if value and name not in _UNSIGNED)
    return "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in kept)


def _text_as_it_came(sent: Sequence[tuple[str, str]]) -> str:
    """The same text in the sender's own encoding: which marks are spelled %XX is not the same in every language, and
    what the bank has signed is what it has sent.
    """
    kept = sorted((name, value) for name, value in sent if value and unquote_plus(name) not in _UNSIGNED)
    return "&".join(f"{name}={value}" for name, value in kept)


def _paid_at(text: str) -> datetime | None:
    """When it was paid, None if there is no such time."""
    try:
        return datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=VIETNAM).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
