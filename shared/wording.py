"""What is said about one fault, in Vietnamese and English: a table by kind.

A kind is the word that clients read as `errors[].code`; where one word needs several texts, the rest stands behind a
dot (`malformed.date`). Texts name limits, fields of our own, what the catalogue or an officer has said, and the place
and name of one character that cannot stand there; never a value of the request that they are about.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

Language = Literal["vi", "en"]


class Text(NamedTuple):
    """The same in both languages; `{0}`, `{1}` … stand for what the place that tells it puts in."""

    vi: str
    en: str

    def say(self, language: Language, told: tuple[str, ...] = ()) -> str:
        """The sentence in one language."""
        return (self.vi if language == "vi" else self.en).format(*told)


def told_in(locale: str) -> Language:
    """The language in which we tell somebody who reads `locale` (a word of events): English where they read that,
    Vietnamese to everybody else, also to whom a later release could tell it in their own.
    """
    return "en" if locale == "en" else "vi"


def language_of(accepted: str) -> Language:
    """The language of an answer by Accept-Language (RFC 9110, 12.5.4): English only where it is wanted more."""
    wanted: dict[str, float] = {}
    for part in accepted.lower().split(","):
        tag, _, rest = part.partition(";")
        primary = tag.strip().partition("-")[0]
        wanted[primary] = max(wanted.get(primary, 0.0), _weight(rest))
    anything = wanted.get("*", 0.0)
    return "en" if wanted.get("en", anything) > wanted.get("vi", anything) else "vi"


def _weight(parameters: str) -> float:
    name, _, value = parameters.replace(" ", "").partition("=")
    if name != "q":
        return 1.0
    try:
        weight = float(value)
    except ValueError:
        return 0.0
    return weight if 0.0 <= weight <= 1.0 else 0.0


FAULTS: Mapping[str, Text] = MappingProxyType(
    {
        # of the request
        "idempotency-key": Text(
            "cần tiêu đề Idempotency-Key gồm 1 đến {0} ký tự ASCII nhìn thấy được",
            "an Idempotency-Key of 1 to {0} visible ASCII characters is required",
        ),
        "malformed.cursor": Text("không phải con trỏ của danh sách này", "not a cursor of this list"),
        "out-of-range.limit": Text("phải là số từ 1 đến {0}", "a number from 1 to {0}"),
        # of JSON
        "not-json": Text("không phải JSON bằng UTF-8, hoặc lồng nhau quá sâu", "not JSON in UTF-8, or nested too deep"),
        "not-one": Text(
            "nêu đúng một trong các trường: code, id_number, phone", "exactly one of code, id_number, phone is needed"
        ),
        "too-deep": Text("lồng nhau sâu quá {0} tầng", "nested deeper than {0}"),
        "too-long.line": Text("dài quá {0} byte", "longer than {0} bytes"),
        "control-character": Text(
            "không được có ký tự điều khiển: ký tự thứ {0} là {1}",
            "control characters are not allowed: character {0} is {1}",
        ),
        "control-character.field": Text(
            "tên trường không được có ký tự điều khiển: {0}", "control characters are not allowed in names: {0}"
        ),
        "control-character.name": Text(
            "không được có ký tự điều khiển hoặc ký tự vô hình: ký tự thứ {0} là {1}",
            "control and invisible characters are not allowed: character {0} is {1}",
        ),
        "duplicate-field": Text("trường được nêu nhiều hơn một lần", "the field is named more than once"),
        # of form
        "header-twice": Text("tiêu đề {0} chỉ được gửi một lần", "the field {0} may be sent once only"),
        "header-missing": Text("thiếu tiêu đề {0}", "the field {0} is missing"),
        "unknown-field.key": Text(
            "khóa được gửi trong tiêu đề Idempotency-Key", "the key is sent in the field Idempotency-Key of the head"
        ),
        "missing": Text("thiếu trường bắt buộc", "this field is required"),
        "unknown-field": Text("không có trường này", "there is no such field"),
        "wrong-type": Text("giá trị sai kiểu", "a value of another type is expected"),
        "malformed": Text("không đúng dạng quy định", "not in the required form"),
        "malformed.character": Text("ở đây không được có ký tự thứ {0}: {1}", "character {0} is not allowed here: {1}"),
        "malformed.phone": Text(
            "số điện thoại có 10 hoặc 11 chữ số bắt đầu bằng 0, hoặc dấu + với mã nước và tất cả 8 đến 15 chữ số",
            "a telephone number has 10 or 11 digits beginning with 0, or + and 8 to 15 digits with the country code",
        ),
        "malformed.identity": Text("số định danh có 12 chữ số", "an identity number has 12 digits"),
        "malformed.email": Text("phần trước @ có nhiều nhất 64 ký tự", "the part before @ has at most 64 characters"),
        "malformed.encoded": Text("địa chỉ không được chứa “=?”", "an address does not contain “=?”"),
        "malformed.date": Text(
            "ngày sinh có dạng YYYY-MM-DD; nếu chỉ biết tháng hoặc năm thì YYYY-MM hoặc YYYY",
            "a birth date has the form YYYY-MM-DD; YYYY-MM or YYYY where only month or year are known",
        ),
        "malformed.time": Text(
            "thời điểm có dạng YYYY-MM-DDThh:mm:ss+hh:mm, hoặc Z cho giờ UTC",
            "a time has the form YYYY-MM-DDThh:mm:ss+hh:mm, or Z for UTC",
        ),
        "no-time-zone": Text("thời điểm phải có múi giờ", "a time has a time zone"),
        "no-such-day": Text("không có ngày, tháng hoặc năm này", "there is no such day, month or year"),
        "no-such-time": Text("không có thời điểm này", "there is no such time"),
        "too-long": Text("nhiều nhất {0} ký tự", "at most {0} characters"),
        "too-short": Text("ít nhất {0} ký tự", "at least {0} characters"),
        "too-many": Text("nhiều nhất {0} mục", "at most {0} items"),
        "unknown-value": Text("phải là một trong: {0}", "one of: {0}"),
        "out-of-range.least": Text("ít nhất là {0}", "at least {0}"),
        "out-of-range.most": Text("nhiều nhất là {0}", "at most {0}"),
        "out-of-range.birth": Text("ngày sinh không trước năm 1900", "a birth date is not before 1900"),
        "out-of-range.year": Text("năm phải từ 2000 đến 2098", "the year is not between 2000 and 2098"),
        "no-name": Text("họ tên có ít nhất một chữ cái", "a name has at least one letter"),
        "too-long.name": Text("họ tên có nhiều nhất 100 ký tự", "a name has at most 100 characters"),
        "no-address": Text("địa chỉ có ít nhất một chữ cái", "an address has at least one letter"),
        "too-long.address": Text("địa chỉ có nhiều nhất 300 ký tự", "an address has at most 300 characters"),
        "duplicate-paper": Text("một giấy tờ được kê nhiều hơn một lần", "a paper is listed more than once"),
        # of content
        "unknown-group": Text("danh mục không có nhóm đối tượng này", "the catalogue has no such group"),
        "unknown-procedure": Text("danh mục không có thủ tục này", "the catalogue has no such procedure"),
        "procedure-not-in-force": Text(
            "thủ tục không có hiệu lực vào ngày nộp", "the procedure is not in force on the day of submission"
        ),
        "unknown-case": Text("thủ tục không có trường hợp này", "the procedure has no such case"),
        "channel-not-offered": Text(
            "thủ tục không nhận qua kênh này", "the procedure cannot be filed through this channel"
        ),
        "pages-required": Text(
            "lệ phí tính theo trang: cần số trang",
            "the procedure costs by the page: the number of pages is required",
        ),
        "unknown-paper": Text("phải là một trong các giấy tờ: {0}", "one of the papers: {0}"),
        "unknown-reason": Text("phải là một trong các lý do: {0}", "one of the reasons: {0}"),
        "unknown-agency": Text("danh mục không có cơ quan này", "the catalogue has no such agency"),
        "agency-not-in-force": Text("cơ quan đã kết thúc hoạt động từ ngày {0}", "the agency ended on {0}"),
        "agency-not-in-force.succeeded": Text(
            "cơ quan đã kết thúc hoạt động từ ngày {0}; nộp hồ sơ tại: {1}", "the agency ended on {0}; file with: {1}"
        ),
        "agency-not-in-force.yet": Text(
            "vào ngày nộp, cơ quan chưa hoạt động: hoạt động từ ngày {0}",
            "the agency does not exist yet on the day of submission: it does from {0}",
        ),
        "in-the-future": Text("ngày sinh không ở tương lai", "a birth date is not in the future"),
        "in-the-future.receipt": Text(
            "hồ sơ không được nhận ở tương lai", "an application is not received in the future"
        ),
        "no-way-to-reach": Text(
            "cần ít nhất một cách liên hệ với người nộp: {0}", "at least one way to reach the applicant is needed: {0}"
        ),
        "identity-form": Text("số định danh có 12 chữ số", "an identity number has 12 digits"),
        "identity-century": Text("chữ số thứ tư không khớp ngày sinh", "the fourth digit does not fit the birth date"),
        "identity-year": Text(
            "chữ số thứ năm và thứ sáu không khớp ngày sinh",
            "the fifth and sixth digits do not fit the birth date",
        ),
        "only-synthetic": Text(
            "chỉ dùng cho hồ sơ tự kiểm tra của hệ thống", "only for the platform's own synthetic dossiers"
        ),
        # of steps
        "another-unit": Text(
            "cán bộ chỉ nhận hồ sơ của đơn vị mình", "an officer takes in applications of the own unit only"
        ),
        "not-yours": Text("chỉ hệ thống chuyển hồ sơ được nêu thời điểm nhận", "only an importer states the receipt"),
        "missing.paper": Text("còn thiếu giấy tờ: {0}", "missing: {0}"),
        "missing.answer": Text("vẫn còn thiếu giấy tờ: {0}", "still missing: {0}"),
        "missing.applicant": Text("phải gửi lại dữ liệu của người nộp", "the applicant's data must be sent again"),
        "not-verified": Text("danh tính chưa được tra cứu", "identity is not looked up yet"),
        "not-verified.newest": Text("dữ liệu mới nhất chưa được tra cứu", "the newest data are not looked up yet"),
        "not-verified.mismatched": Text(
            "dữ liệu không khớp cơ sở dữ liệu dân cư", "the data are not those of the population register"
        ),
        "not-verified.not_found": Text(
            "cơ sở dữ liệu dân cư không có số định danh này", "the population register has no such number"
        ),
        "not-verified.delayed": Text(
            "cơ sở dữ liệu dân cư chưa trả lời", "the population register has not answered yet"
        ),
        "not-verified.other": Text("dữ liệu chưa được xác nhận là khớp", "the data are not confirmed to match"),
        "not-verified.abandoned": Text(
            "dữ liệu đã bị hủy, không tra cứu được", "the data were destroyed and cannot be looked up"
        ),
        "not-settled": Text("lệ phí chưa được xác định hoặc chưa nộp", "the fee is not assessed yet or not paid yet"),
        "not-waiting": Text("không phải thông báo đang chờ báo lại", "not a notice that waits to be told otherwise"),
        "illegal-step": Text("hồ sơ đang ở trạng thái “{0}”", "the dossier is in the status “{0}”"),
    }
)
"""Kind → what is said."""
