"""The desk's HTTP side. Every body is checked whole, then sealed, then becomes a command under its idempotency key."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from services.intake import commands, finding, operations
from services.intake.acts import ACTS, FILER, UNIT, Act
from services.intake.commands import PERSONAL
from services.intake.reaching import to_be_told
from services.intake.state import State
from services.intake.timeline import queue_row, summary, timeline
from services.intake.views import BY_CODE, BY_NUMBER, OVERDUE, QUEUE, UNREACHED
from shared.errors import Fault, Refused
from shared.events.base import Actor, Paper, SealedApplicant, WaiverClaim
from shared.law.application import Applicant, Application, Papers
from shared.law.calendar import vietnam_date
from shared.law.catalogue import Catalogue
from shared.law.faults import act_faults, examine
from shared.law.synthetic import AGENCY
from shared.law.ways import ways
from shared.runtime.http.door import Body, Client, json_response, message_id, parse, read_body, refusal
from shared.runtime.http.routes import DoorRoute
from shared.runtime.kernel.decider import dossier_id
from shared.runtime.kernel.view import Query
from shared.runtime.keys.sealing import Keks, new_data_key, seal
from shared.runtime.service.callers import Callers, callers
from shared.runtime.service.service import Resources
from shared.runtime.store.reading import StateReader

ROOT, ONE = "/v1/dossiers", "/v1/dossiers/{dossier}"


def seal_applicant(key: bytes, dossier: UUID, applicant: Applicant, channel: str) -> SealedApplicant:
    """The applicant with every personal field sealed under the dossier's key; `channel`: through which it was filed."""
    clear = {
        "id_number": applicant.id_number,
        "full_name": applicant.full_name,
        "date_of_birth": applicant.date_of_birth,
        # Readers of 1.0.0 must find a text in both, given or not; `ways` tells which.
        "phone": applicant.phone or "",
        "email": applicant.email or "",
    }
    if applicant.postal_address is not None:
        clear["postal_address"] = applicant.postal_address
    sealed = {name: seal(key, dossier, f"applicant.{name}", text) for name, text in clear.items()}
    reached_by = ways(channel, applicant.given)
    return SealedApplicant.model_validate({**sealed, "locale": applicant.locale, "ways": reached_by})


