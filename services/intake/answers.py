"""What the desk answers, as models: for its reference. `timeline.py` makes it; a test holds the two together."""

from typing import Literal
from uuid import UUID

from pydantic import AwareDatetime

from shared.events.base import FeeLine, Model, UnknownWord
from shared.events.payment import Favour


class Summary(Model):
    """What every act is answered with. Times are Vietnam's, with their offset. `supplement_lapsed_at`: when what was
    asked for last was recorded not to have come in time.
    """

    dossier_id: UUID
    code: str
    status: int
    status_label: str
    supplement_lapsed_at: AwareDatetime | None
    accept_by: AwareDatetime | None
    due_at: AwareDatetime | None


class IdentityTold(Model):
    """What the population register has said; of another version of the applicant's data, if the two differ."""

    outcome: Literal["verified", "mismatched", "not_found", "delayed", "abandoned"] | UnknownWord | None
    applicant_version: int
    current_version: int
    mismatched_fields: tuple[str, ...]


class RefusalTold(Model):
    """Why it was refused, and by which clause."""

    reason: str
    text: str | None
    basis: str | None


class WantedTold(Model):
    """What a supplement has to bring, and until when."""

    papers: tuple[str, ...]
    correct_applicant: bool
    respond_by: AwareDatetime


class FeeTold(Model):
    """What is owed (đồng), by which lines, and where it can be paid."""

    kind: str | None
    total_vnd: int | None
    lines: tuple[FeeLine, ...]
    favour: Favour | None
    settled: bool
    pay_url: str | None


class NoticeTold(Model):
    """What became of a notice: `sent`; `delayed`, it is tried again; `cancelled`, it is not needed any more (both with
    `reason`); or `undeliverable`, with all that follows here.
    """

    notice: str
    label: str
    about: UUID
    channel: str | None
    outcome: Literal["sent", "undeliverable", "delayed", "cancelled"] | UnknownWord
    at: AwareDatetime
    reason: str | None = None
    why: str | None = None
    waiting: bool = False
    to_do: str | None = None
    text: str | None = None


class Way(Model):
    """A way to reach a person."""

    way: str
    label: str


class By(Model):
    """Who did it; the unit's name is that of the day."""

    name: str
    unit: str | None
    unit_name: str | None
    duty: str


class StepTold(Model):
    """One event of the dossier."""

    event: str
    label: str
    at: AwareDatetime
    by: By | None


class Timeline(Summary):
    """Everything the desk knows of a dossier, without personal data."""

    procedure: str
    agency: str
    agency_name: str | None
    held_by: str | None
    submitted_at: AwareDatetime
    accepted_at: AwareDatetime | None
    identity: IdentityTold
    missing_papers: tuple[str, ...]
    refusal: RefusalTold | None
    wanted: WantedTold | None
    fee: FeeTold
    notices: tuple[NoticeTold, ...]
    events: tuple[StepTold, ...]


class ToBeTold(Summary):
    """A dossier whose applicant must be told otherwise, what, and by which ways."""

    ways: tuple[Way, ...]
    notices: tuple[NoticeTold, ...]


class Unreached(Model):
    """A page of a list, as of the overdue ones."""

    dossiers: tuple[ToBeTold, ...]
    next: str | None
    total: int


class Queued(Model):
    """A dossier in its unit's queue. `accept_by`, `due_at`: limits that run now; `act_by`: until when the unit must
    act; `awaited`: of whom something is awaited.
    """

    dossier_id: UUID
    code: str
    status: int
    procedure: str
    channel: str
    submitted_at: AwareDatetime
    accept_by: AwareDatetime | None
    due_at: AwareDatetime | None
    act_by: AwareDatetime | None
    awaited: Literal["unit", "applicant"] | None
    fee_settled: bool
    identity: str | None


class Queue(Model):
    """A page of the queue, or of what was found in it; as of the overdue ones."""

    dossiers: tuple[Queued, ...]
    next: str | None
    total: int


class Overdue(Model):
    """A page of a list; `next` is the cursor of the page after, `total` counts them all."""

    dossiers: tuple[Summary, ...]
    next: str | None
    total: int
