"""The desk's alarms, and its jobs. Nothing outside is touched."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, time
from functools import partial

from services.intake.finding import FIND_KEY, Refill
from services.intake.state import State
from services.intake.supplements import LAPSE, REMIND, Alarm, DeadlineRang, ReminderRang, owed
from shared.errors import Transient
from shared.law.catalogue import Catalogue
from shared.runtime.kernel.decider import Outcome
from shared.runtime.service.service import Resources
from shared.runtime.store.digests import Digests
from shared.runtime.tasks.jobs import Job
from shared.runtime.tasks.kinds import Attempt, TaskKind, ring
from shared.runtime.tasks.owed import Owed
from shared.schedule import Daily, Every, Missed

LOOK_AGAIN_S = 60.0


async def ring_in_time(clock: Callable[[], datetime], attempt: Attempt) -> Outcome:
    """The alarm rings, once the time has come by the database's clock and by ours (UTC): one of them may be wrong.
    Raises Transient until then.
    """
    alarm: Alarm = attempt.payload
    early_s = (alarm.at - clock()).total_seconds()
    if early_s > 0:
        raise Transient("clock", "the time has not come by this machine's clock", min(early_s, LOOK_AGAIN_S), well=True)
    return await ring(alarm)


def kinds(resources: Resources) -> Mapping[str, TaskKind]:
    """The desk's tasks by name."""
    rings = partial(ring_in_time, resources.clock)
    return {REMIND: TaskKind(ReminderRang, rings), LAPSE: TaskKind(DeadlineRang, rings)}


def jobs(law: Catalogue, resources: Resources) -> Sequence[Job]:
    """The desk's jobs: the table of what it does at times.

    `supplement-alarms` sets the alarms of requests that have none: of those of before there were alarms, or whose
    alarms were lost with a database. `find-digests` makes the digests of dossiers that have none.
    """
    digests = Digests(resources.pool, State)
    refill = Refill(digests, resources.keys, resources.settings.key(FIND_KEY))
    alarms = Owed("intake", State(), partial(owed, law), (REMIND, LAPSE), ("intake", "wanted"), resources.pool)
    return (
        Job("supplement-alarms", Daily(time(2)), alarms.order, Missed.ONCE),
        Job("find-digests", Every(60), refill.run, Missed.ONCE, timeout_s=3000.0, late_s=3 * 3600.0),
    )
