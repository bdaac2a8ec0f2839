"""The phrases that notices are put together from, in Vietnamese and English, and the frame around each."""

from collections.abc import Mapping

from shared.law.entries import Locale

FRAME: Mapping[Locale, str] = {
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
SPOKEN: Mapping[Locale, str] = {
    "vi": "{body}\n\nMã hồ sơ: {code}\nThủ tục: {procedure}{note}\n",
    "en": "{body}\n\nDossier code: {code}\nProcedure: {procedure}{note}\n",
}
NOTE_APART: Mapping[Locale, str] = {
    "vi": "\nCán bộ có ghi chú cho người nộp trong yêu cầu này: báo kèm ghi chú đó.",
    "en": "\nThe officer wrote a note to the applicant with this: tell it too.",
}
MISSING: Mapping[Locale, str] = {
    "vi": "\nHồ sơ còn thiếu:\n{papers}\n"
    "Đề nghị ông/bà chuẩn bị; thời hạn và nơi gửi sẽ được nêu trong đề nghị bổ sung của cơ quan.\n",
    "en": "\nStill missing:\n{papers}\n"
    "Please prepare what is listed; the agency's request will tell you where to send it and until when.\n",
}
NOTE: Mapping[Locale, str] = {
    "vi": "\nGhi chú của cán bộ tiếp nhận:\n{note}\n",
    "en": "\nNote of the officer:\n{note}\n",
}
BASIS: Mapping[Locale, str] = {"vi": "\nCăn cứ: {basis}", "en": "\nLegal basis: {basis}"}
THEN: Mapping[Locale, str] = {
    "vi": "Khi đã khắc phục lý do nêu trên, ông/bà có thể nộp hồ sơ mới.",
    "en": "You can file a new application once this has been put right.",
}
PROCEDURE: Mapping[Locale, str] = {"vi": "{name} (mã thủ tục {code})", "en": "{name} (procedure {code})"}
AGENCY: Mapping[Locale, str] = {"vi": "{name} (mã đơn vị {code})", "en": "{name} (unit {code})"}
NOW: Mapping[Locale, str] = {"vi": "; nay là: {units}", "en": "; now: {units}"}

CORRECT: Mapping[Locale, str] = {
    "vi": "Thông tin của người nộp hồ sơ{found}: đề nghị kiểm tra và khai lại",
    "en": "The data of the applicant{found}: please check and state them again",
}
NOT_FOUND: Mapping[Locale, str] = {
    "vi": " (không tìm thấy số định danh cá nhân đã khai trong Cơ sở dữ liệu quốc gia về dân cư)",
    "en": " (the personal identification number was not found in the national population database)",
}
DIFFERENT: Mapping[Locale, str] = {
    "vi": " ({fields} khác với Cơ sở dữ liệu quốc gia về dân cư)",
    "en": " (not as in the national population database: {fields})",
}
FIELDS: Mapping[str, Mapping[Locale, str]] = {
    "full_name": {"vi": "họ và tên", "en": "full name"},
    "date_of_birth": {"vi": "ngày sinh", "en": "date of birth"},
}
OTHER_DATA: Mapping[Locale, str] = {"vi": "một số thông tin", "en": "other data"}
"""Of fields that a later release names."""
CAME: Mapping[Locale, str] = {"vi": "\nĐã nhận:\n{papers}\n", "en": "\nReceived:\n{papers}\n"}
FAILED: Mapping[Locale, str] = {
    "vi": "\nTrước đó có {failed} lần thanh toán không thành công; những lần đó không được tính. Nếu tài khoản của "
    "ông/bà đã bị trừ tiền cho những lần đó, xin hỏi ngân hàng của ông/bà.\n",
    "en": "\nBefore that, attempts to pay failed: {failed}. They do not count. If your account was charged for one of "
    "them, please ask your bank.\n",
}
REDUCED: Mapping[Locale, str] = {
    "vi": "Khoản này đã được giảm theo đề nghị của ông/bà.\nCăn cứ: {basis}\n\n",
    "en": "This amount has been reduced as you claimed.\nLegal basis: {basis}\n\n",
}
UNMET: Mapping[Locale, str] = {
    "vi": "Đề nghị miễn, giảm phí, lệ phí của ông/bà không áp dụng được cho hồ sơ này{why}. Nếu ông/bà cho rằng như "
    "vậy là chưa đúng, xin hỏi cơ quan nêu dưới đây trước khi nộp.\n\n",
    "en": "Your claim to a waiver or reduction does not apply to this application{why}. If you think that this is "
    "wrong, please ask the agency named below before you pay.\n\n",
}
WHY_UNMET: Mapping[str, Mapping[Locale, str]] = {
    "no-fee": {"vi": "hồ sơ không phải nộp phí, lệ phí", "en": "no fee is due"},
    "not-listed": {
        "vi": "thủ tục này không có quy định miễn, giảm cho đối tượng mà ông/bà đã nêu",
        "en": "this procedure has no waiver or reduction for the group that you named",
    },
    "not-in-force": {
        "vi": "quy định miễn, giảm cho đối tượng mà ông/bà đã nêu không có hiệu lực vào ngày nộp hồ sơ",
        "en": "the waiver or reduction for the group that you named was not in force on the day of filing",
    },
    "other-conditions": {
        "vi": "quy định miễn, giảm cho đối tượng mà ông/bà đã nêu chỉ dành cho trường hợp, hình thức nộp hoặc địa "
        "phương khác",
        "en": "the waiver or reduction for the group that you named is only for another case, way of filing or "
        "province",
    },
    "not-less": {
        "vi": "mức đã giảm cho đối tượng mà ông/bà đã nêu không thấp hơn mức thông thường",
        "en": "the reduced fee for the group that you named is not lower than the ordinary one",
    },
}
DUE: Mapping[Locale, str] = {"vi": "chậm nhất {due_at}", "en": "by {due_at}"}
DUE_AS_TOLD: Mapping[Locale, str] = {
    "vi": "như đã báo cho ông/bà khi tiếp nhận hồ sơ",
    "en": "as you were told when the application was accepted",
}
HANDOVER: Mapping[str, Mapping[Locale, str]] = {
    "counter": {"vi": " tại Bộ phận Một cửa", "en": " at the agency's service counter"},
    "online": {"vi": " trực tuyến", "en": " online"},
    "postal": {"vi": " qua dịch vụ bưu chính", "en": " by post"},
}
