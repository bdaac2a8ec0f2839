"""What the watcher must be told; its token lies in the secret file `watcher_token`."""

from pathlib import Path

from pydantic import Field, ValidationError

from shared.cleaning import BYTE_ORDER_MARK
from shared.errors import Misconfigured
from shared.forms import form_faults
from shared.law.application import Applicant
from shared.runtime.service.settings import SERVERS, KafkaSettings

MADE_UP = Path(__file__).parent / "applicant.json"
"""Nobody: the applicant where register and mailbox are simulators."""


class WatcherSettings(KafkaSettings):
    """Where desk and cluster are, how often a dossier is filed, and for how long one may be on its way (seconds)."""

    kafka_bootstrap_servers: str = Field(pattern=rf"^{SERVERS}$")
    intake_urls: str = Field(pattern=r"^https?://[^\s,]+(,https?://[^\s,]+)*$")
    probe_host: str = "127.0.0.1"
    probe_port: int = Field(9000, ge=1, le=65535)
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")
    synthetic_period_s: float = Field(60.0, gt=0)
    synthetic_patience_s: float = Field(600.0, gt=0)
    synthetic_applicant: Path = MADE_UP
    database_disk_bytes: int = Field(0, ge=0, description="what the five databases may take; 0: not told")

    def applicant(self) -> Applicant:
        """Whom a synthetic dossier is about. Raises Misconfigured."""
        try:
            return Applicant.model_validate_json(self.synthetic_applicant.read_bytes().removeprefix(BYTE_ORDER_MARK))
        except OSError as error:
            raise Misconfigured(f"SYNTHETIC_APPLICANT {self.synthetic_applicant}: {error.strerror}") from error
        except ValidationError as error:
            faults = "; ".join(f"{fault.pointer}: {fault.code}" for fault in form_faults(error))
            raise Misconfigured(f"SYNTHETIC_APPLICANT {self.synthetic_applicant}: {faults}") from error
