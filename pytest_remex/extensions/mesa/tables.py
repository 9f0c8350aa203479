"""Read MESA's tables as streams: damaged rows are left out, and only the numbers are in memory.

Rows of equal length with aligned columns, as MESA's, are read faster than pandas can: where every
column is, is known from the first row, so blanks and unwanted columns are removed before the parser
reads the rest, and the numbers are written directly into the arrays of the table.
"""

from __future__ import annotations

import csv
import math
import re
import warnings
from collections import Counter
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, NamedTuple

import numpy as np
import pandas as pd

from pytest_remex.extensions.mesa.layout import (
    LONGEST_LINE,
    CarefulRows,
    Pieces,
    Rows,
    is_packed,
    open_table,
)
from pytest_remex.namelists.values import parse_number

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Sequence
    from pathlib import Path

    from pandas.io.parsers import TextFileReader

    from pytest_remex.extensions.mesa.layout import TableHeader

    Target = np.ndarray[Any, np.dtype[Any]]

_EXACT_SINCE = (3, 1)
PRECISION: Literal["round_trip"] | None = (
    "round_trip" if tuple(map(int, pd.__version__.split(".")[:2])) < _EXACT_SINCE else None
)
"""The option with which older pandas reads floats exactly; newer pandas does, and warns of it."""

_LEAST, _MOST, _PARTS = 2_000_000, 10_000_000, 16
"""Bytes of a file to parse at a time: a sixteenth of it, within these limits."""
_BLOCKS = 8
"""Blocks in each such part: one is packed at a time."""
_FEWEST_ROWS = 256
_MOST_INTEGERS = 90
"""The most integer columns: each is a separate array, and pandas warns of tables of 100 arrays."""
_BLANK, _TAB, _NEWLINE, _DELETE = b" \t\n\x7f"
_WORD = re.compile(rb"\S+")
_INTEGER = re.compile(rb"[+-]?\d+")
_OVERFLOW = re.compile(r"\*+")
_AT_ONCE = 5_000_000
"""Bytes to parse at a time."""
_WIDTH = 41
"""Most characters in a column: `fmt` in star/private/history.f90 of MESA."""


