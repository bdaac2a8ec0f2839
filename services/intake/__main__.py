"""The one-stop desk: composition root."""

import sys

from services.intake.api import routes
from services.intake.limits import limit
from services.intake.rules import drawn, rules
from services.intake.settings import IntakeSettings
from services.intake.state import EVOLVES, State
from services.intake.supplements import owed
from services.intake.tasks import jobs, kinds
from shared.command import run_command
from shared.law.catalogue import Catalogue
from shared.law.loader import shipped_catalogue
from shared.law.synthetic import is_synthetic
from shared.runtime.admin.cli import main
from shared.runtime.kernel.decider import Decider
from shared.runtime.service.service import Service
from shared.runtime.store.commit import Desk
from shared.runtime.store.unreached import Unreached


def _place(state: State) -> Unreached | None:
    """Where a dossier stands on its unit's list of applicants who must be told otherwise, if it does."""
    waiting = state.unreached
    if not waiting or not state.intake.agency:
        return None
    return Unreached(state.intake.agency, min(notice.at for notice in waiting), len(waiting))


def _desk(law: Catalogue) -> Desk:
    """What lists and gauges draw from a state; a synthetic dossier is counted nowhere and owed by nobody."""
    return Desk(
        unit=lambda state: state.intake.agency or None,
        status=lambda state: None if is_synthetic(state.intake.agency) else state.intake.status,
        attention_at=lambda state: None if is_synthetic(state.intake.agency) else limit(law, state),
        unreached=lambda state: None if is_synthetic(state.intake.agency) else _place(state),
        lists_unreached=True,
    )


def service() -> Service:
    """The desk, with the catalogue that ships with it."""
    law = shipped_catalogue()
    return Service(
        decider=Decider("intake", State(), rules(law), EVOLVES, drawn, lambda state, last: owed(law, state)),
        settings=IntakeSettings,
        desk=_desk(law),
        tasks=kinds,
        jobs=lambda resources: jobs(law, resources),
        api=lambda resources: routes(resources, law),
        needs_kafka=False,
        hears_within_s=0.2,
    )


if __name__ == "__main__":
    run_command(lambda: main(service, sys.argv[1:]))
