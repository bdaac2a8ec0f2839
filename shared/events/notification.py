"""What notification says: which notices have gone out. Only services/notification may publish these."""

from typing import Annotated, Literal

from pydantic import StringConstraints

from shared.events.base import ApplicantVersion, Event, EventId, UnknownWord, Word

NoticeKind = Literal[
    "submission", "supplement", "supplement-reminder", "supplement-lapsed", "supplement-received", "payment-due",
    "payment-failed", "payment-received", "payment-duplicate", "waiver", "no-fee", "acceptance", "processing",
    "refusal", "result", "returned",
]  # fmt: skip


class NoticeSent(Event):
    """The mail server has taken the notice (SMTP 250)."""

    TYPE = "vn.gov.dossier.notice-sent.v1"
    VERSION = "1.3.0"
    notice: NoticeKind | UnknownWord
    about: EventId
    channel: Literal["email"] | UnknownWord
    locale: Literal["vi", "en"] | UnknownWord
    message_id: str


class NoticeUndeliverable(Event):
    """The notice cannot reach the citizen by this channel, and why. `text` is what it says, with neither the name nor
    what an officer wrote, for whoever tells the citizen otherwise. `applicant_version` is by which of their data: once
    these are corrected it is tried again.
    """

    TYPE = "vn.gov.dossier.notice-undeliverable.v1"
    VERSION = "1.3.0"
    notice: NoticeKind | UnknownWord
    about: EventId
    channel: Literal["email"] | UnknownWord
    reason: Word
    text: Annotated[str, StringConstraints(max_length=20_000)] | None = None
    applicant_version: ApplicantVersion | None = None


class NoticeDelayed(Event):
    """The recipient's mailbox or domain does not take the notice for now; it is tried again, for days. Said once for
    each state of the applicant's data.
    """

    TYPE = "vn.gov.dossier.notice-delayed.v1"
    VERSION = "1.2.0"
    notice: NoticeKind | UnknownWord
    about: EventId
    channel: Literal["email"] | UnknownWord
    reason: Word
    applicant_version: ApplicantVersion


class NoticeCancelled(Event):
    """The notice was owed, and is not said any more: what it asks for is settled, refused or replaced, or an officer
    has told the citizen otherwise.
    """

    TYPE = "vn.gov.dossier.notice-cancelled.v1"
    VERSION = "1.2.0"
    notice: NoticeKind | UnknownWord
    about: EventId
    reason: Literal["settled", "refused", "replaced", "told"] | UnknownWord
