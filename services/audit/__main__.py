"""Audit: composition root."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping

from services.audit import settling
from services.audit.rules import HEARS
from services.audit.settings import AuditSettings
from services.audit.state import EVOLVES, State
from services.audit.tasks import kinds
from services.audit.trail import Trail
from services.audit.verify import parse, verify
from shared.command import run_command
from shared.runtime.admin.cli import main
from shared.runtime.kernel.decider import Decider
from shared.runtime.service.service import Resources, Service
from shared.runtime.service.settings import OperatorSettings, load


def service() -> Service:
    """Audit: its own consumer beside the engine, which only tells what was found."""
    return Service(
        decider=Decider("audit", State(), HEARS, EVOLVES),
        settings=AuditSettings,
        tasks=lambda resources: kinds(),
        hears_events=False,
        also=_trail,
    )


def _trail(resources: Resources) -> Mapping[str, Callable[[], Awaitable[None]]]:
    settings = resources.settings
    broker = settings.broker("audit")
    trail = Trail(resources.pool, broker, resources.metrics, settings.instance, resources.progress, resources.lost)
    return {"trail": trail.run}


def _verify(arguments: list[str]) -> int:
    asked = parse(arguments)
    return asyncio.run(verify(load(OperatorSettings), asked, sys.stdout))


def _discrepancies(arguments: list[str]) -> int:
    asked = settling.parse(arguments)
    return asyncio.run(settling.discrepancies(load(OperatorSettings), asked))


if __name__ == "__main__":
    run_command(lambda: main(service, sys.argv[1:], {"verify": _verify, "discrepancies": _discrepancies}))
