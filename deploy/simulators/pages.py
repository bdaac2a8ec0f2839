"""The bank's pages: plain HTML without scripts, in Vietnamese or English, readable by a screen reader."""

from collections.abc import Mapping
from html import escape
from string import Template

from aiohttp import web

TEXTS = {
    "vn": {
        "title": "Thanh toán trực tuyến",
        "amount": "Số tiền",
        "order": "Nội dung",
        "reference": "Mã giao dịch của đơn vị",
        "pay": "Thanh toán",
        "cancel": "Hủy giao dịch",
        "paid": "Giao dịch này đã được thanh toán. Quý khách không bị trừ tiền lần nữa.",
        "refused": "Không thể thực hiện giao dịch",
        "97": "Chữ ký không hợp lệ.",
        "03": "Dữ liệu gửi sang không đúng định dạng.",
        "02": "Mã website không hợp lệ.",
        "11": "Đã hết hạn chờ thanh toán.",
        "code": "Mã lỗi",
    },
    "en": {
        "title": "Online payment",
        "amount": "Amount",
        "order": "For",
        "reference": "Merchant's reference",
        "pay": "Pay",
        "cancel": "Cancel",
        "paid": "This has been paid already. You are not charged again.",
        "refused": "The payment cannot be made",
        "97": "The signature is not valid.",
        "03": "The data are not in the right form.",
        "02": "The merchant is not known.",
        "11": "The time to pay is over.",
        "code": "Code",
    },
}
PAGE = Template(
    '<!DOCTYPE html><html lang="$lang"><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width, initial-scale=1"><title>$title</title>'
    "<style>body{font:1.1rem/1.5 sans-serif;max-width:36rem;margin:2rem auto;padding:0 1rem}"
    "dt{font-weight:bold}button{font:inherit;padding:.6rem 1.2rem;margin-right:1rem}</style></head>"
    "<body><main><h1>$title</h1>$content</main></body></html>"
)
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action *; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def texts(params: Mapping[str, str]) -> Mapping[str, str]:
    """The texts in the language that `vnp_Locale` names: `en`, else Vietnamese."""
    return TEXTS.get(params.get("vnp_Locale", ""), TEXTS["vn"])


def offer(params: Mapping[str, str], action: str, paid: bool) -> web.Response:
    """What is to be paid, with two buttons that post to `action`; or, if it is paid, that it is."""
    say = texts(params)
    facts = (
        (say["amount"], amount(params)),
        (say["order"], params["vnp_OrderInfo"]),
        (say["reference"], params["vnp_TxnRef"]),
    )
    listed = "".join(f"<dt>{name}</dt><dd>{escape(value)}</dd>" for name, value in facts)
    form = (
        f'<form method="post" action="{escape(action)}">'
        f'<button name="action" value="pay">{say["pay"]}</button>'
        f'<button name="action" value="cancel">{say["cancel"]}</button></form>'
    )
    end = f'<p role="status">{say["paid"]}</p>' if paid else form
    return _page(params, say["title"], f"<dl>{listed}</dl>{end}", 200)


def refusal(params: Mapping[str, str], code: str) -> web.Response:
    """Why nothing can be paid here, with the response code."""
    say = texts(params)
    return _page(params, say["refused"], f'<p role="alert">{say[code]}</p><p>{say["code"]}: {code}</p>', 400)


def amount(params: Mapping[str, str]) -> str:
    """`vnp_Amount` (đồng × 100) as people write it: `8.000 đồng`, `8,000 VND`."""
    dong = f"{int(params['vnp_Amount']) // 100:,}"
    return f"{dong} VND" if texts(params) is TEXTS["en"] else f"{dong.replace(',', '.')} đồng"


def _page(params: Mapping[str, str], title: str, content: str, status: int) -> web.Response:
    lang = "en" if texts(params) is TEXTS["en"] else "vi"
    html = PAGE.substitute(lang=lang, title=title, content=content)
    return web.Response(text=html, status=status, content_type="text/html", headers=HEADERS)
