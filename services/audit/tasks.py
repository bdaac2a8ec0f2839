"""Audit's one task: the alarm that turns a discrepancy, found while storing, into an event."""

from collections.abc import Mapping

from services.audit.rules import Discrepancy
from shared.runtime.kernel.decider import Outcome
from shared.runtime.tasks.kinds import Attempt, TaskKind, ring

REPORT = "report-discrepancy"


async def report_discrepancy(attempt: Attempt) -> Outcome:
    """The alarm rings."""
    return await ring(attempt.payload)


def kinds() -> Mapping[str, TaskKind]:
    """Audit's tasks by name."""
    return {REPORT: TaskKind(Discrepancy, report_discrepancy)}
