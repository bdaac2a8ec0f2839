"""What citizens are told where a word is not known: what is true of it whatever it means, or nothing for now."""

from uuid import UUID

import pytest

from services.notification.rules import MailDiscarded, MailTaken, SendMail, given_up
from services.notification.state import Facts, Owed, Recipient, State
from services.notification.texts import spoken, text
from shared.errors import TooNew
from shared.events.base import Event, UnknownWord
from shared.law.catalogue import Catalogue
from shared.law.entries import Locale
from shared.runtime.tasks.kinds import Attempt
from tests import controls
from tests.controls import (
    AT,
    DOSSIER,
    MESSAGE,
    dossier_submitted,
    fee_assessed,
    message,
    payment_requested,
    recipient,
    result_returned,
    supplement_requested,
)
from tests.deciders import LAW, NOTIFICATION
from tests.given import given
from tests.notices import owed
from tests.tomorrow import WORD
from tests.unit.notification.test_notification_tasks import TASK, Desk, Server, filed, person

OTHER = UnknownWord(WORD)
UNMET = payment_requested(), fee_assessed(claim_unmet=OTHER)
FIELDS = (supplement_requested(correct_applicant=True, fields=("full_name", OTHER)),)
RETURNED = (result_returned(handover=OTHER),)


@pytest.mark.parametrize(
    ("told", "vi", "en"),
    [
        (UNMET, "không áp dụng được cho hồ sơ này. Nếu", "does not apply to this application. If"),
        (FIELDS, "(họ và tên, một số thông tin khác với", "database: full name, other data)"),
        (RETURNED, "đã được trả cho ông/bà, lúc", "was handed over to you, at"),
    ],
    ids=["claim-unmet", "fields", "handover"],
)
def test_what_is_not_known_is_left_open_and_the_rest_is_said(told: tuple[Event, ...], vi: str, en: str) -> None:
    locales: dict[Locale, str] = {"vi": vi, "en": en}
    for locale, part in locales.items():
        for write in (_mail, spoken):
            written = write(LAW, owed(*told), recipient(locale=locale))
            assert part in written
            assert WORD not in written


def _mail(law: Catalogue, one: Owed, to: Recipient) -> str:
    return text(law, one, to, "An")


async def test_who_reads_a_language_that_we_do_not_write_is_told_in_vietnamese_and_that_is_said() -> None:
    server, french = Server(), person().model_copy(update={"locale": UnknownWord("fr")})
    known = message(dossier_submitted(applicant=french), at=AT, message_id=MESSAGE)
    taken = await Desk([known], server).send()
    assert isinstance(taken, MailTaken)
    assert (taken.locale, server.taken[0].locale) == ("vi", "vi")
    assert "Kính gửi" in server.taken[0].text
    said = given(NOTIFICATION, [known]).when(taken).decision.events
    assert [getattr(event, "locale", None) for event in said] == ["vi"]
    kept = given(NOTIFICATION, [known]).state.recipient
    assert kept is not None
    assert kept.locale == "fr"


async def _of_tomorrow(dossier_id: UUID) -> State:
    """The dossier as a later release has left it: with a notice first that this one has no words for."""
    state = given(NOTIFICATION, [filed()]).state
    new = controls.owed(notice=OTHER, facts=Facts())
    return state.model_copy(update={"intake": state.intake.model_copy(update={"owed": (new,)})})


@pytest.mark.parametrize("way", ["send", "tell_desk"])
async def test_a_notice_that_this_release_has_no_words_for_waits_and_nobody_is_told_anything(way: str) -> None:
    server = Server()
    desk = Desk([filed()], server)
    desk.office.remembered = _of_tomorrow
    attempt = Attempt(TASK, DOSSIER, SendMail(about=MESSAGE, applicant_version=1), 1, AT)
    with pytest.raises(TooNew):
        await (desk.office.send(False, attempt) if way == "send" else desk.office.tell_desk(attempt))
    assert server.taken == []


def test_a_mail_of_a_later_release_that_an_operator_gives_up_is_told_by_its_own_words() -> None:
    told = {"about": str(MESSAGE), "owed": {**controls.owed().model_dump(mode="json"), "notice": WORD, "mood": "fine"}}
    task = given_up(told)
    assert isinstance(task.payload, MailDiscarded)
    assert task.payload.owed is not None
    assert task.payload.owed.notice == WORD
    discarded = given(NOTIFICATION, [filed()]).when(task.payload).decision.events
    assert [getattr(event, "notice", None) for event in discarded] == [WORD]
