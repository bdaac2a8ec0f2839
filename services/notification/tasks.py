"""Notification's work on the outside world: one mail."""

from collections.abc import Mapping
from functools import partial

from services.notification.gateways import DEPENDENCY, FinalNo, Mail, MailServer
from services.notification.rules import MailRefused, MailTaken, SendMail
from services.notification.texts import subject, text
from shared.errors import KeyDestroyed
from shared.law.catalogue import Catalogue
from shared.runtime.decider import Outcome
from shared.runtime.keyring import KeyRing
from shared.runtime.tasks import Job, TaskKind


async def send_mail(server: MailServer, keys: KeyRing, law: Catalogue, domain: str, job: Job) -> Outcome:
    """Open name, address and the officer's note, write the mail, hand it over. Its Message-ID is the task's, the same
    at every attempt.
    """
    asked: SendMail = job.payload
    owed, recipient = asked.owed, asked.recipient
    message_id = f"<{job.id}@{domain}>"
    sealed = {"applicant.full_name": recipient.full_name, "applicant.email": recipient.email, "note": owed.note}
    try:
        clear = await keys.open(job.dossier_id, {field: one for field, one in sealed.items() if one is not None})
        body = text(law, owed, recipient, clear["applicant.full_name"], clear.get("note", ""))
        to = clear["applicant.email"]
        await server.send(Mail(to, subject(owed, recipient), body, message_id, recipient.locale))
    except KeyDestroyed:
        return MailRefused(notice=owed.notice, about=owed.about, reason="key-destroyed")
    except FinalNo as no:
        return MailRefused(notice=owed.notice, about=owed.about, reason=no.reason)
    return MailTaken(notice=owed.notice, about=owed.about, locale=recipient.locale, message_id=message_id)


def kinds(server: MailServer, keys: KeyRing, law: Catalogue, domain: str) -> Mapping[str, TaskKind]:
    """Notification's tasks by name."""
    return {"send-mail": TaskKind(SendMail, partial(send_mail, server, keys, law, domain), DEPENDENCY, timeout_s=20.0)}
