"""What notices say, in Vietnamese and English. Pure: facts in, subject and text out.

Whoever reads one learns what has happened, what comes next, what is to be done where and until when, and whom to ask.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from textwrap import indent

from services.notification.state import Facts, Owed, Recipient
from shared.law.calendar import VIETNAM, vietnam_date
from shared.law.catalogue import Catalogue
from shared.law.entries import Locale, Named

_SUBJECTS: Mapping[str, Mapping[Locale, str]] = {
    "submission": {"vi": "đã nhận được hồ sơ", "en": "application received"},
    "supplement": {"vi": "đề nghị bổ sung", "en": "please complete it"},
    "payment-due": {"vi": "thông báo nộp phí, lệ phí", "en": "fee to be paid"},
    "payment-received": {"vi": "đã nhận phí, lệ phí", "en": "payment received"},
    "acceptance": {"vi": "đã tiếp nhận, hẹn trả kết quả", "en": "accepted, date of the result"},
    "refusal": {"vi": "không được tiếp nhận", "en": "not accepted"},
    "result": {"vi": "đã có kết quả", "en": "the result is ready"},
}

_BODIES: Mapping[str, Mapping[Locale, str]] = {
    "submission": {
        "vi": """Cơ quan đã nhận được hồ sơ của ông/bà, nộp lúc {submitted_at}.
{missing}
Tiếp theo:
  - Thông tin của ông/bà được đối chiếu với Cơ sở dữ liệu quốc gia về dân cư.
  - Nếu phải nộp phí, lệ phí, ông/bà sẽ nhận được thông báo nộp.
  - Chậm nhất {accept_by}, cơ quan tiếp nhận, đề nghị bổ sung hoặc từ chối hồ sơ. Nếu phải nộp phí, lệ phí, thời hạn \
này được tính lại từ khi ông/bà nộp xong.""",
        "en": """The agency has received your application, filed at {submitted_at}.
{missing}
What comes next:
  - Your data are checked against the national population database.
  - If a fee is due, you will be told how to pay it.
  - By {accept_by} at the latest the agency accepts the application, asks for what is missing, or refuses it. If a fee \
is due, this time begins again once you have paid.""",
    },
    "supplement": {
        "vi": """Hồ sơ của ông/bà chưa thể được tiếp nhận. Đề nghị ông/bà bổ sung, chậm nhất {respond_by}:
{wanted}
{note}
Ông/bà gửi đầy đủ trong một lần, tại nơi đã nộp hồ sơ (cổng hoặc ứng dụng dịch vụ công, hoặc Bộ phận Một cửa của cơ \
quan), và ghi rõ mã hồ sơ.

