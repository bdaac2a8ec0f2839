"""TLS and log-in at a mail server, on real sockets with certificates of an authority of the test's own: what does not
fit is the server's fault, and nothing is ever said in the clear.
"""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from deploy.kafka.certificates import new_authority, new_broker
from deploy.simulators.process import Simulators
from services.notification.gateways import Access, Mail, SmtpServer
from shared.errors import Transient
from tests.integration.outside.test_smtp_answers import Server, listening_to

MAIL = Mail("mau@example.vn", "Hồ sơ", "Kính gửi", "<m1@dossier.test>", "vi")
PEOPLE = Path(__file__).parents[2] / "contract" / "simulators" / "people.jsonl"
USER, PASSWORD = "dossiers", "a password with spaces: and a colon"
Tls = Literal["none", "starttls", "implicit"]
BOTH = pytest.mark.parametrize("tls", ["starttls", "implicit"])


@dataclass
class Place:
    """A folder with an authority, and what starts mail servers whose certificates it vouches for."""

    folder: Path

    def __post_init__(self) -> None:
        self.authority, self._key = new_authority()

    def context(self, authority: str | None = None) -> ssl.SSLContext:
        """What a client trusts: this authority, or another."""
        return ssl.create_default_context(cadata=authority or self.authority)

    @asynccontextmanager
    async def server(self, tls: Tls, host: str = "127.0.0.1", user: bool = False) -> AsyncIterator[Simulators]:
        """A mail server, with a certificate for `host`; with `user`, one that wants a log-in."""
        certificate, users = self.folder / "smtp.pem", self.folder / "smtp.user"
        certificate.write_text(new_broker(self.authority, self._key, [host]))
        users.write_text(f"{USER}:{PASSWORD}\n")
        arguments = ["--tls", tls, "--certificate", str(certificate)] if tls != "none" else []
        arguments += ["--user-file", str(users)] if user else []
        async with Simulators(self.folder / "outside", PEOPLE, only=["smtp"], smtp_arguments=arguments) as outside:
            yield outside


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@asynccontextmanager
async def adapter(outside: Simulators, access: Access) -> AsyncIterator[SmtpServer]:
    server = SmtpServer("127.0.0.1", outside.smtp_port, "dossier@dvc.example", access=access)
    try:
        yield server
    finally:
        await server.close()


@BOTH
async def test_mails_go_through_tls_that_a_private_authority_vouches_for(place: Place, tls: Tls) -> None:
    async with place.server(tls) as outside, adapter(outside, Access(tls, place.context())) as server:
        await server.send(MAIL)
        await server.send(MAIL)
        assert [mail["rcpt_to"] for mail in outside.mails()] == [[MAIL.to]] * 2


@BOTH
async def test_who_logs_in_may_send(place: Place, tls: Tls) -> None:
    access = Access(tls, place.context(), USER, PASSWORD)
    async with place.server(tls, user=True) as outside, adapter(outside, access) as server:
        await server.send(MAIL)
        assert len(outside.mails()) == 1


@BOTH
@pytest.mark.parametrize("password", ["", "wrong"])
async def test_who_does_not_log_in_rightly_is_not_served_and_no_mail_is_undeliverable(
    place: Place, tls: Tls, password: str
) -> None:
    access = Access(tls, place.context(), USER if password else "", password)
    async with place.server(tls, user=True) as outside, adapter(outside, access) as server:
        with pytest.raises(Transient, match="535" if password else "530") as no:
            await server.send(MAIL)
        assert outside.mails() == []
    assert "wrong" not in str(no.value)


@BOTH
async def test_a_server_of_another_authority_or_under_another_name_is_not_spoken_to(place: Place, tls: Tls) -> None:
    another, _ = new_authority()
    async with place.server(tls) as outside:
        for context in (place.context(another), ssl.create_default_context()):
            async with adapter(outside, Access(tls, context, USER, PASSWORD)) as server:
                with pytest.raises(Transient, match="no answer"):
                    await server.send(MAIL)
        assert outside.mails() == []


@BOTH
async def test_the_name_in_the_certificate_is_checked(place: Place, tls: Tls) -> None:
    async with (
        place.server(tls, host="mail.example") as outside,
        adapter(outside, Access(tls, place.context())) as server,
    ):
        with pytest.raises(Transient, match="no answer"):
            await server.send(MAIL)
        assert outside.mails() == []


async def test_a_server_that_does_not_offer_starttls_gets_nothing_in_the_clear(place: Place) -> None:
    """Nor the log-in: somebody between us may have cut the offer out."""
    server = Server({"AUTH": 235})
    async with listening_to(server) as client:
        client.access = Access("starttls", place.context(), USER, PASSWORD)
        with pytest.raises(Transient):
            await client.send(MAIL)
    assert {said.split()[0] for said in server.heard} <= {"EHLO", "HELO", "QUIT"}


@pytest.mark.parametrize(("spoken", "wanted"), [("none", "implicit"), ("implicit", "none"), ("implicit", "starttls")])
async def test_a_server_that_speaks_otherwise_than_we_were_told_is_not_there(
    place: Place, spoken: Tls, wanted: Tls
) -> None:
    context = None if wanted == "none" else place.context()
    async with place.server(spoken) as outside:
        server = SmtpServer("127.0.0.1", outside.smtp_port, "dossier@dvc.example", 2.0, access=Access(wanted, context))
        with pytest.raises(Transient):
            await server.send(MAIL)
        assert outside.mails() == []


async def test_a_server_that_wants_starttls_takes_no_mail_without(place: Place) -> None:
    async with place.server("starttls") as outside, adapter(outside, Access()) as server:
        with pytest.raises(Transient, match="530"):
            await server.send(MAIL)
        assert outside.mails() == []


def test_a_password_is_shown_by_nothing() -> None:
    assert PASSWORD not in repr(Access("starttls", None, USER, PASSWORD))
