"""What notices say, in Vietnamese and English. Pure: facts in, subject and text out.

Whoever reads one learns what has happened, what comes next, what is to be done where and until when, and whom to ask.
"""

from collections.abc import Iterator
from datetime import date, datetime
from textwrap import indent

from services.notification import phrases, words
from services.notification.state import Facts, Owed, Recipient
from shared.law.calendar import VIETNAM, vietnam_date
from shared.law.catalogue import Catalogue
from shared.law.entries import Locale, Named
from shared.law.versions import in_force


def subject(owed: Owed, recipient: Recipient) -> str:
    """The subject: code and what it is about; no personal data, for subjects are shown on locked screens."""
    what = words.SUBJECTS[owed.notice][recipient.language]
    return f"Hồ sơ {recipient.code}: {what}" if recipient.language == "vi" else f"Dossier {recipient.code}: {what}"


def text(law: Catalogue, owed: Owed, recipient: Recipient, name: str, note: str = "", on: date | None = None) -> str:
    """The mail's text for somebody called `name`, with what the officer wrote to them; `law` knows what things are
    called: procedures on the day of filing, agencies on the letter's day `on` (in Vietnam; None: the day of filing).
    Times in Vietnam's time, amounts in đồng.
    """
    return phrases.FRAME[recipient.language].format(
        name=name,
        body=_body(law, owed, recipient, note),
        code=recipient.code,
        procedure=_procedure(law, recipient),
        agency=_agency(law, recipient, on or vietnam_date(recipient.submitted_at)),
    )


def spoken(law: Catalogue, owed: Owed, recipient: Recipient) -> str:
    """What an officer tells somebody whom no mail reaches: the same, without the name, and with a word of the officer's
    note where there is one (it is sealed).
    """
    written = phrases.NOTE_APART[recipient.language] if owed.note is not None else ""
    return phrases.SPOKEN[recipient.language].format(
        body=_body(law, owed, recipient, ""), code=recipient.code, procedure=_procedure(law, recipient), note=written
    )


def _body(law: Catalogue, owed: Owed, recipient: Recipient, note: str) -> str:
    facts, locale = owed.facts, recipient.language
    papers = _listed(_name(law.papers.get(paper), paper, locale) for paper in facts.papers)
    told = "payment-received-refused" if facts.refused else owed.notice
    return words.BODIES[told][locale].format(
        submitted_at=_when(recipient.submitted_at, locale),
        accept_by=_when(facts.accept_by, locale),
        respond_by=_when(facts.respond_by, locale),
        due_at=_when(facts.due_at, locale),
        amount=_amount(facts.amount_vnd, locale),
        pay_url=facts.pay_url,
        missing=phrases.MISSING[locale].format(papers=papers) if papers else "",
        came=phrases.CAME[locale].format(papers=papers) if papers else "",
        at=_when(facts.at, locale),
        favour=_favour(facts, locale),
        failed=phrases.FAILED[locale].format(failed=facts.failed) if facts.failed else "",
        basis=facts.basis,
        transaction_no=facts.transaction_no,
        due=_due(facts, locale),
        handover=_handover(facts, locale),
        wanted="\n".join(filter(None, (papers, _correction(facts, locale)))),
        reason=_reason(law, facts.reason, locale),
        then=_then(law, facts.reason, locale),
        note=phrases.NOTE[locale].format(note=indent(note.strip(), "  ")) if note.strip() else "",
    )


def _name(known: Named | None, code: str, locale: Locale) -> str:
    """The code itself, if whoever said it had a newer catalogue than ours: better than no notice."""
    return known.name(locale) if known else code


def _procedure(law: Catalogue, recipient: Recipient) -> str:
    code, on = recipient.procedure, vietnam_date(recipient.submitted_at)
    known = in_force(law.procedures.get(code, ()), on)
    return (
        phrases.PROCEDURE[recipient.language].format(name=known.name(recipient.language), code=code) if known else code
    )


def _agency(law: Catalogue, recipient: Recipient, on: date) -> str:
    """The agency with its province, and who is there for one that has ended; names of agencies stay Vietnamese."""
    name = _unit(law, recipient.agency, on, recipient.language)
    followers = [_unit(law, one.code, on, recipient.language) for one in law.successors(recipient.agency, on)]
    return name + (phrases.NOW[recipient.language].format(units="; ".join(followers)) if followers else "")


def _unit(law: Catalogue, code: str, on: date, locale: Locale) -> str:
    name = law.agency_name(code, on)
    return code if name is None else phrases.AGENCY[locale].format(name=name, code=code)


def _reason(law: Catalogue, code: str | None, locale: Locale) -> str:
    known = law.reasons.get(code or "")
    basis = phrases.BASIS[locale].format(basis=known.basis) if known and known.basis else ""
    return _name(known, code or "", locale) + basis


def _favour(facts: Facts, locale: Locale) -> str:
    """What became of a claim to pay less, where a fee is due all the same."""
    if facts.basis is not None:
        return phrases.REDUCED[locale].format(basis=facts.basis)
    if facts.claim_unmet is not None:
        known = phrases.WHY_UNMET.get(facts.claim_unmet)
        return phrases.UNMET[locale].format(why=f": {known[locale]}" if known else "")
    return ""


def _handover(facts: Facts, locale: Locale) -> str:
    known = phrases.HANDOVER.get(facts.handover or "")
    return known[locale] if known else ""


def _due(facts: Facts, locale: Locale) -> str:
    """Until when the result is due; a dossier of before this was remembered has been told."""
    due_at = _when(facts.due_at, locale)
    return phrases.DUE[locale].format(due_at=due_at) if due_at else phrases.DUE_AS_TOLD[locale]


def _then(law: Catalogue, code: str | None, locale: Locale) -> str:
    """What the applicant can do after a refusal: as the reason has it, else file again."""
    known = law.reasons.get(code or "")
    return (known and known.then(locale)) or phrases.THEN[locale]


def _listed(lines: Iterator[str]) -> str:
    return "\n".join(f"  - {line}" for line in lines)


def _correction(facts: Facts, locale: Locale) -> str:
    """What to set right: which of the data differ by their names, never by what they say."""
    if not facts.correct_applicant:
        return ""
    names = ", ".join(dict.fromkeys(phrases.FIELDS.get(field, phrases.OTHER_DATA)[locale] for field in facts.fields))
    found = phrases.NOT_FOUND[locale] if "id_number" in facts.fields else phrases.DIFFERENT[locale].format(fields=names)
    return _listed(iter([phrases.CORRECT[locale].format(found=found if facts.fields else "")]))


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
