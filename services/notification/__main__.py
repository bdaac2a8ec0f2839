"""Notification: composition root."""

import sys
from collections.abc import Mapping
from functools import partial

from services.notification.gateways import SmtpServer
from services.notification.rules import HEARS, given_up, owed
from services.notification.settings import NotificationSettings
from services.notification.state import EVOLVES, State
from services.notification.tasks import kinds, office
from shared.command import run_command
from shared.law.catalogue import Catalogue
from shared.law.loader import shipped_catalogue
from shared.runtime.admin.cli import main
from shared.runtime.kernel.decider import Decider
from shared.runtime.service.service import Resources, Service
from shared.runtime.tasks.kinds import TaskKind


def _tasks(law: Catalogue, resources: Resources) -> Mapping[str, TaskKind]:
    settings = resources.settings
    server = SmtpServer(settings.smtp_host, settings.smtp_port, settings.mail_from, access=settings.access())
    resources.closing.append(server.close)
    return kinds(office(server, law, resources))


def service() -> Service:
    """Notification with the real mail server, and the catalogue that ships with it."""
    return Service(
        decider=Decider("notification", State(), HEARS, EVOLVES, owed=owed, given_up=given_up),
        settings=NotificationSettings,
        tasks=partial(_tasks, shipped_catalogue()),
    )


if __name__ == "__main__":
    run_command(lambda: main(service, sys.argv[1:]))