class IntakeApi:
    """The routes with what they need. `law` is the catalogue in force, `kek` wraps the keys of new dossiers, `find_key`
    keys digests of numbers, `callers` are those who may come in.
    """

    def __init__(self, resources: Resources, law: Catalogue, kek: Keks, find_key: bytes, callers: Callers) -> None:
        self.resources = resources
        self.door = resources.door
        self.law = law
        self.kek = kek
        self.find_key = find_key
        self.callers = callers
        self.states = StateReader(resources.pool, State, resources.readable)

    async def submit(self, request: Request) -> Response:
        """Take in an application: 201 with id, code and acceptance limit."""
        client = await self.callers.admit(request, *FILER.roles)
        body = await read_body(request)
        application = self._application(body, client)
        key = new_data_key()
        asked = self.door.asked(request, client, body.content, 201, partial(summary, self.law))
        dossier = dossier_id(message_id(asked))
        findable = finding.digests(self.find_key, dossier, application.applicant)
        asked = replace(asked, data_key=self.kek.wrap(dossier, key), digests=findable)
        command = self._submission(application, dossier, key, client.actor("file"))
        return await self.door.command(asked, dossier, command, request)

    def _application(self, body: Body, client: Client) -> Application:
        content, now = body.content, self.resources.clock()
        found = examine(content, self.law, vietnam_date(now))
        faults = [*body.faults, *(found if isinstance(found, tuple) else ())]
        faults += _receipt_faults(content, client, now)
        faults += _key_faults(content)
        faults += [fault for fault in _unit_faults(content, client) if fault not in faults]
        if faults or isinstance(found, tuple):
            raise refusal(faults)
        return found

    @staticmethod
    def _submission(application: Application, dossier: UUID, key: bytes, by: Actor) -> commands.SubmitDossier:
        claim = application.waiver_claim
        return commands.SubmitDossier(
            procedure=application.procedure,
            case=application.case,
            agency=application.agency,
            channel=application.channel,
            submitted_at=application.submitted_at,
            copies=application.copies,
            pages=application.pages,
            papers=_papers(application.papers),
            applicant=seal_applicant(key, dossier, application.applicant, application.channel),
            waiver_claim=None
            if claim is None
            else WaiverClaim(
                group=seal(key, dossier, "waiver_claim.group", claim.group), evidence_sha256=claim.evidence_sha256
            ),
            by=by,
        )

    async def act(self, act: Act, request: Request, dossier: UUID) -> Response:
        """One of the acts with a dossier that was filed."""
        client = await self.callers.admit(request, *act.who.roles)
        body = await read_body(request)
        # Who is named in a body is judged by the dossier's channel; any other body before the dossier is looked for.
        named = "applicant" in act.body.model_fields
        state = await self._visible(dossier, client) if named else None
        channel, today = state.intake.channel if state else None, vietnam_date(self.resources.clock())
        content = parse(act.body, body, partial(act_faults, self.law, channel, today))
        state = state or await self._visible(dossier, client)
        said = {**content.model_dump(), **await self._sealed(dossier, state.intake.channel, content)}
        command = act.command.model_validate({**said, "by": client.actor(act.duty or act.name)})
        asked = self.door.asked(request, client, body.content, 200, partial(summary, self.law))
        applicant = getattr(content, "applicant", None)
        if applicant is not None:
            asked = replace(asked, digests=finding.digests(self.find_key, dossier, applicant))
        return await self.door.command(asked, dossier, command, request)

    async def _sealed(self, dossier: UUID, channel: str, content: BaseModel) -> dict[str, Any]:
        """The personal fields of a body: its texts marked so, and the applicant. What says nothing is not sealed."""
        fields = [name for name, told in type(content).model_fields.items() if PERSONAL in told.metadata]
        given = {name: text for name in fields if (text := getattr(content, name))}
        sealed = dict.fromkeys(fields) | (await self.resources.keys.seal(dossier, given) if given else {})
        applicant = getattr(content, "applicant", None)
        if applicant is None:
            return sealed
        key = await self.resources.keys.data_key(dossier)
        return {**sealed, "applicant": seal_applicant(key, dossier, applicant, channel)}

    async def read(self, request: Request, dossier: UUID) -> Response:
        """The timeline: status, holder, limits, fee, events."""
        client = await self.callers.admit(request, *FILER.roles)
        return json_response(timeline(self.law, await self._visible(dossier, client)))

    async def queue(self, request: Request) -> Response:
        """What the officer's unit must act upon, the most urgent first, a page at a time; `total` is all."""
        client = await self.callers.admit(request, *UNIT.roles)
        if request.query_params.get("order", "urgency") != "urgency":
            raise Refused("DOS-INT-015", [Fault("/order", "unknown-value", ("urgency",))])
        return await self._rows(QUEUE, request, client)

    async def find(self, request: Request) -> Response:
        """Dossiers of the officer's unit by code or by a number of the applicant's, the oldest first. No command: what
        is looked for comes in a body only because it may stand in no address.
        """
        client = await self.callers.admit(request, *UNIT.roles)
        wanted = parse(commands.FindBody, await read_body(request, keyed=False))
        if wanted.code is not None:
            return await self._rows(BY_CODE, request, client, wanted.code)
        ((kind, number),) = wanted.model_dump(exclude_none=True).items()
        return await self._rows(BY_NUMBER, request, client, finding.digest(self.find_key, kind, number))

    async def _rows(self, query: Query, request: Request, client: Client, *asked: str | bytes) -> Response:
        told = request.query_params
        found = await self.states.rows(query, [client.unit or "", *asked], told.get("cursor"), told.get("limit"))
        dossiers = [queue_row(row) for row in found.rows]
        return json_response({"dossiers": dossiers, "next": found.next, "total": found.total})

    async def overdue(self, request: Request) -> Response:
        """Dossiers of the officer's unit whose acceptance limit passed unanswered, a page at a time; `total` is all."""
        client = await self.callers.admit(request, *UNIT.roles)
        query = request.query_params
        found = await self.states.states(OVERDUE, [client.unit or ""], query.get("cursor"), query.get("limit"))
        dossiers = [summary(self.law, state) for state in found.rows]
        return json_response({"dossiers": dossiers, "next": found.next, "total": found.total})

    async def unreached(self, request: Request) -> Response:
        """Dossiers of the officer's unit whose applicant must be told by telephone, by post or at the counter what no
        mail could tell, the longest waiting first, a page at a time; `total` is all.
        """
        client = await self.callers.admit(request, *UNIT.roles)
        query = request.query_params
        found = await self.states.states(UNREACHED, [client.unit or ""], query.get("cursor"), query.get("limit"))
        dossiers = [{**summary(self.law, state), **to_be_told(state)} for state in found.rows]
        return json_response({"dossiers": dossiers, "next": found.next, "total": found.total})

    async def _visible(self, dossier: UUID, client: Client) -> State:
        """The state, if this client may know of it; otherwise it does not exist for them."""
        state = await self.states.one(dossier)
        if state is None or not (
            client.unit == state.intake.agency or state.intake.is_filed_by(client.name, client.unit)
        ):
            raise Refused("DOS-SEC-002")
        return state


