"""MESA's output files as pandas DataFrames, and the tracks of a sweep's runs as curves."""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from pytest_remex.errors import RemexError
from pytest_remex.extensions.mesa.layout import header_of, open_table, read_header
from pytest_remex.extensions.mesa.runs import find_history
from pytest_remex.extensions.mesa.tables import TableWarning, distinct, plain, read_rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_remex.namelists.values import Literal
    from pytest_remex.report import Curve

_PROFILES = ["model_number", "priority", "profile_number"]
_MODEL = "model_number"
_INDEX = "profiles.index"
_OTHERS = 2
"""Columns by which a table is recognized as MESA's if its name does not end in .data."""
DIAGRAM = "Hertzsprung-Russell diagram"
_TRACK = ("log_Teff", "log_L")


def read_output(
    path: Path, columns: Sequence[str] | None = None
) -> pd.DataFrame | Mapping[str, Mapping[str, Literal]] | None:
    """Read a history, a profile, a profiles.index or an inlist of any name, gzipped or not.

    Args:
        path: The output.
        columns: The columns of a history or profile to read; by default all.

    Returns:
        A table, or the groups of an inlist; None for any other file.

    Raises:
        RemexError: A file that looks like one of these cannot be read, or lacks a column.
    """
    if not path.is_file():
        return None
    if path.name == _INDEX:
        return read_profiles_index(path)
    return read_history(path, columns) if _is_table(path) else _read_inlist(path)


def read_history(path: str | Path, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Read a history.data, binary_history.data or any file of that layout, gzipped or not.

    Fortran's numbers (`1.25-105`, `-1d99`) become floats, and `****` NaN. A last row that was cut
    off is left out; other damaged rows too, with a `TableWarning`.

    Args:
        path: The file, of any name.
        columns: The columns to read, in this order; by default all. Reading only a few is much
            faster, but may not notice damage in the others.

    Returns:
        One row per model, in MESA's units; of a model that was computed again after a restart, the
        last row. The header is in `.attrs`.

    Raises:
        RemexError: The file cannot be read, has another layout, or lacks a column.

    Example:
        >>> read_history("LOGS/history.data", columns=["star_age", "log_L"]).log_L.max()
        4.2
    """
    return _read_table(path, columns, models=True)


def read_profile(path: str | Path, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Read a profile, gzipped or not.

    Args:
        path: The file, of any name.
        columns: The columns to read, in this order; by default all.

    Returns:
        One row per zone, from the surface inwards, in MESA's units; the header is in `.attrs`.

    Raises:
        RemexError: The file cannot be read, has another layout, or lacks a column.

    Example:
        >>> read_profile("LOGS/profile8.data", columns=["mass", "logT"]).attrs["star_age"]
        1.3e7
    """
    return _read_table(path, columns, models=False)


def read_profiles_index(path: str | Path) -> pd.DataFrame:
    """Read a profiles.index.

    Args:
        path: The file.

    Returns:
        The columns model_number, priority, profile_number; for a profile that was written again
        after a restart, the last row.

    Raises:
        RemexError: The file cannot be read, or has another layout.

    Example:
        >>> read_profiles_index("LOGS/profiles.index").profile_number.max()
        8
    """
    lines = _whole_lines(path)
    if lines and "model" not in lines[0]:
        raise RemexError(f"{path} is not a profiles.index file: its first line does not say so")
    rows = [line.split() for line in lines[1:] if line.strip()]
    if short := [row for row in rows if len(row) != len(_PROFILES)]:
        raise RemexError(f"{path} is not a profiles.index file: {short[0]} is not three numbers")
    try:
        table = pd.DataFrame([[*map(int, row)] for row in rows], columns=_PROFILES, dtype="int64")
    except (ValueError, OverflowError) as error:
        raise RemexError(f"{path} is not a profiles.index file: {error}") from None
    return _without_redone(table)


def _read_table(path: str | Path, columns: Sequence[str] | None, *, models: bool) -> pd.DataFrame:
    """Read a history or a profile: only the last row of each model, if its rows are `models`."""
    with _readable(path):
        with open_table(Path(path)) as file:
            header = read_header(file)
            if header is None:
                raise RemexError(
                    f"{path} is not an output of MESA: it does not begin with numbered columns"
                )
            start = file.tell()
        names = distinct(header.columns)
        wanted = _wanted(path, names, columns)
        history = models and _MODEL in names
        needed = [*wanted, *([_MODEL] if history and _MODEL not in wanted else [])]
        table = read_rows(Path(path), header, start, needed)
    if history:
        table = _without_redone(table)
    if needed != wanted:
        table = table[wanted]
    table.attrs = {name: plain(word) for name, word in header.values().items()}
    return table


@contextmanager
def _readable(path: str | Path) -> Iterator[None]:
    """Raise `RemexError` for a file that cannot be read."""
    try:
        yield
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise RemexError(f"{path} cannot be read: {reason}") from None


def _wanted(path: str | Path, names: list[str], columns: Sequence[str] | None) -> list[str]:
    if columns is None:
        return names
    if isinstance(columns, str):
        raise RemexError(f"columns={columns!r} is one string: write columns=[{columns!r}]")
    for name in columns:
        if name not in names:
            import difflib  # noqa: PLC0415 - only this error needs it

            near = difflib.get_close_matches(name, names, n=3)
            hint = f": did you mean {' or '.join(near)}?" if near else ": see its sixth line"
            raise RemexError(f"{path} has no column {name!r}{hint}")
    return list(dict.fromkeys(columns))


def _whole_lines(path: str | Path) -> list[str]:
    """Return the lines, without the last one if it was cut off."""
    with _readable(path), open_table(Path(path)) as file:
        text = file.read().decode("utf-8", "replace")
    lines = text.splitlines(keepends=True)
    return lines if not lines or lines[-1].endswith("\n") else lines[:-1]


def _without_redone(table: pd.DataFrame) -> pd.DataFrame:
    """Keep only the last row of each model: restarts compute some models again."""
    numbers = table[_MODEL]
    if len(numbers) and numbers.is_monotonic_increasing and numbers.is_unique:
        return table
    later = numbers[::-1].cummin()[::-1].shift(-1)
    return table[later.isna() | (numbers < later)].reset_index(drop=True)


def _read_inlist(path: Path) -> Mapping[str, Mapping[str, Literal]] | None:
    # imported here: reading tables does not need it
    from pytest_remex.extensions.mesa.inlists import load, read_inlist  # noqa: PLC0415
    from pytest_remex.extensions.mesa.roots import is_inlist  # noqa: PLC0415

    return read_inlist(path) if is_inlist(path) and load(path).groups else None


def _is_table(path: Path) -> bool:
    header = header_of(path)
    return header is not None and (path.suffix == ".data" or len(header.columns) >= _OTHERS)


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
    from pytest_remex.report import Curve  # noqa: PLC0415 - reading tables does not need it

    return Curve(
        experiment=folder.name,
        name=DIAGRAM,
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
            return read_history(path, _TRACK) if path and _may_be_drawn(path) else None
    except RemexError:
        return None


def _may_be_drawn(path: Path) -> bool:
    """Return whether a history has the columns, from its first lines."""
    header = header_of(path)
    return header is not None and set(_TRACK) <= set(header.columns)
