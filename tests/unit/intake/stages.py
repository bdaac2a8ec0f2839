"""How a dossier comes to each status: the events that the desk has said or heard by then."""

from collections.abc import Mapping

from services.intake.supplements import LAPSE, REMIND
from shared.events.base import Event
from shared.lifecycle import Status
from tests.controls import (
    citizen_verified,
    dossier_accepted,
    dossier_refused,
    dossier_submitted,
    fee_assessed,
    fee_paid,
    payment_requested,
    processing_started,
    result_issued,
    result_returned,
    supplement_requested,
)

ALARMS = (REMIND, LAPSE)
"""What every request for a supplement sets."""

FILED = (dossier_submitted(),)
PAID = (fee_assessed(), payment_requested(), fee_paid())
ACCEPTABLE = (*FILED, citizen_verified(), *PAID)
ACCEPTED = (*ACCEPTABLE, dossier_accepted())
IN_PROCESS = (*ACCEPTED, processing_started())
PROCESSED = (*IN_PROCESS, result_issued())

STAGES: Mapping[Status, tuple[Event, ...]] = {
    Status.REGISTERED: ACCEPTABLE,
    Status.SUPPLEMENT_REQUESTED: (*ACCEPTABLE, supplement_requested()),
    Status.NOT_ACCEPTED: (*ACCEPTABLE, dossier_refused()),
    Status.ACCEPTED: ACCEPTED,
    Status.IN_PROCESS: IN_PROCESS,
    Status.PROCESSED: PROCESSED,
    Status.RETURNED: (*PROCESSED, result_returned()),
}
"""Every status that this desk can bring a dossier to."""
