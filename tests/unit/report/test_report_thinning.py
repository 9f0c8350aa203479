"""Curves of a report: thinned without losing what a screen would show."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_remex.report import Curve, Overlay, Page, ReportRow
from pytest_remex.report.page import LEAST, MOST, TOTAL, curve_data, overlay_data, thin

FLOATS = st.floats(-1e6, 1e6) | st.just(math.nan)
CURVES = st.lists(st.tuples(FLOATS, FLOATS), min_size=1, max_size=400)


@given(CURVES, st.integers(12, 100))
def test_no_extreme_is_lost(points, most):
    """Whatever the curve, its highest, lowest, leftmost and rightmost points stay, and its ends."""
    xs, ys = map(list, zip(*points, strict=True))
    thin_xs, thin_ys = thin(xs, ys, most)
    whole = [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)]
    kept = [
        (x, y) for x, y in zip(thin_xs.tolist(), thin_ys.tolist(), strict=True)
        if math.isfinite(x) and math.isfinite(y)
    ]  # fmt: skip
    assert len(thin_xs) <= max(most, 12)
    assert bool(whole) == bool(kept)
    for place in (0, 1):
        for extreme in (min, max):
            values = [point[place] for point in whole]
            if values:
                assert extreme(values) == extreme(point[place] for point in kept)
    np.testing.assert_equal([thin_xs[0], thin_xs[-1]], [xs[0], xs[-1]])


@given(CURVES, st.integers(12, 100))
def test_what_is_kept_is_the_curve_in_order(points, most):
    """No point is made up, and none changes its place."""
    xs, ys = map(list, zip(*points, strict=True))
    rest = iter([(repr(float(x)), repr(float(y))) for x, y in points])
    for x, y in zip(*thin(xs, ys, most), strict=True):
        assert (repr(float(x)), repr(float(y))) in rest


def test_a_peak_of_one_point_in_a_million_stays():
    """A single outlier is seen, however many points there are."""
    ys = np.zeros(1_000_000)
    ys[123_457] = 7
    _, kept = thin(np.arange(1_000_000), ys, MOST)
    assert kept.max() == 7
    assert len(kept) <= MOST


def test_a_gap_stays_a_gap():
    """A stretch without values is not bridged by a line."""
    ys = np.sin(np.linspace(0, 9, 9000))
    ys[4000:5000] = np.nan
    _, kept = thin(np.arange(9000), ys, 300)
    assert np.isnan(kept).any()


def test_a_curve_needs_as_many_y_as_x():
    """Data that cannot be a curve is refused with a reason."""
    with pytest.raises(ValueError, match="as many y as x"):
        thin([1, 2], [1], 10)


def test_curves_find_their_rows():
    """Curves are assigned by run directory or node; others are left out."""
    rows = [ReportRow("a", "PASSED", directory="run_a"), ReportRow("b", "PASSED")]
    curves = [Curve(name, "r", [1, 2], [3, math.inf], "x", "y") for name in ("b", "run_a", "c")]
    (found,) = curve_data(Page("sweep", rows=rows, curves=curves))
    assert found["curves"] == [
        {"row": 1, "x": [1.0, 2.0], "y": [3.0, None]},
        {"row": 0, "x": [1.0, 2.0], "y": [3.0, None]},
    ]
    assert (found["name"], found["xLabel"], found["yLabel"]) == ("r", "x", "y")


def test_many_curves_share_the_budget():
    """A page of many curves holds fewer points of each."""
    rows = [ReportRow(str(n), "PASSED") for n in range(1000)]
    line = list(range(5000))
    curves = [Curve(str(n), "r", line, line) for n in range(1000)]
    (found,) = curve_data(Page("sweep", rows=rows, curves=curves))
    assert LEAST <= found["most"] < MOST
    assert sum(len(curve["x"]) for curve in found["curves"]) <= TOTAL
    assert found["thinned"] == 1000


def test_reference_data_is_made_ready():
    """Text is clean, numbers are JSON's."""
    made = overlay_data(Overlay("obs\0", [1, 2], [math.nan, 3], x="n", y="m"))
    assert made == {
        "name": "obs␀", "x": "n", "y": "m", "curve": "", "line": False,
        "xs": [1.0, 2.0], "ys": [None, 3.0],
    }  # fmt: skip
