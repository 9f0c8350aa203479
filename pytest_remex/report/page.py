"""The content of a report, as frozen data: a page of rows, one row per experiment.

Curves are reduced to what a screen can show, without losing a peak.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_remex.display import clean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from pytest_remex.model import Scalar

    Points = NDArray[np.float64]

MOST = 1500
"""The most points of a curve in the page: more than a screen has columns."""
LEAST = 40
TOTAL = 300_000
"""The most points of all curves in the page; if there are many curves, each gets fewer."""
_KEPT = 5


@dataclass(frozen=True, slots=True)
class ReportRow:
    """An experiment as the report shows it. Any text is allowed in any field.

    Attributes:
        node: The node id.
        verdict: The verdict of collect (PASSED, FAILED, RUNNING...).
        state: The job's state.
        reason: Why it failed; the first line says the most.
        values: The point's parameters and the measures, by column; a missing one is shown empty.
        job: The job's id.
        elapsed: Seconds that the job ran.
        commit: The experiment's commit.
        parent: The base commit.
        directory: The name of the run directory.
        diff: The patch.
        log: The end of the job's output.
        outputs: Name and path of each output, relative to the page's folder, as the file system
            has them; the report percent-encodes them.
        images: Paths of the outputs that are images, likewise.
        cause: Equal for rows that went wrong in the same way; "" is the reason's first line.
        launch: The id of the launch that submitted it.
    """

    node: str
    verdict: str
    state: str = ""
    reason: str = ""
    values: Mapping[str, Scalar] = field(default_factory=dict)
    job: str = ""
    elapsed: float | None = None
    commit: str = ""
    parent: str = ""
    directory: str = ""
    diff: str = ""
    log: str = ""
    outputs: tuple[tuple[str, str], ...] = ()
    images: tuple[str, ...] = ()
    cause: str = ""
    launch: str = ""


@dataclass(frozen=True, slots=True)
class Curve:
    """A curve of an experiment, at full resolution; the page gets it thinned.

    Attributes:
        experiment: The `directory` of its row, or the row's `node`.
        name: Curves of the same name are laid over each other.
        x: Its points' coordinates across, any number of them, in the order of the line.
        y: Their coordinates up; a value that is not finite is a gap.
        x_label: The title of the axis across.
        y_label: The title of the axis up.
        x_reversed: Whether x grows to the left, as in a Hertzsprung-Russell diagram.
    """

    experiment: str
    name: str
    x: Sequence[float]
    y: Sequence[float]
    x_label: str = ""
    y_label: str = ""
    x_reversed: bool = False


@dataclass(frozen=True, slots=True)
class Overlay:
    """Observed or reference data that is laid over a figure of the page.

    It is drawn if `x` and `y` are the columns of the figure, or if `curve` is the name of the
    curves that are shown.
    """

    name: str
    xs: Sequence[float]
    ys: Sequence[float]
    x: str = ""
    y: str = ""
    curve: str = ""
    line: bool = False


@dataclass(frozen=True, slots=True)
class ReportLaunch:
    """A launch of the page's sweep; `href` is its own page, relative to this one, if it has one."""

    id: str
    when: str = ""
    base: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    href: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """A report: facts of the sweep, its parameter and measure columns, rows, and what they show.

    Attributes:
        title: The sweep's name.
        facts: Facts to show above the rows, by name.
        dimensions: The parameters, in the grid's order.
        measures: What the sweep recorded.
        rows: The experiments.
        figures: Plotly figures to show as they are, and `Overlay`s.
        curves: The experiments' curves.
        launches: The sweep's launches, newest first.
    """

    title: str
    facts: Mapping[str, str] = field(default_factory=dict)
    dimensions: tuple[str, ...] = ()
    measures: tuple[str, ...] = ()
    rows: Sequence[ReportRow] = ()
    figures: Sequence[object] = ()
    curves: Sequence[Curve] = ()
    launches: Sequence[ReportLaunch] = ()


@dataclass(frozen=True, slots=True)
class IndexedSweep:
    """A sweep as the index of all sweeps lists it.

    `links` are names and paths relative to the index: the first is the sweep's own page.
    """

    name: str
    when: str = ""
    base: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    launches: int = 0
    links: tuple[tuple[str, str], ...] = ()


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
