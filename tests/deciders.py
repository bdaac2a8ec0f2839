"""The pure half of each service, with the catalogue that ships: what its composition root runs."""

from services.intake import rules as intake_rules
from services.intake import state as intake_state
from services.notification import rules as notification_rules
from services.notification import state as notification_state
from services.payment import rules as payment_rules
from services.payment import state as payment_state
from services.verification import rules as verification_rules
from services.verification import state as verification_state
from shared.law.loader import shipped_catalogue
from shared.runtime.kernel.decider import Decider

LAW = shipped_catalogue()

INTAKE = Decider("intake", intake_state.State(), intake_rules.rules(LAW), intake_state.EVOLVES, intake_rules.drawn)
VERIFICATION = Decider("verification", verification_state.State(), verification_rules.HEARS, verification_state.EVOLVES)
PAYMENT = Decider("payment", payment_state.State(), payment_rules.HEARS, payment_state.EVOLVES, owed=payment_rules.owed)
NOTIFICATION = Decider(
    "notification", notification_state.State(), notification_rules.HEARS, notification_state.EVOLVES,
    owed=notification_rules.owed,
)  # fmt: skip
