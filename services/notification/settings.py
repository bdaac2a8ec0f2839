"""What notification must be told besides."""

import ipaddress
import ssl
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from services.notification.gateways import Access
from shared.errors import Misconfigured
from shared.runtime.service.settings import Settings

PASSWORD = "smtp_password"  # noqa: S105 - the name of a secret
_SUBMISSION = {25: "none or starttls", 587: "none or starttls", 465: "implicit"}
"""What may be spoken on the ports that have a meaning (RFC 5321, 6409, 8314)."""


class NotificationSettings(Settings):
    """The mail server, how it lets us in, and what stands in From; the domain of Message-IDs is the sender's.

    `smtp_ca`: the file (PEM) of the authority of its certificate, if it is none that the system trusts.
    """

    smtp_host: str = Field(min_length=1)
    smtp_port: int = Field(ge=1, le=65535)
    smtp_tls: Literal["none", "starttls", "implicit"] = "none"
    smtp_ca: Annotated[Path | None, BeforeValidator(lambda told: told or None)] = None
    smtp_user: str = Field("", pattern=r"^[ -~]{0,255}$")
    mail_give_up_days: float = Field(5.0, gt=0, le=30)
    mail_from: str = Field("dossier@dichvucong.example", pattern=r"^[^\s@<>]+@[A-Za-z0-9.-]+$")

    @model_validator(mode="after")
    def _fit(self) -> Self:
        """A contradiction ends the start before anything is connected."""
        _ = self.access()  # raises Misconfigured
        return self

    def access(self) -> Access:
        """How the mail server lets us in. Raises Misconfigured where settings contradict each other."""
        if self.smtp_tls not in _SUBMISSION.get(self.smtp_port, self.smtp_tls):
            raise Misconfigured(
                f"SMTP_PORT is {self.smtp_port}, where SMTP_TLS is {_SUBMISSION[self.smtp_port]}: it is {self.smtp_tls}"
            )
        if self.smtp_user and self.smtp_tls == "none" and not _loopback(self.smtp_host):
            raise Misconfigured("SMTP_USER logs in at another host: SMTP_TLS must be starttls or implicit")
        password = self.secret(PASSWORD) if self.smtp_user else ""
        return Access(self.smtp_tls, self._context(), self.smtp_user, password)

    def _context(self) -> ssl.SSLContext | None:
        if self.smtp_tls == "none":
            if self.smtp_ca is not None:
                raise Misconfigured("SMTP_CA names an authority, but SMTP_TLS is none: nothing would be checked")
            return None
        try:
            context = ssl.create_default_context(cafile=self.smtp_ca)
        except ssl.SSLError as error:
            raise Misconfigured(f"SMTP_CA: {self.smtp_ca} is not a certificate in PEM") from error
        except OSError as error:
            raise Misconfigured(f"SMTP_CA: {self.smtp_ca}: {error.strerror}") from error
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
