"""The one-stop desk: composition root."""

import sys

from services.intake.api import routes
from services.intake.rules import drawn, rules
from services.intake.settings import IntakeSettings
from services.intake.state import EVOLVES, State
from services.intake.supplements import owed
from services.intake.tasks import jobs, kinds
from services.intake.views import FIGURES, views
from shared.command import run_command
from shared.law.loader import shipped_catalogue
from shared.runtime.admin.cli import main
from shared.runtime.kernel.decider import Decider
from shared.runtime.service.service import Service


def service() -> Service:
    """The desk, with the catalogue that ships with it."""
    law = shipped_catalogue()
    return Service(
        decider=Decider(
            "intake",
            State(),
            rules(law),
            EVOLVES,
            drawn,
            lambda state, last: owed(law, state),
            shape=2,
            views=views(law),
        ),  # fmt: skip
        settings=IntakeSettings,
        figures=FIGURES,
        tasks=kinds,
        jobs=lambda resources: jobs(law, resources),
        api=lambda resources: routes(resources, law),
        needs_kafka=False,
        hears_within_s=0.2,
    )


if __name__ == "__main__":
    run_command(lambda: main(service, sys.argv[1:]))
