"""What the one-stop desk decides. Pure: the catalogue and the calendars come in as `law`, time with the message.

Acceptance within 8 working hours (C4), the due date from acceptance (C5), a supplement asked for once and answered
whole, codes without gaps. Who may do an act, and in which status, is known before its rule is asked (`acts.py`).
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, Literal

from services.intake import supplements
from services.intake.acts import ACTS, Act, check
from services.intake.commands import (
    AcceptDossier,
    ActCommand,
    CorrectApplicant,
    IssueResult,
    RequestSupplement,
    SubmitDossier,
    SupplyDossier,
    TellApplicant,
)
from services.intake.state import State
from shared.errors import Fault, Refused
from shared.events import intake as said
from shared.events.base import MAX_APPLICANT_VERSION, Actor, Event, Model, UnknownWord
from shared.law.calendar import vietnam_date
from shared.law.catalogue import Catalogue
from shared.law.clock import accept_by, add_working_time, due_at, verdict
from shared.law.codes import code_of, parse_code, series_of
from shared.runtime.kernel.decider import Decision, Message, Numbered, Rule


def on_submit(law: Catalogue, state: State, asked: Message[SubmitDossier]) -> Decision:
    """Give the dossier its code and its acceptance limit (C4)."""
    command = asked.body
    submitted_at = command.submitted_at or asked.at
    procedure = law.procedure(command.procedure, vietnam_date(submitted_at))
    series = series_of(command.agency, submitted_at)
    limit = accept_by(law.calendar(command.agency), submitted_at)
    missing = procedure.missing_papers(frozenset(paper.code for paper in command.papers))

    def submitted(number: int) -> Event:
        return said.DossierSubmitted(
            code=code_of(series, number),
            procedure=command.procedure,
            case=command.case,
            agency=command.agency,
            channel=command.channel,
            submitted_at=submitted_at,
            accept_by=limit,
            copies=command.copies,
            pages=command.pages,
            papers=command.papers,
            missing_papers=missing,
            applicant=command.applicant,
            applicant_version=1,
            waiver_claim=command.waiver_claim,
            catalogue=law.version,
            by=command.by,
        )

    return Decision((Numbered(series, submitted),))


def drawn(event: Event) -> tuple[str, int] | None:
    """The series and the running number in an event's code, so that no code is given twice after a restore."""
    if not isinstance(event, said.DossierSubmitted):
        return None
    code = parse_code(event.code)
    return code.series, code.number


def on_correct(law: Catalogue, state: State, asked: Message[CorrectApplicant]) -> Decision:
    """Take the corrected data; they are looked up again. Only in status 1: in 5 they come with the supplement."""
    return Decision((_correction(state, asked.body.applicant, asked.body.by),))


def on_supply(law: Catalogue, state: State, asked: Message[SupplyDossier]) -> Decision:
    """Take the answer to a request, whole: every paper, and the data if their correction was asked for."""
    command = asked.body
    lacking = _lacking(state, command)
    if lacking:
        raise Refused("DOS-INT-012", lacking)
    received = said.SupplementReceived(papers=command.papers, by=command.by)
    if command.applicant is None:
        return Decision((received,))
    return Decision((_correction(state, command.applicant, command.by), received))


def _lacking(state: State, command: SupplyDossier) -> list[Fault]:
    wanted = state.intake.wanted
    if wanted is None:
        return []
    came = {paper.code for paper in command.papers}
    faults = [Fault("/papers", "missing.answer", (paper,)) for paper in wanted.papers if paper not in came]
    if wanted.correct_applicant and command.applicant is None:
        faults.append(Fault("/applicant", "missing.applicant"))
    return faults


def _correction(state: State, applicant: Any, by: Actor) -> said.ApplicantCorrected:
    version = state.intake.applicant_version + 1
    if version > MAX_APPLICANT_VERSION:
        raise Refused("DOS-INT-014")
    return said.ApplicantCorrected(applicant=applicant, applicant_version=version, by=by)


def on_request_supplement(law: Catalogue, state: State, asked: Message[RequestSupplement]) -> Decision:
    """Ask for what the officer names, one request at a time; the citizen has 7 working days (C7)."""
    command = asked.body
    if not command.papers and not command.correct_applicant:
        raise Refused("DOS-INT-013")
    limit = add_working_time(law.calendar(state.intake.agency), asked.at, supplements.WITHIN)
    return Decision(
        (
            said.SupplementRequested(
                papers=command.papers,
                correct_applicant=command.correct_applicant,
                respond_by=limit,
                note=command.note,
                by=command.by,
                fields=_doubtful(state) if command.correct_applicant else (),
            ),
        ),
        supplements.alarms(law, state.intake.agency, limit),
    )


