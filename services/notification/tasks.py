"""Notification's work on the outside world: one mail."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from services.notification.gateways import DEPENDENCY, FinalNo, Mail, MailServer, NotYet
from services.notification.rules import (
    GIVEN_UP,
    SEND,
    SEND_AGAIN,
    TELL_DESK,
    MailDeferred,
    MailDiscarded,
    MailLeft,
    MailNeedless,
    MailRefused,
    MailTaken,
    SendMail,
    now,
)
from services.notification.state import Owed, Recipient, State
from services.notification.texts import spoken, subject, text
from shared.errors import KeyDestroyed, TooNew, Transient
from shared.events.base import UnknownWord
from shared.law.calendar import vietnam_date
from shared.law.catalogue import Catalogue
from shared.runtime.aio import clock
from shared.runtime.kernel.decider import Outcome
from shared.runtime.keys.keyring import KeyRing
from shared.runtime.observe.metrics import Metrics
from shared.runtime.service.service import Resources
from shared.runtime.tasks.kinds import Attempt, TaskKind, ring
from shared.runtime.tasks.remembered import Remembered

PATIENCE_S, LONG_PATIENCE_S = 5.0, 60.0
"""How long a recipient is waited for, at each step: by a first attempt, and by a further one, whose place nobody else
needs (RFC 5321, 4.5.3.2, would wait for minutes).
"""
NO_ADDRESS = "no-address"
"""Why nobody is written to who has given no e-mail address."""
FIRST_S, SOON_S, LONGEST_S = 60.0, 2.0, 4 * 3600.0
"""When a mailbox that did not take a mail is asked again: after a minute (two seconds, if it was no mailbox that said
so), then as long as it has not taken it already, at most so long (RFC 5321, 4.5.4.1); each a quarter more or less.
"""
GIVE_UP = timedelta(days=5)
"""How long (RFC 5321, 4.5.4.1: at least 4 to 5 days)."""
SLOW_S, SLOW_DOMAINS, PLACES = 300.0, 1000, 16
"""A domain for which no answer came in time takes no place of first attempts for so long, and then one at most until an
answer comes; so many of them are known; and one domain takes at most so many places of further attempts.
"""


@dataclass
class Domains:
    """Which recipients' domains keep us waiting, and how many places each takes; in memory only. `clock`: seconds."""

    clock: Callable[[], float]
    slow: dict[str, float] = field(default_factory=dict)
    busy: Counter[str] = field(default_factory=Counter)

    def crowded(self, domain: str, again: bool) -> bool:
        """Whether an attempt would take a place that others need; of a slow one, now and then one may."""
        if again:
            return self.busy[domain] >= PLACES
        at = self.slow.get(domain)
        return at is not None and (self.clock() < at + SLOW_S or self.busy[domain] > 0)

    def kept_waiting(self, domain: str) -> None:
        """No answer came for a recipient there, while the server was well."""
        self.slow.pop(domain, None)
        self.slow[domain] = self.clock()
        if len(self.slow) > SLOW_DOMAINS:
            del self.slow[next(iter(self.slow))]

    def answered(self, domain: str, took_s: float) -> None:
        """A mail was taken there."""
        if took_s < PATIENCE_S:
            self.slow.pop(domain, None)


