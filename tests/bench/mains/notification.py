"""Notification with a mail server in this process that takes everything; for the bench of the event path."""

import sys
from collections.abc import Mapping
from dataclasses import replace

from services.notification.__main__ import service
from services.notification.gateways import Mail
from services.notification.tasks import kinds, office
from shared.law.loader import shipped_catalogue
from shared.runtime.admin.cli import main
from shared.runtime.service.service import Resources, Service
from shared.runtime.tasks.kinds import TaskKind


class Taking:
    """A mail server that takes every mail."""

    async def send(self, mail: Mail, patience_s: float) -> None:
        """Taken."""


def _tasks(resources: Resources) -> Mapping[str, TaskKind]:
    return kinds(office(Taking(), shipped_catalogue(), resources))


def _service() -> Service:
    return replace(service(), tasks=_tasks)


if __name__ == "__main__":
    sys.exit(main(_service, sys.argv[1:]))
