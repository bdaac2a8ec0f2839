"""What the history of units may not say: two names on a day, a day without one, a parent or successor that is not
there, a unit below itself.
"""

from collections.abc import Iterator, Mapping
from datetime import date

from shared.law.entries import Agency
from shared.law.versions import gaps, in_force, overlaps

Units = Mapping[str, tuple[Agency, ...]]
"""The versions of each unit by its code, in the order of their days."""


def unit_faults(units: Units) -> Iterator[str]:
    """Everything wrong with the histories of the units, each fault beginning with the unit's code."""
    for code, versions in units.items():
        yield from (f"{code}: {fault}" for fault in (*overlaps(versions), *gaps(versions)))
        for version in versions:
            yield from (f"{code}: {fault}" for fault in _parent_faults(units, version))
            yield from (f"{code}: {fault}" for fault in _successor_faults(units, version))
    yield from _rings(units)


def line_above(units: Units, unit: Agency, on: date) -> Iterator[Agency]:
    """The units above one on a day, the nearest first."""
    while unit.parent is not None:
        above = in_force(units.get(unit.parent, ()), on)
        if above is None:
            return
        yield above
        unit = above


def successors(units: Units, code: str, on: date) -> Iterator[Agency]:
    """The units that have followed an ended one and are there on a day; what followed those that have ended, too."""
    last = units[code][-1]
    for follower in last.successors:
        there = in_force(units[follower], on)
        if there is not None:
            yield there
        else:
            yield from successors(units, follower, on)


def _parent_faults(units: Units, unit: Agency) -> Iterator[str]:
    if unit.parent is None or unit.parent == unit.code:
        return
    parents = units.get(unit.parent, ())
    if not parents:
        yield f"unknown parent {unit.parent}"
        return
    # A history has no gaps: who is there at the beginning and does not end too soon is there all the time.
    first, end = parents[0].valid_from, parents[-1].valid_to
    if unit.valid_from < first:
        yield f"the parent {unit.parent} is not in force on {unit.valid_from}"
    elif end is not None and (unit.valid_to is None or end < unit.valid_to):
        yield f"the parent {unit.parent} is not in force on {max(end, unit.valid_from)}"


def _successor_faults(units: Units, unit: Agency) -> Iterator[str]:
    if not unit.successors:
        return
    if unit.valid_to is None or unit is not units[unit.code][-1]:
        yield "has successors, but does not end"
        return
    for code in unit.successors:
        if code not in units:
            yield f"unknown successor {code}"
        elif in_force(units[code], unit.valid_to) is None:
            yield f"the successor {code} is not in force on {unit.valid_to}"


def _rings(units: Units) -> Iterator[str]:
    """Units below themselves, each ring once, on the day on which it closes: one on which a version begins."""
    told: set[frozenset[str]] = set()
    for day in sorted({version.valid_from for versions in units.values() for version in versions}):
        for code in units:
            ring = _ring(units, code, day)
            if ring and frozenset(ring) not in told:
                told.add(frozenset(ring))
                yield f"{code}: is below itself on {day}: {', '.join((*ring, code))}"


def _ring(units: Units, code: str, on: date) -> tuple[str, ...]:
    """The way from a unit upwards to itself, empty if it does not lead there."""
    way: list[str] = []
    at: str | None = code
    while at is not None and at not in way:
        way.append(at)
        unit = in_force(units.get(at, ()), on)
        at = unit.parent if unit else None
    return tuple(way) if at == code else ()
