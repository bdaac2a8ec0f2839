"""Fees (F1-F3a)."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.law.entries import Channel
from shared.law.fees import Assessment, Filing, assess
from shared.law.loader import shipped_catalogue

CATALOGUE = shipped_catalogue()
TODAY = date(2026, 10, 1)


def fee(
    procedure: str,
    *,
    case: str = "standard",
    channel: Channel = "online",
    province: str = "H02",
    on: date = TODAY,
    copies: int = 1,
    pages: int | None = None,
    group: str | None = None,
) -> Assessment:
    return assess(CATALOGUE, Filing(procedure, case, channel, province, on, copies, pages), group)


def told(assessment: Assessment) -> tuple[str, int]:
    return assessment.kind, assessment.total_vnd


@pytest.mark.parametrize(
    ("copies", "group", "expected"),
    [
        (1, None, ("charged", 200_000)),
        (2, None, ("charged", 200_000)),
        (3, None, ("charged", 205_000)),
        (5, None, ("charged", 215_000)),
        (1, "student", ("reduction", 100_000)),
        (3, "merit", ("reduction", 105_000)),
        (5, "martyr-relative", ("reduction", 115_000)),
        (5, "poor-household", ("waiver", 0)),
        (5, "child", ("waiver", 0)),
        (1, "orphan", ("charged", 200_000)),
    ],
)
def test_a_judicial_record(copies: int, group: str | None, expected: tuple[str, int]) -> None:
    assert told(fee("2.000488", copies=copies, group=group)) == expected


def test_the_extra_copies_are_a_line_of_their_own_and_are_not_reduced() -> None:
    lines = [(line.rule, line.quantity, line.amount_vnd) for line in fee("2.000488", copies=5, group="merit").lines]
    assert lines == [("2.000488-reduced-2017", 1, 100_000), ("2.000488-extra-copy-2017", 3, 15_000)]


def test_a_waiver_takes_the_extra_copies_with_it_and_names_its_basis() -> None:
    waived = fee("2.000488", copies=5, group="elderly")
    assert [(line.rule, line.amount_vnd) for line in waived.lines] == [("2.000488-waived-2017", 0)]
    assert waived.group_basis == "Thông tư 244/2016/TT-BTC"


def test_a_fee_without_waiver_or_reduction_names_no_basis_of_a_group() -> None:
    assert fee("2.000488", group="orphan").group_basis is None


@pytest.mark.parametrize(
    ("channel", "group", "expected"),
    [
        ("direct", None, ("charged", 20_000)),
        ("postal", None, ("charged", 20_000)),
        ("online", None, ("charged", 10_000)),
        ("online", "merit", ("waiver", 0)),  # merit: a reduction for a judicial record, a waiver here
        ("direct", "orphan", ("waiver", 0)),
        ("online", "poor-household", ("charged", 10_000)),
        ("online", "student", ("charged", 10_000)),
    ],
)
def test_permanent_residence(channel: Channel, group: str | None, expected: tuple[str, int]) -> None:
    assert told(fee("1.004222", channel=channel, group=group)) == expected


@pytest.mark.parametrize("procedure", ["1.004194", "1.002755"])
def test_temporary_residence_costs_more_by_post_than_online(procedure: str) -> None:
    assert told(fee(procedure, channel="postal")) == ("charged", 15_000)
    assert told(fee(procedure, channel="online")) == ("charged", 7_000)


@pytest.mark.parametrize(
    ("pages", "copies", "expected"),
    [
        (1, 1, 2_000),
        (2, 1, 4_000),
        (2, 5, 20_000),
        (3, 1, 5_000),
        (20, 1, 22_000),
        (197, 1, 199_000),
        (198, 1, 200_000),
        (199, 1, 200_000),
        (300, 3, 600_000),
    ],
)
def test_certified_copies_cost_by_the_page_up_to_a_cap_for_each_copy(pages: int, copies: int, expected: int) -> None:
    assert told(fee("2.000815", pages=pages, copies=copies)) == ("charged", expected)


def test_the_lines_of_capped_copies_add_up_to_the_cap() -> None:
    lines = [(line.rule, line.amount_vnd) for line in fee("2.000815", pages=300, copies=2).lines]
    assert lines == [("2.000815-first-pages-2017", 8_000), ("2.000815-further-pages-2017", 392_000)]


def test_a_group_that_no_rule_of_the_procedure_knows_changes_nothing_in_what_is_owed() -> None:
    claimed = fee("2.000815", pages=5, group="poor-household")
    assert replace(claimed, claim_unmet=None) == fee("2.000815", pages=5)
    assert replace(fee("1.000894", group="merit"), claim_unmet=None) == fee("1.000894")


def test_certified_copies_of_unknown_length_have_no_fee() -> None:
    with pytest.raises(ValueError, match="F3a"):
        fee("2.000815")


def test_extracts_cost_by_the_copy() -> None:
    assert told(fee("2.000635", copies=5)) == ("charged", 40_000)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"case": "late", "province": "H49", "channel": "direct"}, ("charged", 50_000)),
        ({"case": "late", "province": "H49", "channel": "postal"}, ("charged", 50_000)),
        ({"case": "late", "province": "H49", "channel": "online"}, ("charged", 25_000)),
        ({"case": "late", "province": "H49", "group": "disabled"}, ("waiver", 0)),
        ({"case": "late", "province": "H49", "group": "child"}, ("charged", 25_000)),
        ({"case": "late", "province": "H02"}, ("none", 0)),
        ({"case": "late", "province": "H02", "group": "merit"}, ("none", 0)),
        ({"case": "standard", "province": "H49"}, ("none", 0)),
        ({"case": "standard", "province": "H49", "group": "merit"}, ("none", 0)),
    ],
)
def test_late_birth_registration_in_quang_ninh_until_2025(options: dict[str, Any], expected: tuple[str, int]) -> None:
    assert told(fee("1.001193", on=date(2025, 12, 31), **options)) == expected


@pytest.mark.parametrize(
    ("procedure", "options", "before", "first_day", "last_day"),
    [
        ("1.001193", {"case": "late", "province": "H49"}, date(2019, 12, 31), date(2020, 1, 1), date(2025, 12, 31)),
        ("1.004222", {}, date(2023, 2, 4), date(2023, 2, 5), None),
        ("1.004194", {"group": "merit"}, date(2023, 2, 4), date(2023, 2, 5), None),
        ("1.001456", {}, date(2023, 12, 31), date(2024, 1, 1), None),
        ("2.000488", {"group": "student"}, date(2016, 12, 31), date(2017, 1, 1), None),
        ("2.000815", {"pages": 3}, date(2016, 12, 31), date(2017, 1, 1), None),
        ("1.001612", {}, date(2016, 12, 31), date(2017, 1, 1), None),
    ],
)
def test_without_a_rule_in_force_on_the_day_of_filing_nothing_is_due_and_nothing_is_waived(
    procedure: str, options: dict[str, Any], before: date, first_day: date, last_day: date | None
) -> None:
    assert told(fee(procedure, on=before, **options)) == ("none", 0)
    assert fee(procedure, on=first_day, **options).kind != "none"
    if last_day is not None:
        assert fee(procedure, on=last_day, **options).kind != "none"
        after = date(last_day.year + 1, 1, 1)
        assert told(fee(procedure, on=after, **options)) == ("none", 0)


@pytest.mark.parametrize(
    ("procedure", "options", "why"),
    [
        ("2.000488", {"group": "orphan"}, "not-listed"),
        ("1.004194", {"group": "poor-household"}, "not-listed"),
        ("1.004194", {"group": "merit", "on": date(2023, 2, 4)}, "no-fee"),
        ("2.000488", {"group": "student"}, None),
        ("2.000488", {"group": "elderly"}, None),
        ("2.000488", {}, None),
        ("1.004194", {}, None),
    ],
)
def test_a_claim_that_changes_nothing_says_why(procedure: str, options: dict[str, Any], why: str | None) -> None:
    assert fee(procedure, **options).claim_unmet == why


# --- properties

FILINGS = st.builds(
    Filing,
    procedure=st.sampled_from(sorted(CATALOGUE.procedures)),
    case=st.sampled_from(["standard", "late"]),
    channel=st.sampled_from(["direct", "online", "postal"]),
    province=st.sampled_from(["H02", "H26", "H49"]),
    filed_on=st.dates(date(2015, 1, 1), date(2035, 1, 1)),
    copies=st.integers(1, 1_000),
    pages=st.integers(1, 100_000),
)
GROUPS = st.sampled_from([None, *sorted(CATALOGUE.groups)])


@given(FILINGS, GROUPS)
def test_a_fee_is_the_sum_of_its_lines_and_never_negative(filing: Filing, group: str | None) -> None:
    found = assess(CATALOGUE, filing, group)
    assert found.total_vnd == sum(line.amount_vnd for line in found.lines) >= 0
    assert all(line.amount_vnd >= 0 and line.basis for line in found.lines)


@given(FILINGS, GROUPS)
def test_the_kind_of_a_fee_says_what_it_comes_to(filing: Filing, group: str | None) -> None:
    found, general = assess(CATALOGUE, filing, group), assess(CATALOGUE, filing)
    match found.kind:
        case "none":
            assert (found.total_vnd, found.lines, general.total_vnd) == (0, (), 0)
        case "waiver":
            assert found.total_vnd == 0 < general.total_vnd
        case "reduction":
            assert 0 < found.total_vnd < general.total_vnd
        case "charged":
            assert replace(found, claim_unmet=None) == general
    unmet = group is not None and found.kind in ("none", "charged")
    assert (found.claim_unmet is not None) == unmet
    assert (found.group_basis is not None) == (found.kind in ("waiver", "reduction"))
