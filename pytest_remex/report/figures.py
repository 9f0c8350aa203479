"""A sweep's own Plotly figures, as the JSON that Plotly draws."""

from __future__ import annotations

import json
from importlib import import_module
from typing import TYPE_CHECKING

from pytest_remex.report.text import clean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PARALLEL_AXES = 3
"""Axes of a grid from which on its figure is one of parallel coordinates."""
_COMPILED = frozenset({"parcoords", "scattergl", "scatterpolargl", "splom"})


def compiling(axes: int, own: Sequence[Mapping[str, object]]) -> list[str]:
    """Give what a page of a grid of so many axes and of `own` figures needs of its policy.

    Plotly compiles the programs that draw some kinds of trace, so those need `eval`.
    """
    kinds = {kind for one in own for kind in _kinds(one.get("figure"))}
    return ["'unsafe-eval'"] if axes >= PARALLEL_AXES or kinds & _COMPILED else []


def figures(given: Sequence[object]) -> list[dict[str, object]]:
    """Give each figure as `{"figure": ...}`, and what is no figure as `{"problem": ...}`."""
    return [_figure(one) for one in given]


def _kinds(figure: object) -> set[object]:
    traces = figure.get("data", []) if isinstance(figure, dict) else []
    return {trace.get("type") for trace in traces if isinstance(trace, dict)}


def _figure(one: object) -> dict[str, object]:
    try:
        return {"figure": json.loads(import_module("plotly.io").to_json(one))}
    except (TypeError, ValueError):
        what = clean(f"{type(one).__module__}.{type(one).__qualname__}")
        return {"problem": f"A figure was left out: {what} is no Plotly figure."}
