"""Units by date: renamed, moved under another parent, ended on a day; and what a wrong history is told as."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from random import Random

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from shared.law.catalogue import Catalogue, CatalogueError
from shared.law.entries import Agency
from shared.law.faults import examine
from shared.law.loader import load_catalogue, shipped_catalogue
from shared.law.table import catalogue_table
from shared.law.versions import by_day, in_force, nearest
from tests.lawbook import Edit
from tests.unit.law.test_law_application import body

START, MERGER = date(2000, 1, 1), date(2025, 7, 1)
DAY = timedelta(days=1)


@dataclass
class Unit:
    """One version of a unit, as an entry of agencies.yaml."""

    code: str
    valid_from: date | str = START
    valid_to: date | str | None = None
    more: dict[str, object] = field(default_factory=dict)

    def entry(self) -> dict[str, object]:
        """The entry."""
        return {
            "code": self.code, "name_vi": f"Đơn vị {self.code}", "level": "commune", "province_vi": "Tỉnh mẫu",
            "basis": "made up", "source": "test", "valid_from": self.valid_from, "valid_to": self.valid_to, **self.more,
        }  # fmt: skip


With = Callable[..., Catalogue]


@pytest.fixture
def with_units(folder: Path) -> With:
    """The catalogue that ships, with these units besides."""
    shipped = (folder / "agencies.yaml").read_text(encoding="utf-8")

    def load(*units: Unit) -> Catalogue:
        text = yaml.safe_dump([unit.entry() for unit in units], allow_unicode=True)
        (folder / "agencies.yaml").write_text(f"{shipped}\n{text}", encoding="utf-8")
        return load_catalogue(folder)

    return load


def told(with_units: With, units: Sequence[Unit]) -> tuple[str, ...]:
    with pytest.raises(CatalogueError) as wrong:
        with_units(*units)
    return wrong.value.faults


def renamed(**more: object) -> tuple[Unit, Unit]:
    return Unit("H99.01", START, MERGER, {"name_vi": "Cũ"}), Unit("H99.01", MERGER, None, {"name_vi": "Mới", **more})


# --- what a history says


@pytest.mark.parametrize("code", ["H02.15", "H02.15.12", "H02.15.07"])
def test_bac_giang_is_bac_ninh_since_the_first_of_july_2025(code: str) -> None:
    law = shipped_catalogue()
    assert law.agency(code, MERGER - DAY).province_vi == "Bắc Giang"
    assert law.agency(code, MERGER).province_vi == "Bắc Ninh"


def test_a_unit_bears_the_name_of_the_day(with_units: With) -> None:
    law = with_units(*renamed())
    assert [law.agency("H99.01", day).name_vi for day in (START, MERGER - DAY, MERGER)] == ["Cũ", "Cũ", "Mới"]
    with pytest.raises(KeyError):
        law.agency("H99.01", START - DAY)


def test_the_order_of_the_entries_says_nothing(with_units: With) -> None:
    law = with_units(*reversed(renamed()))
    assert [one.name_vi for one in law.agencies["H99.01"]] == ["Cũ", "Mới"]


def test_an_ended_unit_keeps_its_last_name_and_has_none_on_a_later_day(with_units: With) -> None:
    law = with_units(Unit("H99.01", START, MERGER))
    assert law.agency_name("H99.01", MERGER) == "Đơn vị H99.01, Tỉnh mẫu"
    with pytest.raises(KeyError):
        law.agency("H99.01", MERGER)


def test_a_unit_is_named_with_the_district_that_it_lay_in_on_the_day(with_units: With) -> None:
    law = with_units(
        Unit("H99.20", START, MERGER, {"level": "district", "name_vi": "Huyện mẫu"}),
        Unit("H99.01", START, MERGER, {"parent": "H99.20"}),
        Unit("H99.01", MERGER),
    )
    assert law.agency_name("H99.01", MERGER - DAY) == "Đơn vị H99.01, Huyện mẫu, Tỉnh mẫu"
    assert law.agency_name("H99.01", MERGER) == "Đơn vị H99.01, Tỉnh mẫu"


def test_saturday_mornings_begin_on_the_day_of_their_entry(with_units: With) -> None:
    calendar = with_units(*renamed(saturday_mornings=True)).calendar("H99.01")
    assert not calendar.is_working_day(date(2025, 6, 28))
    assert calendar.is_working_day(date(2025, 7, 5))


def test_an_ended_unit_that_sat_on_saturdays_does_so_for_what_is_still_open(with_units: With) -> None:
    law = with_units(Unit("H99.01", START, MERGER, {"saturday_mornings": True}))
    assert law.calendar("H99.01").is_working_day(date(2025, 7, 5))


def test_the_table_shows_every_version_of_a_unit() -> None:
    rows = [line for line in catalogue_table(shipped_catalogue()).splitlines() if line.startswith("H02.15.12 ")]
    assert len(rows) == 2
    assert "Bắc Giang" in rows[0]
    assert "2000-01-01 to 2025-07-01" in rows[0]
    assert "Bắc Ninh" in rows[1]


# --- filing


@pytest.mark.parametrize(("on", "ended"), [(MERGER - DAY, False), (MERGER, True), (date(2026, 11, 30), True)])
def test_nobody_files_with_a_unit_on_a_day_after_its_end(with_units: With, on: date, ended: bool) -> None:
    law = with_units(Unit("H99.01", START, MERGER))
    found = examine(body(agency="H99.01", submitted_at=None), law, on)
    faults = found if isinstance(found, tuple) else ()
    assert [(fault.pointer, fault.code) for fault in faults] == [("/agency", "agency-not-in-force")] * ended
    assert all("2025-07-01" in fault.message and "01/07/2025" in fault.said("vi") for fault in faults)


def test_who_files_with_an_ended_unit_is_told_the_one_that_followed_and_is_there_today(with_units: With) -> None:
    law = with_units(
        Unit("H99.01", START, MERGER, {"successors": ["H99.02", "H99.03"]}),
        Unit("H99.02", START, date(2026, 1, 1), {"successors": ["H99.04"]}),
        Unit("H99.03"),
        Unit("H99.04"),
    )
    assert _followers(law, MERGER) == ["H99.02", "H99.03"]
    assert _followers(law, date(2026, 1, 1)) == ["H99.04", "H99.03"]


def _followers(law: Catalogue, on: date) -> list[str]:
    found = examine(body(agency="H99.01", submitted_at=None), law, on)
    assert isinstance(found, tuple)
    (fault,) = found
    return [one for one in ("H99.02", "H99.04", "H99.03") if f"({one})" in fault.message and one in fault.said("vi")]


def test_who_files_with_a_unit_before_it_is_there_is_told_from_when_it_is(with_units: With) -> None:
    found = examine(
        body(agency="H99.01", submitted_at=None), with_units(Unit("H99.01", date(2027, 1, 1))), date(2026, 12, 31)
    )
    assert isinstance(found, tuple)
    assert "from 2027-01-01" in found[0].message


# --- a wrong history

WRONG = {
    "two at once": (
        [Unit("H99.01"), Unit("H99.01")], "H99.01: the versions from 2000-01-01 and 2000-01-01 overlap"),
    "an overlap of a day": (
        [Unit("H99.01", START, date(2025, 7, 2)), Unit("H99.01", MERGER)],
        "H99.01: the versions from 2000-01-01 and 2025-07-01 overlap"),
    "a gap of a day": (
        [Unit("H99.01", START, date(2025, 6, 30)), Unit("H99.01", MERGER)],
        "H99.01: no version is in force from 2025-06-30 to 2025-07-01"),
    "an unknown parent": (
        [Unit("H99.01", more={"parent": "H98"})], "H99.01: unknown parent H98"),
    "a parent that ends before": (
        [Unit("H99.20", START, MERGER), Unit("H99.01", more={"parent": "H99.20"})],
        "H99.01: the parent H99.20 is not in force on 2025-07-01"),
    "a parent that begins later": (
        [Unit("H99.20", MERGER), Unit("H99.01", more={"parent": "H99.20"})],
        "H99.01: the parent H99.20 is not in force on 2000-01-01"),
    "its own parent": (
        [Unit("H99.01", more={"parent": "H99.01"})], "H99.01: is below itself on 2000-01-01: H99.01, H99.01"),
    "a ring of three that closes on a day": (
        [Unit("H99.01", more={"parent": "H99.02"}), Unit("H99.02", more={"parent": "H99.03"}),
         Unit("H99.03", START, MERGER), Unit("H99.03", MERGER, None, {"parent": "H99.01"})],
        "H99.01: is below itself on 2025-07-01: H99.01, H99.02, H99.03, H99.01"),
    "a successor of what goes on": (
        [Unit("H99.01", more={"successors": ["H26.16"]})], "H99.01: has successors, but does not end"),
    "a successor of a version that another follows": (
        [Unit("H99.01", START, MERGER, {"successors": ["H26.16"]}), Unit("H99.01", MERGER)],
        "H99.01: has successors, but does not end"),
    "an unknown successor": (
        [Unit("H99.01", START, MERGER, {"successors": ["H98"]})], "H99.01: unknown successor H98"),
    "a successor that is not there on the day": (
        [Unit("H99.01", START, MERGER, {"successors": ["H99.02"]}), Unit("H99.02", date(2025, 7, 2))],
        "H99.01: the successor H99.02 is not in force on 2025-07-01"),
    "itself as successor": (
        [Unit("H99.01", START, MERGER, {"successors": ["H99.01"]})],
        "H99.01: the successor H99.01 is not in force on 2025-07-01"),
    "a day that is none": (
        [Unit("H99.01", START, "2025-06-31")], "H99.01: valid_to: Input should be a valid date"),
}  # fmt: skip


@pytest.mark.parametrize("units", WRONG)
def test_a_wrong_history_is_told_by_unit_and_day(with_units: With, units: str) -> None:
    given_units, wanted = WRONG[units]
    faults = told(with_units, given_units)
    assert faults[0].startswith(f"agencies.yaml: {wanted}")
    assert len(faults) == 1


def test_a_day_that_is_none_is_told_where_it_stands_unquoted(folder: Path, edit: Edit) -> None:
    edit("agencies.yaml", "valid_to: null", "valid_to: 2025-06-31")
    with pytest.raises(CatalogueError) as wrong:
        load_catalogue(folder)
    assert "2025-06-31" in wrong.value.faults[0]
    assert wrong.value.faults[0].startswith("agencies.yaml: H02.15")


# --- property: whatever the cuts, exactly one version answers for each day

CUTS = st.lists(st.dates(date(2001, 1, 1), date(2030, 1, 1)), max_size=5, unique=True).map(sorted)


@given(CUTS, st.dates(START, date(2035, 1, 1)), st.randoms())
def test_on_each_day_the_version_that_began_last_answers(cuts: list[date], day: date, chance: Random) -> None:
    starts = [START, *cuts]
    ends: list[date | None] = [*cuts, None]
    versions = [
        Agency.model_validate(Unit("H99.01", start, end).entry()) for start, end in zip(starts, ends, strict=True)
    ]
    chance.shuffle(versions)
    ordered = by_day(versions)
    found = in_force(ordered, day)
    assert found is not None
    assert found.valid_from == max(start for start in starts if start <= day)
    assert nearest(ordered, day) is found
