"""Every notice as the citizen reads it, in both languages: the cases of the golden files in `tests/data/notices`.

`python -m tests.notices` writes them all anew; read the difference as a citizen would before keeping it.
"""

from collections.abc import Mapping
from pathlib import Path

from services.notification.state import Owed, owed_by
from services.notification.texts import subject, text
from shared.events.base import Event
from shared.law.entries import Locale
from tests.controls import (
    dossier_accepted,
    dossier_refused,
    dossier_submitted,
    fee_paid,
    message,
    paper,
    payment_requested,
    recipient,
    result_issued,
    supplement_requested,
)
from tests.deciders import LAW

FOLDER = Path(__file__).parent / "data" / "notices"
LOCALES: tuple[Locale, ...] = ("vi", "en")
NAME = "Nguyễn Thị Mẫu"
NOTE = "Đề nghị nộp hợp đồng thuê nhà.\nBản chụp phải rõ cả hai mặt."
ELSEWHERE = "Ông/bà nộp hồ sơ tại xã nơi tạm trú."


def owed(event: Event, *, refused: bool = False) -> Owed:
    """The notice that `event` owes; `refused`: of a dossier that was refused before."""
    found = owed_by(message(event), refused=refused)
    assert found is not None
    return found


CASES: Mapping[str, tuple[Owed, str]] = {
    "submission": (owed(dossier_submitted()), ""),
    "submission-papers-missing": (owed(dossier_submitted(papers=(paper(),), missing_papers=("residence-papers",))), ""),
    "supplement-papers": (owed(supplement_requested("application-form", "residence-papers")), NOTE),
    "supplement-data": (owed(supplement_requested(papers=(), correct_applicant=True)), ""),
    "supplement-data-differ": (
        owed(supplement_requested(correct_applicant=True, fields=("full_name", "date_of_birth"))), NOTE
    ),
    "supplement-not-found": (owed(supplement_requested(papers=(), correct_applicant=True, fields=("id_number",))), ""),
    "payment-due": (owed(payment_requested()), ""),
    "payment-received": (owed(fee_paid(amount_vnd=1_234_567)), ""),
    "payment-received-refused": (owed(fee_paid(), refused=True), ""),
    "acceptance": (owed(dossier_accepted()), ""),
    "refusal": (owed(dossier_refused()), ELSEWHERE),
    "refusal-without-basis": (owed(dossier_refused(reason="identity-unknown")), ""),
    "result": (owed(result_issued()), ""),
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
