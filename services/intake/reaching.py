"""Who must be told otherwise: notices that could not be delivered, why, and what an officer can do about it. Pure."""

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any
from uuid import UUID

from services.intake.state import Notice, State
from shared.law.calendar import VIETNAM
from shared.law.ways import WAYS
from shared.wording import Language, Text

NOTICES: Mapping[str, Text] = MappingProxyType(
    {
        "submission": Text("đã nhận được hồ sơ", "application received"),
        "supplement": Text("đề nghị bổ sung", "request for a supplement"),
        "supplement-reminder": Text("nhắc bổ sung, sắp hết hạn", "reminder of the supplement"),
        "supplement-lapsed": Text("đã quá hạn bổ sung", "supplement not received in time"),
        "supplement-received": Text("đã nhận phần bổ sung", "supplement received"),
        "payment-due": Text("đề nghị nộp phí, lệ phí", "fee to be paid"),
        "payment-failed": Text("thanh toán không thành công", "payment attempt failed"),
        "payment-received": Text("đã nhận phí, lệ phí", "payment received"),
        "payment-duplicate": Text("nộp trùng phí, lệ phí", "second payment, to be refunded"),
        "waiver": Text("được miễn phí, lệ phí", "fee waived"),
        "no-fee": Text("không phải nộp phí, lệ phí", "no fee due"),
        "acceptance": Text("đã tiếp nhận, hẹn trả kết quả", "accepted, date of the result"),
        "processing": Text("bắt đầu giải quyết", "work has begun"),
        "refusal": Text("không được tiếp nhận", "not accepted"),
        "result": Text("đã có kết quả", "result ready"),
        "returned": Text("đã trả kết quả", "result handed over"),
    }
)
"""What each notice is called."""

_OTHER = Text("thông báo khác", "another notice")

_OTHERWISE = Text(
    "Báo cho người nộp bằng cách khác (xem `ways`), rồi ghi nhận bằng `tell`.",
    "Tell the applicant in another way (see `ways`), then record it by `tell`.",
)
_ASK = Text(
    "Liên hệ người nộp bằng cách khác (xem `ways`) để báo nội dung và hỏi lại địa chỉ; ghi nhận bằng `tell`. Khi thông "
    "tin được sửa, thư được gửi lại tới địa chỉ mới.",
    "Reach the applicant in another way (see `ways`), say what it says and ask for the right address; record it by "
    "`tell`. Once the data are corrected, the mail goes to the new address.",
)
REASONS: Mapping[str, tuple[Text, Text]] = MappingProxyType(
    {
        "no-address": (Text("Người nộp không khai địa chỉ thư điện tử", "No e-mail address was given"), _OTHERWISE),
        "address": (Text("Không gửi được thư tới địa chỉ đã khai", "No mail can be sent to the stated address"), _ASK),
        "expired": (
            Text("Nhiều ngày liền không gửi được thư tới địa chỉ đã khai", "For days no mail could be delivered"),
            _ASK,
        ),
        "discarded": (Text("Việc gửi thư đã bị dừng lại", "Sending the mail was given up"), _OTHERWISE),
        "key-destroyed": (
            Text("Dữ liệu của người nộp đã bị hủy", "The applicant's data were destroyed"),
            Text(
                "Hệ thống không còn địa chỉ nào; nếu còn cách liên hệ khác, báo rồi ghi nhận bằng `tell`.",
                "The platform holds no address any more; if you know another way, tell them and record it by `tell`.",
            ),
        ),
    }
)
"""Word of a reason → why it could not be delivered, and what to do."""
_REFUSED = (Text("Máy chủ thư không nhận thư gửi tới địa chỉ đã khai", "Mail to the stated address was refused"), _ASK)


def told_of(state: State) -> list[dict[str, Any]]:
    """Every notice of a dossier as a reader of its timeline sees it: by which channel, never to which address."""
    waiting = {notice.about for notice in state.unreached}
    return [_shown(notice, state.intake.language, waiting) for notice in state.notification.notices]


def to_be_told(state: State) -> dict[str, Any]:
    """What an officer needs to tell the applicant of a dossier otherwise."""
    locale, waiting = state.intake.language, state.unreached
    abouts = {notice.about for notice in waiting}
    ways = [way for way in state.intake.ways if way != "email"]
    return {
        "ways": [{"way": way, "label": WAYS[way].name(locale) if way in WAYS else way} for way in ways],
        "notices": [_shown(notice, locale, abouts) for notice in waiting],
    }


def _shown(notice: Notice, locale: Language, waiting: Collection[UUID]) -> dict[str, Any]:
    called = NOTICES.get(notice.notice, _OTHER)
    shown = {
        "notice": notice.notice,
        "label": called.say(locale),
        "about": str(notice.about),
        "channel": notice.channel,
        "outcome": notice.outcome,
        "at": notice.at.astimezone(VIETNAM).isoformat(),
    }
    if notice.outcome != "undeliverable":
        return {**shown, "reason": notice.reason} if notice.reason else shown
    why, to_do = REASONS.get(notice.reason or "", _REFUSED)
    lost = {"reason": notice.reason, "why": why.say(locale), "waiting": notice.about in waiting}
    return {**shown, **lost, "to_do": to_do.say(locale) if lost["waiting"] else None, "text": notice.text}
