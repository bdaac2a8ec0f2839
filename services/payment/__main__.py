"""Payment: composition root."""

import sys

from services.payment.api import routes
from services.payment.gateways import Vnpay
from services.payment.rules import HEARS, owed
from services.payment.settings import PaymentSettings
from services.payment.state import EVOLVES, State
from services.payment.tasks import kinds
from services.payment.views import FIGURES, VIEWS
from shared.command import run_command
from shared.law.loader import shipped_catalogue
from shared.runtime.admin.cli import main
from shared.runtime.kernel.decider import Decider
from shared.runtime.service.service import Resources, Service


def _platform(resources: Resources) -> Vnpay:
    settings = resources.settings
    secret = settings.secret("vnpay_secret").encode()
    return Vnpay(secret, settings.vnpay_terminal, settings.vnpay_pay_url, settings.vnpay_return_url)


def service() -> Service:
    """Payment with the catalogue that ships with it and the real bank."""
    law = shipped_catalogue()
    return Service(
        decider=Decider("payment", State(), HEARS, EVOLVES, owed=owed, shape=2, views=VIEWS),
        settings=PaymentSettings,
        figures=FIGURES,
        tasks=lambda resources: kinds(law, resources.keys, _platform(resources)),
        api=lambda resources: routes(resources.door, resources.metrics, _platform(resources)),
    )


if __name__ == "__main__":
    run_command(lambda: main(service, sys.argv[1:]))
