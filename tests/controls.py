"""One named, realistic example of everything that is said, asked for, or comes of a task (tests build none by hand).

All tell one story: a made-up citizen registers a temporary residence online at commune unit H26.33.04, on Wednesday
16 September 2026 at 08:30 in Vietnam. Every function takes keywords that replace fields, and validates the result.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from services.audit import rules as auditing
from services.intake import commands as asked
from services.notification import rules as noticing
from services.notification import state as notices
from services.payment import rules as paying
from services.payment import state as accounts
from services.verification import rules as verifying
from shared.events import audit as audited
from shared.events import intake as filed
from shared.events import notification as noticed
from shared.events import payment as paid
from shared.events import verification as verified
from shared.events.base import Actor, Event, FeeLine, Model, Paper, SealedApplicant, WaiverClaim
from shared.runtime.kernel.decider import Message

M = TypeVar("M", bound=Model)

DOSSIER = UUID("6f1c2a54-0b7d-5e1a-9d3c-2b8f4e7a9c10")
MESSAGE = UUID("1d9e4b7a-35c2-5f08-8a6b-7c4d2e1f0a93")
"""Id of a message if a test does not care which."""
AT = datetime(2026, 9, 16, 1, 30, tzinfo=UTC)
"""When the story begins: 08:30 in Vietnam."""

CODE = "H26.33.04-260916-0001"
PROCEDURE = "1.004194"
AGENCY = "H26.33.04"
CATALOGUE = "e90337849d86aee6"
REQUEST = "2c7d9f10e4b85a6c9e3d1f7a8b5c4d2e"
"""Our number of the register's look-up."""
REFERENCE = f"{DOSSIER.hex}r1"
FEE_VND = 7_000
PAY_URL = f"http://127.0.0.1:8090/paymentv2/vpcpay.html?vnp_TxnRef={REFERENCE}"

EVIDENCE = "b2b3d39794b80403bb2710505e49b3aaf584f6eba0ce7730856c771f55a451cc"
RESULT = "9f2b0c6f9e1d4a7785a8b7f8b0c3c1d2e4f5061728394a5b6c7d8e9f0a1b2c3d"


def _made(model: type[M], fields: dict[str, Any], changes: dict[str, Any]) -> M:
    return model(**{**fields, **changes})


def sealed(letter: str = "A") -> str:
    """A well-formed sealed text that no key opens; another letter is another text."""
    return f"sealed.v1.{letter * 56}"


def citizen(**changes: Any) -> Actor:
    """The citizen app that filed."""
    return _made(Actor, {"role": "citizen", "name": "citizen-app", "unit": None, "duty": "applicant"}, changes)


def officer(**changes: Any) -> Actor:
    """The officer of the unit that holds the dossier."""
    return _made(
        Actor, {"role": "officer", "name": "officer-h26-33-04", "unit": AGENCY, "duty": "one-stop-desk"}, changes
    )


def paper(code: str = "application-form", **changes: Any) -> Paper:
    """One paper by reference."""
    fields = {
        "code": code,
        "sha256": "2fd0156473c7e9d3922e5a521ba72507f4f0e4971d7ec4cfc2fc67e97eb1c7c3",
        "size": 85_839,
        "media_type": "application/pdf",
    }
    return _made(Paper, fields, changes)


def applicant(**changes: Any) -> SealedApplicant:
    """The applicant, sealed, who reads Vietnamese."""
    names = ("id_number", "full_name", "date_of_birth", "phone", "email")
    texts = {name: sealed(letter) for name, letter in zip(names, "INBPE", strict=True)}
    return _made(SealedApplicant, {**texts, "locale": "vi"}, changes)


def waiver_claim(**changes: Any) -> WaiverClaim:
    """A claim to pay less."""
    return _made(WaiverClaim, {"group": sealed("G"), "evidence_sha256": EVIDENCE}, changes)


def favour(**changes: Any) -> paid.Favour:
    """The rule that waives the fee."""
    return _made(paid.Favour, {"rule": "1.004194-waived-2023", "basis": "TT 75/2022/TT-BTC"}, changes)


# What intake says


def dossier_submitted(**changes: Any) -> filed.DossierSubmitted:
    """Filed online, all papers there, nothing claimed."""
    fields = {
        "code": CODE,
        "procedure": PROCEDURE,
        "case": "standard",
        "agency": AGENCY,
        "channel": "online",
        "submitted_at": AT,
        "accept_by": AT + timedelta(days=1),
        "copies": 1,
        "pages": None,
        "papers": (paper("application-form"), paper("residence-papers")),
        "missing_papers": (),
        "applicant": applicant(),
        "applicant_version": 1,
        "waiver_claim": None,
        "catalogue": CATALOGUE,
        "by": citizen(),
    }
    return _made(filed.DossierSubmitted, fields, changes)


