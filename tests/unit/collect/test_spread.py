"""Mean, spread and count over the replicates of a point."""

from __future__ import annotations

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_remex.collect.compare import Spread, spread_of

FLOATS = st.floats(-1e15, 1e15, allow_nan=False)


@given(st.lists(FLOATS, min_size=2, max_size=20))
def test_of_several(values):
    """Mean and sample standard deviation are those of Python's statistics."""
    found = spread_of(values)
    scale = max(map(abs, values)) or 1.0
    assert found.count == len(values)
    assert found.mean == pytest.approx(statistics.fmean(values), abs=1e-12 * scale)
    assert found.spread == pytest.approx(statistics.stdev(values), rel=1e-9, abs=1e-12 * scale)


def test_of_few():
    """One value has no spread, none has no mean; nan is not counted."""
    one = spread_of([math.nan, 3.0])
    assert (one.mean, one.count) == (3.0, 1)
    assert math.isnan(one.spread)
    none = spread_of([math.nan])
    assert none.count == 0
    assert math.isnan(none.mean)


@pytest.mark.parametrize("values", [[1e308, -1e308], [1e308, 1e308], [5e-324, 0.0]])
def test_extremes(values):
    """The largest and the smallest numbers neither overflow nor vanish."""
    found = spread_of(values)
    assert math.isfinite(found.mean)
    assert math.isfinite(found.spread) or values == [1e308, -1e308]


def test_infinite():
    """The mean of an infinite value is infinite, and there is no spread."""
    found = spread_of([math.inf, 1.0])
    assert (found.mean, found.count) == (math.inf, 2)
    assert math.isnan(found.spread)


def test_equal():
    """Equal values have a spread of exactly 0, despite rounding of their mean."""
    assert spread_of([0.1] * 3).spread == pytest.approx(0.0, abs=1e-16)
    assert spread_of([2, 2]) == Spread(2.0, 0.0, 2)
