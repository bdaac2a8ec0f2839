"""The desk needs nothing beyond what every service has."""

from shared.runtime.settings import Settings


class IntakeSettings(Settings):
    """Settings of the one-stop desk."""
