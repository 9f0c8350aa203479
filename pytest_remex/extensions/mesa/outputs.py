"""MESA's output files as pandas DataFrames."""

from __future__ import annotations

import io
import math
import re
import warnings
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from pytest_remex.errors import RemexError
from pytest_remex.extensions.mesa.layout import HEADER_LINES, has_mesa_layout

if TYPE_CHECKING:
    from collections.abc import Sequence

_EXACT_SINCE = (3, 1)
_PRECISION: Literal["round_trip"] | None = (
    "round_trip" if tuple(map(int, pd.__version__.split(".")[:2])) < _EXACT_SINCE else None
)
"""What older pandas needs to read floats bit by bit; newer ones do, and warn when asked to."""

_WORD = re.compile(r"'[^']*'|\"[^\"]*\"|\S+")
_NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:[dDeEqQ]?([+-]\d+)|[dDeEqQ](\d+))?")
_OVERFLOW = re.compile(r"\*+")
_SPECIAL = re.compile(r"[+-]?(?:inf(?:inity)?|nan)", re.IGNORECASE)
_PROFILES = ["model_number", "priority", "profile_number"]


def read_history(path: str | Path) -> pd.DataFrame:
    """Read a history.data, binary_history.data or any file of that layout.

    One row a model; a model that was computed again after a restart is kept as it was last. The
    header is in `.attrs`. Numbers as Fortran writes them (`1.25-105`, `-1d99`) are floats, `****`
    is NaN; a last row that was cut off is left out.

    Raises `RemexError` where the file has another layout.
    """
    table = read_columns(path)
    return _without_redone(table) if "model_number" in table else table


def read_profile(path: str | Path) -> pd.DataFrame:
    """Read a profile: one row a zone, from the surface inwards; the header is in `.attrs`.

    Raises `RemexError` where the file has another layout.
    """
    return read_columns(path)


def read_profiles_index(path: str | Path) -> pd.DataFrame:
    """Read a profiles.index: columns model_number, priority, profile_number.

    A profile that was written again after a restart is kept as it was last.
    Raises `RemexError` where the file has another layout.
    """
    lines = _whole_lines(path)[1:]
    try:
        rows = [[int(word) for word in line.split()] for line in lines if line.strip()]
        table = pd.DataFrame(rows, columns=_PROFILES)
    except ValueError as error:
        raise RemexError(f"{path} is no profiles.index: {error}") from None
    return _without_redone(table)


def read_columns(path: str | Path) -> pd.DataFrame:
    """Read a file of MESA's layout as it is; raises `RemexError` where it has another layout."""
    lines = _whole_lines(path)
    if not has_mesa_layout(lines):
        raise RemexError(f"{path} is no output of MESA: it does not begin with numbered columns")
    names = _distinct(lines[HEADER_LINES - 1].split())
    rows = lines[HEADER_LINES:]
    if rows and len(rows[-1].split()) < len(names):
        rows.pop()
    table = _table(path, names, "".join(rows)).apply(_numbers)
    values = [_plain(word) for word in _WORD.findall(lines[2])]
    table.attrs = dict(zip(lines[1].split(), values, strict=False))
    return table


def _whole_lines(path: str | Path) -> list[str]:
    """Give the lines without the last one where that was cut off."""
    try:
        lines = Path(path).read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    except OSError as error:
        raise RemexError(f"{path} cannot be read: {error.strerror}") from None
    return lines if not lines or lines[-1].endswith("\n") else lines[:-1]


def _distinct(names: Sequence[str]) -> list[str]:
    """Tell repeated names apart: `a`, `a.1`, `a.2`."""
    seen: Counter[str] = Counter()
    found = []
    for name in names:
        found.append(f"{name}.{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return found


def _table(path: str | Path, names: list[str], rows: str) -> pd.DataFrame:
    if not rows:
        return pd.DataFrame({name: pd.Series(dtype="float64") for name in names})
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            return pd.read_csv(
                io.StringIO(rows), sep=r"\s+", names=names, header=None, index_col=False,
                low_memory=False, float_precision=_PRECISION,
            )  # fmt: skip
    except (pd.errors.ParserError, pd.errors.ParserWarning) as error:
        raise RemexError(f"{path}: a row has more columns than names: {error}") from None


def _numbers(column: pd.Series[Any]) -> pd.Series[Any]:
    """Read a column's words as Fortran's numbers, if all of them are."""
    if pd.api.types.is_numeric_dtype(column):
        return column
    found = [_plain(word) for word in column]
    return column if any(isinstance(one, str) for one in found) else pd.Series(found)


def _plain(word: object) -> float | int | str:
    """Give the number that Fortran wrote, or the text without its quotes."""
    if isinstance(word, int | float):
        return word
    text = str(word)
    if number := _NUMBER.fullmatch(text):
        mantissa, signed, unsigned = number.groups()
        exponent = signed or unsigned
        whole = exponent is None and "." not in mantissa
        return int(mantissa) if whole else float(f"{mantissa}e{exponent or 0}")
    if _OVERFLOW.fullmatch(text):
        return math.nan
    return float(text) if _SPECIAL.fullmatch(text) else text.strip("'\"")


def _without_redone(table: pd.DataFrame) -> pd.DataFrame:
    """Drop the models that a restart computed again, all but the last time."""
    numbers = table["model_number"]
    later = numbers[::-1].cummin()[::-1].shift(-1)
    return table[later.isna() | (numbers < later)].reset_index(drop=True)
