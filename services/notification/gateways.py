"""The mail server: the port, and its real adapter (SMTP by aiosmtplib).
A stable Message-ID makes repeats recognisable.
"""

import re
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate
from typing import Protocol

import aiosmtplib

from shared.errors import Transient

DEPENDENCY = "mail"


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail, ready to go. `message_id` is the same at every attempt."""

    to: str
    subject: str
    text: str
    message_id: str
    locale: str


class FinalNo(Exception):
    """The server will never take this mail; `reason` is a word."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class MailServer(Protocol):
    """The port. Returns once the server has answered 250; raises Transient, or FinalNo on a permanent refusal."""

    async def send(self, mail: Mail) -> None: ...


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """A real mail server (RFC 5321). `sender` stands in From; TLS by STARTTLS where the server offers it."""

    host: str
    port: int
    sender: str
    timeout_s: float = 10.0

    async def send(self, mail: Mail) -> None:
        """Hand one mail over. An address that is not a plain one, and a 5yz to RCPT TO or DATA, is final for this mail;
        a no before the recipient is named is said to us, whoever the mail is for, and every mail waits until our
        settings or the server are mended.
        """
        if _PLAIN.fullmatch(mail.to) is None or _ENCODED in mail.to:
            raise FinalNo("address")
        try:
            await aiosmtplib.send(
                self._message(mail),
                # Said, not left to be read out of the headers: the envelope names nobody but the applicant.
                sender=self.sender,
                recipients=[mail.to],
                hostname=self.host,
                port=self.port,
                # Said in EHLO; left out, the library would ask the resolver for our name before each mail.
                local_hostname=self.sender.partition("@")[2],
                timeout=self.timeout_s,
                start_tls=None,
            )
        except aiosmtplib.SMTPRecipientsRefused as refused:
            raise _verdict(max(one.code for one in refused.recipients)) from None
        except aiosmtplib.SMTPDataError as refused:
            raise _verdict(refused.code) from None
        except aiosmtplib.SMTPResponseException as answer:
            raise Transient(DEPENDENCY, f"the server answered {answer.code} before any recipient") from None
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as lost:
            raise Transient(DEPENDENCY, f"no answer: {type(lost).__name__}") from None

    def _message(self, mail: Mail) -> EmailMessage:
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = self.sender, mail.to, mail.subject
        message["Message-ID"], message["Date"] = mail.message_id, formatdate(localtime=False)
        message["Content-Language"], message["Auto-Submitted"] = mail.locale, "auto-generated"
        message.set_content(mail.text)
        return message


_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_PLAIN = re.compile(rf"{_ATOM}(\.{_ATOM})*@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")
"""A mailbox without quotes and comments (RFC 5321, 4.1.2: Dot-string "@" Domain). No other has one meaning only."""
_ENCODED = "=?"
"""How an encoded word begins (RFC 2047): the headers of `email` decode it, even into another address."""

_NOT_LET_IN = frozenset({530, 534, 535, 538})
"""We did not log in as the server wants it (RFC 4954, 6); it may say so to any command."""


def _verdict(code: int) -> Exception:
    """5yz is final for this mail, 4yz and anything odd is tried again (RFC 5321, 4.2.1)."""
    if 500 <= code <= 599 and code not in _NOT_LET_IN:
        return FinalNo(f"smtp-{code}")
    return Transient(DEPENDENCY, f"the server answered {code}")
