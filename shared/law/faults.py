"""Everything that is wrong with an application, found at once."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from typing import Any

from pydantic import ValidationError

from shared.cleaning import seen
from shared.errors import Fault
from shared.forms import MAX_FAULTS, form_faults
from shared.law.application import Application, digits_of
from shared.law.birth import birth_of
from shared.law.calendar import vietnam_date
from shared.law.catalogue import Catalogue
from shared.law.codes import identity_faults
from shared.law.entries import Procedure
from shared.law.synthetic import AGENCY, PROCEDURE
from shared.law.versions import in_force
from shared.law.ways import FIELDS, REQUIRED, ways
from shared.wording import Text

Path = tuple[str | int, ...]


def examine(body: object, catalogue: Catalogue, today: date | None = None) -> Application | tuple[Fault, ...]:
    """Read a decoded JSON body as an application, or list every fault: of form and of content, sorted by place.

    `today`: the day of receipt in Vietnam; None judges by the day of submission, as for files.
    """
    try:
        application = Application.model_validate(body)
    except ValidationError as wrong:
        said = _Readable(body, _places(wrong))
        return tuple(sorted({*form_faults(wrong), *_content_faults(said, catalogue, today)}))[:MAX_FAULTS]
    return faults(application, catalogue, today) or application


def faults(application: Application, catalogue: Catalogue, today: date | None = None) -> tuple[Fault, ...]:
    """What the catalogue and the calendar find wrong with a well-formed application, sorted by place."""
    content = _Readable(application.model_dump(), frozenset())
    return tuple(sorted(_content_faults(content, catalogue, today)))


def act_faults(
    catalogue: Catalogue, channel: str | None, today: date, body: object, wrong: ValidationError | None
) -> tuple[Fault, ...]:
    """What is wrong with what an act says on a day in Vietnam, beside the form that a model found `wrong`: with the
    person in `/applicant`, and with words in `/papers` and `/reason` that the catalogue has no name for; each fault
    tells those that it has. `channel`: the one through which the dossier was filed, None if nobody is named.
    """
    said = _Readable(body, _places(wrong) if wrong else frozenset())
    reason = said.get("reason")
    known = reason is None or reason in catalogue.reasons
    return (
        *_applicant_faults(said, today),
        *_reach_faults(said, channel),
        *_paper_faults(said, catalogue),
        *(() if known else [Fault("/reason", "unknown-reason", _one_of(catalogue.reasons))]),
    )


def _one_of(words: Iterable[str]) -> tuple[str]:
    return (", ".join(sorted(words)),)


def _places(wrong: ValidationError) -> frozenset[Path]:
    return frozenset(tuple(error["loc"]) for error in wrong.errors(include_url=False))


class _Readable:
    """What can be read of a body, whatever else is wrong with it."""

    def __init__(self, body: object, unreadable: frozenset[Path]) -> None:
        self._body = body
        self._unreadable = unreadable

    def get(self, *path: str) -> Any:
        """The value at `path`, None if it is absent or ill-formed."""
        found: Any = self._body
        for depth, step in enumerate(path, 1):
            if not isinstance(found, Mapping) or path[:depth] in self._unreadable:
                return None
            found = found.get(step)
        return found

    def ill_formed(self, *path: str | int) -> bool:
        """Whether something is there that is not in the required form."""
        return path in self._unreadable

    def filed_on(self) -> date | None:
        """The date of submission in Vietnam, if the body states it."""
        found = self.get("submitted_at")
        at = datetime.fromisoformat(found) if isinstance(found, str) else found
        return vietnam_date(at) if at else None


def _content_faults(said: _Readable, catalogue: Catalogue, today: date | None) -> Iterator[Fault]:
    filed_on = said.filed_on() or today
    yield from _procedure_faults(said, catalogue, filed_on)
    yield from _agency_faults(said.get("agency"), catalogue, filed_on)
    yield from _synthetic_faults(said)
    group = said.get("waiver_claim", "group")
    if group is not None and group not in catalogue.groups:
        yield Fault("/waiver_claim/group", "unknown-group")
    yield from _paper_faults(said, catalogue)
    yield from _applicant_faults(said, filed_on)
    yield from _reach_faults(said, said.get("channel"))


def _procedure_faults(said: _Readable, catalogue: Catalogue, filed_on: date | None) -> Iterator[Fault]:
    code = said.get("procedure")
    if code is None:
        return
    versions = catalogue.procedures.get(code, ())
    if not versions:
        yield Fault("/procedure", "unknown-procedure")
    version = in_force(versions, filed_on) if filed_on is not None else next(iter(versions), None)
    if version is not None:
        yield from _terms_faults(said, version)
    elif versions:
        yield Fault("/procedure", "procedure-not-in-force")


def _terms_faults(said: _Readable, procedure: Procedure) -> Iterator[Fault]:
    if said.get("case") not in (None, *procedure.cases):
        yield Fault("/case", "unknown-case")
    if said.get("channel") not in (None, *procedure.channels):
        yield Fault("/channel", "channel-not-offered")
    if procedure.needs_pages and said.get("pages") is None and not said.ill_formed("pages"):
        yield Fault("/pages", "pages-required")


def _agency_faults(code: str | None, catalogue: Catalogue, filed_on: date | None) -> Iterator[Fault]:
    if code is None:
        return
    versions = catalogue.agencies.get(code, ())
    if not versions:
        yield Fault("/agency", "unknown-agency")
    elif filed_on is not None and in_force(versions, filed_on) is None:
        yield _not_there(catalogue, code, filed_on)


def _not_there(catalogue: Catalogue, code: str, on: date) -> Fault:
    """When the unit began or ended, and which units have followed it."""
    first, end = catalogue.agencies[code][0].valid_from, catalogue.agencies[code][-1].valid_to
    if end is None or on < first:
        return Fault("/agency", "agency-not-in-force.yet", (_day(first),))
    names = [f"{catalogue.agency_name(one.code, on)} ({one.code})" for one in catalogue.successors(code, on)]
    if not names:
        return Fault("/agency", "agency-not-in-force", (_day(end),))
    return Fault("/agency", "agency-not-in-force.succeeded", (_day(end), "; ".join(names)))


def _day(day: date) -> Text:
    return Text(f"{day:%d/%m/%Y}", f"{day}")


def _synthetic_faults(said: _Readable) -> Iterator[Fault]:
    """One of the two reserved codes without the other, where both places can be read."""
    agency, procedure = said.get("agency"), said.get("procedure")
    if None not in (agency, procedure) and (agency == AGENCY) != (procedure == PROCEDURE):
        yield Fault("/agency" if agency == AGENCY else "/procedure", "only-synthetic")


def _paper_faults(said: _Readable, catalogue: Catalogue) -> Iterator[Fault]:
    """Papers handed in or asked for under a word that is none of the catalogue's: it stands in clear in what is said,
    so it must not be the sender's own.
    """
    for n, paper in enumerate(said.get("papers") or ()):
        if said.ill_formed("papers", n) or said.ill_formed("papers", n, "code"):
            continue
        word, place = (paper["code"], "/code") if isinstance(paper, Mapping) else (paper, "")
        if word not in catalogue.papers:
            yield Fault(f"/papers/{n}{place}", "unknown-paper", _one_of(catalogue.papers))


def _applicant_faults(said: _Readable, today: date | None) -> Iterator[Fault]:
    stated, number = said.get("applicant", "date_of_birth"), said.get("applicant", "id_number")
    born = birth_of(seen(stated)) if stated is not None else None
    if born is not None and today is not None and born.earliest > today:
        yield Fault("/applicant/date_of_birth", "in-the-future")
    if number is not None:
        for code in identity_faults(digits_of(number), born):
            yield Fault("/applicant/id_number", code)


def _reach_faults(said: _Readable, channel: str | None) -> Iterator[Fault]:
    """What the channel cannot do without, or else nothing by which the person could be reached.

    A field in the wrong form counts as given: its own fault tells of it.
    """
    person = said.get("applicant")
    if channel is None or not isinstance(person, Mapping):
        return
    needed = REQUIRED[channel]
    given = frozenset(field for field in FIELDS if person.get(field) is not None)
    yield from (Fault(f"/applicant/{field}", "missing") for field in needed if field not in given)
    if not needed and not ways(channel, given):
        yield Fault("/applicant", "no-way-to-reach", (", ".join(FIELDS),))
