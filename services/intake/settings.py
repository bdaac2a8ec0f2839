"""The desk needs nothing beyond what every service has."""

from shared.runtime.service.settings import DoorSettings


class IntakeSettings(DoorSettings):
    """Settings of the one-stop desk."""
