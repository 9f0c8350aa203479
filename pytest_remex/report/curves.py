"""Reduce curves to what a screen can show, without losing a peak."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_remex.display import clean
from pytest_remex.report.page import Curve, Overlay

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pytest_remex.report.page import Page, ReportRow

    Points = NDArray[np.float64]

MOST = 1500
"""The most points of a curve in the page: more than a screen has columns."""
LEAST = 40
TOTAL = 300_000
"""The most points of all curves in the page; if there are many curves, each gets fewer."""
_KEPT = 5


def thin(x: Sequence[float], y: Sequence[float], most: int) -> tuple[Points, Points]:
    """Return at most `most` of a curve's points, in their order.

    The curve is divided into pieces with equally many points. Of each piece the points with the
    lowest and highest x and y are kept, and a gap if there is one: so every extreme is kept,
    whichever way the curve runs, and so are its ends.

    Raises:
        ValueError: x and y are not equally many numbers.
    """
    xs, ys = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if xs.shape != ys.shape or xs.ndim != 1:
        raise ValueError(f"a curve needs as many y as x: {xs.shape} and {ys.shape}")
    if len(xs) <= most:
        return xs, ys
    kept = _extremes(xs, ys, max((most - 2) // _KEPT, 1))
    return xs[kept], ys[kept]


def _extremes(xs: Points, ys: Points, pieces: int) -> NDArray[np.intp]:
    size = -(-len(xs) // pieces)
    pad = size * -(-len(xs) // size) - len(xs)
    gaps = ~(np.isfinite(xs) & np.isfinite(ys))
    kept = [np.array([0, len(xs) - 1])]
    starts = np.arange(0, len(xs), size)
    for values in (xs, ys):
        for sign in (1, -1):
            ranked = np.where(gaps, np.inf, sign * values)
            padded = np.concatenate([ranked, np.full(pad, np.inf)]).reshape(-1, size)
            kept.append(starts + padded.argmin(axis=1))
    holes = np.concatenate([gaps, np.zeros(pad, bool)]).reshape(-1, size)
    kept.append((starts + holes.argmax(axis=1))[holes.any(axis=1)])
    return np.unique(np.concatenate(kept))


def fault_of(one: Curve | Overlay) -> str:
    """Return why a curve or an overlay cannot be drawn; empty if it can."""
    xs, ys = (one.x, one.y) if isinstance(one, Curve) else (one.xs, one.ys)
    try:
        thin(xs, ys, MOST)
    except (TypeError, ValueError) as error:
        return f"{one.name} was left out: {error}"
    return ""


def curve_data(page: Page) -> list[dict[str, Any]]:
    """Return the page's curves by name, thinned; `row` is the place of the experiment's row."""
    places = _places(page.rows)
    most = max(LEAST, min(MOST, TOTAL // max(len(page.curves), 1)))
    named: dict[str, list[Curve]] = defaultdict(list)
    for curve in page.curves:
        if curve.experiment in places:
            named[curve.name].append(curve)
    return [
        {
            "name": clean(name),
            "xLabel": clean(first.x_label),
            "yLabel": clean(first.y_label),
            "reversed": first.x_reversed,
            "most": most,
            "thinned": sum(len(curve.x) > most for curve in same),
            "curves": [_curve(curve, places[curve.experiment], most) for curve in same],
        }
        for name, same in named.items()
        for first in same[:1]
    ]


def _places(rows: Sequence[ReportRow]) -> dict[str, int]:
    """Return the position of each row by its node id and, with priority, by its run directory."""
    return {
        **{row.node: place for place, row in reversed(list(enumerate(rows)))},
        **{row.directory: place for place, row in enumerate(rows) if row.directory},
    }


def _curve(curve: Curve, row: int, most: int) -> dict[str, Any]:
    x, y = thin(curve.x, curve.y, most)
    return {"row": row, "x": numbers(x), "y": numbers(y)}


def overlay_data(one: Overlay) -> dict[str, Any]:
    """Return reference data in the form that the page's scripts read."""
    xs, ys = thin(one.xs, one.ys, MOST)
    names = {"name": one.name, "x": one.x, "y": one.y, "curve": one.curve}
    return {
        **{key: clean(text) for key, text in names.items()},
        "line": one.line,
        "xs": numbers(xs),
        "ys": numbers(ys),
    }


def numbers(values: Points) -> list[float | None]:
    """Convert numbers for JSON: nine digits, None for values that are not finite."""
    return [float(f"{value:.9g}") if np.isfinite(value) else None for value in values.tolist()]