Sau khi nhận đủ, cơ quan có 8 giờ làm việc để tiếp nhận, đề nghị bổ sung hoặc từ chối hồ sơ. Nếu phải nộp phí, lệ phí, \
thời hạn này được tính lại từ khi ông/bà nộp xong.""",
        "en": """Your application cannot be accepted yet. Please supply, by {respond_by} at the latest:
{wanted}
{note}
Send everything at once, where you filed the application (the public service portal or app, or the agency's service \
counter), and state the dossier code.

When everything has come, the agency has 8 working hours to accept the application, ask for what is missing, or refuse \
it. If a fee is due, this time begins again once you have paid.""",
    },
    "payment-due": {
        "vi": """Để được tiếp nhận, hồ sơ của ông/bà cần nộp phí, lệ phí: {amount}.
Đề nghị ông/bà nộp trực tuyến tại trang thanh toán:
{pay_url}

Khi khoản nộp được ghi nhận, ông/bà sẽ nhận được thông báo; từ lúc đó cơ quan có 8 giờ làm việc để tiếp nhận, đề nghị \
bổ sung hoặc từ chối hồ sơ. Nếu hồ sơ đang chờ ông/bà bổ sung, thời hạn này tính từ khi bổ sung đủ. Hồ sơ chưa được \
tiếp nhận khi chưa nộp phí, lệ phí.""",
        "en": """Before your application can be accepted, a fee is due: {amount}.
Please pay online on this page:
{pay_url}

You will be told when the payment has been recorded; from then the agency has 8 working hours to accept the \
application, ask for what is missing, or refuse it. If something is still awaited from you, this time begins when it \
has come. The application is not accepted before the fee is paid.""",
    },
    "payment-received": {
        "vi": """Đã nhận {amount} phí, lệ phí cho hồ sơ của ông/bà. Ông/bà không phải nộp lại.

Tiếp theo, cơ quan có 8 giờ làm việc kể từ khi ghi nhận khoản nộp để tiếp nhận, đề nghị bổ sung hoặc từ chối hồ sơ. \
Nếu hồ sơ đang chờ ông/bà bổ sung, thời hạn này tính từ khi bổ sung đủ.""",
        "en": """We have received {amount} for your application. You need not pay again.

What comes next: from the time when the payment was recorded the agency has 8 working hours to accept the application, \
ask for what is missing, or refuse it. If something is still awaited from you, this time begins when it has come.""",
    },
    "payment-received-refused": {
        "vi": """Đã nhận {amount} phí, lệ phí cho hồ sơ của ông/bà, là hồ sơ mà cơ quan đã không tiếp nhận. Khoản \
nộp không làm thay đổi việc không tiếp nhận.

Ông/bà không phải nộp thêm. Về việc hoàn trả khoản đã nộp, xin liên hệ cơ quan nêu dưới đây.""",
        "en": """We have received {amount} for your application, which the agency has refused. The payment does not \
change the refusal.

You need not pay anything more. About the return of this payment, please ask the agency named below.""",
    },
    "acceptance": {
        "vi": """Cơ quan đã tiếp nhận hồ sơ của ông/bà.
Hẹn trả kết quả: chậm nhất {due_at}.

Hiện ông/bà không phải làm gì thêm. Khi có kết quả, ông/bà sẽ nhận được thông báo.""",
        "en": """The agency has accepted your application.
The result is due by {due_at}.

There is nothing more for you to do now. You will be told when the result is ready.""",
    },
    "refusal": {
        "vi": """Cơ quan không tiếp nhận hồ sơ của ông/bà.
Lý do: {reason}
{note}
{then} Nếu không đồng ý, ông/bà có quyền khiếu nại theo Luật \
Khiếu nại 02/2011/QH13.""",
        "en": """The agency does not accept your application.
Reason: {reason}
{note}
{then} If you do not agree, you have the right to complain under \
the Law on Complaints (Luật Khiếu nại 02/2011/QH13).""",
    },
    "result": {
        "vi": """Hồ sơ của ông/bà đã có kết quả. Mời ông/bà nhận kết quả theo hình thức đã đăng ký.

Nếu nhận trực tiếp tại Bộ phận Một cửa, ông/bà mang theo giấy tờ tùy thân và cho biết mã hồ sơ.""",
        "en": """The result of your application is ready. You can receive it in the way you chose.

If you come to the agency's service counter, bring an identity paper and state the dossier code.""",
    },
}

_FRAME: Mapping[Locale, str] = {
    "vi": """Kính gửi ông/bà {name},

{body}

Mã hồ sơ: {code}
Thủ tục: {procedure}
Cơ quan tiếp nhận: {agency}

Cần hỏi thêm, ông/bà liên hệ cơ quan nêu trên và cho biết mã hồ sơ. Đây là thư tự động, xin không trả lời thư này.
""",
    "en": """Dear {name},

{body}

Dossier code: {code}
Procedure: {procedure}
Agency: {agency}

If you have a question, please ask the agency above and state the dossier code. This is an automatic message, please \
do not reply to it.
""",
}
_MISSING: Mapping[Locale, str] = {
    "vi": "\nHồ sơ còn thiếu:\n{papers}\n"
    "Đề nghị ông/bà chuẩn bị; thời hạn và nơi gửi sẽ được nêu trong đề nghị bổ sung của cơ quan.\n",
    "en": "\nStill missing:\n{papers}\n"
    "Please prepare what is listed; the agency's request will tell you where to send it and until when.\n",
}
_NOTE: Mapping[Locale, str] = {
    "vi": "\nGhi chú của cán bộ tiếp nhận:\n{note}\n",
    "en": "\nNote of the officer:\n{note}\n",
}
_BASIS: Mapping[Locale, str] = {"vi": "\nCăn cứ: {basis}", "en": "\nLegal basis: {basis}"}
_THEN: Mapping[Locale, str] = {
    "vi": "Khi đã khắc phục lý do nêu trên, ông/bà có thể nộp hồ sơ mới.",
    "en": "You can file a new application once this has been put right.",
}
_PROCEDURE: Mapping[Locale, str] = {"vi": "{name} (mã thủ tục {code})", "en": "{name} (procedure {code})"}
_AGENCY: Mapping[Locale, str] = {"vi": "{name} (mã đơn vị {code})", "en": "{name} (unit {code})"}

