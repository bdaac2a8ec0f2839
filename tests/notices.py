"""Every notice as the citizen reads it, in both languages: the cases of the golden files in `tests/data/notices`.

`python -m tests.notices` writes them all anew; read the difference as a citizen would before keeping it.
"""

from collections.abc import Mapping
from pathlib import Path

from services.notification.rules import SendMail, now
from services.notification.state import Owed
from services.notification.texts import subject, text
from shared.events.base import Event
from shared.events.intake import DossierSubmitted, SupplementLapsed, SupplementReminderDue
from shared.law.entries import Locale
from tests.controls import (
    MESSAGE,
    REQUESTED,
    dossier_accepted,
    dossier_refused,
    dossier_submitted,
    duplicate_payment_found,
    favour,
    fee_assessed,
    fee_paid,
    fee_reduced,
    fee_waived,
    message,
    notice_sent,
    paper,
    payment_failed,
    payment_requested,
    processing_started,
    recipient,
    result_issued,
    result_returned,
    supplement_lapsed,
    supplement_received,
    supplement_reminder_due,
    supplement_requested,
)
from tests.deciders import LAW, NOTIFICATION
from tests.given import given

FOLDER = Path(__file__).parent / "data" / "notices"
LOCALES: tuple[Locale, ...] = ("vi", "en")
NAME = "Nguyễn Thị Mẫu"
NOTE = "Đề nghị nộp hợp đồng thuê nhà.\nBản chụp phải rõ cả hai mặt."
ELSEWHERE = "Ông/bà nộp hồ sơ tại xã nơi tạm trú."


def owed(event: Event, *before: Event) -> Owed:
    """The notice that `event` owes, of a dossier of which this was said before."""
    told = () if isinstance(event, DossierSubmitted) else (dossier_submitted(),)
    found = now(given(NOTIFICATION, [*told, *before]).when(event).state, SendMail(about=MESSAGE, applicant_version=1))
    assert isinstance(found, tuple)
    return found[0]


def _of_a_request(event: SupplementReminderDue | SupplementLapsed) -> Owed:
    """What a deadline owes where the request is known, and its notice is out."""
    asked = message(supplement_requested("residence-papers", "photo"), message_id=REQUESTED)
    mail = notice_sent(notice="supplement", about=REQUESTED)
    known = given(NOTIFICATION, [dossier_submitted(), asked, mail])
    found = now(known.when(event).state, SendMail(about=MESSAGE, applicant_version=1))
    assert isinstance(found, tuple)
    return found[0]


CASES: Mapping[str, tuple[Owed, str]] = {
    "submission": (owed(dossier_submitted()), ""),
    "submission-papers-missing": (owed(dossier_submitted(papers=(paper(),), missing_papers=("residence-papers",))), ""),
    "supplement-papers": (owed(supplement_requested("application-form", "residence-papers")), NOTE),
    "supplement-data": (owed(supplement_requested(papers=(), correct_applicant=True)), ""),
    "supplement-data-differ": (
        owed(supplement_requested(correct_applicant=True, fields=("full_name", "date_of_birth"))), NOTE
    ),
    "supplement-not-found": (owed(supplement_requested(papers=(), correct_applicant=True, fields=("id_number",))), ""),
    "supplement-reminder": (_of_a_request(supplement_reminder_due()), ""),
    "supplement-lapsed": (_of_a_request(supplement_lapsed()), ""),
    "supplement-received": (owed(supplement_received()), ""),
    "supplement-received-data": (owed(supplement_received(papers=())), ""),
    "payment-due": (owed(payment_requested()), ""),
    "payment-due-reduced": (owed(payment_requested(amount_vnd=3_500), fee_reduced()), ""),
    **{
        f"payment-due-claim-{why}": (owed(payment_requested(), fee_assessed(claim_unmet=why)), "")
        for why in ("not-listed", "not-in-force", "other-conditions", "not-less")
    },
    "payment-failed": (owed(payment_failed(), payment_requested()), ""),
    "payment-received-after-failures": (owed(fee_paid(), payment_requested(), payment_failed(), payment_failed()), ""),
    "payment-duplicate": (owed(duplicate_payment_found(), payment_requested(), fee_paid()), ""),
    "waiver": (owed(fee_waived(), fee_assessed(kind="waiver", total_vnd=0, favour=favour())), ""),
    "no-fee": (owed(fee_assessed(kind="none", lines=(), total_vnd=0, claim_unmet="no-fee")), ""),
    "payment-received": (owed(fee_paid(amount_vnd=1_234_567)), ""),
    "payment-received-refused": (owed(fee_paid(), dossier_refused()), ""),
    "acceptance": (owed(dossier_accepted()), ""),
    "processing": (owed(processing_started(), dossier_accepted()), ""),
    "processing-due-as-told": (owed(processing_started()), ""),
    "refusal": (owed(dossier_refused()), ELSEWHERE),
    "refusal-without-basis": (owed(dossier_refused(reason="identity-unknown")), ""),
    "result": (owed(result_issued()), ""),
    **{
        f"returned-{handover}": (owed(result_returned(handover=handover)), "")
        for handover in ("counter", "online", "postal")
    },
}  # fmt: skip
"""Name → the notice that is owed, and what the officer wrote."""


def written(name: str, locale: Locale) -> str:
    """Subject and text of a case."""
    one, note = CASES[name]
    to = recipient(locale=locale)
    return f"{subject(one, to)}\n\n{text(LAW, one, to, NAME, note)}"


def file_of(name: str, locale: Locale) -> Path:
    """Where the golden file of a case lies."""
    return FOLDER / f"{name}.{locale}.txt"


def main() -> None:
    """Write every golden file."""
    FOLDER.mkdir(exist_ok=True)
    for name in CASES:
        for locale in LOCALES:
            file_of(name, locale).write_text(written(name, locale), encoding="utf-8")


if __name__ == "__main__":
    main()