def _doubtful(state: State) -> tuple[Literal["id_number", "full_name", "date_of_birth"] | UnknownWord, ...]:
    """What the register has otherwise, or lacks, as far as it has spoken of the applicant's newest data; by whatever
    words verification has said it.
    """
    identity = state.identity
    return ("id_number",) if identity.outcome == "not_found" else identity.fields


def on_accept(law: Catalogue, state: State, asked: Message[AcceptDossier]) -> Decision:
    """Accept, if identity, papers and fee are in order (C4); the due date runs from now (C5)."""
    unmet = _unmet(state)
    if unmet:
        raise Refused("DOS-INT-011", unmet)
    limit = due_at(law.calendar(state.intake.agency), asked.at, _procedure(law, state).time_allowed)
    return Decision((said.DossierAccepted(accepted_at=asked.at, due_at=limit, by=asked.body.by),))


def _unmet(state: State) -> list[Fault]:
    """Every condition of acceptance that is not met yet."""
    faults = [Fault("/papers", "missing.paper", (paper,)) for paper in state.intake.missing_papers]
    outcome = state.identity.outcome or ("newest" if state.intake.applicant_version > 1 else None)
    if isinstance(outcome, UnknownWord):
        faults.append(Fault("/applicant", "not-verified.other"))
    elif outcome != "verified":
        faults.append(Fault("/applicant", f"not-verified.{outcome}" if outcome else "not-verified"))
    if not state.fee_settled:
        faults.append(Fault("/fee", "not-settled"))
    return faults


def _procedure(law: Catalogue, state: State) -> Any:
    """The procedure as it was in force on the day of filing: a later catalogue moves nothing."""
    if state.intake.submitted_at is None:
        raise ValueError("a dossier without submission has no procedure")
    return law.procedure(state.intake.procedure, vietnam_date(state.intake.submitted_at))


def on_issue(law: Catalogue, state: State, asked: Message[IssueResult]) -> Decision:
    """Issue the result: processing ends, early, on time or late by date (C9)."""
    due = state.intake.due_at or asked.at
    return Decision(
        (
            said.ResultIssued(
                result_sha256=asked.body.result_sha256,
                ended_at=asked.at,
                verdict=verdict(asked.at, due).value,
                by=asked.body.by,
            ),
        )
    )


def on_tell(law: Catalogue, state: State, asked: Message[TellApplicant]) -> Decision:
    """Record that the applicant was told otherwise what could not be delivered: what is named, or all that waits."""
    command = asked.body
    waiting = tuple(notice.about for notice in state.unreached)
    wanted = waiting if command.about is None else tuple(dict.fromkeys(command.about))
    faults = [Fault("/about", "not-waiting") for about in wanted if about not in waiting]
    if faults or not wanted:
        raise Refused("DOS-INT-016", faults[:1])
    return Decision((said.ApplicantTold(about=wanted[: said.MAX_TOLD], how=command.how, by=command.by),))


IntakeRule = Callable[[Catalogue, State, Message[Any]], Decision]

HEARS: Mapping[type[Model], IntakeRule] = MappingProxyType(
    {
        SubmitDossier: on_submit,
        CorrectApplicant: on_correct,
        SupplyDossier: on_supply,
        RequestSupplement: on_request_supplement,
        AcceptDossier: on_accept,
        IssueResult: on_issue,
        TellApplicant: on_tell,
        **supplements.HEARS,
    }
)


def rules(
    law: Catalogue, acts: Sequence[Act] = ACTS, hears: Mapping[type[Model], IntakeRule] = HEARS
) -> Mapping[type[Model], Rule]:
    """The table with the law put in, and each act's rule behind the check of who may do it, and when."""
    own = {asked: partial(rule, law) for asked, rule in hears.items()}
    return own | {act.command: _checked(act, acts, own.get(act.command, partial(_said, act))) for act in acts}


def _checked(act: Act, acts: Sequence[Act], rule: Rule) -> Rule:
    def decide(state: State, asked: Message[ActCommand]) -> Decision:
        check(act, state, asked.body.by, acts)
        return rule(state, asked)

    return decide


def _said(act: Act, state: State, asked: Message[ActCommand]) -> Decision:
    """Of an act without a rule of its own: its event says what its command says."""
    return Decision((act.event(**dict(asked.body)),))
