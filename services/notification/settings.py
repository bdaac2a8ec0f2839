"""What notification must be told besides."""

from pydantic import Field

from shared.runtime.settings import Settings


class NotificationSettings(Settings):
    """The mail server, and what stands in From; the domain of Message-IDs is the sender's."""

    smtp_host: str = Field(min_length=1)
    smtp_port: int = Field(ge=1, le=65535)
    mail_give_up_days: float = Field(5.0, gt=0, le=30)
    mail_from: str = Field("dossier@dichvucong.example", pattern=r"^[^\s@<>]+@[A-Za-z0-9.-]+$")