def applicant_corrected(**changes: Any) -> filed.ApplicantCorrected:
    """The second state of the applicant's data."""
    corrected = applicant(full_name=sealed("M"))
    return _made(filed.ApplicantCorrected, {"applicant": corrected, "applicant_version": 2, "by": citizen()}, changes)


def supplement_requested(*papers: str, **changes: Any) -> filed.SupplementRequested:
    """Asks for the papers named (the residence papers if none is), within 7 working days."""
    fields = {
        "papers": papers or ("residence-papers",),
        "correct_applicant": False,
        "respond_by": AT + timedelta(days=9),
        "note": sealed("O"),
        "by": officer(),
    }
    return _made(filed.SupplementRequested, fields, changes)


REQUESTED = UUID("7b0e3c52-6d1f-5a48-8c97-3e2a9d4b1f06")
"""The event that asked for a supplement."""


def supplement_reminder_due(**changes: Any) -> filed.SupplementReminderDue:
    """One working day is left."""
    by = Actor(role="system", name="C7", duty="supplement-reminder")
    fields = {"request": REQUESTED, "respond_by": AT + timedelta(days=9), "by": by}
    return _made(filed.SupplementReminderDue, fields, changes)


def supplement_lapsed(**changes: Any) -> filed.SupplementLapsed:
    """Nothing has come."""
    by = Actor(role="system", name="C7", duty="supplement-deadline")
    fields = {"request": REQUESTED, "respond_by": AT + timedelta(days=9), "late_s": 0, "by": by}
    return _made(filed.SupplementLapsed, fields, changes)


def supplement_received(*papers: str, **changes: Any) -> filed.SupplementReceived:
    """The papers named (the residence papers if none is) have come."""
    came = tuple(paper(code) for code in papers or ("residence-papers",))
    return _made(filed.SupplementReceived, {"papers": came, "by": citizen()}, changes)


def dossier_accepted(**changes: Any) -> filed.DossierAccepted:
    """Accepted at once; due three working days later, at the same hour."""
    fields = {"accepted_at": AT, "due_at": AT + timedelta(days=5), "by": officer()}
    return _made(filed.DossierAccepted, fields, changes)


def dossier_refused(**changes: Any) -> filed.DossierRefused:
    """Refused at the door."""
    return _made(filed.DossierRefused, {"reason": "not-competent", "note": sealed("O"), "by": officer()}, changes)


def processing_started(**changes: Any) -> filed.ProcessingStarted:
    """The unit has begun."""
    return _made(filed.ProcessingStarted, {"by": officer()}, changes)


def result_issued(**changes: Any) -> filed.ResultIssued:
    """The result is signed a day before it is due."""
    fields = {"result_sha256": RESULT, "ended_at": AT + timedelta(days=2), "verdict": "early", "by": officer()}
    return _made(filed.ResultIssued, fields, changes)


def result_returned(**changes: Any) -> filed.ResultReturned:
    """The citizen has downloaded the result."""
    return _made(filed.ResultReturned, {"handover": "online", "by": officer()}, changes)


def applicant_told(*about: UUID, **changes: Any) -> filed.ApplicantTold:
    """An officer has called the applicant about these notices (the confirmation if none is named)."""
    return _made(filed.ApplicantTold, {"about": about or (MESSAGE,), "how": "telephone", "by": officer()}, changes)


# What verification says


def citizen_verified(**changes: Any) -> verified.CitizenVerified:
    """The register knows the person as stated."""
    return _made(verified.CitizenVerified, {"applicant_version": 1, "register_request": REQUEST}, changes)


def citizen_mismatched(*fields: str, **changes: Any) -> verified.CitizenMismatched:
    """The register has other data in the fields named (the name if none is)."""
    differing = fields or ("full_name",)
    return _made(
        verified.CitizenMismatched,
        {"applicant_version": 1, "fields": differing, "register_request": REQUEST},
        changes,
    )


def citizen_not_found(**changes: Any) -> verified.CitizenNotFound:
    """The register does not know the number."""
    return _made(verified.CitizenNotFound, {"applicant_version": 1, "register_request": REQUEST}, changes)


def verification_delayed(**changes: Any) -> verified.VerificationDelayed:
    """The register has been silent since submission."""
    return _made(verified.VerificationDelayed, {"applicant_version": 1, "waiting_since": AT}, changes)


