"""Read MESA's tables as streams: damaged rows are left out, and only the numbers are in memory."""

from __future__ import annotations

import csv
import warnings
from collections import Counter
from typing import TYPE_CHECKING

import pandas as pd

from pytest_remex.extensions.mesa.aligned import PRECISION, plain, read_aligned
from pytest_remex.extensions.mesa.layout import CarefulRows, Rows, open_table

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence
    from pathlib import Path

    from pytest_remex.extensions.mesa.layout import TableHeader

_AT_ONCE = 5_000_000
"""Bytes to parse at a time."""
_WIDTH = 41
"""Most characters in a column: `fmt` in star/private/history.f90 of MESA."""
_FEWEST_ROWS = 256


class TableWarning(UserWarning):
    """Rows of a table were left out because they are damaged."""


def read_rows(path: Path, header: TableHeader, start: int, columns: Sequence[str]) -> pd.DataFrame:
    """Read the rows of a file, after its header.

    Rows of equal length, as MESA's, are read by the fast way; others by pandas. If something in
    them is not a number, the rows are checked one by one, and damaged rows are left out with a
    `TableWarning`.

    Args:
        path: The file.
        header: The file's header.
        start: Where the first row begins, in bytes of the unpacked file.
        columns: The columns to keep, in this order.

    Returns:
        The rows, numbers as int64 or float64; a column is text if half its words are.
    """
    names = distinct(header.columns)
    table = read_aligned(path, start, names, columns)
    if table is not None:
        return table if list(table.columns) == list(columns) else table[list(columns)]
    keep = [name for name in names if name in columns or name == names[-1]]
    table = _read_as_they_are(path, start, names, keep)
    if table is not None:
        return table if keep == list(columns) else table[list(columns)]
    with open_table(path) as file:
        file.seek(start)
        careful = CarefulRows(file, header)
        table = _joined(_parts(careful, names, keep))
    if table is None:
        table = pd.DataFrame({each: pd.Series(dtype="float64") for each in keep})
    table, bad = _without_words(table)
    _warn(path, careful.dropped + bad)
    return table[list(columns)]


def distinct(names: Iterable[str]) -> list[str]:
    """Make repeated names distinct: `a`, `a.1`, `a.2`."""
    seen: Counter[str] = Counter()
    found = []
    for name in names:
        found.append(f"{name}.{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return found


def _read_as_they_are(
    path: Path, start: int, names: list[str], keep: list[str]
) -> pd.DataFrame | None:
    """Read rows of any width; None if some may be damaged."""
    with open_table(path) as file, warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        file.seek(start)
        rows = Rows(file)
        table = _joined(_parts(rows, names, keep))
    if table is None or not rows.sound or not _is_sound(table, names[-1]):
        return None
    return table.iloc[:-1] if rows.cut else table


def _parts(rows: Rows, names: list[str], keep: list[str]) -> list[pd.DataFrame] | None:
    """Parse rows in parts; return None if one has too many words."""
    try:
        with pd.read_csv(
            rows,
            sep=r"\s+",
            names=names,
            header=None,
            index_col=False,
            chunksize=max(_FEWEST_ROWS, _AT_ONCE // (len(names) * _WIDTH)),
            low_memory=False,
            float_precision=PRECISION,
            encoding_errors="replace",
            quoting=csv.QUOTE_NONE,
        ) as parts:  # type: ignore[call-overload]  # the stubs require more methods than it uses
            return [part if len(part.columns) == len(keep) else part[keep] for part in parts]
    except pd.errors.EmptyDataError:
        return []
    except (pd.errors.ParserError, pd.errors.ParserWarning):
        return None


def _joined(parts: list[pd.DataFrame] | None) -> pd.DataFrame | None:
    """Join the parts to one table, and convert columns of Fortran's numbers; None if no parts."""
    parts = [part for part in parts or [] if len(part)]
    if not parts:
        return None
    table = parts[0] if len(parts) == 1 else pd.concat(parts, ignore_index=True)
    for place, name in enumerate(table):
        if not _is_numeric(table, name):
            values = [plain(word) for word in table[name]]
            if not any(isinstance(one, str) for one in values):
                table.isetitem(place, pd.Series(values, index=table.index).to_numpy())
    return table


def _is_numeric(table: pd.DataFrame, name: Hashable) -> bool:
    return bool(pd.api.types.is_numeric_dtype(table[name]))


def _is_sound(table: pd.DataFrame, last: str) -> bool:
    """Return whether all words are numbers and no row is short: a short row lacks its last word."""
    return all(_is_numeric(table, name) for name in table) and not table[last].isna().any()


def _without_words(table: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Drop rows with a word in a column of numbers; columns of words are unchanged."""
    bad = pd.Series(data=False, index=table.index)
    mixed = []
    for name in table:
        if _is_numeric(table, name):
            continue
        words = table[name].map(lambda one: isinstance(plain(one), str))
        if words.sum() * 2 < len(table):
            mixed.append(name)
            bad |= words
    kept = table[~bad].reset_index(drop=True)
    for name in mixed:
        kept[name] = pd.Series([plain(word) for word in kept[name]])
    return kept, int(bad.sum())


def _warn(path: Path, dropped: int) -> None:
    if dropped:
        rows = "a damaged row is" if dropped == 1 else f"{dropped} damaged rows are"
        warnings.warn(
            f"{path}: {rows} left out: a job was killed while it wrote, or wrote the header again",
            TableWarning,
            stacklevel=5,
        )
