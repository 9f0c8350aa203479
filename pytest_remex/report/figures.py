"""A sweep's own Plotly figures, as the JSON that Plotly draws."""

from __future__ import annotations

import json
from importlib import import_module
from typing import TYPE_CHECKING

from pytest_remex.report.text import clean

if TYPE_CHECKING:
    from collections.abc import Sequence


def figures(given: Sequence[object]) -> list[dict[str, object]]:
    """Give each figure as `{"figure": ...}`, and what is no figure as `{"problem": ...}`."""
    return [_figure(one) for one in given]


def _figure(one: object) -> dict[str, object]:
    try:
        return {"figure": json.loads(import_module("plotly.io").to_json(one))}
    except (TypeError, ValueError):
        what = clean(f"{type(one).__module__}.{type(one).__qualname__}")
        return {"problem": f"A figure was left out: {what} is no Plotly figure."}
