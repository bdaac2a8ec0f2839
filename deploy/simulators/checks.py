"""What the bank checks before it shows or answers anything, and the answer to `querydr`."""

import re
import uuid
from collections.abc import Mapping
from datetime import datetime

from deploy.simulators import vnpay
from deploy.simulators.ledger import PAID, Ledger

FORMS = {
    "vnp_Version": r"2\.1\.0",
    "vnp_Command": r"pay",
    "vnp_TmnCode": r"[A-Za-z0-9]{8}",
    "vnp_Amount": r"[1-9][0-9]{0,9}00",
    "vnp_CurrCode": r"VND",
    "vnp_TxnRef": r"[A-Za-z0-9_-]{1,100}",
    "vnp_OrderInfo": r".{1,255}",
    "vnp_ReturnUrl": r"https?://.{1,245}",
    "vnp_CreateDate": r"[0-9]{14}",
    "vnp_IpAddr": r"[0-9A-Fa-f.:]{7,45}",
    "vnp_Locale": r"vn|en",
}
"""The parameters of a payment page that must be there, and their form. Amounts are đồng × 100."""


def fault_of(params: Mapping[str, str], tmn_code: str, secret: bytes, now: datetime) -> str:
    """The response code for the address of a payment page: 00 good, 97 signature, 03 form, 02 merchant, 11 expired."""
    if not vnpay.is_signed(vnpay.signed_text(params), params.get(vnpay.HASH, ""), secret):
        return "97"
    if any(re.fullmatch(form, params.get(name, "")) is None for name, form in FORMS.items()):
        return "03"
    if params["vnp_TmnCode"] != tmn_code:
        return "02"
    try:
        vnpay.read_bank_time(params["vnp_CreateDate"])
        expires = params.get("vnp_ExpireDate")
        return "11" if expires and vnpay.read_bank_time(expires) <= now else PAID
    except ValueError:
        return "03"


def bad_code(code: object) -> bool:
    """Whether `code` is not a response code, which is two digits."""
    return not isinstance(code, str) or re.fullmatch(r"[0-9]{2}", code) is None


def querydr_answer(asked: Mapping[str, str], tmn_code: str, secret: bytes, ledger: Ledger) -> dict[str, str]:
    """The answer to `querydr`, not signed yet: 00 known, 91 unknown, 94 asked before, 97, 03 or 02 as for a page."""
    code = _code_of_query(asked, tmn_code, secret, ledger)
    answer = {
        "vnp_ResponseId": uuid.uuid4().hex,
        "vnp_Command": "querydr",
        "vnp_ResponseCode": code,
        "vnp_Message": "QueryDR Success" if code == PAID else "QueryDR refused",
        "vnp_TmnCode": tmn_code,
        "vnp_TxnRef": asked.get("vnp_TxnRef", ""),
    }
    return {**answer, **_facts(asked["vnp_TxnRef"], ledger)} if code == PAID else answer


def _code_of_query(asked: Mapping[str, str], tmn_code: str, secret: bytes, ledger: Ledger) -> str:
    text = vnpay.piped(vnpay.QUERY_FIELDS, asked)
    if not vnpay.is_signed(text, asked.get(vnpay.HASH, ""), secret):
        return "97"
    named = {"vnp_Version": vnpay.VERSION, "vnp_Command": "querydr"}
    if any(asked.get(name) != value for name, value in named.items()) or not asked.get("vnp_RequestId"):
        return "03"
    if asked.get("vnp_TmnCode") != tmn_code:
        return "02"
    if not ledger.ask(asked["vnp_RequestId"]):
        return "94"
    order = ledger.orders.get(asked.get("vnp_TxnRef", ""))
    return PAID if order and order.params["vnp_CreateDate"] == asked.get("vnp_TransactionDate") else "91"


def _facts(reference: str, ledger: Ledger) -> dict[str, str]:
    order = ledger.orders[reference]
    return {
        "vnp_Amount": order.params["vnp_Amount"],
        "vnp_OrderInfo": order.params["vnp_OrderInfo"],
        "vnp_BankCode": order.result.get("vnp_BankCode", ""),
        "vnp_PayDate": order.result.get("vnp_PayDate", ""),
        "vnp_TransactionNo": order.result.get("vnp_TransactionNo", "0"),
        "vnp_TransactionType": "01",
        "vnp_TransactionStatus": order.status,
        "vnp_PromotionCode": "",
        "vnp_PromotionAmount": "",
    }
