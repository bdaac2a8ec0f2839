"""Verification with a register in this process that finds every citizen as stated; for the bench of the event path."""

import sys
from collections.abc import Mapping
from dataclasses import replace

from services.verification.__main__ import service
from services.verification.gateways import Enquiry
from services.verification.reading import Person
from services.verification.tasks import kinds
from shared.runtime.admin.cli import main
from shared.runtime.service.service import Resources, Service
from shared.runtime.tasks.kinds import TaskKind


class Agreeing:
    """A register that knows everybody, as they state themselves."""

    async def look_up(self, enquiry: Enquiry) -> Person | None:
        """The person asked about."""
        return Person(enquiry.full_name, enquiry.date_of_birth)


def _tasks(resources: Resources) -> Mapping[str, TaskKind]:
    return kinds(Agreeing(), resources.keys)


def _service() -> Service:
    return replace(service(), tasks=_tasks)


if __name__ == "__main__":
    sys.exit(main(_service, sys.argv[1:]))
