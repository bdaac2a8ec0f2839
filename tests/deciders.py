"""The pure half of each service, with the catalogue that ships: what its composition root runs."""

import importlib
from collections.abc import Mapping
from typing import Any

from services.intake import state as intake_state
from services.notification import state as notification_state
from services.payment import state as payment_state
from services.verification import state as verification_state
from shared.law.loader import shipped_catalogue
from shared.runtime.kernel.decider import Decider
from shared.runtime.service.service import Service
from shared.services import SERVICES

LAW = shipped_catalogue()


def composed(name: str) -> Service:
    """A service as its composition root makes it."""
    made: Service = importlib.import_module(f"services.{name}.__main__").service()
    return made


DECIDERS: Mapping[str, Decider[Any]] = {name: composed(name).decider for name in SERVICES}
INTAKE: Decider[intake_state.State] = DECIDERS["intake"]
VERIFICATION: Decider[verification_state.State] = DECIDERS["verification"]
PAYMENT: Decider[payment_state.State] = DECIDERS["payment"]
NOTIFICATION: Decider[notification_state.State] = DECIDERS["notification"]
