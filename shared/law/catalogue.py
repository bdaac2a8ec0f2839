"""The catalogue: what the files say together, checked as a whole, and looked up by code and day."""

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import combinations
from typing import TypeVar

from shared.law.calendar import Calendar
from shared.law.decisions import Decisions, decision_faults
from shared.law.entries import Agency, FeeRule, Named, Procedure, Reason
from shared.law.units import line_above, successors, unit_faults
from shared.law.versions import by_day, in_force, nearest, overlaps


class CatalogueError(ValueError):
    """The catalogue's files are wrong; `faults` names for each fault the file and the entry."""

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("the catalogue is wrong:\n  " + "\n  ".join(self.faults))


@dataclass(frozen=True)
class Entries:
    """The content of the catalogue's files, each entry right in itself."""

    procedures: tuple[Procedure, ...]
    fees: tuple[FeeRule, ...]
    agencies: tuple[Agency, ...]
    groups: tuple[Named, ...]
    papers: tuple[Named, ...]
    reasons: tuple[Reason, ...]
    decisions: Decisions


_Item = TypeVar("_Item")
_D = TypeVar("_D", Agency, Procedure)


class Catalogue:
    """Procedures, fee rules, agencies, groups, papers and reasons for refusals, and the calendars of the agencies:
    `ordinary` is that of one without Saturday mornings. Nothing in it changes.

    `version` identifies the content and the holiday tables, so that a dossier can say by which rules it was handled.
    Raises CatalogueError if the entries contradict each other.
    """

    def __init__(self, entries: Entries, version: str) -> None:
        faults = tuple(_faults(entries))
        if faults:
            raise CatalogueError(faults)
        self.version = version
        self.agencies: Mapping[str, tuple[Agency, ...]] = _by_code(entries.agencies)
        self.groups: Mapping[str, Named] = {group.code: group for group in entries.groups}
        self.papers: Mapping[str, Named] = {paper.code: paper for paper in entries.papers}
        self.reasons: Mapping[str, Reason] = {reason.code: reason for reason in entries.reasons}
        self.procedures: Mapping[str, tuple[Procedure, ...]] = _by_code(entries.procedures)
        self.fee_rules: Mapping[str, tuple[FeeRule, ...]] = _grouped((rule.procedure, rule) for rule in entries.fees)
        self.decisions = entries.decisions
        self.ordinary = _calendar(entries.decisions, ())
        self._calendars = {code: _calendar(entries.decisions, units) for code, units in self.agencies.items()}

    def procedure(self, code: str, on: date) -> Procedure:
        """The procedure as it stood on a day in Vietnam; KeyError if the code is unknown or not in force that day."""
        return _found(self.procedures, code, on)

    def agency(self, code: str, on: date) -> Agency:
        """The unit as it was on a day in Vietnam; KeyError if the code is unknown or not in force that day."""
        return _found(self.agencies, code, on)

    def agency_name(self, code: str, on: date) -> str | None:
        """What a unit is called on a day in Vietnam, with the district in which it lies and the province: the last name
        of one that has ended; None if the code is unknown.
        """
        if code not in self.agencies:
            return None
        unit = nearest(self.agencies[code], on)
        above = (one.name_vi for one in line_above(self.agencies, unit, on) if one.level == "district")
        return ", ".join((unit.name_vi, *above, unit.province_vi))

    def successors(self, code: str, on: date) -> tuple[Agency, ...]:
        """The units of a day in Vietnam to which an ended one's work has gone, as known; none of one that is there."""
        versions = self.agencies.get(code, ())
        if not versions or on < (versions[-1].valid_to or date.max):
            return ()
        return tuple({unit.code: unit for unit in successors(self.agencies, code, on)}.values())

    def calendar(self, agency: str) -> Calendar:
        """The working calendar of the unit with this code (C1), of an ended one too: dossiers of its may be open;
        KeyError if unknown.
        """
        return self._calendars[agency]

    def fees_in_force(self, procedure: str, on: date) -> tuple[FeeRule, ...]:
        """The fee rules of a procedure on a day in Vietnam (F1), none if it costs nothing."""
        return tuple(rule for rule in self.fee_rules.get(procedure, ()) if rule.in_force(on))