_CORRECT: Mapping[Locale, str] = {
    "vi": "Thông tin của người nộp hồ sơ{found}: đề nghị kiểm tra và khai lại",
    "en": "The data of the applicant{found}: please check and state them again",
}
_NOT_FOUND: Mapping[Locale, str] = {
    "vi": " (không tìm thấy số định danh cá nhân đã khai trong Cơ sở dữ liệu quốc gia về dân cư)",
    "en": " (the personal identification number was not found in the national population database)",
}
_DIFFERENT: Mapping[Locale, str] = {
    "vi": " ({fields} khác với Cơ sở dữ liệu quốc gia về dân cư)",
    "en": " (not as in the national population database: {fields})",
}
_FIELDS: Mapping[str, Mapping[Locale, str]] = {
    "full_name": {"vi": "họ và tên", "en": "full name"},
    "date_of_birth": {"vi": "ngày sinh", "en": "date of birth"},
}


def subject(owed: Owed, recipient: Recipient) -> str:
    """The subject: code and what it is about; no personal data, for subjects are shown on locked screens."""
    what = _SUBJECTS[owed.notice][recipient.locale]
    return f"Hồ sơ {recipient.code}: {what}" if recipient.locale == "vi" else f"Dossier {recipient.code}: {what}"


def text(law: Catalogue, owed: Owed, recipient: Recipient, name: str, note: str = "") -> str:
    """The mail's text for somebody called `name`, with what the officer wrote to them; `law` knows what things are
    called. Times in Vietnam's time, amounts in đồng.
    """
    facts, locale = owed.facts, recipient.locale
    papers = _listed(_name(law.papers.get(paper), paper, locale) for paper in facts.papers)
    told = "payment-received-refused" if facts.refused else owed.notice
    body = _BODIES[told][locale].format(
        submitted_at=_when(recipient.submitted_at, locale),
        accept_by=_when(facts.accept_by, locale),
        respond_by=_when(facts.respond_by, locale),
        due_at=_when(facts.due_at, locale),
        amount=_amount(facts.amount_vnd, locale),
        pay_url=facts.pay_url,
        missing=_MISSING[locale].format(papers=papers) if papers else "",
        wanted="\n".join(filter(None, (papers, _correction(facts, locale)))),
        reason=_reason(law, facts.reason, locale),
        then=_then(law, facts.reason, locale),
        note=_NOTE[locale].format(note=indent(note.strip(), "  ")) if note.strip() else "",
    )
    return _FRAME[locale].format(
        name=name, body=body, code=recipient.code, procedure=_procedure(law, recipient), agency=_agency(law, recipient)
    )


def _name(known: Named | None, code: str, locale: Locale) -> str:
    """The code itself, if whoever said it had a newer catalogue than ours: better than no notice."""
    return known.name(locale) if known else code


def _procedure(law: Catalogue, recipient: Recipient) -> str:
    code, on = recipient.procedure, vietnam_date(recipient.submitted_at)
    known = next((version for version in law.procedures.get(code, ()) if version.in_force(on)), None)
    return _PROCEDURE[recipient.locale].format(name=known.name(recipient.locale), code=code) if known else code


def _agency(law: Catalogue, recipient: Recipient) -> str:
    """The agency with its province; names of agencies stay Vietnamese."""
    known = law.agencies.get(recipient.agency)
    if known is None:
        return recipient.agency
    return _AGENCY[recipient.locale].format(name=f"{known.name_vi}, {known.province_vi}", code=known.code)


def _reason(law: Catalogue, code: str | None, locale: Locale) -> str:
    known = law.reasons.get(code or "")
    basis = _BASIS[locale].format(basis=known.basis) if known and known.basis else ""
    return _name(known, code or "", locale) + basis


def _then(law: Catalogue, code: str | None, locale: Locale) -> str:
    """What the applicant can do after a refusal: as the reason has it, else file again."""
    known = law.reasons.get(code or "")
    return (known and known.then(locale)) or _THEN[locale]


def _listed(lines: Iterator[str]) -> str:
    return "\n".join(f"  - {line}" for line in lines)


def _correction(facts: Facts, locale: Locale) -> str:
    """What to set right: which of the data differ by their names, never by what they say."""
    if not facts.correct_applicant:
        return ""
    names = ", ".join(_FIELDS[field][locale] for field in facts.fields if field in _FIELDS)
    found = _NOT_FOUND[locale] if "id_number" in facts.fields else _DIFFERENT[locale].format(fields=names)
    return _listed(iter([_CORRECT[locale].format(found=found if facts.fields else "")]))


def _when(at: datetime | None, locale: Locale) -> str:
    if at is None:
        return ""
    there = at.astimezone(VIETNAM)
    if locale == "vi":
        return there.strftime("%H:%M ngày %d/%m/%Y")
    return f"{there:%H:%M} on {there.day} {there:%B %Y}"


def _amount(vnd: int | None, locale: Locale) -> str:
    if vnd is None:
        return ""
    return f"{vnd:,}".replace(",", ".") + " đồng" if locale == "vi" else f"{vnd:,} VND"
