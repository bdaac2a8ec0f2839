"""What notification decides: which notice goes out next, and what comes of a mail. Pure.

Notices of one dossier go one after the other: while any waits, the task of one of them is under way, and its outcome
orders the next. Each is looked at when it is sent (`now`), so a task only names it.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal
from uuid import UUID

from services.notification.state import Owed, Recipient, State
from services.notification.waiting import Overtaken, as_known, overtaken, waiting
from shared.events import intake as filed
from shared.events import notification as said
from shared.events import payment as paid
from shared.events.base import Model, UnknownWord, Word
from shared.runtime.kernel.decider import NOTHING, Decision, Message, Outcome, Rule, Task
from shared.runtime.kernel.stored import read_stored

SEND, SEND_AGAIN, GIVEN_UP, TELL_DESK = "send-mail", "send-mail-again", "mail-given-up", "tell-desk"
"""Kinds of task: a first attempt, and a further one at a mailbox or domain that did not take the mail. Those have
places of their own, so that what is slow and tried often delays nobody else. What an operator has given up. And of
somebody without an e-mail address the desk is told instead, whatever the mail server does.
"""


class SendMail(Model):
    """The task: one notice to the applicant, by e-mail. `applicant_version` is the newest when it is ordered; `since`
    (UTC) when a mailbox first did not take it; `told`, whether NoticeDelayed was said of that.

    `owed` and `recipient` stand in tasks that an earlier release has ordered.
    """

    about: UUID | None = None
    applicant_version: int = 0
    since: datetime | None = None
    told: bool = False
    owed: Owed | None = None
    recipient: Recipient | None = None


class MailTaken(Outcome):
    """The mail server has answered 250."""

    notice: said.NoticeKind | UnknownWord
    about: UUID
    locale: Literal["vi", "en"] | UnknownWord
    message_id: str


class MailRefused(Outcome):
    """The mail server has said a final no, or the address can no longer be opened. `applicant_version`: by which data
    it was tried; `told`, `owed` and `recipient`: see SendMail; `text`: what is to be told otherwise; `since` (UTC) when
    the mailbox took nothing, if it was given up for that.
    """

    notice: said.NoticeKind | UnknownWord
    about: UUID
    reason: Word
    applicant_version: int = 0
    told: bool = False
    text: str | None = None
    owed: Owed | None = None
    recipient: Recipient | None = None
    since: datetime | None = None


class MailDeferred(MailRefused):
    """This mailbox or domain does not take it now; it did not since `since`, and is asked again at `again_at` (UTC).
    `quiet`: it was put aside without being tried, so there is nothing to tell.
    """

    since: datetime
    again_at: datetime
    quiet: bool = False


class MailNeedless(Outcome):
    """The notice is not to be said any more."""

    notice: said.NoticeKind | UnknownWord
    about: UUID
    reason: Overtaken | UnknownWord


class MailDiscarded(Outcome):
    """An operator has discarded what a mail's task came to, a failure of ours: this mail is given up. What the task was
    to do: see SendMail; without `about` nobody can say, as of what an earlier release has discarded.
    """

    about: UUID | None = None
    applicant_version: int = 0
    told: bool = False
    owed: Owed | None = None


class MailLeft(Outcome):
    """Another task has taken the place of this one: nothing was done."""


def now(state: State, asked: SendMail) -> tuple[Owed, Recipient] | MailNeedless | MailLeft:
    """What a task is to send by what is known now, and to whom; or that it is not to be said any more, or no longer by
    this task.
    """
    if asked.owed is not None and asked.recipient is not None:
        return as_known(state, asked.owed), state.recipient or asked.recipient
    owed = next((one for one in waiting(state, state.applicant_version) if one.about == asked.about), None)
    if owed is None or state.recipient is None or _replaced(state, asked.applicant_version, asked.told):
        return MailLeft()
    reason = overtaken(state, owed)
    if reason is not None:
        return MailNeedless(notice=owed.notice, about=owed.about, reason=reason)
    return as_known(state, owed), state.recipient


def _replaced(state: State, applicant_version: int, told: bool) -> bool:
    """Whether a task belongs to an address that was corrected, and its notice to the task that was ordered then: only
    what was told to be delayed waits so long that a correction begins it anew (`on_corrected`).
    """
    return told and applicant_version < state.applicant_version


def on_submitted(state: State, event: Message[filed.DossierSubmitted]) -> Decision:
    """Confirm the application, now that the applicant is known; what payment made us owe before follows."""
    # What an earlier release has put down waits for no other.
    old = [one for one in state.payment.owed if one.at is None and one.about not in state.notification.done]
    own = tuple(Task(SEND, SendMail(owed=one, recipient=state.recipient)) for one in old)
    return Decision(tasks=(*_next(state), *own))


def on_owing(state: State, event: Message[Model]) -> Decision:
    """Send the notice that this event owes, unless others go before it; if the applicant is not known yet, when they
    are.
    """
    before_it = waiting(state, state.applicant_version)
    return Decision(tasks=_next(state)) if [one.about for one in before_it] == [event.id] else NOTHING


def on_corrected(state: State, event: Message[filed.ApplicantCorrected]) -> Decision:
    """What is undeliverable or delayed goes to the new address at once; what is under way finds it by itself."""
    before = event.body.applicant_version - 1
    was = waiting(state, before)
    resting = any(state.notification.delayed.get(one.about) == before for one in was)
    return Decision(tasks=_next(state)) if resting or not was else NOTHING


def _next(state: State, *over: UUID, since: datetime | None = None) -> tuple[Task, ...]:
    """The task of what is to be sent next, if anything is, once `over` are out. `since`: the mailbox has taken nothing
    for so long that it was given up, and is asked once more for each notice that waited, not for as long again.
    """
    if state.recipient is None:
        return ()
    version = state.applicant_version
    left = [one for one in waiting(state, version) if one.about not in over]
    if not left:
        return ()
    told = state.notification.delayed.get(left[0].about) == version
    kind = TELL_DESK if not state.recipient.by_email else SEND if since is None else SEND_AGAIN
    return (Task(kind, SendMail(about=left[0].about, applicant_version=version, since=since, told=told)),)


def _behind(state: State, about: UUID, since: datetime | None = None) -> tuple[Task, ...]:
    """The task of what waits behind a notice that is over; none behind one that an earlier release has ordered, which
    has held up nobody: of two tasks of one notice at once each might send it.
    """
    known = (*state.intake.owed, *state.payment.owed)
    return _next(state, about, since=since) if any(one.about == about and one.at is not None for one in known) else ()


def _anew(state: State, body: MailRefused) -> tuple[Task, ...]:
    """The task of the same notice, for the address that is the newest by now."""
    if body.owed is None:
        return _next(state)
    own = SendMail(
        about=body.about, applicant_version=state.applicant_version, owed=body.owed, recipient=body.recipient
    )
    return (Task(SEND, own),)


def owed(state: State, last: Message[Any]) -> tuple[Task, ...]:
    """After a restore: what waits behind the notices that were taken back was ordered by their outcomes."""
    return _next(state)


def on_taken(state: State, outcome: Message[MailTaken]) -> Decision:
    """The notice is out; the next one goes."""
    body = outcome.body
    if body.about in state.notification.done:
        return NOTHING
    sent = said.NoticeSent(
        notice=body.notice, about=body.about, channel="email", locale=body.locale, message_id=body.message_id
    )
    return Decision((sent,), _behind(state, body.about))


def on_needless(state: State, outcome: Message[MailNeedless]) -> Decision:
    """The notice is not to be said any more, which is said; the next one goes."""
    body = outcome.body
    if body.about in state.notification.done:
        return NOTHING
    cancelled = said.NoticeCancelled(notice=body.notice, about=body.about, reason=body.reason)
    return Decision((cancelled,), _behind(state, body.about))


def on_refused(state: State, outcome: Message[MailRefused]) -> Decision:
    """The notice cannot reach the applicant by mail, and the next one goes; unless there is a newer address by now."""
    body = outcome.body
    version = body.applicant_version or state.applicant_version
    if _is_no_more_its(state, body, version):
        return NOTHING
    if version < state.applicant_version:
        return Decision(tasks=_anew(state, body))
    lost = said.NoticeUndeliverable(
        notice=body.notice, about=body.about, channel="email", reason=body.reason, text=body.text,
        applicant_version=version or None,
    )  # fmt: skip
    return Decision((lost,), _behind(state, body.about, body.since))


def on_deferred(state: State, outcome: Message[MailDeferred]) -> Decision:
    """Try again later, and tell of it once; at once if there is a newer address by now."""
    body, version = outcome.body, outcome.body.applicant_version
    if _is_no_more_its(state, body, version):
        return NOTHING
    if version < state.applicant_version:
        return Decision(tasks=_anew(state, body))
    again = SendMail(
        about=body.about, applicant_version=version, since=body.since, told=body.told or not body.quiet,
        owed=body.owed, recipient=body.recipient,
    )  # fmt: skip
    delayed = said.NoticeDelayed(
        notice=body.notice, about=body.about, channel="email", reason=body.reason, applicant_version=version
    )
    events = () if body.told or body.quiet else (delayed,)
    return Decision(events, (Task(SEND_AGAIN, again, after=body.again_at),))


def _is_no_more_its(state: State, body: MailRefused, version: int) -> bool:
    """Whether the notice is over, or another task's by now, which one of an earlier release never is."""
    told = state.notification
    over = body.about in told.done or told.undeliverable.get(body.about, -1) >= state.applicant_version
    return over or (body.owed is None and _replaced(state, version, body.told))