def _calendar(decisions: Decisions, versions: tuple[Agency, ...]) -> Calendar:
    ends = (*(version.valid_from for version in versions[1:]), date.max)[: len(versions)]
    return Calendar(
        days_off=frozenset(decision.date for decision in decisions.days_off),
        worked_days=frozenset(decision.date for decision in decisions.worked_days),
        saturday_mornings=tuple(
            (version.valid_from, end) for version, end in zip(versions, ends, strict=True) if version.saturday_mornings
        ),
    )


def _found(known: Mapping[str, tuple[_D, ...]], code: str, on: date) -> _D:
    version = in_force(known[code], on)
    if version is None:
        raise KeyError(code)
    return version


def _by_code(items: Iterable[_D]) -> dict[str, tuple[_D, ...]]:
    return {code: by_day(versions) for code, versions in _grouped((item.code, item) for item in items).items()}


def _grouped(pairs: Iterable[tuple[str, _Item]]) -> dict[str, tuple[_Item, ...]]:
    grouped: dict[str, list[_Item]] = defaultdict(list)
    for key, item in pairs:
        grouped[key].append(item)
    return {key: tuple(found) for key, found in grouped.items()}


def _faults(entries: Entries) -> Iterator[str]:
    yield from (f"agencies.yaml: {fault}" for fault in unit_faults(_by_code(entries.agencies)))
    yield from _repeated("groups.yaml", (group.code for group in entries.groups))
    yield from _repeated("papers.yaml", (paper.code for paper in entries.papers))
    yield from _repeated("reasons.yaml", (reason.code for reason in entries.reasons))
    yield from _unnamed(entries)
    yield from _repeated("fees.yaml", (rule.id for rule in entries.fees))
    yield from (f"calendar.yaml: {fault}" for fault in decision_faults(entries.decisions))
    for code, versions in _by_code(entries.procedures).items():
        yield from (f"procedures.yaml: {code}: {fault}" for fault in overlaps(versions))
    procedures = _by_code(entries.procedures)
    groups = {group.code for group in entries.groups}
    for rule in entries.fees:
        yield from (f"fees.yaml: {rule.id}: {fault}" for fault in _rule_faults(rule, procedures, groups))
    yield from _contradicting(entries.fees)


def _repeated(file: str, keys: Iterable[Hashable]) -> Iterator[str]:
    return (f"{file}: {key}: listed {times} times" for key, times in Counter(keys).items() if times > 1)


def _unnamed(entries: Entries) -> Iterator[str]:
    named = {paper.code for paper in entries.papers}
    for procedure in entries.procedures:
        unknown = (paper for paper in procedure.papers if paper not in named)
        yield from (f"procedures.yaml: {procedure.code}: unknown paper {paper}" for paper in unknown)


def _rule_faults(rule: FeeRule, procedures: Mapping[str, tuple[Procedure, ...]], groups: set[str]) -> Iterator[str]:
    versions = procedures.get(rule.procedure, ())
    if not versions:
        yield f"unknown procedure {rule.procedure}"
    elif rule.case is not None and not any(rule.case in version.cases for version in versions):
        yield f"unknown case {rule.case} of procedure {rule.procedure}"
    if rule.per == "page" and not all(version.needs_pages for version in versions):
        yield f"counts pages, which procedure {rule.procedure} does not ask for"
    yield from (f"unknown group {group}" for group in rule.groups if group not in groups)


def _contradicting(rules: Iterable[FeeRule]) -> Iterator[str]:
    for one, other in combinations(rules, 2):
        if one.rivals(other):
            yield f"fees.yaml: {other.id}: contradicts {one.id}: as specific, and in force on the same day"
        elif one.procedure == other.procedure and one.meets(other) and _caps_differ(one, other):
            yield f"fees.yaml: {other.id}: another cap_per_copy_vnd than {one.id}"


def _caps_differ(one: FeeRule, other: FeeRule) -> bool:
    caps = {one.cap_per_copy_vnd, other.cap_per_copy_vnd}
    return None not in caps and len(caps) == 2
