"""What the one-stop desk remembers of a dossier: one part per source, so that order between sources does not matter."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Annotated, Any, Literal, TypeVar
from uuid import UUID

from pydantic import AfterValidator, Field, model_validator

from shared.events import intake as said
from shared.events import notification as noticed
from shared.events import payment as paid
from shared.events import verification as verified
from shared.events.base import Actor, Event, FeeLine, Model, UnknownWord
from shared.events.names import first_type, name_of
from shared.lifecycle import FINAL, LABELS, LAPSED, OTHER, Status, after
from shared.runtime.kernel.decider import Evolve, Message
from shared.wording import Language, Text, told_in

AnyPart = TypeVar("AnyPart", bound="Part")


class Step(Model):
    """One line of the timeline. `event`: its type; states of earlier releases have its name. `id`: the event's, by
    which its place among those of others is known; states of before this was kept have none.
    """

    event: Annotated[str, AfterValidator(lambda kept: kept if "." in kept else first_type(kept))]
    at: datetime
    by: Actor | None = None
    id: UUID | None = None

    @property
    def name(self) -> str:
        """What happened, whichever version its event has."""
        return name_of(self.event)

    def __eq__(self, other: object) -> bool:
        """Whether both tell the same event: a step of before ids were kept is no other than the one that its event
        comes to today (`rebuild --check`).
        """
        if not isinstance(other, Step):
            return NotImplemented
        same = (self.name, self.at, self.by) == (other.name, other.at, other.by)
        return same and (self.id == other.id or None in (self.id, other.id))

    def __hash__(self) -> int:
        return hash((self.name, self.at))


class Part(Model):
    """What one source has said so far."""

    steps: tuple[Step, ...] = ()


class Wanted(Model):
    """What an officer's request for a supplement asks for."""

    papers: tuple[str, ...]
    correct_applicant: bool
    respond_by: datetime
    reminded: bool = False


class Filed(Part):
    """What the desk itself has said."""

    status: Status | None = None
    code: str = ""
    procedure: str = ""
    agency: str = ""
    channel: str = ""
    client: str = ""
    locale: Literal["vi", "en"] | UnknownWord = "vi"
    submitted_at: datetime | None = None
    papers: tuple[str, ...] = ()
    missing_papers: tuple[str, ...] = ()
    applicant_version: int = 0
    wanted: Wanted | None = None
    answered_at: datetime | None = None
    lapsed_at: datetime | None = None
    accepted_at: datetime | None = None
    refused_for: str | None = None
    due_at: datetime | None = None
    ways: tuple[str, ...] = ("email", "phone")
    told: tuple[UUID, ...] = ()

    @property
    def language(self) -> Language:
        """In which the applicant is told."""
        return told_in(self.locale)

    @property
    def called(self) -> Text | None:
        """What the status is called; None of a dossier that does not exist."""
        if self.status is None:
            return None
        return LAPSED if self.status is Status.REGISTERED and self.lapsed_at else LABELS.get(self.status, OTHER)

    def is_filed_by(self, name: str, unit: str | None) -> bool:
        """Whether somebody called `name`, of this unit if an officer, stands for the filer: the client that filed, or
        any officer of the unit at whose counter an officer took the application in.
        """
        filer = self.steps[0].by if self.steps else None
        if filer is None or filer.unit is None:
            return self.client == name
        return filer.unit == unit


class Identity(Part):
    """What verification has said, of the newest applicant data that it has spoken of."""

    applicant_version: int = 0
    outcome: Literal["verified", "mismatched", "not_found", "delayed", "abandoned"] | UnknownWord | None = None
    fields: tuple[Literal["full_name", "date_of_birth"] | UnknownWord, ...] = ()


class Fee(Part):
    """What payment has said."""

    kind: str | None = None
    total_vnd: int = 0
    lines: tuple[FeeLine, ...] = ()
    favour: paid.Favour | None = None
    pay_url: str | None = None
    requested: bool = False
    settled_at: datetime | None = None


class Notice(Model):
    """What became of one notice, named by the event that it is `about`, as event `id` tells it: why it was not sent
    (`reason`), and of an undeliverable one what is to be told.
    """

    id: UUID | None = None
    about: UUID
    notice: str
    at: datetime
    channel: str | None = None
    outcome: Literal["sent", "undeliverable", "delayed", "cancelled"] | UnknownWord = "sent"
    reason: str | None = None
    text: str | None = None