class _Layout(NamedTuple):
    """The layout of a file's rows."""

    rows: int
    """The number of rows."""
    length: int
    """Bytes in a row, with its line break."""
    words: tuple[bytes, ...]
    """The words of the first row."""
    ends: tuple[int, ...]
    """Where each word ends, in bytes from the start of the row."""

    @property
    def at_once(self) -> int:
        """How many rows to parse at a time."""
        size = max(_LEAST, min(_MOST, self.rows * self.length // _PARTS))
        return max(_FEWEST_ROWS, size // self.length)


def read_aligned(
    path: Path, start: int, names: Sequence[str], columns: Sequence[str]
) -> pd.DataFrame | None:
    """Read the rows of a file if all have the layout of the first; a last row cut off is dropped.

    Args:
        path: The file.
        start: Where the first row begins, in bytes.
        names: The names of all its columns, without duplicates.
        columns: The columns to read, in the order of the file.

    Returns:
        The numbers, as int64 or float64; None if something is not a number, or if a row has
        another layout: it is damaged, or written by another program.
    """
    if is_packed(path) or not columns:
        return None
    kept = [place for place, name in enumerate(names) if name in columns]
    with path.open("rb") as file:
        layout = _layout_of(file, start, len(names))
        if layout is None:
            return None
        whole = [_INTEGER.fullmatch(layout.words[place]) is not None for place in kept]
        floats = np.empty((whole.count(False), layout.rows))
        integers = np.empty((whole.count(True), layout.rows), dtype=np.int64)
        file.seek(start)
        parts = {True: iter(integers), False: iter(floats)}
        targets: list[Target] = [next(parts[each]) for each in whole]
        if len(integers) > _MOST_INTEGERS or not _fill(targets, _PackedRows(file, layout, kept)):
            return None
    real = [names[place] for place, each in zip(kept, whole, strict=True) if not each]
    table = pd.DataFrame(floats.T, columns=real, copy=False)
    for place, target in enumerate(targets):
        if whole[place]:
            table.insert(place, names[kept[place]], target)
    return table


def plain(word: object) -> float | int | str:
    """Return the number that Fortran wrote, or the text without its quotes."""
    if isinstance(word, int | float):
        return word
    text = str(word).strip()
    number = math.nan if _OVERFLOW.fullmatch(text) else parse_number(text)
    return text.strip("'\"") if number is None else number


def _layout_of(file: BinaryIO, start: int, columns: int) -> _Layout | None:
    """Return the layout of the first row; None if the other rows cannot have the same."""
    file.seek(start)
    first = file.readline(LONGEST_LINE)
    words = list(_WORD.finditer(first))
    if not first.endswith(b"\n") or len(words) != columns:
        return None
    count, rest = divmod(file.seek(0, 2) - start, len(first))
    file.seek(-rest, 2)
    if b"\n" in file.read(rest):
        return None
    ends = tuple(word.end() for word in words)
    return _Layout(count, len(first), tuple(word[0] for word in words), ends)


def _fill(targets: Sequence[Target], rows: _PackedRows) -> bool:
    """Parse rows into arrays; return whether all were numbers."""
    at = 0
    for part in _packed_parts(rows, len(targets)):
        end = at + len(part)
        for place, target in enumerate(targets):
            values = _numbers(part[place], target.dtype.kind)
            if values is None or end > len(target):
                return False
            target[at:end] = values
        at = end
    return rows.sound and all(at == len(target) for target in targets)


def _numbers(column: pd.Series, kind: str) -> Sequence[float] | Target | None:
    """Return a column's numbers, including forms that only Fortran writes; None if one is not."""
    if column.dtype.kind in {kind, "i"}:
        return column.to_numpy()
    if kind == "i" or column.dtype.kind in "bu":
        return None
    values = [plain(word) for word in column]
    return (
        [float(one) for one in values] if not any(isinstance(one, str) for one in values) else None
    )


def _packed_parts(rows: _PackedRows, columns: int) -> Iterator[pd.DataFrame]:
    try:
        with _open(rows, "\t", range(columns), rows.layout.at_once) as parts:
            yield from parts
    except pd.errors.EmptyDataError:
        return


def _open(
    rows: Pieces | Rows, separator: str, names: Sequence[str] | range, at_once: int
) -> TextFileReader:
    """Return pandas' parser of rows, which yields so many at a time."""
    return pd.read_csv(  # type: ignore[call-overload,no-any-return]  # it uses fewer methods
        rows,
        sep=separator,
        names=names,
        header=None,
        index_col=False,
        chunksize=at_once,
        low_memory=False,
        float_precision=PRECISION,
        encoding_errors="replace",
        quoting=csv.QUOTE_NONE,
    )


class _PackedRows(Pieces):
    """A file of the rows for the parser, with a tab between words and without most blanks."""

    def __init__(self, file: BinaryIO, layout: _Layout, kept: Sequence[int]) -> None:
        self.layout = layout
        self.sound = True
        """Whether all rows so far have the layout of the first."""
        self._file = file
        self._left = layout.rows
        self._begins = np.array([0, *layout.ends[:-1]])
        self._ends = np.array(layout.ends)
        self._kept = kept

    def _piece(self) -> bytes:
        """Return the next rows, packed; nothing if one of them has another layout."""
        count = min(self._left, self.layout.at_once // _BLOCKS)
        if not (count and self.sound):
            return b""
        self._left -= count
        data = self._file.read(count * self.layout.length)
        self.sound = len(data) == count * self.layout.length
        if not self.sound:
            return b""
        table = np.frombuffer(data, np.uint8).reshape(count, self.layout.length)
        lowest, highest = table.min(axis=0), table.max(axis=0)
        self.sound = self._are_even(lowest, highest)
        return self._packed(table, np.flatnonzero(highest > _BLANK)) if self.sound else b""

    def _are_even(self, lowest: np.ndarray, highest: np.ndarray) -> bool:
        """Return whether all rows are text and their words end where those of the first do."""
        return bool(
            lowest[-1] == highest[-1] == _NEWLINE
            and lowest[:-1].min() >= _BLANK
            and highest.max() < _DELETE
            and lowest[self._ends - 1].min() > _BLANK
            and highest[self._ends].max() <= _BLANK
        )

    def _packed(self, table: np.ndarray, used: np.ndarray) -> bytes:
        """Return the words of the columns to keep; at the places `used`, some row has text."""
        begins = used[np.searchsorted(used, self._begins[self._kept])]
        ends = self._ends[self._kept]
        places = np.cumsum(ends - begins + 1)
        packed = np.full((len(table), places[-1]), _TAB, dtype=np.uint8)
        packed[:, -1] = _NEWLINE
        for begin, end, place in zip(begins, ends, places, strict=True):
            packed[:, place - 1 - (end - begin) : place - 1] = table[:, begin:end]
        return packed.tobytes()


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


def _parts(
    rows: Rows | CarefulRows, names: list[str], keep: list[str]
) -> list[pd.DataFrame] | None:
    """Parse rows in parts; return None if one has too many words."""
    at_once = max(_FEWEST_ROWS, _AT_ONCE // (len(names) * _WIDTH))
    try:
        with _open(rows, r"\s+", names, at_once) as parts:
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
