"""Citizen-data verification: composition root."""

import sys
from collections.abc import Mapping

import aiohttp

from services.verification.gateways import REASONS, SoapRegister
from services.verification.rules import HEARS
from services.verification.settings import VerificationSettings
from services.verification.state import EVOLVES, State
from services.verification.tasks import kinds
from shared.command import run_command
from shared.errors import Misconfigured
from shared.runtime.admin.cli import main
from shared.runtime.kernel.decider import Decider
from shared.runtime.service.service import Resources, Service
from shared.runtime.tasks.kinds import TaskKind


def _tasks(resources: Resources) -> Mapping[str, TaskKind]:
    settings = resources.settings
    user, _, secret = settings.secret("register_credentials").partition(":")
    if not user or not secret:
        raise Misconfigured("secret register_credentials is not user:secret")
    session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10, connect=3))
    resources.closing.append(session.close)
    counters = {reason: resources.metrics.register_faults.labels(reason) for reason in REASONS}
    register = SoapRegister(session, settings.register_url, user, secret, count=lambda reason: counters[reason].inc())
    return kinds(register, resources.keys)


def service() -> Service:
    """Verification with the real register."""
    return Service(
        decider=Decider("verification", State(), HEARS, EVOLVES),
        settings=VerificationSettings,
        tasks=_tasks,
    )


if __name__ == "__main__":
    run_command(lambda: main(service, sys.argv[1:]))
