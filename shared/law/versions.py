"""Entries by date: of one code several versions, each in force between its dates. The one mechanism for units and
procedures; of fee rules (F1) several may hold at once.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from itertools import combinations, pairwise
from typing import TypeVar

from shared.law.entries import Dated

D = TypeVar("D", bound=Dated)


def by_day(versions: Iterable[D]) -> tuple[D, ...]:
    """The versions of one code in the order of their days, whatever the order of the entries."""
    return tuple(sorted(versions, key=lambda version: version.valid_from))


def in_force(versions: Iterable[D], on: date) -> D | None:
    """The version that holds on a day in Vietnam, None without one."""
    return next((version for version in versions if version.in_force(on)), None)


def nearest(versions: Sequence[D], on: date) -> D:
    """The version that holds on a day, else the last before, else the first. `versions`: ordered, not empty."""
    begun = [version for version in versions if version.valid_from <= on]
    return begun[-1] if begun else versions[0]


def overlaps(versions: Iterable[Dated]) -> Iterator[str]:
    """Each pair of versions that hold on the same day."""
    for one, other in combinations(versions, 2):
        if one.meets(other):
            yield f"the versions from {one.valid_from} and {other.valid_from} overlap"


def gaps(versions: Sequence[Dated]) -> Iterator[str]:
    """Each time between two of the ordered versions in which none holds."""
    for one, other in pairwise(versions):
        if one.valid_to is not None and one.valid_to < other.valid_from:
            yield f"no version is in force from {one.valid_to} to {other.valid_from}"
