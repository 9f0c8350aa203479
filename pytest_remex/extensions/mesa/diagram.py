"""The Hertzsprung-Russell diagram of a sweep: the track of each run as a curve of the report."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from pytest_remex.errors import RemexError
from pytest_remex.extensions.mesa.layout import header_of
from pytest_remex.extensions.mesa.outputs import TableWarning, read_history
from pytest_remex.extensions.mesa.runs import find_history
from pytest_remex.report import Curve

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

NAME = "Hertzsprung-Russell diagram"
_COLUMNS = ("log_Teff", "log_L")


def hr_tracks(results: pd.DataFrame, folder: Path) -> list[Curve]:
    """Return the full tracks of all runs whose history has `log_Teff` and `log_L`.

    The column `path` of `results` is relative to `folder`.
    """
    paths = [path for path in results.get("path", []) if isinstance(path, str) and path]
    tracks = (_track(folder / path) for path in dict.fromkeys(paths))
    return [track for track in tracks if track is not None]


def _track(folder: Path) -> Curve | None:
    history = _history(folder)
    if history is None:
        return None
    return Curve(
        experiment=folder.name,
        name=NAME,
        x=history["log_Teff"].tolist(),
        y=history["log_L"].tolist(),
        x_label="log Teff / K",
        y_label="log L / Lsun",
        x_reversed=True,
    )


def _history(folder: Path) -> pd.DataFrame | None:
    path = find_history(folder)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", TableWarning)  # damaged rows are not drawn
            return read_history(path, _COLUMNS) if path and _may_be_drawn(path) else None
    except RemexError:
        return None


def _may_be_drawn(path: Path) -> bool:
    """Return whether a history has the columns, from its first lines."""
    header = header_of(path)
    return header is not None and set(_COLUMNS) <= set(header.columns)