def on_discarded(state: State, outcome: Message[MailDiscarded]) -> Decision:
    """The notice that was under way is told to be undeliverable, or those behind it would wait for ever."""
    body = outcome.body
    its = [one for one in waiting(state, state.applicant_version) if body.about in (None, one.about)]
    owed = body.owed or next(iter(its), None)
    if owed is None or (body.about is not None and _replaced(state, body.applicant_version, body.told)):
        return NOTHING
    lost = MailRefused(notice=owed.notice, about=owed.about, reason="discarded", owed=body.owed)
    return on_refused(state, Message(outcome.id, outcome.dossier_id, outcome.at, lost))


def given_up(told: Mapping[str, Any]) -> Task:
    """The task that tells of a mail that is given up, of what is known of its task, or of what that came to."""
    kept = {name: told[name] for name in MailDiscarded.model_fields if name in told}
    return Task(GIVEN_UP, read_stored(MailDiscarded, json.dumps(kept)))


def on_left(state: State, outcome: Message[MailLeft]) -> Decision:
    """Whoever took the place goes on."""
    return NOTHING


HEARS: Mapping[type[Model], Rule] = MappingProxyType(
    {
        filed.DossierSubmitted: on_submitted,
        filed.ApplicantCorrected: on_corrected,
        filed.SupplementRequested: on_owing,
        filed.SupplementReminderDue: on_owing,
        filed.SupplementReceived: on_owing,
        filed.SupplementLapsed: on_owing,
        filed.DossierAccepted: on_owing,
        filed.DossierRefused: on_owing,
        filed.ProcessingStarted: on_owing,
        filed.ResultIssued: on_owing,
        filed.ResultReturned: on_owing,
        paid.FeeAssessed: on_owing,
        paid.FeeWaived: on_owing,
        paid.PaymentRequested: on_owing,
        paid.PaymentFailed: on_owing,
        paid.FeePaid: on_owing,
        paid.DuplicatePaymentFound: on_owing,
        MailTaken: on_taken,
        MailNeedless: on_needless,
        MailRefused: on_refused,
        MailDeferred: on_deferred,
        MailDiscarded: on_discarded,
        MailLeft: on_left,
    }
)