def verification_abandoned(**changes: Any) -> verified.VerificationAbandoned:
    """The key was destroyed before the look-up."""
    return _made(verified.VerificationAbandoned, {"applicant_version": 1, "reason": "key-destroyed"}, changes)


# What payment says


def fee_line(**changes: Any) -> FeeLine:
    """The fee of a temporary residence filed online."""
    fields = {"rule": "1.004194-online-2023", "amount_vnd": FEE_VND, "basis": "TT 75/2022/TT-BTC"}
    return _made(FeeLine, fields, changes)


def fee_assessed(**changes: Any) -> paid.FeeAssessed:
    """7,000 đồng, nothing claimed."""
    fields = {
        "kind": "charged",
        "lines": (fee_line(),),
        "total_vnd": FEE_VND,
        "favour": None,
        "catalogue": CATALOGUE,
    }
    return _made(paid.FeeAssessed, fields, changes)


def fee_waived(**changes: Any) -> paid.FeeWaived:
    """Nothing is owed."""
    return _made(paid.FeeWaived, {"favour": favour(), "evidence_sha256": EVIDENCE}, changes)


def fee_reduced(**changes: Any) -> paid.FeeReduced:
    """Half is owed."""
    fields = {"favour": favour(rule="student-half"), "evidence_sha256": EVIDENCE, "total_vnd": FEE_VND // 2}
    return _made(paid.FeeReduced, fields, changes)


def payment_requested(**changes: Any) -> paid.PaymentRequested:
    """The page for 7,000 đồng is open."""
    fields = {"reference": REFERENCE, "amount_vnd": FEE_VND, "pay_url": PAY_URL}
    return _made(paid.PaymentRequested, fields, changes)


def fee_paid(**changes: Any) -> paid.FeePaid:
    """Paid ten minutes after submission."""
    fields = {
        "reference": REFERENCE,
        "amount_vnd": FEE_VND,
        "transaction_no": "14226112",
        "bank": "NCB",
        "paid_at": AT + timedelta(minutes=10),
    }
    return _made(paid.FeePaid, fields, changes)


def payment_failed(**changes: Any) -> paid.PaymentFailed:
    """The citizen's balance did not suffice (response code 51)."""
    fields = {"reference": REFERENCE, "response_code": "51", "transaction_no": "14226111"}
    return _made(paid.PaymentFailed, fields, changes)


def duplicate_payment_found(**changes: Any) -> paid.DuplicatePaymentFound:
    """Paid again under another transaction."""
    fields = {"reference": REFERENCE, "amount_vnd": FEE_VND, "transaction_no": "14226113"}
    return _made(paid.DuplicatePaymentFound, fields, changes)


def fee_abandoned(**changes: Any) -> paid.FeeAbandoned:
    """The key of the claim was destroyed before the assessment."""
    return _made(paid.FeeAbandoned, {"reason": "key-destroyed"}, changes)


# What notification says


def notice_sent(**changes: Any) -> noticed.NoticeSent:
    """The confirmation of the application is out."""
    fields = {
        "notice": "submission",
        "about": MESSAGE,
        "channel": "email",
        "locale": "vi",
        "message_id": f"<{DOSSIER}@dichvucong.example>",
    }
    return _made(noticed.NoticeSent, fields, changes)


def notice_undeliverable(**changes: Any) -> noticed.NoticeUndeliverable:
    """The mail server does not know the mailbox (SMTP 550)."""
    fields = {
        "notice": "submission", "about": MESSAGE, "channel": "email", "reason": "smtp-550", "applicant_version": 1
    }  # fmt: skip
    return _made(noticed.NoticeUndeliverable, fields, changes)


def notice_delayed(**changes: Any) -> noticed.NoticeDelayed:
    """The mailbox is full (SMTP 452)."""
    fields = {
        "notice": "submission", "about": MESSAGE, "channel": "email", "reason": "smtp-452", "applicant_version": 1
    }  # fmt: skip
    return _made(noticed.NoticeDelayed, fields, changes)


def notice_cancelled(**changes: Any) -> noticed.NoticeCancelled:
    """The fee was paid before it was asked for."""
    fields = {"notice": "payment-due", "about": MESSAGE, "reason": "settled"}
    return _made(noticed.NoticeCancelled, fields, changes)


# What audit says


def discrepancy_found(**changes: Any) -> audited.DiscrepancyFound:
    """Position 42 came where 41 was expected."""
    return _made(audited.DiscrepancyFound, _DISCREPANCY, changes)


_DISCREPANCY: dict[str, Any] = {
    "kind": "gap",
    "topic": "gov.dossier.payment.v1",
    "partition": 7,
    "offset": 57,
    "sequence": 42,
    "expected": 41,
    "record_sha256": RESULT,
}


# What may be asked of intake


def submit_dossier(**changes: Any) -> asked.SubmitDossier:
    """The application of the story."""
    fields = {
        "procedure": PROCEDURE,
        "case": "standard",
        "agency": AGENCY,
        "channel": "online",
        "submitted_at": None,
        "copies": 1,
        "pages": None,
        "papers": (paper("application-form"), paper("residence-papers")),
        "applicant": applicant(),
        "waiver_claim": None,
        "by": citizen(),
    }
    return _made(asked.SubmitDossier, fields, changes)


def supply_dossier(*papers: str, **changes: Any) -> asked.SupplyDossier:
    """The papers named (the residence papers if none is), no new data of the applicant."""
    came = tuple(paper(code) for code in papers or ("residence-papers",))
    return _made(asked.SupplyDossier, {"papers": came, "applicant": None, "by": citizen()}, changes)


def correct_applicant(**changes: Any) -> asked.CorrectApplicant:
    """Another name."""
    fields = {"applicant": applicant(full_name=sealed("M")), "by": citizen()}
    return _made(asked.CorrectApplicant, fields, changes)


def request_supplement(*papers: str, **changes: Any) -> asked.RequestSupplement:
    """Ask for the papers named (the residence papers if none is)."""
    fields = {
        "papers": papers or ("residence-papers",),
        "correct_applicant": False,
        "note": sealed("O"),
        "by": officer(),
    }
    return _made(asked.RequestSupplement, fields, changes)


def accept_dossier(**changes: Any) -> asked.AcceptDossier:
    """Accept."""
    return _made(asked.AcceptDossier, {"by": officer()}, changes)


def refuse_dossier(**changes: Any) -> asked.RefuseDossier:
    """Refuse at the door."""
    return _made(asked.RefuseDossier, {"reason": "not-competent", "note": sealed("O"), "by": officer()}, changes)


def start_processing(**changes: Any) -> asked.StartProcessing:
    """Begin."""
    return _made(asked.StartProcessing, {"by": officer()}, changes)


def issue_result(**changes: Any) -> asked.IssueResult:
    """Sign the result."""
    return _made(asked.IssueResult, {"result_sha256": RESULT, "by": officer()}, changes)


def return_result(**changes: Any) -> asked.ReturnResult:
    """Hand it over online."""
    return _made(asked.ReturnResult, {"handover": "online", "by": officer()}, changes)


def tell_applicant(*about: UUID, **changes: Any) -> asked.TellApplicant:
    """Told by telephone what these notices say (None named: all that wait)."""
    return _made(asked.TellApplicant, {"about": about or None, "how": "telephone", "by": officer()}, changes)


# What comes of verification's tasks


def found(*fields: str, **changes: Any) -> verifying.Found:
    """The register has answered; the fields named differ."""
    answer = {"applicant_version": 1, "fields": fields, "register_request": REQUEST}
    return _made(verifying.Found, answer, changes)


def not_found(**changes: Any) -> verifying.NotFound:
    """The register does not know the number."""
    return _made(verifying.NotFound, {"applicant_version": 1, "register_request": REQUEST}, changes)


def key_gone(**changes: Any) -> verifying.KeyGone:
    """The key of these data is destroyed."""
    return _made(verifying.KeyGone, {"applicant_version": 1}, changes)


def still_waiting(**changes: Any) -> verifying.StillWaiting:
    """The alarm of the first look-up has rung."""
    return _made(verifying.StillWaiting, {"applicant_version": 1, "since": AT}, changes)


# What comes of payment's tasks, and what the bank reports


def filing(**changes: Any) -> accounts.Filing:
    """What payment has kept of `dossier_submitted()`."""
    fields = {
        "code": CODE,
        "procedure": PROCEDURE,
        "case": "standard",
        "channel": "online",
        "agency": AGENCY,
        "submitted_at": AT,
        "copies": 1,
        "pages": None,
        "locale": "vi",
        "waiver_claim": None,
    }
    return _made(accounts.Filing, fields, changes)


def fee_found(**changes: Any) -> paying.FeeFound:
    """The catalogue says 7,000 đồng."""
    return _made(paying.FeeFound, {"fee": fee_assessed()}, changes)


def claim_key_gone(**changes: Any) -> paying.ClaimKeyGone:
    """The key of the claim is destroyed."""
    return _made(paying.ClaimKeyGone, {}, changes)


def payment_opened(**changes: Any) -> paying.PaymentOpened:
    """The bank's page is signed."""
    fields = {"reference": REFERENCE, "amount_vnd": FEE_VND, "pay_url": PAY_URL}
    return _made(paying.PaymentOpened, fields, changes)


def report_payment(**changes: Any) -> paying.ReportPayment:
    """The bank's word: 7,000 đồng paid."""
    fields = {
        "reference": REFERENCE,
        "amount_vnd": FEE_VND,
        "currency": "VND",
        "success": True,
        "response_code": "00",
        "transaction_no": "14226112",
        "bank": "NCB",
        "paid_at": AT + timedelta(minutes=10),
    }
    return _made(paying.ReportPayment, fields, changes)


# What comes of notification's task


def owed(**changes: Any) -> notices.Owed:
    """The notice that `dossier_submitted()` owes."""
    facts = notices.Facts(accept_by=AT + timedelta(days=1))
    return _made(notices.Owed, {"notice": "submission", "about": MESSAGE, "facts": facts, "at": AT}, changes)


def recipient(**changes: Any) -> notices.Recipient:
    """The applicant of `dossier_submitted()`, as notification has kept them."""
    person = applicant()
    fields = {
        "code": CODE,
        "procedure": PROCEDURE,
        "agency": AGENCY,
        "submitted_at": AT,
        "applicant_version": 1,
        "locale": "vi",
        "full_name": person.full_name,
        "email": person.email,
    }
    return _made(notices.Recipient, fields, changes)


def mail_taken(**changes: Any) -> noticing.MailTaken:
    """SMTP 250."""
    fields = {
        "notice": "submission",
        "about": MESSAGE,
        "locale": "vi",
        "message_id": f"<{DOSSIER}@dichvucong.example>",
    }
    return _made(noticing.MailTaken, fields, changes)


def mail_refused(**changes: Any) -> noticing.MailRefused:
    """SMTP 550."""
    fields = {"notice": "submission", "about": MESSAGE, "reason": "smtp-550", "applicant_version": 1}
    return _made(noticing.MailRefused, fields, changes)


def mail_deferred(**changes: Any) -> noticing.MailDeferred:
    """SMTP 452."""
    fields = {
        "notice": "submission", "about": MESSAGE, "reason": "smtp-452", "applicant_version": 1, "since": AT,
        "again_at": AT + timedelta(minutes=1),
    }  # fmt: skip
    return _made(noticing.MailDeferred, fields, changes)


def mail_needless(**changes: Any) -> noticing.MailNeedless:
    """Paid meanwhile."""
    return _made(noticing.MailNeedless, {"notice": "payment-due", "about": MESSAGE, "reason": "settled"}, changes)


# What comes of audit's alarm


def discrepancy(**changes: Any) -> auditing.Discrepancy:
    """Position 42 came where 41 was expected."""
    return _made(auditing.Discrepancy, _DISCREPANCY, changes)


# Messages


def message(body: M, *, at: datetime = AT, dossier_id: UUID = DOSSIER, message_id: UUID = MESSAGE) -> Message[M]:
    """`body` as it reaches a service."""
    return Message(message_id, dossier_id, at, body)


EVENTS: tuple[Event, ...] = (
    dossier_submitted(papers=(paper(),), missing_papers=("residence-papers",), waiver_claim=waiver_claim()),
    applicant_corrected(),
    supplement_requested(correct_applicant=True, fields=("full_name", "date_of_birth")),
    supplement_reminder_due(),
    supplement_lapsed(late_s=90),
    supplement_received(),
    dossier_accepted(),
    dossier_refused(),
    processing_started(),
    result_issued(),
    result_returned(),
    applicant_told(),
    citizen_verified(),
    citizen_mismatched("full_name", "date_of_birth"),
    citizen_not_found(),
    verification_delayed(),
    verification_abandoned(),
    fee_assessed(claim_unmet="not-listed"),
    fee_waived(),
    fee_reduced(),
    payment_requested(),
    fee_paid(),
    payment_failed(),
    duplicate_payment_found(),
    fee_abandoned(),
    notice_sent(),
    notice_undeliverable(text="Kính gửi ông/bà,"),
    notice_delayed(),
    notice_cancelled(),
    discrepancy_found(),
)
"""One example of every event class, with optional parts filled in: what the golden files hold."""
