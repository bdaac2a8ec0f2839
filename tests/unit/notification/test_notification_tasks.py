"""One mail: the same Message-ID at every attempt, no name in the subject, and what a final no comes to."""

from collections.abc import Callable
from dataclasses import replace
from uuid import UUID

import pytest

from services.notification.gateways import FinalNo, Mail, SmtpServer
from services.notification.rules import SendMail
from services.notification.tasks import send_mail
from shared.errors import KeyNotHere, Transient
from shared.events.base import Event
from shared.runtime.tasks import Job
from tests import controls
from tests.controls import AT, DOSSIER, dossier_refused, owed, supplement_requested
from tests.deciders import LAW
from tests.notices import owed as owed_for
from tests.unit.keys import DESTROYED, HERE, NOT_YET, sealed_field

TASK = UUID("8b1f6a2d-4c3e-5d90-a7e1-59c0f2d84b36")
NAME, ADDRESS = "Nguyễn Thị Mẫu", "mau@example.vn"
RECIPIENT = controls.recipient(
    full_name=sealed_field("applicant.full_name", NAME), email=sealed_field("applicant.email", ADDRESS)
)
JOB = Job(TASK, DOSSIER, SendMail(owed=owed(), recipient=RECIPIENT), 1, AT)


class Server:
    """A mail server that takes everything, or fails as it is told."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.failure = failure
        self.taken: list[Mail] = []

    async def send(self, mail: Mail) -> None:
        if self.failure is not None:
            raise self.failure
        self.taken.append(mail)


async def test_a_mail_goes_to_the_applicant_under_the_tasks_own_message_id_at_every_attempt() -> None:
    server = Server()
    sent = [await send_mail(server, HERE, LAW, "dvc.example", JOB) for _ in range(2)]
    message_id = f"<{TASK}@dvc.example>"
    assert sent == [controls.mail_taken(message_id=message_id)] * 2
    assert [(mail.to, mail.message_id) for mail in server.taken] == [(ADDRESS, message_id)] * 2
    assert NAME in server.taken[0].text
    assert NAME not in server.taken[0].subject


@pytest.mark.parametrize("event", [dossier_refused, supplement_requested])
async def test_what_the_officer_wrote_is_opened_for_the_mail_alone(event: Callable[..., Event]) -> None:
    server, note = Server(), "Bản chụp bị mờ"
    asked = SendMail(owed=owed_for(event(note=sealed_field("note", note))), recipient=RECIPIENT)
    outcome = await send_mail(server, HERE, LAW, "dvc.example", replace(JOB, payload=asked))
    assert note in server.taken[0].text
    assert note not in server.taken[0].subject
    assert note not in asked.model_dump_json() + outcome.model_dump_json()


async def test_a_final_no_of_the_server_is_an_outcome_with_its_reason() -> None:
    refused = await send_mail(Server(FinalNo("smtp-550")), HERE, LAW, "dvc.example", JOB)
    assert refused == controls.mail_refused(reason="smtp-550")


@pytest.mark.parametrize("address", ["=?utf-8?b??=@e.vn", "=?utf-8?b?YQ0KQmNjOiB4QHkudm4NCg==?=@e.vn"])
async def test_a_stored_address_that_no_mail_can_be_sent_to_is_undeliverable(address: str) -> None:
    stored = controls.recipient(full_name=RECIPIENT.full_name, email=sealed_field("applicant.email", address))
    job = replace(JOB, payload=SendMail(owed=owed(), recipient=stored))
    nowhere = SmtpServer("127.0.0.1", 1, "dossier@dvc.example")
    assert await send_mail(nowhere, HERE, LAW, "dvc.example", job) == controls.mail_refused(reason="address")


async def test_a_destroyed_key_is_an_outcome_and_no_mail_goes_out() -> None:
    server = Server()
    assert await send_mail(server, DESTROYED, LAW, "dvc.example", JOB) == controls.mail_refused(reason="key-destroyed")
    assert server.taken == []


async def test_a_server_that_does_not_answer_and_a_key_not_here_yet_are_tried_again() -> None:
    with pytest.raises(Transient):
        await send_mail(Server(Transient("mail", "421")), HERE, LAW, "dvc.example", JOB)
    with pytest.raises(KeyNotHere):
        await send_mail(Server(), NOT_YET, LAW, "dvc.example", JOB)
