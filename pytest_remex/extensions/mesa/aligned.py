"""Read tables whose rows have equal length and aligned columns, as MESA's do, faster than pandas.

Where every column is, is known from the first row: blanks and unwanted columns are removed before
the parser reads the rest, and the numbers are written directly into the arrays of the table.
"""

from __future__ import annotations

import csv
import math
import re
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, NamedTuple

import numpy as np
import pandas as pd

from pytest_remex.extensions.mesa.layout import LONGEST_LINE, is_packed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

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
_NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:[dDeEqQ]?([+-]\d+)|[dDeEqQ](\d+))?")
_OVERFLOW = re.compile(r"\*+")
_SPECIAL = re.compile(r"[+-]?(?:inf(?:inity)?|nan)", re.IGNORECASE)


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
    if number := _NUMBER.fullmatch(text):
        mantissa, signed, unsigned = number.groups()
        exponent = signed or unsigned
        whole = exponent is None and "." not in mantissa
        return int(mantissa) if whole else float(f"{mantissa}e{exponent or 0}")
    if _OVERFLOW.fullmatch(text):
        return math.nan
    return float(text) if _SPECIAL.fullmatch(text) else text.strip("'\"")


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
    for part in _parts(rows, len(targets)):
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


def _parts(rows: _PackedRows, columns: int) -> Iterator[pd.DataFrame]:
    try:
        with pd.read_csv(
            rows,
            sep="\t",
            names=range(columns),
            header=None,
            index_col=False,
            chunksize=rows.layout.at_once,
            low_memory=False,
            float_precision=PRECISION,
            quoting=csv.QUOTE_NONE,
        ) as parts:  # type: ignore[call-overload]  # the stubs require more methods than it uses
            yield from parts
    except pd.errors.EmptyDataError:
        return


class _PackedRows:
    """A file of the rows for the parser, with a tab between words and without most blanks.

    Deliberately not a class of the io module: pandas would decode its bytes, and encode them again.
    """

    def __init__(self, file: BinaryIO, layout: _Layout, kept: Sequence[int]) -> None:
        self.layout = layout
        self.sound = True
        """Whether all rows so far have the layout of the first."""
        self._file = file
        self._left = layout.rows
        self._begins = np.array([0, *layout.ends[:-1]])
        self._ends = np.array(layout.ends)
        self._kept = kept
        self._rest = b""

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._block, b"")

    def read(self, size: int = -1) -> bytes:
        blocks = [self._rest]
        length = len(self._rest)
        while self.sound and self._left and (size < 0 or length < size):
            blocks.append(self._block())
            length += len(blocks[-1])
        data = b"".join(blocks)
        self._rest = data[size:] if size >= 0 else b""
        return data[:size] if size >= 0 else data

    def _block(self) -> bytes:
        """Return the next rows, packed; nothing if one of them has another layout."""
        count = min(self._left, self.layout.at_once // _BLOCKS)
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
