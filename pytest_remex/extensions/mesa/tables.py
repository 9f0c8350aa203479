"""Read MESA's tables as streams: damaged rows are left out, and memory holds the numbers alone."""

from __future__ import annotations

import csv
import itertools
import math
import os
import re
import warnings
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Literal

import pandas as pd

from pytest_remex.extensions.mesa.layout import (
    LONGEST_LINE,
    CarefulRows,
    EvenRows,
    Rows,
    is_packed,
    open_table,
)

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence
    from pathlib import Path

    from pytest_remex.extensions.mesa.layout import Header

_EXACT_SINCE = (3, 1)
_PRECISION: Literal["round_trip"] | None = (
    "round_trip" if tuple(map(int, pd.__version__.split(".")[:2])) < _EXACT_SINCE else None
)
"""What older pandas needs to read floats bit by bit; newer ones do, and warn when asked to."""

_AT_ONCE = 5_000_000
"""Bytes that are parsed before they become numbers, in all threads together."""
_LEAST_PIECE = 2_000_000
"""Bytes of a file that are worth a thread."""
_WIDTH = 41
"""Characters of a column: `fmt` in star/private/history.f90 of MESA; others are narrower."""
_FEWEST_ROWS = 256
_MOST_THREADS = 4
_NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:[dDeEqQ]?([+-]\d+)|[dDeEqQ](\d+))?")
_OVERFLOW = re.compile(r"\*+")
_SPECIAL = re.compile(r"[+-]?(?:inf(?:inity)?|nan)", re.IGNORECASE)


class TableWarning(UserWarning):
    """Rows of a table were left out because they are damaged."""


def read_rows(path: Path, header: Header, start: int, columns: Sequence[str]) -> pd.DataFrame:
    """Read the rows of a file, which stand behind its header.

    All rows are first read as they are; where something in them is not a table of numbers, they
    are read again with care, and damaged rows are left out with a `TableWarning`.

    Args:
        path: The file.
        header: What was read above.
        start: Where the first row begins, in bytes of the unpacked file.
        columns: The columns to keep, in this order.

    Returns:
        The rows, numbers as int64 or float64; a column is text where half its words are.
    """
    names = distinct(header.columns)
    keep = [name for name in names if name in columns or name == names[-1]]
    kinds: list[type[Rows]] = [Rows] if len(keep) == len(names) else [EvenRows, Rows]
    for kind in kinds:
        table = _read_at_once(path, kind, start, names, keep)
        if table is not None:
            return table if keep == list(columns) else table[list(columns)]
    with open_table(path) as file:
        file.seek(start)
        careful = CarefulRows(file, header)
        table = _joined(_parts(careful, names, keep, _AT_ONCE))
    if table is None:
        table = pd.DataFrame({each: pd.Series(dtype="float64") for each in keep})
    table, bad = _without_words(table)
    _warn(path, careful.dropped + bad)
    return table[list(columns)]


def plain(word: object) -> float | int | str:
    """Return the number that Fortran wrote, or the text without its quotes."""
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


def distinct(names: Iterable[str]) -> list[str]:
    """Tell repeated names apart: `a`, `a.1`, `a.2`."""
    seen: Counter[str] = Counter()
    found = []
    for name in names:
        found.append(f"{name}.{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return found


def _read_at_once(
    path: Path, kind: type[Rows], start: int, names: list[str], keep: list[str]
) -> pd.DataFrame | None:
    """Read rows as they are, a large file's in several threads; None where some may be damaged."""
    spans = _spans(path, start)

    def read(span: tuple[int, int | None]) -> tuple[Rows, list[pd.DataFrame] | None]:
        with open_table(path) as file:
            file.seek(span[0])
            rows = kind(file, span[1])
            return rows, _parts(rows, names, keep, _AT_ONCE // len(spans))

    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        if len(spans) == 1:
            found = [read(spans[0])]
        else:
            with ThreadPoolExecutor(len(spans)) as pool:
                found = list(pool.map(read, spans))
    parts = [part for _, each in found for part in each or []]
    lengths = set().union(*(rows.lengths for rows, _ in found))
    if any(each is None or not rows.sound for rows, each in found) or len(lengths) > 1:
        return None
    table = _joined(parts)
    if table is None or not _is_sound(table, names[-1]):
        return None
    return table.iloc[:-1] if found[-1][0].cut else table


def _spans(path: Path, start: int) -> list[tuple[int, int | None]]:
    """Cut a file into pieces of whole rows, one a processor; a packed one cannot be cut."""
    if is_packed(path):
        return [(start, None)]
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        count = max(1, min(_MOST_THREADS, os.cpu_count() or 1, (end - start) // _LEAST_PIECE))
        cuts = {start, end}
        for number in range(1, count):
            file.seek(start + (end - start) * number // count)
            file.readline(LONGEST_LINE)
            cuts.add(min(file.tell(), end))
    return list(itertools.pairwise(sorted(cuts))) or [(start, end)]


def _parts(
    rows: Rows, names: list[str], keep: list[str], at_once: int
) -> list[pd.DataFrame] | None:
    """Parse rows, so many bytes of them at a time; None where one has too many words."""
    try:
        with pd.read_csv(
            rows,
            sep=r"\s+",
            names=names,
            header=None,
            index_col=False,
            usecols=keep if isinstance(rows, EvenRows) else None,
            chunksize=max(_FEWEST_ROWS, at_once // (len(names) * _WIDTH)),
            low_memory=False,
            float_precision=_PRECISION,
            encoding_errors="replace",
            quoting=csv.QUOTE_NONE,
        ) as parts:  # type: ignore[call-overload]  # it asks for less of a file than its stubs say
            return [part if len(part.columns) == len(keep) else part[keep] for part in parts]
    except pd.errors.EmptyDataError:
        return []
    except (pd.errors.ParserError, pd.errors.ParserWarning):
        return None


def _joined(parts: list[pd.DataFrame] | None) -> pd.DataFrame | None:
    """Make one table, with Fortran's numbers read where a whole column holds some; None if none."""
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
    """Whether all is numbers, and no row ended early: such a one lacks its last word."""
    return all(_is_numeric(table, name) for name in table) and not table[last].isna().any()


def _without_words(table: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Leave out the rows with a word in a column of numbers; a column of words stays as it is."""
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
