"""One mail: the same Message-ID at every attempt, no name in the subject, what each no comes to, and when it is tried
again.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from services.notification.gateways import FinalNo, Mail, MailServer, NotYet, SmtpServer
from services.notification.rules import MailDeferred, MailLeft, MailNeedless, MailRefused, MailTaken, SendMail
from services.notification.state import State
from services.notification.tasks import LONGEST_S, PLACES, SLOW_S, Domains, Office
from shared.errors import KeyNotHere, Transient
from shared.events.base import Event, SealedApplicant
from shared.runtime.keys.keyring import KeyRing
from shared.runtime.observe.metrics import Metrics
from shared.runtime.tasks.kinds import Attempt
from tests import controls
from tests.controls import AT, DOSSIER, MESSAGE, applicant, dossier_refused, fee_paid, message, supplement_requested
from tests.deciders import LAW, NOTIFICATION
from tests.given import Given, given
from tests.unit.keys import DESTROYED, HERE, NOT_YET, sealed_field

TASK = UUID("8b1f6a2d-4c3e-5d90-a7e1-59c0f2d84b36")
NAME, ADDRESS = "Nguyễn Thị Mẫu", "mau@example.vn"


def person(address: str = ADDRESS) -> SealedApplicant:
    return applicant(
        full_name=sealed_field("applicant.full_name", NAME), email=sealed_field("applicant.email", address)
    )


def filed(address: str = ADDRESS) -> Given:
    return message(controls.dossier_submitted(applicant=person(address)), at=AT, message_id=MESSAGE)


@dataclass
class Server:
    """A mail server that takes everything, or fails as it is told."""

    failure: Exception | None = None
    taken: list[Mail] = field(default_factory=list)
    patience: list[float] = field(default_factory=list)

    async def send(self, mail: Mail, patience_s: float) -> None:
        self.patience.append(patience_s)
        if self.failure is not None:
            raise self.failure
        self.taken.append(mail)


@dataclass
class Desk:
    """An office that can be asked again and again, at any time."""

    known: list[Given]
    server: MailServer = field(default_factory=Server)
    keys: KeyRing = field(default_factory=lambda: HERE)
    at: datetime = AT
    seconds: float = 0.0
    metrics: Metrics = field(default_factory=lambda: Metrics("notification"))

    def __post_init__(self) -> None:
        self.domains = Domains(lambda: self.seconds)
        self.office = Office(
            self.server, self.keys, LAW, "dvc.example", self._remembered, self.metrics, self.domains,
            clock=lambda: self.at,
        )  # fmt: skip

    async def _remembered(self, dossier_id: UUID) -> State:
        return given(NOTIFICATION, self.known).state

    async def send(self, again: bool = False, **asked: object) -> object:
        """What comes of it, without the words that the desk is told (`test_notification_otherwise.py`)."""
        outcome = await self.whole(again, **asked)
        return outcome.model_copy(update={"text": None}) if isinstance(outcome, MailRefused) else outcome

    async def whole(self, again: bool = False, **asked: object) -> object:
        payload = SendMail.model_validate({"about": MESSAGE, "applicant_version": 1, **asked})
        return await self.office.send(again, Attempt(TASK, DOSSIER, payload, 1, AT))

    def count(self, outcome: str, reason: str) -> float:
        return float(self.metrics.mails.labels(outcome, reason)._value.get())


async def test_a_mail_goes_to_the_applicant_under_the_same_message_id_at_every_attempt() -> None:
    server = Server()
    desk = Desk([filed()], server)
    sent = [await desk.send() for _ in range(2)]
    message_id = f"<{MESSAGE}@dvc.example>"
    assert sent == [controls.mail_taken(message_id=message_id)] * 2
    assert [(mail.to, mail.message_id) for mail in server.taken] == [(ADDRESS, message_id)] * 2
    assert NAME in server.taken[0].text
    assert NAME not in server.taken[0].subject
    assert desk.count("sent", "2yz") == 2


@pytest.mark.parametrize("event", [dossier_refused, supplement_requested])
async def test_what_the_officer_wrote_is_opened_for_the_mail_alone(event: Callable[..., Event]) -> None:
    server, note, about = Server(), "Bản chụp bị mờ", UUID(int=7)
    written = message(event(note=sealed_field("note", note)), at=AT, message_id=about)
    outcome = await Desk([filed(), written], server).send(about=about)
    assert isinstance(outcome, MailTaken)
    assert note in server.taken[0].text
    assert note not in server.taken[0].subject
    assert note not in outcome.model_dump_json()


async def test_what_is_settled_refused_or_sent_already_is_not_handed_to_the_server() -> None:
    server, about = Server(), UUID(int=7)
    asked = message(controls.payment_requested(), at=AT, message_id=about)
    desk = Desk([filed(), asked, fee_paid()], server)
    assert await desk.send(about=about) == MailNeedless(notice="payment-due", about=about, reason="settled")
    assert await Desk([filed(), controls.notice_sent()], server).send() == MailLeft()
    assert (server.taken, desk.count("cancelled", "settled")) == ([], 1)


async def test_a_mail_goes_to_the_address_that_is_known_when_it_is_sent() -> None:
    server = Server()
    corrected = controls.applicant_corrected(applicant=person("moi@example.vn"))
    await Desk([filed(), corrected], server).send()
    assert [mail.to for mail in server.taken] == ["moi@example.vn"]


async def test_a_final_no_of_the_server_is_an_outcome_with_its_reason() -> None:
    desk = Desk([filed()], Server(FinalNo("smtp-550", "5.1")))
    assert await desk.send() == controls.mail_refused(reason="smtp-550")
    assert desk.count("undeliverable", "5.1") == 1


@pytest.mark.parametrize("address", ["=?utf-8?b??=@e.vn", "=?utf-8?b?YQ0KQmNjOiB4QHkudm4NCg==?=@e.vn"])
async def test_a_stored_address_that_no_mail_can_be_sent_to_is_undeliverable(address: str) -> None:
    nowhere = SmtpServer("127.0.0.1", 1, "dossier@dvc.example")
    assert await Desk([filed(address)], nowhere).send() == controls.mail_refused(reason="address")


async def test_who_has_given_no_address_is_undeliverable_and_the_server_not_asked() -> None:
    server = Server()
    assert await Desk([filed("")], server).send() == controls.mail_refused(reason="no-address")
    assert server.patience == []


async def test_a_destroyed_key_is_an_outcome_and_no_mail_goes_out() -> None:
    server = Server()
    assert await Desk([filed()], server, DESTROYED).send() == controls.mail_refused(reason="key-destroyed")
    assert server.taken == []


async def test_a_server_that_does_not_answer_and_a_key_not_here_yet_are_tried_again() -> None:
    desk = Desk([filed()], Server(Transient("mail", "421")))
    with pytest.raises(Transient):
        await desk.send()
    assert desk.count("failed", "server") == 1
    with pytest.raises(KeyNotHere):
        await Desk([filed()], Server(), NOT_YET).send()


# A mailbox or domain that does not take it now


async def _deferred(sent: Awaitable[object]) -> MailDeferred:
    outcome = await sent
    assert isinstance(outcome, MailDeferred)
    return outcome


async def test_a_mailbox_that_does_not_take_a_mail_is_asked_slower_and_slower_and_for_five_days() -> None:
    desk = Desk([filed()], Server(NotYet("smtp-452", "4.2")))
    outcome: object = await desk.send()
    waits = []
    while isinstance(outcome, MailDeferred):
        assert (outcome.reason, outcome.since, outcome.quiet) == ("smtp-452", AT, False)
        waits.append(outcome.again_at - desk.at)
        desk.at = outcome.again_at
        outcome = await desk.send(again=True, since=outcome.since, told=True)
    assert outcome == MailRefused(
        notice="submission", about=MESSAGE, reason="expired", applicant_version=1, told=True, since=AT
    )
    assert timedelta(seconds=45) <= waits[0] <= timedelta(seconds=75)
    assert max(waits) <= timedelta(seconds=LONGEST_S * 1.25)
    assert 25 <= len(waits) <= 60, "a few dozen attempts"
    assert timedelta(days=5) <= desk.at - AT <= timedelta(days=5, hours=5)


async def test_for_how_long_it_is_asked_is_a_setting_and_begins_anew_with_a_corrected_address() -> None:
    corrected = controls.applicant_corrected(applicant=person("moi@example.vn"))
    server = Server(NotYet("smtp-450", "4.7"))
    desk = Desk([filed()], server, at=AT + timedelta(hours=2))
    desk.office.give_up = timedelta(hours=1)
    assert isinstance(await desk.send(again=True, since=AT), MailRefused)
    moved = replace(desk, known=[filed(), corrected])
    moved.office.give_up = timedelta(hours=1)
    assert (await _deferred(moved.send(again=True, since=AT))).since == moved.at


@pytest.mark.parametrize("no", [NotYet("smtp-451", "4.3", soon=True), NotYet("smtp-421", "4yz", soon=True)])
async def test_a_system_that_is_busy_is_asked_again_within_seconds_at_first(no: NotYet) -> None:
    outcome = await _deferred(Desk([filed()], Server(no)).send())
    assert timedelta(seconds=1) <= outcome.again_at - AT <= timedelta(seconds=3)


async def test_a_recipient_for_whom_no_answer_comes_is_waited_for_longer_at_a_place_that_nobody_else_needs() -> None:
    server = Server(NotYet("no-answer", "no-answer", soon=True))
    desk = Desk([filed()], server)
    first = await _deferred(desk.send())
    assert (first.again_at, first.quiet) == (AT, True), "at once, and nothing to tell"
    again = await _deferred(desk.send(again=True, since=AT))
    assert (again.quiet, again.again_at > AT) == (False, True)
    assert server.patience[1] > 30 > server.patience[0]


async def test_a_domain_that_kept_us_waiting_takes_no_place_of_first_attempts_but_one_now_and_then() -> None:
    server = Server(NotYet("no-answer", "no-answer", soon=True))
    desk = Desk([filed()], server)
    await desk.send()
    server.failure = None
    aside = await _deferred(desk.send())
    assert (aside.reason, aside.again_at, aside.quiet, server.taken) == ("crowded", AT, True, [])
    assert isinstance(await Desk([filed("ba@example.org")], server).send(), MailTaken), "others go on"
    desk.seconds = SLOW_S + 1
    desk.domains.busy["example.vn"] = 1
    await _deferred(desk.send())
    desk.domains.busy.clear()
    assert isinstance(await desk.send(), MailTaken)
    desk.domains.busy["example.vn"] = 1
    assert isinstance(await desk.send(), MailTaken), "it answers again"


async def test_one_domain_does_not_take_all_places_of_further_attempts() -> None:
    desk = Desk([filed()])
    desk.domains.busy["example.vn"] = PLACES
    waits = await _deferred(desk.send(again=True, since=AT))
    assert (waits.reason, waits.quiet) == ("crowded", True)
    assert waits.again_at - AT >= timedelta(seconds=45)
    assert desk.domains.busy["example.vn"] == PLACES


def test_only_so_many_domains_are_known() -> None:
    domains = Domains(lambda: 0.0)
    for n in range(1200):
        domains.kept_waiting(f"{n}.vn")
    assert (len(domains.slow), "0.vn" in domains.slow, "1199.vn" in domains.slow) == (1000, False, True)


@pytest.mark.parametrize(("minute", "province"), [(59, "Bắc Giang"), (60, "Bắc Ninh")])
async def test_a_mail_names_the_agency_as_it_is_called_on_the_day_in_vietnam_on_which_it_is_written(
    minute: int, province: str
) -> None:
    server, at = Server(), datetime(2025, 6, 30, 16, tzinfo=UTC) + timedelta(minutes=minute)
    of = message(controls.dossier_submitted(applicant=person(), agency="H02.15.12"), at=AT, message_id=MESSAGE)
    await Desk([of], server, at=at).send()
    assert f"Đơn vị mẫu 12, {province} (" in server.taken[0].text
