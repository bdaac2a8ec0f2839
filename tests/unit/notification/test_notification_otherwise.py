"""Who has no e-mail address is told by the desk's officers, with the words; and nobody is told twice."""

from datetime import timedelta
from uuid import UUID

import pytest

from services.notification.gateways import FinalNo
from services.notification.rules import SEND, TELL_DESK, MailLeft, MailNeedless, MailRefused, SendMail
from services.notification.texts import spoken
from shared.errors import Transient
from shared.events.base import Event
from shared.law.entries import Locale
from shared.runtime.kernel.decider import Task
from shared.runtime.tasks.kinds import Attempt
from tests import controls
from tests.controls import (
    AT,
    CODE,
    DOSSIER,
    MESSAGE,
    applicant,
    applicant_corrected,
    applicant_told,
    dossier_refused,
    dossier_submitted,
    message,
    notice_sent,
    notice_undeliverable,
    payment_requested,
    recipient,
)
from tests.deciders import LAW, NOTIFICATION
from tests.given import Given, given
from tests.notices import CASES, LOCALES
from tests.unit.keys import DESTROYED
from tests.unit.notification.test_notification_tasks import TASK, Desk, Server, filed

S, A = MESSAGE, UUID(int=7)
WITHOUT = applicant(ways=("phone", "counter"))
FILED: Given = message(dossier_submitted(applicant=WITHOUT), at=AT, message_id=S)
NOBODY = {"reason": "no-address", "applicant_version": 1}


def later(event: Event, event_id: UUID = A) -> Given:
    return message(event, at=AT + timedelta(minutes=1), message_id=event_id)


def task(kind: str, about: UUID, version: int = 1) -> Task:
    return Task(kind, SendMail(about=about, applicant_version=version))


async def told(known: list[Given], about: UUID = S, version: int = 1, server: Server | None = None) -> object:
    """What the task that tells the desk comes to; no key is needed, and no server."""
    desk = Desk(known, server or Server(Transient("mail", "421")), DESTROYED)
    return await desk.office.tell_desk(Attempt(TASK, DOSSIER, SendMail(about=about, applicant_version=version), 1, AT))


def test_without_an_address_no_mail_is_ordered() -> None:
    given(NOTIFICATION).when(FILED).then(tasks=[task(TELL_DESK, S)])
    given(NOTIFICATION, [FILED, notice_undeliverable(**NOBODY)]).when(later(dossier_refused())).then(
        tasks=[task(TELL_DESK, A)]
    )


async def test_the_desk_is_told_the_words_without_the_mail_server() -> None:
    refused = await told([FILED])
    assert isinstance(refused, MailRefused)
    assert (refused.reason, refused.applicant_version) == ("no-address", 1)
    assert "Chậm nhất 08:30 ngày 17/09/2026" in (refused.text or "")
    assert CODE in (refused.text or "")
    assert "không trả lời thư này" not in (refused.text or "")


def test_that_nobody_is_written_to_is_said_with_the_words() -> None:
    outcome = controls.mail_refused(reason="no-address", applicant_version=1, text="Báo")
    given(NOTIFICATION, [FILED]).when(outcome).then(notice_undeliverable(**NOBODY, text="Báo"))


@pytest.mark.parametrize("locale", ["vi", "en"])
async def test_the_words_of_a_note_stay_sealed_and_the_officer_is_told_that_there_is_one(locale: Locale) -> None:
    start = message(dossier_submitted(applicant=applicant(ways=("post",), locale=locale)), at=AT, message_id=S)
    refused = await told([start, notice_undeliverable(**NOBODY), later(dossier_refused())], A)
    assert isinstance(refused, MailRefused)
    assert {"vi": "có ghi chú", "en": "wrote a note"}[locale] in (refused.text or "")
    assert "sealed" not in (refused.text or "")


async def test_a_mail_that_is_refused_carries_the_words_too() -> None:
    refused = await Desk([filed()], Server(FinalNo("smtp-550", "550"))).whole()
    assert isinstance(refused, MailRefused)
    assert (refused.reason, CODE in (refused.text or "")) == ("smtp-550", True)


async def test_whose_address_was_taken_back_meanwhile_is_written_no_mail() -> None:
    server = Server()
    corrected = later(applicant_corrected(applicant=WITHOUT))
    refused = await Desk([message(dossier_submitted(), at=AT, message_id=S), corrected], server).send()
    assert isinstance(refused, MailRefused)
    assert (refused.reason, refused.applicant_version, server.taken) == ("no-address", 2, [])


async def test_who_gives_an_address_is_written_to_after_all() -> None:
    corrected = later(applicant_corrected())
    lost = [FILED, notice_undeliverable(**NOBODY)]
    given(NOTIFICATION, lost).when(corrected).then(tasks=[task(SEND, S, 2)])
    meanwhile = await told([FILED, corrected])
    assert isinstance(meanwhile, MailRefused)
    given(NOTIFICATION, [FILED, corrected]).when(meanwhile).then(tasks=[task(SEND, S, 2)])


async def test_what_an_officer_has_told_is_not_mailed_to_an_address_that_comes_later() -> None:
    known = [FILED, notice_undeliverable(**NOBODY), applicant_told(S), later(applicant_corrected())]
    found = await Desk(known).send(about=S, applicant_version=2)
    assert found == MailNeedless(notice="submission", about=S, reason="told")
    given(NOTIFICATION, known).when(found).then(controls.notice_cancelled(notice="submission", about=S, reason="told"))


async def test_what_is_settled_is_not_told_the_desk_either() -> None:
    asked = [FILED, notice_undeliverable(**NOBODY), later(payment_requested()), later(controls.fee_paid(), UUID(int=8))]
    assert await told(asked, A) == MailNeedless(notice="payment-due", about=A, reason="settled")
    assert await told([FILED, notice_sent(about=S)]) == MailLeft()


def test_every_notice_can_be_spoken() -> None:
    for owed, _ in CASES.values():
        for locale in LOCALES:
            words = spoken(LAW, owed, recipient(locale=locale))
            assert CODE in words
            assert "{" not in words
