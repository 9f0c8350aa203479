"""The table of a page: columns, cells made safe to show, the grid's axes, causes of failures."""

from __future__ import annotations

import math
import os
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from pytest_remex.display import clean
from pytest_remex.model import LARGEST_EXACT

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_remex.model import Scalar
    from pytest_remex.report.page import Page, ReportRow

LONGEST = 20_000
"""Characters of a diff, from its start, and of a log, from its end, that the report holds."""

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_TONES = {
    "good": ("PASSED", "COMPLETED", "SUBMITTED"),
    "wait": ("PENDING", "HELD", "SKIPPED"),
    "live": ("RUNNING", "COMPLETING", "SUSPENDED", "PARTIAL"),
    "odd": ("CHANGED", "PREEMPTED", "CANCELLED"),
    "bad": (
        *("FAILED", "ERROR", "TIMEOUT", "OUT_OF_MEMORY", "NODE_FAIL", "BOOT_FAIL", "DEADLINE"),
        *("REJECTED", "LOST", "UPSTREAM", "PURGED"),
    ),
}
_TONE_OF = {word: tone for tone, words in _TONES.items() for word in words}
SHORT = 160
"""The most characters of a cause in the table; the details have the whole reason."""

Axis = tuple[int, ...]
"""The positions, in a page's dimensions, of parameters that vary together."""


def head(text: str) -> str:
    """Return the start of a clean text, and how much was left out."""
    left = len(text) - LONGEST
    return text if left <= 0 else f"{text[:LONGEST]}\n[{left} more characters]"


def tail(text: str) -> str:
    """Return the end of a clean text, and how much was left out."""
    left = len(text) - LONGEST
    return text if left <= 0 else f"[{left} characters before]\n{text[-LONGEST:]}"


def href(path: str) -> str:
    """Return a relative path percent-encoded for an `href` or `src`; "" if it is not relative.

    A colon is encoded too, so that no text is a scheme such as `javascript:`; bytes of a name that
    are no UTF-8 keep their value.
    """
    if not path or path.startswith("/"):
        return ""
    try:
        name = os.fsencode(path)
    except UnicodeEncodeError:
        name = path.encode("utf-8", "replace")
    return quote(name, safe="/")


def shown(value: Scalar) -> str:
    """Return a value as text: floats with six significant digits, None as nothing."""
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else clean(str(value))


def cell(value: Scalar, kind: str) -> str:
    """Return a value in a column of this kind as text."""
    if kind == "elapsed" and isinstance(value, int | float):
        return duration(value)
    return shown(value)


def duration(seconds: float | None) -> str:
    """Return seconds as their two largest units, such as `2 h 05 min`; None as nothing."""
    if seconds is None:
        return ""
    whole = int(seconds + 0.5)
    if whole < _MINUTE:
        return f"{seconds:.3g} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE:02d} s"
    if whole < _DAY:
        return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE:02d} min"
    return f"{whole // _DAY} d {whole % _DAY // _HOUR:02d} h"


def tone(verdict: str) -> str:
    """Return the colour name of a verdict, by its first word; `odd` if it passed with a remark."""
    first, _, remark = verdict.partition(",")
    found = _TONE_OF.get(first.split(maxsplit=1)[0].upper() if first.strip() else "", "unknown")
    return "odd" if remark and found == "good" else found


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table.

    `key` is its name in links and in the results, `kind` the type of its values. A column that is
    not `shown` is empty, is covered by others, or has the same value in all rows (`constant`).
    """

    key: str
    title: str
    kind: str
    shown: bool
    constant: bool


def columns(page: Page, rows: Sequence[Sequence[Scalar]]) -> list[Column]:
    """Return the columns of `rows`, the page's cells."""
    own = {"verdict": "Verdict", "node": "Experiment"}
    rest = {
        "picture": "Picture",
        "state": "State",
        "cause": "Reason",
        "elapsed": "Elapsed",
        "job": "Job",
        "commit": "Commit",
        "base": "Base",
        "launch": "Launch",
    }
    taken = {*page.dimensions, *page.measures}
    kinds = [
        *((_free(kind, taken), title, kind) for kind, title in own.items()),
        *((clean(name), clean(name), "dimension") for name in page.dimensions),
        *((clean(name), clean(name), "measure") for name in page.measures),
        *((_free(kind, taken), title, kind) for kind, title in rest.items()),
    ]
    spelt_out = {"commit", "state", "launch", *(["node"] if page.dimensions else [])}
    return [
        _column(*names, values=[row[place] for row in rows], spelt_out=names[2] in spelt_out)
        for place, names in enumerate(kinds)
    ]


def _column(
    key: str, title: str, kind: str, *, values: Sequence[Scalar], spelt_out: bool
) -> Column:
    filled = any(value not in {"", None} for value in values)
    always = kind in {"base", "launch"}
    folds = always or (
        kind in {"dimension", "measure", "state", "elapsed", "job"} and len(values) > 1
    )
    constant = folds and filled and len({repr(value) for value in values}) == 1
    return Column(key, title, kind, shown=filled and not (constant or spelt_out), constant=constant)


def _free(key: str, taken: set[str]) -> str:
    while key in taken:
        key += "_"
    return key


def cells(page: Page, row: ReportRow) -> list[Scalar]:
    """Return a row's cells, in the order of `columns`."""
    return [
        clean(row.verdict),
        clean(row.node),
        *(_exact(row.values.get(name)) for name in (*page.dimensions, *page.measures)),
        next(filter(None, map(href, row.images)), ""),
        clean(row.state),
        cause(row),
        row.elapsed,
        clean(row.job),
        clean(row.commit)[:12],
        clean(row.parent)[:12],
        clean(row.launch),
    ]


def cause(row: ReportRow) -> str:
    """Return the cause of a failed row, which it may share with others."""
    return clean(row.cause or row.reason).strip().split("\n", 1)[0][:SHORT]


def causes(page: Page) -> list[tuple[str, int]]:
    """Return the causes of failures, most frequent first, and how many rows have each."""
    wrong = (cause(row) for row in page.rows if tone(clean(row.verdict)) in {"bad", "odd"})
    return Counter(found for found in wrong if found).most_common()


def _exact(value: Scalar) -> Scalar:
    """Convert numbers to text that JSON or JavaScript cannot represent exactly."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, int) and abs(value) > LARGEST_EXACT:
        return str(value)
    return value


def axes(page: Page) -> list[Axis]:
    """Return the axes of the page's grid, in the order of its dimensions.

    Two parameters vary together if each value of one goes with one value of the other.
    """
    found: dict[tuple[int, ...], list[int]] = {}
    for place, name in enumerate(page.dimensions):
        pattern = _pattern(row.values.get(name) for row in page.rows)
        if max(pattern, default=0) > 0:
            found.setdefault(pattern, []).append(place)
    return [tuple(places) for places in found.values()]


def _pattern(values: Iterable[object]) -> tuple[int, ...]:
    """Return the values numbered by first appearance; equal for columns that correspond."""
    numbers: dict[str, int] = {}
    return tuple(numbers.setdefault(repr(value), len(numbers)) for value in values)
