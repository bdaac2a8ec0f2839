"""What a filing costs (F1-F3a). Amounts are whole đồng."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal

from shared.law.catalogue import Catalogue
from shared.law.entries import Channel, FeeRule, Tariff

FeeKind = Literal["none", "charged", "reduction", "waiver"]
ClaimUnmet = Literal["no-fee", "not-listed", "not-in-force", "other-conditions", "not-less"]
"""Why a claim to pay less changes nothing: nothing is owed anyway; the procedure has no waiver or reduction for the
group; it has none on the day of filing; only for another case, channel, province or line; the reduced price is not less
than the ordinary one.
"""


@dataclass(frozen=True, slots=True)
class Filing:
    """What the fee depends on, apart from the applicant's group.

    `province` is the first part of the agency's code; `filed_on` the day of submission in Vietnam, not moved to a
    working day (C2).
    """

    procedure: str
    case: str
    channel: Channel
    province: str
    filed_on: date
    copies: int = 1
    pages: int | None = None

    @property
    def tariff(self) -> Tariff:
        """The channel as tariffs know it: the post counts as direct (F1)."""
        return "online" if self.channel == "online" else "direct"


@dataclass(frozen=True, slots=True)
class FeeLine:
    """One line of a fee: the rule it comes from, what it was counted on, and its legal basis."""

    rule: str
    quantity: int
    amount_vnd: int
    basis: str


@dataclass(frozen=True, slots=True)
class Assessment:
    """A fee. `group_rule` and `group_basis` are the waiver's or reduction's rule and legal basis, None without (F2);
    `claim_unmet` is why a claimed group changes nothing, None if it does or none is claimed.
    """

    kind: FeeKind
    lines: tuple[FeeLine, ...]
    total_vnd: int
    group_rule: str | None = None
    group_basis: str | None = None
    claim_unmet: ClaimUnmet | None = None


NOTHING = Assessment("none", (), 0)


def assess(catalogue: Catalogue, filing: Filing, group: str | None = None) -> Assessment:
    """The fee of a filing by an applicant who has proven to belong to `group` (None: to none).

    The most favourable rule wins: waiver, then reduction, then channel, then general (F1). No rule in force that day
    is a fee of zero, `none`, and so there is nothing to waive (F2). Raises ValueError if a page tariff applies and
    the pages are unknown (F3a).
    """
    in_force = catalogue.fees_in_force(filing.procedure, filing.filed_on)
    rules = [rule for rule in in_force if _applies(rule, filing, group)]
    charges = _most_specific(rules, "charge")
    charged = tuple(_lines(charges.values(), filing))
    if not charged:
        return NOTHING if group is None else replace(NOTHING, claim_unmet="no-fee")
    for waiver in _most_specific(rules, "waiver").values():
        return _waived(waiver)
    reductions = _worthwhile(_most_specific(rules, "reduction"), charges, filing)
    if not reductions:
        return Assessment("charged", charged, _total(charged), claim_unmet=_unmet(catalogue, filing, group, charges))
    return _reduced({**charges, **reductions}, reductions, filing)


_Winners = dict[str | None, FeeRule]  # by line; a waiver is of no line


def _unmet(catalogue: Catalogue, filing: Filing, group: str | None, charges: _Winners) -> ClaimUnmet | None:
    """Why nothing is waived or reduced for `group`; None if no group is claimed."""
    if group is None:
        return None
    listed = [rule for rule in catalogue.fee_rules.get(filing.procedure, ()) if group in rule.groups]
    in_force = [rule for rule in listed if rule.in_force(filing.filed_on)]
    if not in_force:
        return "not-in-force" if listed else "not-listed"
    fits = any(_applies(rule, filing, group) and rule.line in charges for rule in in_force)
    return "not-less" if fits else "other-conditions"


def _applies(rule: FeeRule, filing: Filing, group: str | None) -> bool:
    return (
        rule.case in (None, filing.case)
        and rule.channel in (None, filing.tariff)
        and rule.province in (None, filing.province)
        and (not rule.groups or group in rule.groups)
    )


def _most_specific(rules: list[FeeRule], kind: str) -> _Winners:
    ascending = sorted((rule for rule in rules if rule.kind == kind), key=lambda rule: rule.specificity)
    winners: _Winners = {rule.line: rule for rule in ascending}
    return {line: winners[line] for line in dict.fromkeys(rule.line for rule in rules) if line in winners}


def _worthwhile(reductions: _Winners, charges: _Winners, filing: Filing) -> _Winners:
    # "Most favourable" (F1): what costs as much as the ordinary charge, or replaces none, is no reduction.
    return {
        line: rule
        for line, rule in reductions.items()
        if line in charges and _price(rule, filing) < _price(charges[line], filing)
    }


def _waived(rule: FeeRule) -> Assessment:
    # F3: one line of zero names the rule; nothing else is left, the extra copies of 2.000488 included (F2).
    return Assessment("waiver", (FeeLine(rule.id, 1, 0, rule.basis),), 0, rule.id, rule.basis)


def _reduced(winners: _Winners, reductions: _Winners, filing: Filing) -> Assessment:
    lines = tuple(_lines(winners.values(), filing))
    bases = dict.fromkeys(rule.basis for rule in reductions.values())
    first = next(iter(reductions.values())).id
    return Assessment("reduction", lines, _total(lines), first, "; ".join(bases))


def _total(lines: Iterable[FeeLine]) -> int:
    return sum(line.amount_vnd for line in lines)


def _lines(rules: Iterable[FeeRule], filing: Filing) -> Iterator[FeeLine]:
    spent = 0  # of one copy, on lines that share a cap
    for rule in rules:
        count, times = _counted(rule, filing)
        price = count * rule.amount_vnd
        if rule.cap_per_copy_vnd is not None:
            price = min(price, rule.cap_per_copy_vnd - spent)
            spent += price
        if price > 0:
            yield FeeLine(rule.id, count * times, price * times, rule.basis)


def _price(rule: FeeRule, filing: Filing) -> int:
    count, times = _counted(rule, filing)
    return count * rule.amount_vnd * times


def _counted(rule: FeeRule, filing: Filing) -> tuple[int, int]:
    """What a rule counts in one go, and how many times over."""
    match rule.per:
        case "dossier":
            return 1, 1
        case "copy":
            return _within(rule, filing.copies), 1
        case "page":
            return _within(rule, _pages(filing)), filing.copies


def _within(rule: FeeRule, number: int) -> int:
    last = number if rule.last is None else min(number, rule.last)
    return max(0, last - rule.first + 1)


def _pages(filing: Filing) -> int:
    if filing.pages is None:
        raise ValueError(f"procedure {filing.procedure} costs by the page, and the pages are not stated (F3a)")
    return filing.pages
