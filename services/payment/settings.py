"""What payment must be told besides."""

from pydantic import Field

from shared.runtime.service.settings import DoorSettings


class PaymentSettings(DoorSettings):
    """The bank's page, our terminal there, and where it sends people back; the shared secret lies in the secret file
    `vnpay_secret`.
    """

    vnpay_pay_url: str = Field(pattern=r"^https?://[^\s]+$")
    vnpay_terminal: str = Field("DOSSIER1", pattern=r"^[A-Z0-9]{8}$")
    vnpay_return_url: str = Field(pattern=r"^https?://[^\s]+$")