@dataclass
class Office:
    """Sends mails. `remembered` gives what is known of a dossier now; `domain` stands in Message-IDs; `clock` is UTC.

    `give_up`: for how long a mailbox or domain that does not take a mail is asked again.
    """

    server: MailServer
    keys: KeyRing
    law: Catalogue
    domain: str
    remembered: Callable[[UUID], Awaitable[State]]
    metrics: Metrics
    domains: Domains
    give_up: timedelta = GIVE_UP
    clock: Callable[[], datetime] = clock.now

    async def send(self, again: bool, attempt: Attempt) -> Outcome:
        """One attempt at what is to be sent now, if it still is. Its Message-ID is made of the event that owes it, the
        same at every attempt. Raises Transient if the server does not serve us, KeyNotHere while the key is not here,
        TooNew for a notice that this release has no words for.
        """
        asked: SendMail = attempt.payload
        found = await self._now(attempt)
        if isinstance(found, MailLeft):
            return found
        if isinstance(found, MailNeedless):
            self._count("cancelled", found.reason)
            return found
        owed, recipient = found
        if not recipient.by_email:
            return self._refused(asked, owed, recipient, NO_ADDRESS, NO_ADDRESS)
        return await self._attempt(again, attempt, asked, owed, recipient)

    async def tell_desk(self, attempt: Attempt) -> Outcome:
        """What is owed to somebody who had no e-mail address when this was ordered, for the desk's officers to tell. If
        there is one by now, the outcome is about the data of then, and so the mail is ordered.
        """
        asked: SendMail = attempt.payload
        found = await self._now(attempt)
        if isinstance(found, MailLeft | MailNeedless):
            return found
        owed, recipient = found
        then = recipient.model_copy(update={"applicant_version": asked.applicant_version})
        return self._refused(asked, owed, then if recipient.by_email else recipient, NO_ADDRESS, NO_ADDRESS)

    async def _now(self, attempt: Attempt) -> tuple[Owed, Recipient] | MailNeedless | MailLeft:
        found = now(await self.remembered(attempt.dossier_id), attempt.payload)
        if isinstance(found, tuple) and isinstance(found[0].notice, UnknownWord):
            raise TooNew("a notice that only a later release has words for")
        return found

    async def _attempt(
        self, again: bool, attempt: Attempt, asked: SendMail, owed: Owed, recipient: Recipient
    ) -> Outcome:
        try:
            mail = await self._written(attempt.dossier_id, owed, recipient)
            await self._handed_over(again, mail)
        except KeyDestroyed:
            return self._refused(asked, owed, recipient, "key-destroyed", "key-destroyed")
        except FinalNo as no:
            return self._refused(asked, owed, recipient, no.reason, no.code_class)
        except NotYet as no:
            return self._deferred(asked, owed, recipient, no)
        except Transient:
            self._count("failed", "server")
            raise
        self._count("sent", "2yz")
        return MailTaken(notice=owed.notice, about=owed.about, locale=recipient.language, message_id=mail.message_id)

    async def _written(self, dossier_id: UUID, owed: Owed, recipient: Recipient) -> Mail:
        """The mail; name, address and the officer's note are opened for it alone."""
        sealed = {"applicant.full_name": recipient.full_name, "applicant.email": recipient.email, "note": owed.note}
        clear = await self.keys.open(dossier_id, {field: one for field, one in sealed.items() if one is not None})
        name, today = clear["applicant.full_name"], vietnam_date(self.clock())
        body = text(self.law, owed, recipient, name, clear.get("note", ""), today)
        message_id = f"<{owed.about}@{self.domain}>"
        return Mail(clear["applicant.email"], subject(owed, recipient), body, message_id, recipient.language)

    async def _handed_over(self, again: bool, mail: Mail) -> None:
        if not mail.to:
            raise FinalNo("no-address", "address")
        domain = mail.to.rpartition("@")[2].lower()
        if self.domains.crowded(domain, again):
            raise NotYet("crowded", "crowded", soon=not again)
        self.domains.busy[domain] += 1
        began = self.domains.clock()
        try:
            await self.server.send(mail, LONG_PATIENCE_S if again else PATIENCE_S)
        except NotYet as no:
            if no.reason == "no-answer":
                self.domains.kept_waiting(domain)
            raise
        finally:
            self.domains.busy[domain] -= 1
            if not self.domains.busy[domain]:
                del self.domains.busy[domain]
        self.domains.answered(domain, self.domains.clock() - began)

    def _refused(self, asked: SendMail, owed: Owed, recipient: Recipient, reason: str, code_class: str) -> MailRefused:
        self._count("undeliverable", code_class)
        return MailRefused(
            notice=owed.notice, about=owed.about, reason=reason, applicant_version=recipient.applicant_version,
            told=asked.told, text=spoken(self.law, owed, recipient), owed=asked.owed, recipient=asked.recipient,
        )  # fmt: skip

    def _deferred(self, asked: SendMail, owed: Owed, recipient: Recipient, no: NotYet) -> MailRefused:
        """Later, or never if it has been tried for too long by this address."""
        at = self.clock()
        same = asked.applicant_version == recipient.applicant_version
        since = asked.since if asked.since is not None and same else at
        if at - since >= self.give_up:
            expired = self._refused(asked, owed, recipient, "expired", no.code_class)
            return expired.model_copy(update={"since": since})
        self._count("deferred", no.code_class)
        first = no.reason in ("crowded", "no-answer") and asked.since is None
        quiet = first or no.reason == "crowded"
        return MailDeferred(
            notice=owed.notice, about=owed.about, reason=no.reason, applicant_version=recipient.applicant_version,
            told=asked.told, since=since, again_at=at + _wait(at - since, no, first), quiet=quiet,
            owed=asked.owed, recipient=asked.recipient,
        )  # fmt: skip

    def _count(self, outcome: str, reason: str) -> None:
        self.metrics.mails.labels(outcome, reason).inc()


def _wait(so_far: timedelta, no: NotYet, first: bool) -> timedelta:
    """How long until the next attempt: slower and slower; at once where a first attempt only gives its place up."""
    if first:
        return timedelta(0)
    seconds = min(max(SOON_S if no.soon else FIRST_S, so_far.total_seconds()), LONGEST_S)
    return timedelta(seconds=seconds * random.uniform(0.75, 1.25))  # noqa: S311 - jitter, not a secret


def office(server: MailServer, law: Catalogue, resources: Resources) -> Office:
    """The office of a running process."""
    settings = resources.settings
    return Office(
        server, resources.keys, law, settings.mail_from.partition("@")[2],
        Remembered(resources.pool, State(), resources.kept).of, resources.metrics,
        Domains(asyncio.get_running_loop().time), timedelta(days=settings.mail_give_up_days), resources.clock,
    )  # fmt: skip


async def given_up(attempt: Attempt) -> Outcome:
    """What an operator has discarded, as a message."""
    return await ring(attempt.payload)


def kinds(office: Office) -> Mapping[str, TaskKind]:
    """Notification's tasks by name: further attempts have a place of their own, and a breaker."""
    first, further = partial(office.send, False), partial(office.send, True)
    return {
        SEND: TaskKind(SendMail, first, DEPENDENCY, timeout_s=20.0),
        TELL_DESK: TaskKind(SendMail, office.tell_desk),
        SEND_AGAIN: TaskKind(SendMail, further, f"{DEPENDENCY}-again", timeout_s=4 * LONG_PATIENCE_S, slow=True),
        GIVEN_UP: TaskKind(MailDiscarded, given_up),
    }
