"""The Hertzsprung-Russell diagram of a sweep: one track a run, coloured by a parameter."""

from __future__ import annotations

import math
import warnings
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

import plotly.graph_objects as go  # type: ignore[import-untyped]  # it has no stubs
from plotly.colors import (  # type: ignore[import-untyped]  # as above
    qualitative,
    sample_colorscale,
)

from pytest_remex.errors import RemexError
from pytest_remex.extensions.mesa.layout import header_of
from pytest_remex.extensions.mesa.outputs import TableWarning, read_history
from pytest_remex.extensions.mesa.runs import find_history

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import pandas as pd

_COLUMNS = ("log_Teff", "log_L")
_LEGEND = 20
"""Tracks that a legend can still tell apart."""

_POINTS = 1000
"""Points of a track that are drawn: a page with a hundred tracks stays small."""


class Track(NamedTuple):
    """A run's row of the results, and its way through the diagram."""

    row: Mapping[str, Any]
    log_teff: list[float]
    log_l: list[float]


class Scale(NamedTuple):
    """A colour for each track, and the bounds of the colour bar where the values are numbers."""

    colours: list[str]
    low: float
    high: float
    numeric: bool


def hr_diagram(results: pd.DataFrame, folder: Path) -> go.Figure | None:
    """Draw the tracks of all runs whose history has `log_Teff` and `log_L`; None without any.

    `results` names its parameters in `.attrs`; its column `path` is relative to `folder`. A button
    for each parameter that varies chooses the colours.
    """
    tracks = list(_tracks(results, folder))
    if not tracks:
        return None
    varied = [name for name in results.attrs.get("parameters", []) if _varies(tracks, name)]
    figure = go.Figure([_line(track, varied) for track in tracks])
    figure.update_layout(
        title="Hertzsprung-Russell diagram",
        xaxis={"title": "log Teff / K", "autorange": "reversed"},
        yaxis={"title": "log L / Lsun"},
    )
    if varied:
        _colour(figure, tracks, varied)
    return figure


def _tracks(results: pd.DataFrame, folder: Path) -> Iterator[Track]:
    drawn = {
        number: line
        for number, path in enumerate(results.get("path", []))
        if isinstance(path, str) and path and (line := _drawn(folder / path))
    }
    rows = results.iloc[list(drawn)].to_dict("records")
    for row, line in zip(rows, drawn.values(), strict=True):
        yield Track({str(name): one for name, one in row.items()}, *line)


def _drawn(folder: Path) -> tuple[list[float], list[float]] | None:
    """Return the points of a run's track; None where its history has none."""
    history = _history(folder)
    if history is None:
        return None
    some = history.iloc[_spread(len(history))]
    return some["log_Teff"].tolist(), some["log_L"].tolist()


def _history(folder: Path) -> pd.DataFrame | None:
    path = find_history(folder)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", TableWarning)  # a damaged row is no part of the curve
            return read_history(path, _COLUMNS) if path and _may_be_drawn(path) else None
    except RemexError:
        return None


def _may_be_drawn(path: Path) -> bool:
    """Look at a history's first lines before all of it is read."""
    header = header_of(path)
    return header is not None and set(_COLUMNS) <= set(header.columns)


def _spread(count: int) -> list[int]:
    """Choose rows over the whole of a track, the first and the last among them."""
    last = max(count - 1, 0)
    drawn = min(count, _POINTS)
    return [round(last * place / max(drawn - 1, 1)) for place in range(drawn)]


def _varies(tracks: Sequence[Track], name: str) -> bool:
    return len({str(track.row[name]) for track in tracks}) > 1


def _line(track: Track, varied: Sequence[str]) -> go.Scatter:
    label = ", ".join(f"{name}={track.row[name]}" for name in varied) or str(track.row.get("id"))
    return go.Scatter(x=track.log_teff, y=track.log_l, mode="lines", name=escape(label))


def _colour(figure: go.Figure, tracks: Sequence[Track], varied: Sequence[str]) -> None:
    """Add a colour bar for each parameter that is a number, and the buttons that choose one."""
    scales = [_scale([track.row[name] for track in tracks]) for name in varied]
    for name, scale in zip(varied, scales, strict=True):
        figure.add_trace(_bar(name, scale))
    shown = [True] * len(tracks)
    buttons = [
        {
            "label": escape(name),
            "method": "restyle",
            "args": [
                {
                    "line.color": [*scale.colours, *[None] * len(varied)],
                    "visible": shown + [other == name and scale.numeric for other in varied],
                }
            ],
        }
        for name, scale in zip(varied, scales, strict=True)
    ]
    for trace, colour in zip(figure.data, scales[0].colours, strict=False):
        trace.line.color = colour
    figure.data[len(tracks)].visible = scales[0].numeric
    figure.update_layout(
        updatemenus=[{"buttons": buttons, "x": 0, "xanchor": "left", "y": 1.12, "yanchor": "top"}],
        showlegend=len(tracks) <= _LEGEND,
        legend={"orientation": "h", "y": -0.2},
    )


def _scale(values: Sequence[object]) -> Scale:
    """Choose a colour for each value: along a scale for numbers, one a value for the rest."""
    numbers = [float(one) for one in values if isinstance(one, int | float)]
    numeric = len(numbers) == len(values) and all(map(math.isfinite, numbers))
    if numeric and not any(isinstance(one, bool) for one in values):
        low, high = min(numbers), max(numbers)
        parts = [(number - low) / (high - low) for number in numbers]
        return Scale(sample_colorscale("Viridis", parts), low, high, numeric=True)
    palette = qualitative.Plotly
    order = list(dict.fromkeys(map(str, values)))
    colours = [palette[order.index(str(one)) % len(palette)] for one in values]
    return Scale(colours, 0, 1, numeric=False)


def _bar(name: str, scale: Scale) -> go.Scatter:
    """Make a trace without points that shows a colour bar."""
    return go.Scatter(
        x=[None],
        y=[None],
        mode="markers",
        showlegend=False,
        visible=False,
        marker={
            "color": [scale.low],
            "cmin": scale.low,
            "cmax": scale.high,
            "colorscale": "Viridis",
            "showscale": True,
            "colorbar": {"title": escape(name)},
        },
    )
