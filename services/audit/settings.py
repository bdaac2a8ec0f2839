"""What audit must be told: nothing besides what every service is told."""

from shared.runtime.service.settings import Settings

AuditSettings = Settings
