"""Two checkouts side by side: more is better, or less is, and the ratio says how many times as good ours is."""

from typing import Any

import pytest

from tests.bench.against import Compared, table
from tests.bench.figures import Figure


async def _nothing(asked: Any) -> dict[str, float]:
    return {}


def _compared(*, lower: bool, pairs: list[tuple[dict[str, float], dict[str, float]]]) -> Compared:
    return Compared(Figure("some", "ms", _nothing, None, None, lower=lower), pairs)


@pytest.mark.parametrize(("lower", "ratios"), [(False, [2.0, 1.5]), (True, [0.5, 1 / 1.5])])
def test_a_ratio_says_how_many_times_as_good_ours_is_pair_by_pair(lower: bool, ratios: list[float]) -> None:
    pairs = [({"value": 10.0}, {"value": 20.0}), ({"value": 20.0}, {"value": 30.0})]
    assert _compared(lower=lower, pairs=pairs).ratios == pytest.approx(ratios)


def test_the_table_shows_both_medians_the_ratio_its_spread_and_what_explains_it() -> None:
    pairs = [({"value": 10.0, "cpu": 4.0}, {"value": 20.0, "cpu": 2.0, "new": 1.0}), ({"value": 12.0}, {"value": 12.0})]
    told = table([_compared(lower=False, pairs=pairs)], "889a11d", {"dossiers": 7})
    assert "| some (ms) | 11.00 | 16.00 | **1.50** | 2.00 1.00 |" in told
    assert "dossiers 7" in told
