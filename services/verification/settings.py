"""What verification must be told besides."""

from pydantic import Field

from shared.runtime.service.settings import Settings


class VerificationSettings(Settings):
    """Where the population register is; its user and secret lie in the secret file `register_credentials`
    (user:secret).
    """

    register_url: str = Field(pattern=r"^https?://[^\s]+$")