class Notices(Model):
    """What notification has said, in its order."""

    notices: tuple[Notice, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _with_ids(cls, kept: Any) -> Any:
        """Of the release before: the events' ids stood in a list of steps beside that of the notices."""
        if not (isinstance(kept, dict) and "steps" in kept):
            return kept
        pairs = zip(kept["notices"], kept["steps"], strict=True)
        return {"notices": [{**notice, "id": step.get("id")} for notice, step in pairs]}

    @property
    def steps(self) -> tuple[Step, ...]:
        """The same as lines of the timeline."""
        return tuple(
            Step(event=f"vn.gov.dossier.notice-{one.outcome}.v1", at=one.at, id=one.id) for one in self.notices
        )


class State(Model):
    """A dossier as the desk sees it."""

    dossier_id: UUID | None = None
    intake: Filed = Field(default_factory=Filed)
    verification: Identity = Field(default_factory=Identity)
    payment: Fee = Field(default_factory=Fee)
    notification: Notices = Field(default_factory=Notices)

    @property
    def identity(self) -> Identity:
        """What verification has said of the applicant's newest data; nothing while they are looked up."""
        said = self.verification
        return said if said.applicant_version == self.intake.applicant_version else Identity()

    @property
    def fee_settled(self) -> bool:
        """Whether nothing stands in the way of acceptance on the side of money: free, waived or paid (C4)."""
        return self.payment.settled_at is not None or self.payment.kind == "none"

    @property
    def unreached(self) -> tuple[Notice, ...]:
        """Undeliverable notices that still wait to be told: not delivered since, not told by an officer, and not asking
        for what is settled by now.
        """
        if not self.notification.notices:
            return ()
        last = {notice.about: notice for notice in self.notification.notices}
        return tuple(
            notice
            for notice in last.values()
            if notice.outcome == "undeliverable" and notice.about not in self.intake.told and not self._settled(notice)
        )

    def _settled(self, notice: Notice) -> bool:
        over = self.intake.status in FINAL
        match notice.notice:
            case "payment-due" | "payment-failed":
                return over or self.fee_settled
            case "supplement" | "supplement-reminder":
                return over or self.intake.wanted is None
        return False


def _stepped(part: AnyPart, event: Message[Event], by: Actor | None = None) -> AnyPart:
    step = Step(event=event.body.TYPE, at=event.at, by=by, id=event.id)
    return part.model_copy(update={"steps": (*part.steps, step)})


def _filed(state: State, event: Message[Event], by: Actor, **changes: object) -> State:
    part = _stepped(state.intake, event, by)
    status = after(part.status, type(event.body))
    changed = part.model_copy(update={**changes, "status": status})
    return state.model_copy(update={"intake": changed, "dossier_id": event.dossier_id})


def _submitted(state: State, event: Message[said.DossierSubmitted]) -> State:
    body = event.body
    return _filed(
        state, event, body.by,
        code=body.code, procedure=body.procedure, agency=body.agency, channel=body.channel, client=body.by.name,
        locale=body.applicant.locale, submitted_at=body.submitted_at, papers=tuple(p.code for p in body.papers),
        missing_papers=body.missing_papers, applicant_version=body.applicant_version, ways=body.applicant.ways,
    )  # fmt: skip


def _corrected(state: State, event: Message[said.ApplicantCorrected]) -> State:
    body = event.body
    return _filed(
        state, event, body.by,
        applicant_version=body.applicant_version, locale=body.applicant.locale, ways=body.applicant.ways,
    )  # fmt: skip


def _requested(state: State, event: Message[said.SupplementRequested]) -> State:
    body = event.body
    wanted = Wanted(papers=body.papers, correct_applicant=body.correct_applicant, respond_by=body.respond_by)
    return _filed(state, event, body.by, wanted=wanted, lapsed_at=None)


def _reminded(state: State, event: Message[said.SupplementReminderDue]) -> State:
    wanted = state.intake.wanted
    return _filed(state, event, event.body.by, wanted=wanted and wanted.model_copy(update={"reminded": True}))


def _lapsed(state: State, event: Message[said.SupplementLapsed]) -> State:
    return _filed(state, event, event.body.by, wanted=None, lapsed_at=event.at)


def _received(state: State, event: Message[said.SupplementReceived]) -> State:
    came = {paper.code for paper in event.body.papers}
    return _filed(
        state, event, event.body.by,
        papers=tuple(dict.fromkeys((*state.intake.papers, *(p.code for p in event.body.papers)))),
        missing_papers=tuple(paper for paper in state.intake.missing_papers if paper not in came),
        wanted=None, answered_at=event.at,
    )  # fmt: skip


def _accepted(state: State, event: Message[said.DossierAccepted]) -> State:
    return _filed(state, event, event.body.by, accepted_at=event.body.accepted_at, due_at=event.body.due_at)


def _refused(state: State, event: Message[said.DossierRefused]) -> State:
    return _filed(state, event, event.body.by, refused_for=event.body.reason)


def _told(state: State, event: Message[said.ApplicantTold]) -> State:
    told = tuple(dict.fromkeys((*state.intake.told, *event.body.about)))
    return _filed(state, event, event.body.by, told=told)


def _acted(state: State, event: Message[Any]) -> State:
    """Of an act that leaves nothing to remember but itself."""
    return _filed(state, event, event.body.by)


_OUTCOMES: Mapping[type[Event], str] = MappingProxyType(
    {
        verified.CitizenVerified: "verified",
        verified.CitizenMismatched: "mismatched",
        verified.CitizenNotFound: "not_found",
        verified.VerificationDelayed: "delayed",
        verified.VerificationAbandoned: "abandoned",
    }
)

_LookedUp = (
    verified.CitizenVerified
    | verified.CitizenMismatched
    | verified.CitizenNotFound
    | verified.VerificationDelayed
    | verified.VerificationAbandoned
)


def _looked_up(state: State, event: Message[_LookedUp]) -> State:
    part, body = _stepped(state.verification, event), event.body
    if body.applicant_version >= part.applicant_version:
        fields = body.fields if isinstance(body, verified.CitizenMismatched) else ()
        outcome = {"outcome": _OUTCOMES[type(body)], "applicant_version": body.applicant_version, "fields": fields}
        part = part.model_copy(update=outcome)
    return state.model_copy(update={"verification": part})


def _money(state: State, event: Message[Event], **changes: object) -> State:
    part = _stepped(state.payment, event).model_copy(update=changes)
    return state.model_copy(update={"payment": part})


def _assessed(state: State, event: Message[paid.FeeAssessed]) -> State:
    body = event.body
    return _money(state, event, kind=body.kind, total_vnd=body.total_vnd, lines=body.lines, favour=body.favour)


def _payment_requested(state: State, event: Message[paid.PaymentRequested]) -> State:
    return _money(state, event, requested=True, pay_url=event.body.pay_url)


def _settled(state: State, event: Message[paid.FeePaid | paid.FeeWaived]) -> State:
    return _money(state, event, settled_at=event.at, pay_url=None)


def _noted(state: State, event: Message[Event]) -> State:
    return _money(state, event)


_Notified = noticed.NoticeSent | noticed.NoticeUndeliverable | noticed.NoticeDelayed | noticed.NoticeCancelled


def _notified(state: State, event: Message[_Notified]) -> State:
    part, body = state.notification, event.body
    facts = {"channel": getattr(body, "channel", None), "reason": getattr(body, "reason", None)}
    match body:
        case noticed.NoticeUndeliverable():
            facts |= {"outcome": "undeliverable", "text": body.text}
        case noticed.NoticeDelayed():
            facts["outcome"] = "delayed"
        case noticed.NoticeCancelled():
            facts["outcome"] = "cancelled"
    notice = Notice(id=event.id, about=body.about, notice=body.notice, at=event.at).model_copy(update=facts)
    told = part.model_copy(update={"notices": (*part.notices, notice)})
    return state.model_copy(update={"notification": told})


EVOLVES: Mapping[type[Event], Evolve] = MappingProxyType(
    {
        said.DossierSubmitted: _submitted,
        said.ApplicantCorrected: _corrected,
        said.SupplementRequested: _requested,
        said.SupplementReminderDue: _reminded,
        said.SupplementReceived: _received,
        said.SupplementLapsed: _lapsed,
        said.DossierAccepted: _accepted,
        said.DossierRefused: _refused,
        said.ProcessingStarted: _acted,
        said.ResultIssued: _acted,
        said.ResultReturned: _acted,
        said.ApplicantTold: _told,
        **dict.fromkeys(_OUTCOMES, _looked_up),
        paid.FeeAssessed: _assessed,
        paid.FeeReduced: _noted,
        paid.FeeWaived: _settled,
        paid.PaymentRequested: _payment_requested,
        paid.PaymentFailed: _noted,
        paid.FeePaid: _settled,
        paid.DuplicatePaymentFound: _noted,
        paid.FeeAbandoned: _noted,
        noticed.NoticeSent: _notified,
        noticed.NoticeUndeliverable: _notified,
        noticed.NoticeDelayed: _notified,
        noticed.NoticeCancelled: _notified,
    }
)