def _papers(papers: Papers) -> tuple[Paper, ...]:
    return tuple(Paper.model_validate(paper.model_dump()) for paper in papers)


def _unit_faults(content: Any, client: Client) -> list[Fault]:
    """An officer takes in applications of the own unit only, and only its own officer synthetic ones."""
    agency = content.get("agency") if isinstance(content, Mapping) else client.unit
    if client.unit is not None and agency != client.unit:
        return [Fault("/agency", "another-unit")]
    return [Fault("/agency", "only-synthetic")] if client.unit is None and agency == AGENCY else []


def _key_faults(content: Any) -> list[Fault]:
    """A line of a file names its key; at the door it has a field in the head, and one in the body would be ignored."""
    here = isinstance(content, Mapping) and "idempotency_key" in content
    return [Fault("/idempotency_key", "unknown-field.key")] if here else []


def _receipt_faults(content: Any, client: Client, now: datetime) -> list[Fault]:
    """Only an importer may state when it received an application, and not in the future."""
    stated = content.get("submitted_at") if isinstance(content, Mapping) else None
    if client.role != "importer":
        return [] if stated is None else [Fault("/submitted_at", "not-yours")]
    try:
        late = stated is not None and datetime.fromisoformat(str(stated)) > now
    except (ValueError, TypeError):
        return []
    return [Fault("/submitted_at", "in-the-future.receipt")] if late else []


def routes(resources: Resources, law: Catalogue, acts: Sequence[Act] = ACTS) -> list[DoorRoute]:
    """The desk's routes."""
    settings = resources.settings
    api = IntakeApi(resources, law, settings.kek(), settings.key(finding.FIND_KEY), callers(resources))
    told, one = operations, partial(DoorRoute, tag="dossiers")
    return [
        one(ROOT, api.submit, told.SUBMIT),
        one(f"{ROOT}/queue", api.queue, told.QUEUE),
        one(f"{ROOT}/find", api.find, told.FIND),
        one(f"{ROOT}/overdue", api.overdue, told.OVERDUE),
        one(f"{ROOT}/unreached", api.unreached, told.UNREACHED),
        one(ONE, api.read, told.READ),
        *(one(f"{ONE}/{act.name}", partial(api.act, act), told.operation(act), name=act.name) for act in acts),
    ]
